// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>

#include "pgsim/kernel/pgtable.hpp"
#include "pgsim/kernel/pgtable_64.hpp"
#include "pgsim/kernel/pgtable_modify.hpp"
#include "pgsim/kernel/pgtable_nop4d.hpp"

/// What all architectures share: indices, descending from table to table, ends of slots, and the ptep_ family.
/// [linux-6.6 include/linux/pgtable.h, mm/pgtable-generic.c] [spec chapter C]

namespace pgsim::kernel {

[[nodiscard]] constexpr unsigned pte_index(VirtAddr address) noexcept {
    return static_cast<unsigned>((address.value() >> page_shift) & (ptrs_per_pte - 1));
}
[[nodiscard]] constexpr unsigned pmd_index(VirtAddr address) noexcept {
    return static_cast<unsigned>((address.value() >> pmd_shift) & (ptrs_per_pmd - 1));
}
[[nodiscard]] constexpr unsigned pud_index(VirtAddr address) noexcept {
    return static_cast<unsigned>((address.value() >> pud_shift) & (ptrs_per_pud - 1));
}
[[nodiscard]] inline unsigned pgd_index(const KernelState& state, VirtAddr address) noexcept {
    return static_cast<unsigned>((address.value() >> state.pgdir_shift) & (ptrs_per_pgd - 1));
}

/// The entry of `address` in the top table `pgd`.
[[nodiscard]] inline pgd_ptr pgd_offset_pgd(const Pgtable& pt, pgd_ptr pgd, VirtAddr address) {
    return pgd + pgd_index(pt.state, address);
}
[[nodiscard]] inline pud_ptr pud_offset(const Pgtable& pt, p4d_ptr p4dp, VirtAddr address) {
    return p4d_pgtable(pt, p4dp_get(pt, p4dp)) + pud_index(address);
}
[[nodiscard]] inline pmd_ptr pmd_offset(const Pgtable& pt, pud_ptr pudp, VirtAddr address) {
    return pud_pgtable(pt, pudp_get(pt, pudp)) + pmd_index(address);
}
[[nodiscard]] inline pte_ptr pte_offset_kernel(const Pgtable& pt, pmd_ptr pmdp, VirtAddr address) {
    return pte_ptr{pmd_page_vaddr(pt, pmdp_get(pt, pmdp))} + pte_index(address);
}
/// pte_offset_map(): a null pointer when the entry names no page table (none, bad or huge).
[[nodiscard]] inline pte_ptr pte_offset_map(const Pgtable& pt, pmd_ptr pmdp, VirtAddr address) {
    const pmd_t pmd = pmdp_get(pt, pmdp);
    if (pmd_none(pmd) || !pmd_present(pmd) || pmd_trans_huge(pmd) || pmd_bad(pmd)) {
        return pte_ptr{};
    }
    return pte_ptr{pmd_page_vaddr(pt, pmd)} + pte_index(address);
}

namespace detail {
// The smaller of the next multiple of `size` and `end`; compared less one, so that 0 means 2^64.
[[nodiscard]] constexpr VirtAddr slot_end(VirtAddr address, VirtAddr end, std::uint64_t size) noexcept {
    const std::uint64_t boundary = (address.value() + size) & ~(size - 1);
    return boundary - 1 < end.value() - 1 ? VirtAddr{boundary} : end;
}
}  // namespace detail

[[nodiscard]] constexpr VirtAddr pmd_addr_end(VirtAddr address, VirtAddr end) noexcept {
    return detail::slot_end(address, end, pmd_size);
}
[[nodiscard]] constexpr VirtAddr pud_addr_end(VirtAddr address, VirtAddr end) noexcept {
    return detail::slot_end(address, end, pud_size);
}
/// While the level is folded a p4d "table" has one slot that covers everything up to `end`.
[[nodiscard]] inline VirtAddr p4d_addr_end(const KernelState& state, VirtAddr address, VirtAddr end) noexcept {
    return pgtable_l5_enabled(state) ? detail::slot_end(address, end, p4d_size) : end;
}
[[nodiscard]] inline VirtAddr pgd_addr_end(const KernelState& state, VirtAddr address, VirtAddr end) noexcept {
    return detail::slot_end(address, end, pgdir_size(state));
}

/// True when there is nothing below the entry; a bad one is cleared first. [linux-6.6 x_none_or_clear_bad()]
[[nodiscard]] inline bool pgd_none_or_clear_bad(const Pgtable& pt, pgd_ptr pgdp) {
    const pgd_t pgd = pgdp_get(pt, pgdp);
    if (pgd_none(pt.state, pgd)) {
        return true;
    }
    if (pgd_bad(pt.state, pgd)) {
        pgd_clear(pt, pgdp);
        return true;
    }
    return false;
}
[[nodiscard]] inline bool p4d_none_or_clear_bad(const Pgtable& pt, p4d_ptr p4dp) {
    const p4d_t p4d = p4dp_get(pt, p4dp);
    if (p4d_none(p4d)) {
        return true;
    }
    if (p4d_bad(pt.state, p4d)) {
        p4d_clear(pt, p4dp);
        return true;
    }
    return false;
}
[[nodiscard]] inline bool pud_none_or_clear_bad(const Pgtable& pt, pud_ptr pudp) {
    const pud_t pud = pudp_get(pt, pudp);
    if (pud_none(pud)) {
        return true;
    }
    if (pud_bad(pud)) {
        pud_clear(pt, pudp);
        return true;
    }
    return false;
}
[[nodiscard]] inline bool pmd_none_or_clear_bad(const Pgtable& pt, pmd_ptr pmdp) {
    const pmd_t pmd = pmdp_get(pt, pmdp);
    if (pmd_none(pmd)) {
        return true;
    }
    if (pmd_bad(pmd)) {
        pmd_clear(pt, pmdp);
        return true;
    }
    return false;
}

/// set_ptes(): `count` entries from `ptep` on; the frame rises by one from entry to entry.
inline void set_ptes(const Pgtable& pt, pte_ptr ptep, pte_t pte, unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
        set_pte(pt, ptep + i, pte_t{pte.pte + i * page_size});
    }
}
inline void set_pte_at(const Pgtable& pt, pte_ptr ptep, pte_t pte) {
    set_pte(pt, ptep, pte);
}

/// The old entry; it is none afterwards.
[[nodiscard]] inline pte_t ptep_get_and_clear(const Pgtable& pt, pte_ptr ptep) {
    const pte_t old = ptep_get(pt, ptep);
    pte_clear(pt, ptep);
    return old;
}
[[nodiscard]] inline pmd_t pmdp_huge_get_and_clear(const Pgtable& pt, pmd_ptr pmdp) {
    const pmd_t old = pmdp_get(pt, pmdp);
    pmd_clear(pt, pmdp);
    return old;
}
inline void ptep_set_wrprotect(const Pgtable& pt, pte_ptr ptep, DirtyBits bits = {}) {
    set_pte(pt, ptep, pte_wrprotect(ptep_get(pt, ptep), bits));
}
inline void pmdp_set_wrprotect(const Pgtable& pt, pmd_ptr pmdp, DirtyBits bits = {}) {
    set_pmd(pt, pmdp, pmd_wrprotect(pmdp_get(pt, pmdp), bits));
}
/// Stores `entry` only when it differs and the access was a write. Returns whether it differs: the caller flushes.
[[nodiscard]] inline bool ptep_set_access_flags(const Pgtable& pt, pte_ptr ptep, pte_t entry, bool dirty) {
    const bool changed = !pte_same(ptep_get(pt, ptep), entry);
    if (changed && dirty) {
        set_pte(pt, ptep, entry);
    }
    return changed;
}
[[nodiscard]] inline bool pmdp_set_access_flags(const Pgtable& pt, pmd_ptr pmdp, pmd_t entry, bool dirty) {
    const bool changed = !pmd_same(pmdp_get(pt, pmdp), entry);
    if (changed && dirty) {
        set_pmd(pt, pmdp, entry);
    }
    return changed;
}
/// Clears A; returns whether it was set. The TLB keeps its entry, on x86 by design. [spec M-E16]
[[nodiscard]] inline bool ptep_test_and_clear_young(const Pgtable& pt, pte_ptr ptep) {
    const pte_t pte = ptep_get(pt, ptep);
    if (!pte_young(pte)) {
        return false;
    }
    set_pte(pt, ptep, pte_mkold(pte));
    return true;
}
[[nodiscard]] inline bool pmdp_test_and_clear_young(const Pgtable& pt, pmd_ptr pmdp) {
    const pmd_t pmd = pmdp_get(pt, pmdp);
    if (!pmd_young(pmd)) {
        return false;
    }
    set_pmd(pt, pmdp, pmd_mkold(pmd));
    return true;
}

}  // namespace pgsim::kernel
