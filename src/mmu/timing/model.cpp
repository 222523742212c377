// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/mmu/timing_model.hpp"

#include <algorithm>
#include <cassert>

#include "pgsim/base/error.hpp"

namespace pgsim {

namespace {

constexpr std::array page_kinds{TagKind::k4K, TagKind::k2M, TagKind::k4M, TagKind::k1G};
constexpr std::array table_kinds{TagKind::pde, TagKind::pdpte, TagKind::pml4e, TagKind::pml5e};

constexpr std::uint8_t bit(TagKind kind) noexcept {
    return static_cast<std::uint8_t>(1U << static_cast<unsigned>(kind));
}

constexpr TagKind table_kind(Level level) noexcept {
    return table_kinds[number(level) - 2U];
}

/// The level that the table named by such an entry belongs to.
constexpr Level table_below(TagKind kind) noexcept {
    return static_cast<Level>(static_cast<unsigned>(kind) - static_cast<unsigned>(TagKind::pde) + 1);
}
static_assert(table_below(TagKind::pde) == Level::pt && table_kind(Level::pml4) == TagKind::pml4e);

}  // namespace

TimingModel::Unit::Unit(const CoreArray& array)
    : description{array}, tags{array.name, array.shape}, words(tags.slots()) {
    counts.name = array.name;
}

TimingModel::TimingModel(CoreDescription core) : core_{std::move(core)}, caches_{core_} {
    const auto build = [](const std::vector<CoreArray>& from, Group& to) {
        for (const CoreArray& array : from) {
            to.emplace_back(array);
        }
    };
    build(core_.l1_load, l1_load_);
    build(core_.l1_store, l1_store_);
    build(core_.l1_fetch, l1_fetch_);
    build(core_.l2, l2_);
    build(core_.l2_fetch, l2_fetch_);
    build(core_.structure_caches, structures_);
    if (l1_load_.empty() || l1_fetch_.empty()) {
        throw Error{"core " + core_.name, "it needs first-level TLBs for loads and for fetches"};
    }
    // [spec timing 10.2]: "host-side results cached in a nested TLB/PSC (size unknown; default 64)".
    constexpr unsigned pages = bit(TagKind::k4K) | bit(TagKind::k2M) | bit(TagKind::k1G);
    nested_.emplace_back(CoreArray{"nested TLB", {1, 64}, pages, std::nullopt});
    nested_.emplace_back(CoreArray{"nested tables", {1, 64}, 0xffU & ~pages, std::nullopt});
}

TimingModel::Group& TimingModel::first_level(Access access) noexcept {
    if (access.fetches()) {
        return l1_fetch_;
    }
    return access.writes() && !l1_store_.empty() ? l1_store_ : l1_load_;
}

TimingModel::Group& TimingModel::second_level(Access access) noexcept {
    return access.fetches() && !l2_fetch_.empty() ? l2_fetch_ : l2_;
}

TimingModel::Found TimingModel::find_page(Group& group, VirtAddr virt, std::uint16_t pcid) {
    for (Unit& unit : group) {
        const unsigned here = unit.tags.used() == 0 ? 0U : unit.description.kinds & unsigned{page_kinds_};
        for (const TagKind kind : page_kinds) {
            if ((here & bit(kind)) == 0) {
                continue;
            }
            const unsigned slot = unit.find(virt.value(), kind, pcid);
            if (slot != TagArray::none) {
                unit.tags.touch(slot, ++clock_);
                ++unit.counts.hits;
                return {&unit, slot};
            }
        }
    }
    for (Unit& unit : group) {
        ++unit.counts.misses;
    }
    return {};
}

CachedPage TimingModel::lookup(VirtAddr virt, std::uint16_t pcid, Access access) {
    second_level_asked_ = false;
    if (const Found first = find_page(first_level(access), virt, pcid); first.unit != nullptr) {
        cost_.l1_tlb = core_.l1_hit;
        cost_.place = TranslationPlace::l1_tlb;
        return CachedPage{first.unit->words[first.slot]};
    }
    second_level_asked_ = true;
    cost_.l2_tlb = access.fetches() ? core_.l2_hit_fetch : core_.l2_hit;
    const Found second = find_page(second_level(access), virt, pcid);
    if (second.unit == nullptr) {
        return {};
    }
    cost_.place = TranslationPlace::l2_tlb;
    const CachedPage page{second.unit->words[second.slot]};
    insert(first_level(access), virt, tag_kind(page.size()), pcid, page.global(), page.word());
    return page;
}

std::optional<WalkStart> TimingModel::start_walk(VirtAddr virt, std::uint16_t pcid, Access access) {
    if (!second_level_asked_) {
        // A hit that does not allow the access as it is (D to be set, rights): the processor walks again.
        cost_.l2_tlb = access.fetches() ? core_.l2_hit_fetch : core_.l2_hit;
    }
    cost_.walk_start += core_.walk_start;
    cost_.place = TranslationPlace::walk;
    for (const TagKind kind : table_kinds) {
        for (Group* group : {&structures_, &l2_}) {
            for (Unit& unit : *group) {
                if (!unit.description.holds(kind)) {
                    continue;
                }
                const unsigned slot = unit.find(virt.value(), kind, pcid);
                if (slot == TagArray::none) {
                    unit.counts.misses += group == &structures_ ? 1U : 0U;
                    continue;
                }
                unit.tags.touch(slot, ++clock_);
                ++unit.counts.hits;
                cost_.place = TranslationPlace::walk_tail;
                const CachedTable found{unit.words[slot]};
                return WalkStart{table_below(kind), found.table(), found.rights()};
            }
        }
    }
    return std::nullopt;
}

void TimingModel::charge_reference(PhysAddr entry) {
    const CacheHierarchy::Answer answer = caches_.access(entry);
    cost_.walk_steps += core_.walk_step;
    cost_.references += answer.latency;
    ++cost_.references_by_level[static_cast<std::size_t>(answer.level)];
}

void TimingModel::reference(PhysAddr entry) {
    charge_reference(entry);
}

void TimingModel::set_flags(std::size_t entries) {
    // The lines were just read: each locked write finds its line in the first-level cache.
    cost_.flag_assist += core_.flag_assist + static_cast<std::uint32_t>(entries) * core_.caches.front().latency;
    ++statistics_.flag_assists;
}

void TimingModel::insert(Group& group, VirtAddr virt, TagKind kind, std::uint16_t pcid, bool global,
                         std::uint64_t word) {
    const std::uint64_t prefix = Tag::prefix(virt.value(), kind);
    Unit* place = nullptr;
    unsigned slot = 0;
    for (Unit& unit : group) {
        if (!unit.description.holds(kind)) {
            continue;
        }
        if (const unsigned known = unit.find(virt.value(), kind, pcid); known != TagArray::none) {
            place = &unit;
            slot = known;
            break;
        }
        // Where several arrays hold such pages, the one with room, else the one whose victim is older.
        const unsigned candidate = unit.tags.place_for(prefix);
        if (place == nullptr || unit.tags.last_use(candidate) < place->tags.last_use(slot)) {
            place = &unit;
            slot = candidate;
        }
    }
    if (place == nullptr) {
        return;  // this core caches no such pages here
    }
    const std::uint64_t tag = global ? Tag::make_global(prefix, kind) : Tag::make(prefix, kind, pcid);
    const std::uint64_t old = place->tags.tag(slot);
    ++place->counts.fills;
    place->counts.evictions += old != 0 && old != tag ? 1U : 0U;
    place->tags.put(slot, tag, ++clock_);
    place->words[slot] = word;
}

void TimingModel::fill(VirtAddr virt, std::uint16_t pcid, CachedPage page, Access access) {
    const TagKind kind = tag_kind(page.size());
    page_kinds_ |= bit(kind);
    insert(first_level(access), virt, kind, pcid, page.global(), page.word());
    Group& second = second_level(access);
    const bool smash = kind == TagKind::k1G && std::any_of(second.begin(), second.end(),
                                                           [](const Unit& u) { return u.description.smashes_1g; });
    if (smash) {
        page_kinds_ |= bit(TagKind::k2M);
        smashed_ = true;
    }
    insert(second, virt, smash ? TagKind::k2M : kind, pcid, page.global(), page.word());
}

void TimingModel::fill_structure(Level level, VirtAddr virt, std::uint16_t pcid, CachedTable table) {
    const TagKind kind = table_kind(level);
    const bool in_structures = std::any_of(structures_.begin(), structures_.end(),
                                           [kind](const Unit& unit) { return unit.description.holds(kind); });
    insert(in_structures ? structures_ : l2_, virt, kind, pcid, false, table.word());
}

void TimingModel::data(PhysAddr phys, Access access) {
    if (access.fetches()) {
        return;  // the front end is not modelled
    }
    const CacheHierarchy::Answer answer = caches_.access(phys);
    cost_.data = answer.latency;
    cost_.data_level = answer.level;
    cost_.has_data = true;
}

void TimingModel::end() noexcept {
    statistics_.cycles += cost_.total().count();
    const std::array<std::uint32_t, 7> parts{cost_.l1_tlb,     cost_.l2_tlb,      cost_.walk_start, cost_.walk_steps,
                                             cost_.references, cost_.flag_assist, cost_.data};
    for (std::size_t i = 0; i < parts.size(); ++i) {
        statistics_.cycles_for[i] += parts[i];
    }
    if (cost_.has_data) {
        ++statistics_.data[static_cast<std::size_t>(cost_.data_level)];
    }
    if (cost_.place != TranslationPlace::walk && cost_.place != TranslationPlace::walk_tail) {
        return;
    }
    statistics_.walker_busy += cost_.walker_busy();
    std::size_t length = 0;
    for (std::size_t level = 0; level < memory_levels; ++level) {
        statistics_.references[level] += cost_.references_by_level[level];
        length += cost_.references_by_level[level];
    }
    ++statistics_.walks_by_length[std::min(length, statistics_.walks_by_length.size() - 1)];
}

Cycles TimingModel::event(TimedEvent what) noexcept {
    const auto cycles = [&]() -> std::uint32_t {
        const std::array<std::uint32_t, 4> invpcid = core_.invpcid.value_or(std::array<std::uint32_t, 4>{});
        switch (what) {
        case TimedEvent::invlpg: return core_.invlpg;
        case TimedEvent::mov_cr3_flush: return core_.cr3_flush;
        case TimedEvent::mov_cr3_keep: return core_.cr3_keep.value_or(core_.cr3_flush);
        case TimedEvent::invpcid_address: return invpcid[0];
        case TimedEvent::invpcid_single_context: return invpcid[1];
        case TimedEvent::invpcid_all_with_global: return invpcid[2];
        case TimedEvent::invpcid_all_but_global: return invpcid[3];
        case TimedEvent::cr4_pge: return core_.cr4_pge;
        case TimedEvent::page_fault: return core_.page_fault;
        case TimedEvent::iret: return core_.iret;
        }
        return 0;
    }();
    statistics_.event_cycles += cycles;
    statistics_.cycles += cycles;
    return Cycles{cycles};
}

TimingStatistics TimingModel::statistics() const {
    TimingStatistics result = statistics_;
    for (const Group* group : {&l1_load_, &l1_store_, &l1_fetch_, &l2_, &l2_fetch_, &structures_, &nested_}) {
        for (const Unit& unit : *group) {
            const bool unused = group == &nested_ && unit.counts.hits + unit.counts.misses == 0;
            if (!unused) {
                result.arrays.push_back(unit.counts);
            }
        }
    }
    caches_.report(result.arrays);
    return result;
}

void TimingModel::reset_statistics() {
    statistics_ = {};
    each_unit([](Unit& unit) { unit.counts = {unit.counts.name}; });
    caches_.reset_statistics();
}

template <class Function>
void TimingModel::each_unit(Function function) {
    for (Group* group : {&l1_load_, &l1_store_, &l1_fetch_, &l2_, &l2_fetch_, &structures_, &nested_}) {
        for (Unit& unit : *group) {
            function(unit);
        }
    }
}

void TimingModel::invalidate_page(VirtAddr virt, std::uint16_t pcid, bool global_too) {
    each_unit([&](Unit& unit) {
        for (const TagKind kind : page_kinds) {
            if (!unit.description.holds(kind) || is_nested(unit)) {
                continue;
            }
            const std::uint64_t prefix = Tag::prefix(virt.value(), kind);
            const std::uint64_t ours = Tag::make(prefix, kind, pcid);
            const std::uint64_t global = global_too ? Tag::make_global(prefix, kind) : ours;
            for (unsigned slot; (slot = unit.tags.find(prefix, ours, global)) != TagArray::none;) {
                unit.tags.drop(slot);
            }
        }
        if (smashed_ && unit.description.smashes_1g) {
            // Its pieces are tagged as 2-MByte pages.
            constexpr unsigned pieces = shift_of(TagKind::k1G) - shift_of(TagKind::k2M);
            const std::uint64_t page = Tag::prefix(virt.value(), TagKind::k1G);
            for (unsigned slot = 0; slot < unit.tags.slots(); ++slot) {
                const std::uint64_t tag = unit.tags.tag(slot);
                const bool ours = Tag::is_global(tag) ? global_too : Tag::pcid(tag) == pcid;
                if (tag != 0 && Tag::kind(tag) == TagKind::k2M &&
                    CachedPage{unit.words[slot]}.size() == PageSize::k1G &&
                    (tag & Tag::prefix_mask) >> pieces == page && ours) {
                    unit.tags.drop(slot);
                }
            }
        }
        if (is_nested(unit)) {
            return;
        }
        // INVLPG takes every paging-structure entry of the PCID.
        unit.tags.drop_if([&](std::uint64_t tag) { return Tag::kind(tag) >= TagKind::pde && Tag::pcid(tag) == pcid; });
    });
}

void TimingModel::invalidate_pcid(std::uint16_t pcid, bool global_too) {
    each_unit([&](Unit& unit) {
        if (!is_nested(unit)) {
            unit.tags.drop_if(
                [&](std::uint64_t tag) { return Tag::is_global(tag) ? global_too : Tag::pcid(tag) == pcid; });
        }
    });
}

void TimingModel::invalidate_all(bool global_too) {
    each_unit([&](Unit& unit) {
        if (!is_nested(unit)) {
            unit.tags.drop_if([&](std::uint64_t tag) { return global_too || !Tag::is_global(tag); });
        }
    });
}

void TimingModel::switch_pcid(std::uint16_t pcid) {
    each_unit([&](Unit& unit) {
        if (!unit.description.pcids) {
            return;
        }
        const unsigned kept = *unit.description.pcids;
        auto& recent = unit.recent_pcids;
        if (!recent.empty() && recent.front() == pcid) {
            return;
        }
        std::erase(recent, pcid);
        recent.insert(recent.begin(), pcid);
        if (kept == 0) {
            unit.tags.drop_if([](std::uint64_t) { return true; });
            recent.resize(1);
            return;
        }
        while (recent.size() > kept) {
            const std::uint16_t oldest = recent.back();
            recent.pop_back();
            unit.tags.drop_if([oldest](std::uint64_t tag) { return !Tag::is_global(tag) && Tag::pcid(tag) == oldest; });
        }
    });
}

void TimingModel::invalidate_nested() {
    for (Unit& unit : nested_) {
        unit.tags.drop_if([](std::uint64_t) { return true; });
    }
}

}  // namespace pgsim
