// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>

#include "pgsim/kernel/pgtable_context.hpp"
#include "pgsim/kernel/pgtable_invert.hpp"
#include "pgsim/kernel/pgtable_types.hpp"

/// Questions to an entry, and entries made from a frame and a protection.
/// [linux-6.6 arch/x86/include/asm/pgtable.h] [spec chapter C]; changed entries: pgtable_modify.hpp.
///
/// Where the answer depends on how the kernel runs (levels in use, supported bits), its state comes first.

namespace pgsim::kernel {

[[nodiscard]] constexpr bool pte_none(pte_t pte) noexcept {
    return (pte.pte & ~page_knl_erratum_mask) == 0;
}
[[nodiscard]] constexpr bool pmd_none(pmd_t pmd) noexcept {
    return (pmd.pmd & ~page_knl_erratum_mask) == 0;
}
[[nodiscard]] constexpr bool pud_none(pud_t pud) noexcept {
    return (pud.pud & ~page_knl_erratum_mask) == 0;
}
[[nodiscard]] constexpr bool p4d_none(p4d_t p4d) noexcept {
    return (p4d.p4d & ~page_knl_erratum_mask) == 0;
}
/// With four levels the level is folded and an entry is never none. [spec M-C2]
[[nodiscard]] inline bool pgd_none(const KernelState& state, pgd_t pgd) noexcept {
    return pgtable_l5_enabled(state) && pgd.pgd == 0;
}

[[nodiscard]] constexpr bool pte_present(pte_t pte) noexcept {
    return (pte.pte & (page_present | page_protnone)) != 0;
}
[[nodiscard]] constexpr bool pmd_present(pmd_t pmd) noexcept {
    return (pmd.pmd & (page_present | page_protnone | page_pse)) != 0;
}
[[nodiscard]] constexpr bool pud_present(pud_t pud) noexcept {
    return (pud.pud & page_present) != 0;
}
[[nodiscard]] constexpr bool p4d_present(p4d_t p4d) noexcept {
    return (p4d.p4d & page_present) != 0;
}
[[nodiscard]] inline bool pgd_present(const KernelState& state, pgd_t pgd) noexcept {
    return !pgtable_l5_enabled(state) || (pgd.pgd & page_present) != 0;
}

/// Neither empty nor a pointer as the kernel writes them: read-only, NX, large, or without D.
[[nodiscard]] constexpr bool pmd_bad(pmd_t pmd) noexcept {
    return (pmd_flags(pmd) & ~(page_user | page_accessed)) != (kernpg_table & ~page_accessed);
}
[[nodiscard]] constexpr bool pud_bad(pud_t pud) noexcept {
    return (pud_flags(pud) & ~page_table) != 0;
}
/// With page-table isolation the kernel's entries of the user half carry NX.
[[nodiscard]] inline bool p4d_bad(const KernelState& state, p4d_t p4d) noexcept {
    const p4dval_t ignored = page_table | (state.pti_enabled ? page_nx : 0);
    return (p4d_flags(p4d) & ~ignored) != 0;
}
[[nodiscard]] inline bool pgd_bad(const KernelState& state, pgd_t pgd) noexcept {
    const pgdval_t ignored = page_user | (state.pti_enabled ? page_nx : 0);
    return pgtable_l5_enabled(state) && (pgd_flags(pgd) & ~ignored) != kernpg_table;
}

[[nodiscard]] constexpr bool pmd_large(pmd_t pmd) noexcept {
    return (pmd.pmd & page_pse) != 0;
}
[[nodiscard]] constexpr bool pmd_leaf(pmd_t pmd) noexcept {
    return pmd_large(pmd);
}
[[nodiscard]] constexpr bool pud_large(pud_t pud) noexcept {
    return (pud.pud & (page_pse | page_present)) == (page_pse | page_present);
}
[[nodiscard]] constexpr bool pud_leaf(pud_t pud) noexcept {
    return pud_large(pud);
}
[[nodiscard]] constexpr bool p4d_large(p4d_t) noexcept {
    return false;
}
[[nodiscard]] constexpr bool pgd_large(pgd_t) noexcept {
    return false;
}
[[nodiscard]] constexpr bool pmd_trans_huge(pmd_t pmd) noexcept {
    return (pmd.pmd & (page_pse | page_devmap)) == page_pse;
}
[[nodiscard]] constexpr bool pte_protnone(pte_t pte) noexcept {
    return (pte.pte & (page_protnone | page_present)) == page_protnone;
}
[[nodiscard]] constexpr bool pmd_protnone(pmd_t pmd) noexcept {
    return (pmd.pmd & (page_protnone | page_present)) == page_protnone;
}

/// Writable. Without shadow stacks; with them D without RW is writable too, see pte_shstk().
[[nodiscard]] constexpr bool pte_write(pte_t pte) noexcept {
    return (pte.pte & page_rw) != 0;
}
[[nodiscard]] constexpr bool pmd_write(pmd_t pmd) noexcept {
    return (pmd.pmd & page_rw) != 0;
}
[[nodiscard]] constexpr bool pud_write(pud_t pud) noexcept {
    return (pud.pud & page_rw) != 0;
}
/// What a CPU with shadow stacks takes for a shadow-stack page.
[[nodiscard]] constexpr bool pte_shstk(pte_t pte) noexcept {
    return (pte.pte & (page_rw | page_dirty)) == page_dirty;
}
[[nodiscard]] constexpr bool pte_dirty(pte_t pte) noexcept {
    return (pte.pte & page_dirty_bits) != 0;
}
[[nodiscard]] constexpr bool pmd_dirty(pmd_t pmd) noexcept {
    return (pmd.pmd & page_dirty_bits) != 0;
}
[[nodiscard]] constexpr bool pud_dirty(pud_t pud) noexcept {
    return (pud.pud & page_dirty_bits) != 0;
}
[[nodiscard]] constexpr bool pte_young(pte_t pte) noexcept {
    return (pte.pte & page_accessed) != 0;
}
[[nodiscard]] constexpr bool pmd_young(pmd_t pmd) noexcept {
    return (pmd.pmd & page_accessed) != 0;
}
[[nodiscard]] constexpr bool pud_young(pud_t pud) noexcept {
    return (pud.pud & page_accessed) != 0;
}
[[nodiscard]] constexpr bool pte_exec(pte_t pte) noexcept {
    return (pte.pte & page_nx) == 0;
}
[[nodiscard]] constexpr bool pte_global(pte_t pte) noexcept {
    return (pte.pte & page_global) != 0;
}
[[nodiscard]] constexpr bool pte_special(pte_t pte) noexcept {
    return (pte.pte & page_special) != 0;
}
[[nodiscard]] constexpr bool pte_huge(pte_t pte) noexcept {
    return (pte.pte & page_pse) != 0;
}
[[nodiscard]] constexpr bool pte_uffd_wp(pte_t pte) noexcept {
    return (pte.pte & page_uffd_wp) != 0;
}
[[nodiscard]] constexpr bool pte_soft_dirty(pte_t pte) noexcept {
    return (pte.pte & page_soft_dirty) != 0;
}
[[nodiscard]] constexpr bool pte_devmap(pte_t pte) noexcept {
    return (pte.pte & page_devmap) != 0;
}
[[nodiscard]] constexpr bool pte_same(pte_t a, pte_t b) noexcept {
    return a.pte == b.pte;
}
[[nodiscard]] constexpr bool pmd_same(pmd_t a, pmd_t b) noexcept {
    return a.pmd == b.pmd;
}

/// A stray entry that is neither present nor none holds its frame inverted. [spec M-C, L1TF guard]
[[nodiscard]] constexpr std::uint64_t pte_pfn(pte_t pte) noexcept {
    return ((pte.pte ^ protnone_mask(pte.pte)) & pte_pfn_mask) >> page_shift;
}
[[nodiscard]] constexpr std::uint64_t pmd_pfn(pmd_t pmd) noexcept {
    return ((pmd.pmd ^ protnone_mask(pmd.pmd)) & pmd_pfn_mask(pmd)) >> page_shift;
}
[[nodiscard]] constexpr std::uint64_t pud_pfn(pud_t pud) noexcept {
    return ((pud.pud ^ protnone_mask(pud.pud)) & pud_pfn_mask(pud)) >> page_shift;
}
[[nodiscard]] constexpr std::uint64_t p4d_pfn(p4d_t p4d) noexcept {
    return (p4d.p4d & pte_pfn_mask) >> page_shift;
}
[[nodiscard]] constexpr std::uint64_t pgd_pfn(pgd_t pgd) noexcept {
    return (pgd.pgd & pte_pfn_mask) >> page_shift;
}

/// The address of the struct page of the frame that the entry names.
[[nodiscard]] inline VirtAddr pte_page(const Pgtable& pt, pte_t pte) noexcept {
    return pt.pfn_to_page(pte_pfn(pte));
}
[[nodiscard]] inline VirtAddr pmd_page(const Pgtable& pt, pmd_t pmd) noexcept {
    return pt.pfn_to_page(pmd_pfn(pmd));
}
[[nodiscard]] inline VirtAddr pud_page(const Pgtable& pt, pud_t pud) noexcept {
    return pt.pfn_to_page(pud_pfn(pud));
}
[[nodiscard]] inline VirtAddr p4d_page(const Pgtable& pt, p4d_t p4d) noexcept {
    return pt.pfn_to_page(p4d_pfn(p4d));
}
[[nodiscard]] inline VirtAddr pgd_page(const Pgtable& pt, pgd_t pgd) noexcept {
    return pt.pfn_to_page(pgd_pfn(pgd));
}

/// Direct-map address of the table below.
[[nodiscard]] inline VirtAddr pmd_page_vaddr(const Pgtable& pt, pmd_t pmd) noexcept {
    return pt.va(PhysAddr{pmd.pmd & pmd_pfn_mask(pmd)});
}
[[nodiscard]] inline pmd_ptr pud_pgtable(const Pgtable& pt, pud_t pud) noexcept {
    return pmd_ptr{pt.va(PhysAddr{pud.pud & pud_pfn_mask(pud)})};
}
[[nodiscard]] inline pud_ptr p4d_pgtable(const Pgtable& pt, p4d_t p4d) noexcept {
    return pud_ptr{pt.va(PhysAddr{p4d.p4d & pte_pfn_mask})};
}
[[nodiscard]] inline VirtAddr pgd_page_vaddr(const Pgtable& pt, pgd_t pgd) noexcept {
    return pt.va(PhysAddr{pgd.pgd & pte_pfn_mask});
}

/// Present protections lose the bits that this kernel does not use on this CPU.
[[nodiscard]] inline pgprotval_t massage_pgprot(const KernelState& state, pgprot_t prot) noexcept {
    return (prot.pgprot & page_present) != 0 ? prot.pgprot & state.supported_pte_mask : prot.pgprot;
}

[[nodiscard]] inline pte_t pfn_pte(const KernelState& state, std::uint64_t pfn, pgprot_t prot) noexcept {
    const std::uint64_t frame = ((pfn << page_shift) ^ protnone_mask(prot.pgprot)) & pte_pfn_mask;
    return {frame | massage_pgprot(state, prot)};
}
[[nodiscard]] inline pmd_t pfn_pmd(const KernelState& state, std::uint64_t pfn, pgprot_t prot) noexcept {
    const std::uint64_t frame = ((pfn << page_shift) ^ protnone_mask(prot.pgprot)) & pte_pfn_mask & pmd_mask;
    return {frame | massage_pgprot(state, prot)};
}
[[nodiscard]] inline pud_t pfn_pud(const KernelState& state, std::uint64_t pfn, pgprot_t prot) noexcept {
    const std::uint64_t frame = ((pfn << page_shift) ^ protnone_mask(prot.pgprot)) & pte_pfn_mask & pud_mask;
    return {frame | massage_pgprot(state, prot)};
}
/// @param page  address of a struct page
[[nodiscard]] inline pte_t mk_pte(const Pgtable& pt, VirtAddr page, pgprot_t prot) noexcept {
    return pfn_pte(pt.state, pt.page_to_pfn(page), prot);
}
[[nodiscard]] inline pmd_t mk_pmd(const Pgtable& pt, VirtAddr page, pgprot_t prot) noexcept {
    return pfn_pmd(pt.state, pt.page_to_pfn(page), prot);
}

}  // namespace pgsim::kernel
