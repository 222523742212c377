// SPDX-License-Identifier: GPL-2.0-only
// The MMU's lean path: what nearly every access takes when timing is off.
#include "lean_walk.hpp"
#include "pgsim/mmu/mmu.hpp"

namespace pgsim {

namespace {

using detail::LeanTry;

template <LeanTry how>
using Attempt = std::integral_constant<LeanTry, how>;
using detail::AtLevel;

/// What a path lacks is kept as it is in both words.
static_assert(CachedPage::lacks_mask == (detail::lean_rw | detail::lean_us | detail::lean_d | detail::lean_xd));

/// Index of `quick_walks_` for walks that begin at a PML4 that is the root.
constexpr unsigned root_of_four_levels = 0;

constexpr TagKind page_kind(Level leaf) noexcept {
    return leaf == Level::pt ? TagKind::k4K : leaf == Level::pd ? TagKind::k2M : TagKind::k1G;
}

/// The word for the TLB; `kept` are the bits of the leaf that it has too.
template <Level leaf>
CachedPage cached_page(const detail::LeanPath& path, std::uint64_t kept, bool shadow_stack) noexcept {
    constexpr std::uint64_t offset = span_of(leaf) - 1;
    constexpr std::uint64_t size = static_cast<std::uint64_t>(page_kind(leaf)) << CachedPage::size_shift;
    std::uint64_t word = (path.leaf & kept & ~(offset & CachedPage::address_mask)) |
                         (path.lacks & CachedPage::lacks_mask) | size | CachedPage::present_bit;
    if constexpr (leaf == Level::pt) {
        word |= path.leaf & 1U << CachedPage::pat_shift;
    } else {
        word |= path.leaf >> (12 - CachedPage::pat_shift) & 1U << CachedPage::pat_shift;
    }
    return CachedPage{word | (shadow_stack ? CachedPage::shadow_stack_bit : 0)};
}

}  // namespace

void Mmu::make_lean(const PhysicalMemory& memory) {
    walker_.emplace(memory, controls_);
    lean_ = walker_->lean_rules();
    quick_ = lean_.plain && policy_ == CachePolicy::on && !timing_;
    kept_of_leaf_ = CachedPage::address_mask | CachedPage::cache_bits | CachedPage::key_mask |
                    (controls_.pge ? CachedPage::global_bit : 0);
    lean_known_ = true;
}

const Walker& Mmu::walker(const PhysicalMemory& memory) {
    if (!lean_known_ || !walker_->reads(memory)) {
        make_lean(memory);
    }
    return *walker_;
}

Mmu::QuickTranslation Mmu::try_slowly(const PhysicalMemory& memory, VirtAddr virt, Access access) {
    if (!lean_known_) {
        make_lean(memory);
        if (quick_) {
            return try_translate(memory, virt, access);
        }
    }
    const auto hit = try_tlb(virt, access);
    return hit ? QuickTranslation{*hit, 1} : QuickTranslation{};
}

Mmu::QuickTranslation Mmu::try_translate(const PhysicalMemory& memory, VirtAddr virt, Access access) {
    if (!quick_) [[unlikely]] {
        return try_slowly(memory, virt, access);
    }
    if (!detail::lean_canonical(lean_, virt.value())) [[unlikely]] {
        return {};
    }
    if (const CachedPage page = tlb_.find_small(virt, pcid_)) {
        return quick_hit(page, virt, access);
    }
    return tlb_.others_in_use() ? try_larger(memory, virt, access) : quick_walk(memory, virt, access);
}

// Functions that end by calling the next one: none has to save registers for what only a later one needs.
Mmu::QuickTranslation Mmu::try_larger(const PhysicalMemory& memory, VirtAddr virt, Access access) {
    if (const CachedPage page = tlb_.find_other(virt, pcid_)) {
        return quick_hit(page, virt, access);
    }
    return quick_walk(memory, virt, access);
}

inline Mmu::QuickTranslation Mmu::quick_hit(CachedPage page, VirtAddr virt, Access access) {
    if (!detail::lean_allows(lean_, access, page.word())) [[unlikely]] {
        return {};
    }
    ++quick_hits_;
    return {page.at(virt), 1};
}

Mmu::QuickTranslation Mmu::quick_walk(const PhysicalMemory& memory, VirtAddr virt, Access access) {
    return quick_walk_as<Attempt<LeanTry::as_it_is>>(memory, virt, access);
}

Mmu::QuickTranslation Mmu::quick_walk_with_new_hints(const PhysicalMemory& memory, VirtAddr virt, Access access) {
    return quick_walk_as<Attempt<LeanTry::with_new_hints>>(memory, virt, access);
}

MmuStatistics Mmu::statistics() const noexcept {
    MmuStatistics s = statistics_;
    s.accesses += quick_hits_;
    s.tlb_hits += quick_hits_;
    for (unsigned from = 0; from < quick_walks_.size(); ++from) {
        for (unsigned leaf = 1; leaf <= number(Level::pdpt); ++leaf) {
            const std::uint64_t walks = quick_walks_[from][leaf];
            const unsigned first = from == root_of_four_levels ? number(Level::pml4) : from;
            const bool at_root = from == root_of_four_levels || from == number(Level::pml5);
            s.accesses += walks;
            s.walks += walks;
            s.walk_steps += walks * (first - leaf + 1);
            s.structure_hits += at_root ? 0 : walks;
        }
    }
    return s;
}

// The TLB has just missed: from the deepest cached entry on.
template <class Attempt>
inline Mmu::QuickTranslation Mmu::quick_walk_as(const PhysicalMemory& memory, VirtAddr virt, Access access) {
    if (const CachedTable start = structures_.find_at<Level::pd>(virt, pcid_)) {
        return quick_walk_from<Attempt, AtLevel<Level::pt>>(memory, virt, access, start);
    }
    if (const CachedTable start = structures_.find_at<Level::pdpt>(virt, pcid_)) {
        return quick_walk_from<Attempt, AtLevel<Level::pd>>(memory, virt, access, start);
    }
    if (const CachedTable start = structures_.find_at<Level::pml4>(virt, pcid_)) {
        return quick_walk_from<Attempt, AtLevel<Level::pdpt>>(memory, virt, access, start);
    }
    if (lean_.top == Level::pml4) {
        return quick_walk_from<Attempt, AtLevel<Level::pml4>>(memory, virt, access, {});
    }
    if (const CachedTable start = structures_.find_at<Level::pml5>(virt, pcid_)) {
        return quick_walk_from<Attempt, AtLevel<Level::pml4>>(memory, virt, access, start);
    }
    return quick_walk_from<Attempt, AtLevel<Level::pml5>>(memory, virt, access, {});
}

/// `start`: the cached entry that names the first table; none at the root.
template <class Attempt, class From>
inline Mmu::QuickTranslation Mmu::quick_walk_from(const PhysicalMemory& memory, VirtAddr virt, Access access,
                                                  CachedTable start) {
    constexpr Level from = From::value;
    const std::uint64_t linear = virt.value();
    const std::uint64_t table = start ? start.word() & CachedPage::address_mask : controls_.root.value();
    const std::size_t hint = start ? detail::lean_hint<from>(linear) : detail::lean_root_hint;
    detail::LeanPath path;
    detail::LeanTrace trace;
    path.lacks = start.lacks();
    const auto fill = [&]<Level leaf>(AtLevel<leaf>) -> QuickTranslation {
        if (!detail::lean_allows(lean_, access, path.lacks)) [[unlikely]] {
            return {};
        }
        constexpr std::uint64_t read = number(from) - number(leaf) + 1U;
        ++quick_walks_[start || from == Level::pml5 ? number(from) : root_of_four_levels][number(leaf)];
        bool shadow_stack = false;
        if (controls_.cet) [[unlikely]] {
            const std::uint64_t above = from == leaf ? start.lacks() : trace.lacks[number(leaf) + 1U];
            shadow_stack =
                (path.leaf & (detail::lean_rw | detail::lean_d)) == detail::lean_d && (above & detail::lean_rw) == 0;
        }
        tlb_.insert_new<page_kind(leaf)>(virt, pcid_, cached_page<leaf>(path, kept_of_leaf_, shadow_stack));
        const auto remember = [&]<Level above>(AtLevel<above>) {
            if constexpr (above <= from && above > leaf) {
                structures_.insert_new<above>(virt, pcid_,
                                              CachedTable{trace.table[number(above)] | CachedPage::present_bit |
                                                          (trace.lacks[number(above)] & CachedTable::lacks_mask)});
            }
        };
        remember(AtLevel<Level::pml5>{});
        remember(AtLevel<Level::pml4>{});
        remember(AtLevel<Level::pdpt>{});
        remember(AtLevel<Level::pd>{});
        return {PhysAddr{path.phys & PhysSpace::last}, read + 1};
    };
    const QuickTranslation found = detail::lean_walk_at<QuickTranslation, from, Attempt::value>(
        memory, lean_, table, hint, path, trace, linear, fill);
    if constexpr (Attempt::value == LeanTry::as_it_is) {
        if (!found.found()) {
            return quick_walk_with_new_hints(memory, virt, access);
        }
    }
    return found;
}

}  // namespace pgsim
