// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>

#include "pgsim/base/address.hpp"
#include "pgsim/kernel/pgtable_64_types.hpp"

/// Bits of entries, protections, the types of the upper levels, and the change between words and types.
/// [linux-6.6 arch/x86/include/asm/pgtable_types.h] [spec M-C3, M-C4]
///
/// `_PAGE_RW` is `page_rw` here, `PAGE_KERNEL` is `page_kernel`: see pgtable_64_types.hpp.

namespace pgsim::kernel {

struct pgprot_t {
    pgprotval_t pgprot = 0;
    friend constexpr bool operator==(pgprot_t, pgprot_t) noexcept = default;
};
/// An entry of a page upper directory: names a PMD table or maps 1 GiB.
struct pud_t {
    pudval_t pud = 0;
    friend constexpr bool operator==(pud_t, pud_t) noexcept = default;
};
/// With five levels an entry below the top table; with four levels an entry of the top table itself.
struct p4d_t {
    p4dval_t p4d = 0;
    friend constexpr bool operator==(p4d_t, p4d_t) noexcept = default;
};
struct pgd_t {
    pgdval_t pgd = 0;
    friend constexpr bool operator==(pgd_t, pgd_t) noexcept = default;
};

inline constexpr pteval_t page_present = 1U << 0;
inline constexpr pteval_t page_rw = 1U << 1;
inline constexpr pteval_t page_user = 1U << 2;
inline constexpr pteval_t page_pwt = 1U << 3;
inline constexpr pteval_t page_pcd = 1U << 4;
inline constexpr pteval_t page_accessed = 1U << 5;
inline constexpr pteval_t page_dirty = 1U << 6;
inline constexpr pteval_t page_pse = 1U << 7;  ///< 2 MiB and 1 GiB entries
inline constexpr pteval_t page_pat = 1U << 7;  ///< 4 KiB entries
inline constexpr pteval_t page_global = 1U << 8;
inline constexpr pteval_t page_protnone = 1U << 8;  ///< when P is clear
inline constexpr pteval_t page_special = 1U << 9;
inline constexpr pteval_t page_uffd_wp = 1U << 10;
inline constexpr pteval_t page_soft_dirty = 1U << 11;
inline constexpr pteval_t page_pat_large = 1U << 12;  ///< 2 MiB and 1 GiB entries
inline constexpr pteval_t page_devmap = pteval_t{1} << 57;
inline constexpr pteval_t page_saved_dirty = pteval_t{1} << 58;
inline constexpr pteval_t page_noptishadow = pteval_t{1} << 58;  ///< 6.12, entries of the top tables
inline constexpr pteval_t page_pkey_mask = pteval_t{0xf} << 59;
inline constexpr pteval_t page_nx = pteval_t{1} << 63;
inline constexpr pteval_t page_dirty_bits = page_dirty | page_saved_dirty;

/// PHYSICAL_PAGE_MASK as the entries use it: bits 12 to 51.
inline constexpr pteval_t pte_pfn_mask = 0x000f'ffff'ffff'f000;
inline constexpr pteval_t pte_flags_mask = ~pte_pfn_mask;

inline constexpr pteval_t kernpg_table = 0x63;  ///< _KERNPG_TABLE: P RW A D
inline constexpr pteval_t page_table = 0x67;    ///< _PAGE_TABLE: P RW US A D
/// Bits that are no change of a huge entry: _PAGE_KNL_ERRATUM_MASK. An entry with no other bit counts as empty.
inline constexpr pteval_t page_knl_erratum_mask = page_accessed | page_dirty;

inline constexpr pgprot_t page_none{0x120};
inline constexpr pgprot_t page_shared{page_nx | 0x27};
inline constexpr pgprot_t page_shared_exec{0x27};
inline constexpr pgprot_t page_copy{page_nx | 0x25};
inline constexpr pgprot_t page_copy_exec{0x25};
inline constexpr pgprot_t page_readonly{page_nx | 0x25};
inline constexpr pgprot_t page_readonly_exec{0x25};
inline constexpr pgprot_t page_kernel{page_nx | 0x163};
inline constexpr pgprot_t page_kernel_exec{0x163};
inline constexpr pgprot_t page_kernel_ro{page_nx | 0x121};  ///< 6.1: with D
inline constexpr pgprot_t page_kernel_rox{0x121};           ///< 6.1: with D
inline constexpr pgprot_t page_kernel_noenc{page_nx | 0x163};
inline constexpr pgprot_t page_kernel_nocache{page_nx | 0x17b};
inline constexpr pgprot_t page_kernel_io{page_nx | 0x163};
inline constexpr pgprot_t page_kernel_io_nocache{page_nx | 0x17b};
inline constexpr pgprot_t page_kernel_vvar{page_nx | 0x125};  ///< 6.1: with D
inline constexpr pgprot_t page_kernel_large{page_nx | 0x1e3};
inline constexpr pgprot_t page_kernel_large_exec{0x1e3};

[[nodiscard]] constexpr pgprotval_t pgprot_val(pgprot_t prot) noexcept {
    return prot.pgprot;
}
[[nodiscard]] constexpr pgprot_t make_pgprot(pgprotval_t value) noexcept {  ///< __pgprot()
    return {value};
}

[[nodiscard]] constexpr pteval_t pte_val(pte_t pte) noexcept {
    return pte.pte;
}
[[nodiscard]] constexpr pmdval_t pmd_val(pmd_t pmd) noexcept {
    return pmd.pmd;
}
[[nodiscard]] constexpr pudval_t pud_val(pud_t pud) noexcept {
    return pud.pud;
}
[[nodiscard]] constexpr p4dval_t p4d_val(p4d_t p4d) noexcept {
    return p4d.p4d;
}
[[nodiscard]] constexpr pgdval_t pgd_val(pgd_t pgd) noexcept {
    return pgd.pgd;
}

/// __pte(), __pmd(), …: names that start with two underscores belong to the C++ implementation.
[[nodiscard]] constexpr pte_t make_pte(pteval_t value) noexcept {
    return {value};
}
[[nodiscard]] constexpr pmd_t make_pmd(pmdval_t value) noexcept {
    return {value};
}
[[nodiscard]] constexpr pud_t make_pud(pudval_t value) noexcept {
    return {value};
}
[[nodiscard]] constexpr p4d_t make_p4d(p4dval_t value) noexcept {
    return {value};
}
[[nodiscard]] constexpr pgd_t make_pgd(pgdval_t value) noexcept {
    return {value};
}

/// Frame bits of a PMD or PUD entry: they begin at bit 21 or 30 when the entry maps a page. [spec M-C, x_flags]
[[nodiscard]] constexpr pmdval_t pmd_pfn_mask(pmd_t pmd) noexcept {
    return (pmd.pmd & page_pse) != 0 ? pte_pfn_mask & pmd_mask : pte_pfn_mask;
}
[[nodiscard]] constexpr pudval_t pud_pfn_mask(pud_t pud) noexcept {
    return (pud.pud & page_pse) != 0 ? pte_pfn_mask & pud_mask : pte_pfn_mask;
}

[[nodiscard]] constexpr pteval_t pte_flags(pte_t pte) noexcept {
    return pte.pte & pte_flags_mask;
}
[[nodiscard]] constexpr pmdval_t pmd_flags(pmd_t pmd) noexcept {
    return pmd.pmd & ~pmd_pfn_mask(pmd);
}
[[nodiscard]] constexpr pudval_t pud_flags(pud_t pud) noexcept {
    return pud.pud & ~pud_pfn_mask(pud);
}
[[nodiscard]] constexpr p4dval_t p4d_flags(p4d_t p4d) noexcept {
    return p4d.p4d & pte_flags_mask;
}
[[nodiscard]] constexpr pgdval_t pgd_flags(pgd_t pgd) noexcept {
    return pgd.pgd & pte_flags_mask;
}

/// A pointer to an entry: a linear address that knows what lies there. A null pointer has address 0.
template <class E>
class entry_ptr {
public:
    constexpr entry_ptr() noexcept = default;
    constexpr explicit entry_ptr(VirtAddr va) noexcept : va_{va} {}

    [[nodiscard]] constexpr VirtAddr va() const noexcept { return va_; }
    [[nodiscard]] constexpr bool is_null() const noexcept { return va_ == VirtAddr{}; }

    friend constexpr auto operator<=>(entry_ptr, entry_ptr) noexcept = default;
    /// The pointer `entries` further on.
    friend constexpr entry_ptr operator+(entry_ptr base, std::uint64_t entries) {
        return entry_ptr{base.va_ + entries * 8};
    }
    constexpr entry_ptr& operator++() { return *this = *this + 1; }

private:
    VirtAddr va_;
};

using pte_ptr = entry_ptr<pte_t>;
using pmd_ptr = entry_ptr<pmd_t>;
using pud_ptr = entry_ptr<pud_t>;
using p4d_ptr = entry_ptr<p4d_t>;
using pgd_ptr = entry_ptr<pgd_t>;

static_assert(page_table == (page_present | page_rw | page_user | page_accessed | page_dirty));
static_assert(kernpg_table == (page_table & ~page_user));

}  // namespace pgsim::kernel
