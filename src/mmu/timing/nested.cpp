// SPDX-License-Identifier: GPL-2.0-only
// What a two-dimensional walk costs. [spec timing 10.2 "Nested"]
#include <algorithm>
#include <array>

#include "pgsim/mmu/nested.hpp"
#include "pgsim/mmu/timing_model.hpp"

namespace pgsim {

namespace {

constexpr std::array nested_pages{TagKind::k4K, TagKind::k2M, TagKind::k1G};
constexpr std::array nested_tables{TagKind::pde, TagKind::pdpte, TagKind::pml4e, TagKind::pml5e};

/// The level whose entries such a tag stands for.
constexpr Level level_of(TagKind table) noexcept {
    return static_cast<Level>(static_cast<unsigned>(table) - static_cast<unsigned>(TagKind::pde) + 2);
}

constexpr TagKind page_kind(Level leaf) noexcept {
    return leaf == Level::pt ? TagKind::k4K : leaf == Level::pd ? TagKind::k2M : TagKind::k1G;
}

constexpr PageSize smaller(PageSize a, PageSize b) noexcept {
    return a < b ? a : b;
}

}  // namespace

void TimingModel::nested_references(std::span<const NestedStep> steps) {
    if (steps.empty()) {
        return;
    }
    Unit& cache = nested_.front();
    Unit& tables = nested_.back();
    const std::uint64_t guest_phys = steps.front().guest_phys.value();
    for (const TagKind kind : nested_pages) {
        const unsigned slot = cache.find(guest_phys, kind, 0);
        if (slot != TagArray::none) {
            cache.tags.touch(slot, ++clock_);
            ++cache.counts.hits;
            return;
        }
    }
    ++cache.counts.misses;
    unsigned first = 6;  // above every level
    for (const TagKind kind : nested_tables) {
        const unsigned slot = tables.find(guest_phys, kind, 0);
        if (slot != TagArray::none) {
            tables.tags.touch(slot, ++clock_);
            first = number(level_of(kind)) - 1;
            break;
        }
    }
    for (const NestedStep& step : steps) {
        if (number(step.level) > first) {
            continue;
        }
        charge_reference(step.entry_addr);
        const bool leaf = &step == &steps.back();
        const TagKind kind = leaf ? page_kind(step.level) : nested_tables[number(step.level) - 2U];
        insert(nested_, VirtAddr{guest_phys}, kind, 0, false, 0);
    }
}

AccessCost TimingModel::nested_access(const NestedWalkResult& walk, VirtAddr guest_linear, std::uint16_t pcid,
                                      Access access) {
    begin();
    const NestedTranslation* const translation = walk.translation();
    if (!lookup(guest_linear, pcid, access)) {
        const std::optional<WalkStart> start = start_walk(guest_linear, pcid, access);
        const unsigned top = start ? number(start->level) : 6U;
        const std::span<const NestedStep> steps{walk.steps()};
        for (std::size_t begin = 0; begin < steps.size();) {
            // The nested entries that translate one guest-physical address, then the guest's own entry there.
            std::size_t end = begin;
            while (end < steps.size() && steps[end].stage == NestedStep::Stage::nested &&
                   steps[end].guest_phys == steps[begin].guest_phys) {
                ++end;
            }
            const bool guest = end < steps.size() && steps[end].stage == NestedStep::Stage::guest;
            if (!guest || number(steps[end].level) <= top) {
                nested_references(steps.subspan(begin, end - begin));
            }
            if (guest && number(steps[end].level) <= top) {
                charge_reference(steps[end].entry_addr);
                const bool names_table = steps[end].level != Level::pt && end + 1 < steps.size() &&
                                         steps[end + 1].purpose == NestedPurpose::guest_table;
                if (names_table) {
                    fill_structure(steps[end].level, guest_linear, pcid, {});
                }
            }
            begin = guest || end == begin ? end + 1 : end;
        }
        if (!walk.flag_updates().empty()) {
            set_flags(walk.flag_updates().size());
        }
        if (translation != nullptr) {
            Translation page;
            page.page_size = smaller(translation->guest_page_size, translation->nested_page_size);
            page.rights = translation->guest_rights;
            const PhysAddr base = translation->phys.align_down(bytes(page.page_size));
            fill(guest_linear, pcid, CachedPage::make(base, page, false), access);
        }
    }
    if (translation != nullptr) {
        data(translation->phys, access);
    }
    end();
    return cost_;
}

}  // namespace pgsim
