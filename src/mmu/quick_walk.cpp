// SPDX-License-Identifier: GPL-2.0-only
// The MMU's lean path: what nearly every access takes when timing is off.
#include "lean_walk.hpp"
#include "pgsim/mmu/mmu.hpp"

namespace pgsim {

namespace {

constexpr std::uint64_t global_bit = 1U << 8;

}  // namespace

void Mmu::make_lean(const PhysicalMemory& memory) {
    walker_.emplace(memory, controls_);
    lean_ = walker_->lean_rules();
    quick_ = lean_.plain && policy_ == CachePolicy::on && !timing_;
    lean_known_ = true;
}

const Walker& Mmu::walker(const PhysicalMemory& memory) {
    if (!lean_known_ || !walker_->reads(memory)) {
        make_lean(memory);
    }
    return *walker_;
}

Mmu::QuickTranslation Mmu::try_translate(const PhysicalMemory& memory, VirtAddr virt, Access access) {
    if (!lean_known_) [[unlikely]] {
        make_lean(memory);
    }
    if (!quick_) [[unlikely]] {
        const auto hit = try_tlb(virt, access);
        return hit ? QuickTranslation{*hit, 1} : QuickTranslation{};
    }
    if (!detail::lean_canonical(lean_, virt.value())) [[unlikely]] {
        return {};
    }
    const TlbEntry* const entry = tlb_.find(virt, pcid_);
    if (entry == nullptr) {
        return quick_walk(memory, virt, access);
    }
    if (!detail::lean_allows(lean_, access, entry->lacks)) [[unlikely]] {
        return {};
    }
    ++statistics_.accesses;
    ++statistics_.tlb_hits;
    return {entry->base + virt.offset_in(bytes(entry->size)), 1};
}

// The TLB has just missed.
Mmu::QuickTranslation Mmu::quick_walk(const PhysicalMemory& memory, VirtAddr virt, Access access) {
    detail::LeanPath path;
    detail::LeanTrace trace;
    Level from = lean_.top;
    path.table = controls_.root.value();
    const WalkStart* const start = structures_.find(virt, pcid_);
    if (start != nullptr) {
        from = start->level;
        path.table = start->table.value();
        path.lacks = detail::lean_lacks(start->rights);
    }
    if (!detail::lean_walk(memory, lean_, from, path, trace, virt.value()) ||
        !detail::lean_allows(lean_, access, path.lacks)) {
        return {};
    }
    const std::uint32_t read = number(from) - number(path.level) + 1;
    ++statistics_.accesses;
    ++statistics_.walks;
    statistics_.walk_steps += read;
    statistics_.structure_hits += start != nullptr ? 1U : 0U;
    const PhysAddr phys{path.phys & PhysSpace::last};
    const PageSize size = *page_size_at(path.level);
    const unsigned pat_bit = path.level == Level::pt ? 7 : 12;
    const bool leaf_alone = from == path.level;
    const std::uint64_t upper_lacks = !leaf_alone        ? trace.lacks[number(path.level) + 1U]
                                      : start != nullptr ? detail::lean_lacks(start->rights)
                                                         : 0;
    // Written where it stays: a copy of small fields would have to wait for them.
    TlbEntry& entry = tlb_.new_entry(virt.value() >> static_cast<unsigned>(size), size, pcid_,
                                     controls_.pge && (path.leaf & global_bit) != 0);
    entry.base = phys.align_down(bytes(size));
    entry.rights = detail::lean_rights(path.lacks, controls_.nxe);
    entry.dirty = (path.lacks & detail::lean_d) == 0;
    entry.shadow_stack = controls_.cet && (path.leaf & (detail::lean_rw | detail::lean_d)) == detail::lean_d &&
                         (upper_lacks & detail::lean_rw) == 0;
    entry.protection_key = static_cast<std::uint8_t>(path.leaf >> 59 & 15);
    entry.pat_index = static_cast<std::uint8_t>((path.leaf >> pat_bit & 1) << 2 | (path.leaf >> 3 & 3));
    entry.lacks =
        path.lacks & (detail::lean_rw | detail::lean_us | detail::lean_d | (controls_.nxe ? detail::lean_xd : 0));
    for (unsigned n = number(from); n > number(path.level); --n) {
        structures_.insert_new(static_cast<Level>(n), virt, pcid_,
                               {static_cast<Level>(n - 1), PhysAddr{trace.table[n] & detail::lean_address},
                                detail::lean_rights(trace.lacks[n], controls_.nxe)});
    }
    return {phys, read + std::uint64_t{1}};
}

}  // namespace pgsim
