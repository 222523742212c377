// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>

#include "pgsim/kernel/pgtable_context.hpp"
#include "pgsim/kernel/pgtable_types.hpp"

/// Stores of entries, and swap entries as entries hold them. [linux-6.6 arch/x86/include/asm/pgtable_64.h]

namespace pgsim::kernel {

inline void set_pte(const Pgtable& pt, pte_ptr ptep, pte_t pte) {
    pt.store(Level::pt, ptep.va(), pte.pte);
}
inline void set_pmd(const Pgtable& pt, pmd_ptr pmdp, pmd_t pmd) {
    pt.store(Level::pd, pmdp.va(), pmd.pmd);
}
inline void set_pud(const Pgtable& pt, pud_ptr pudp, pud_t pud) {
    pt.store(Level::pdpt, pudp.va(), pud.pud);
}

/// An entry of the user half of a top table is stored into the copy for user mode too (the page after the table), and
/// the kernel's own gets NX. Returns what belongs into the kernel's table. [linux-6.6 pti_set_user_pgtbl()] [spec R9.6]
[[nodiscard]] inline pgd_t pti_set_user_pgtbl(const Pgtable& pt, pgd_ptr pgdp, pgd_t pgd) {
    if (!pt.state.pti_enabled || pgdp.va().offset_in(page_size) >= page_size / 2) {
        return pgd;
    }
    pt.memory.write64(VirtAddr{pgdp.va().value() | page_size}, pgd.pgd);
    const pgdval_t user_pointer = page_user | page_present;
    const bool nx = (pt.state.supported_pte_mask & page_nx) != 0;
    return (pgd.pgd & user_pointer) == user_pointer && nx ? pgd_t{pgd.pgd | page_nx} : pgd;
}

/// With four levels this is a store into the top table. [spec M-C2]
inline void set_p4d(const Pgtable& pt, p4d_ptr p4dp, p4d_t p4d) {
    if (!pgtable_l5_enabled(pt.state)) {
        p4d.p4d = pti_set_user_pgtbl(pt, pgd_ptr{p4dp.va()}, pgd_t{p4d.p4d}).pgd;
    }
    pt.store(Level::pml4, p4dp.va(), p4d.p4d);
}
inline void set_pgd(const Pgtable& pt, pgd_ptr pgdp, pgd_t pgd) {
    const Level top = pgtable_l5_enabled(pt.state) ? Level::pml5 : Level::pml4;
    pt.store(top, pgdp.va(), pti_set_user_pgtbl(pt, pgdp, pgd).pgd);
}

inline void pte_clear(const Pgtable& pt, pte_ptr ptep) {
    set_pte(pt, ptep, pte_t{});
}
inline void pmd_clear(const Pgtable& pt, pmd_ptr pmdp) {
    set_pmd(pt, pmdp, pmd_t{});
}
inline void pud_clear(const Pgtable& pt, pud_ptr pudp) {
    set_pud(pt, pudp, pud_t{});
}
inline void p4d_clear(const Pgtable& pt, p4d_ptr p4dp) {
    set_p4d(pt, p4dp, p4d_t{});
}
inline void pgd_clear(const Pgtable& pt, pgd_ptr pgdp) {
    if (pgtable_l5_enabled(pt.state)) {
        set_pgd(pt, pgdp, pgd_t{});
    }
}

/// A place in a swap area, as a not-present entry names it. [spec M-E20]
struct swp_entry_t {
    unsigned type = 0;         ///< 0 ..= 31; below 23 a swap area
    std::uint64_t offset = 0;  ///< slot in the area, 50 bits
    friend constexpr bool operator==(swp_entry_t, swp_entry_t) noexcept = default;
};

inline constexpr pteval_t page_swp_soft_dirty = 1U << 1;
inline constexpr pteval_t page_swp_uffd_wp = 1U << 2;
inline constexpr pteval_t page_swp_exclusive = 1U << 3;
inline constexpr unsigned swp_offset_bits = 50;

/// __swp_entry_to_pte(): the type in bits 59 to 63, the inverted offset in bits 9 to 58.
[[nodiscard]] constexpr pte_t swp_entry_to_pte(swp_entry_t entry) noexcept {
    const std::uint64_t offset = ~entry.offset & ((std::uint64_t{1} << swp_offset_bits) - 1);
    return {(std::uint64_t{entry.type} << 59) | (offset << 9)};
}
/// __pte_to_swp_entry().
[[nodiscard]] constexpr swp_entry_t pte_to_swp_entry(pte_t pte) noexcept {
    return {static_cast<unsigned>(pte.pte >> 59), (~pte.pte << 5) >> 14};
}
[[nodiscard]] constexpr pte_t pte_swp_mkexclusive(pte_t pte) noexcept {
    return {pte.pte | page_swp_exclusive};
}
[[nodiscard]] constexpr bool pte_swp_exclusive(pte_t pte) noexcept {
    return (pte.pte & page_swp_exclusive) != 0;
}
[[nodiscard]] constexpr pte_t pte_swp_clear_exclusive(pte_t pte) noexcept {
    return {pte.pte & ~page_swp_exclusive};
}

static_assert(swp_entry_to_pte({0, 1}).pte == 0x07ff'ffff'ffff'fc00);
static_assert(swp_entry_to_pte({3, 0x1234}).pte == (0x1fff'ffff'ffdb'9608 & ~page_swp_exclusive));
static_assert(pte_to_swp_entry({0x07ff'ffff'ffdb'9600}) == swp_entry_t{0, 0x1234});

}  // namespace pgsim::kernel
