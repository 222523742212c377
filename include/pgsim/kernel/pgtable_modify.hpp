// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>

#include "pgsim/kernel/pgtable.hpp"

/// Changed entries: pte_mkdirty(), pte_wrprotect(), pte_modify() and their like. They write no memory.
/// [linux-6.6 arch/x86/include/asm/pgtable.h] [spec chapter C]

namespace pgsim::kernel {

/// What a kernel's build and series decide about dirty bits.
struct DirtyBits {
    bool saved_dirty = true;  ///< SAVED_DIRTY holds D of read-only entries (not 6.1)
    bool soft_dirty = false;  ///< CONFIG_MEM_SOFT_DIRTY
};

namespace detail {

// mksaveddirty_shift(): D moves to SAVED_DIRTY when RW is clear.
[[nodiscard]] constexpr std::uint64_t save_dirty(std::uint64_t value, DirtyBits bits) noexcept {
    if (!bits.saved_dirty || (value & page_rw) != 0 || (value & page_dirty) == 0) {
        return value;
    }
    return (value & ~page_dirty) | page_saved_dirty;
}

// clear_saveddirty_shift(): SAVED_DIRTY moves to D when RW is set.
[[nodiscard]] constexpr std::uint64_t restore_dirty(std::uint64_t value, DirtyBits bits) noexcept {
    if (!bits.saved_dirty || (value & page_rw) == 0 || (value & page_saved_dirty) == 0) {
        return value;
    }
    return (value & ~page_saved_dirty) | page_dirty;
}

inline constexpr std::uint64_t common_chg_mask = pte_pfn_mask | page_pcd | page_pwt | page_special | page_accessed |
                                                 page_dirty_bits | page_soft_dirty | page_devmap | page_uffd_wp;

[[nodiscard]] inline std::uint64_t modify(const KernelState& state, std::uint64_t old, pgprot_t prot,
                                          std::uint64_t kept, std::uint64_t frame_mask, DirtyBits bits) noexcept {
    std::uint64_t value = (old & kept) | (massage_pgprot(state, prot) & ~kept);
    value = flip_protnone_guard(old, value, frame_mask);
    return (old & page_rw) != 0 ? save_dirty(value, bits) : restore_dirty(value, bits);
}

}  // namespace detail

[[nodiscard]] constexpr pte_t pte_set_flags(pte_t pte, pteval_t set) noexcept {
    return {pte.pte | set};
}
[[nodiscard]] constexpr pte_t pte_clear_flags(pte_t pte, pteval_t clear) noexcept {
    return {pte.pte & ~clear};
}
[[nodiscard]] constexpr pmd_t pmd_set_flags(pmd_t pmd, pmdval_t set) noexcept {
    return {pmd.pmd | set};
}
[[nodiscard]] constexpr pmd_t pmd_clear_flags(pmd_t pmd, pmdval_t clear) noexcept {
    return {pmd.pmd & ~clear};
}

[[nodiscard]] constexpr pte_t pte_mkdirty(pte_t pte, DirtyBits bits = {}) noexcept {
    return {detail::save_dirty(pte.pte | page_dirty | (bits.soft_dirty ? page_soft_dirty : 0), bits)};
}
[[nodiscard]] constexpr pmd_t pmd_mkdirty(pmd_t pmd, DirtyBits bits = {}) noexcept {
    return {detail::save_dirty(pmd.pmd | page_dirty | (bits.soft_dirty ? page_soft_dirty : 0), bits)};
}
[[nodiscard]] constexpr pte_t pte_mkclean(pte_t pte) noexcept {
    return pte_clear_flags(pte, page_dirty_bits);
}
[[nodiscard]] constexpr pmd_t pmd_mkclean(pmd_t pmd) noexcept {
    return pmd_clear_flags(pmd, page_dirty_bits);
}
[[nodiscard]] constexpr pte_t pte_mkyoung(pte_t pte) noexcept {
    return pte_set_flags(pte, page_accessed);
}
[[nodiscard]] constexpr pmd_t pmd_mkyoung(pmd_t pmd) noexcept {
    return pmd_set_flags(pmd, page_accessed);
}
[[nodiscard]] constexpr pte_t pte_mkold(pte_t pte) noexcept {
    return pte_clear_flags(pte, page_accessed);
}
[[nodiscard]] constexpr pmd_t pmd_mkold(pmd_t pmd) noexcept {
    return pmd_clear_flags(pmd, page_accessed);
}
[[nodiscard]] constexpr pte_t pte_mkexec(pte_t pte) noexcept {
    return pte_clear_flags(pte, page_nx);
}
[[nodiscard]] constexpr pte_t pte_mkspecial(pte_t pte) noexcept {
    return pte_set_flags(pte, page_special);
}
[[nodiscard]] constexpr pte_t pte_mkhuge(pte_t pte) noexcept {
    return pte_set_flags(pte, page_pse);
}
[[nodiscard]] constexpr pmd_t pmd_mkhuge(pmd_t pmd) noexcept {
    return pmd_set_flags(pmd, page_pse);
}
[[nodiscard]] constexpr pte_t pte_clrhuge(pte_t pte) noexcept {
    return pte_clear_flags(pte, page_pse);
}
[[nodiscard]] constexpr pte_t pte_mkglobal(pte_t pte) noexcept {
    return pte_set_flags(pte, page_global);
}
[[nodiscard]] constexpr pte_t pte_clrglobal(pte_t pte) noexcept {
    return pte_clear_flags(pte, page_global);
}

[[nodiscard]] constexpr pte_t pte_wrprotect(pte_t pte, DirtyBits bits = {}) noexcept {
    return {detail::save_dirty(pte.pte & ~page_rw, bits)};
}
[[nodiscard]] constexpr pmd_t pmd_wrprotect(pmd_t pmd, DirtyBits bits = {}) noexcept {
    return {detail::save_dirty(pmd.pmd & ~page_rw, bits)};
}
[[nodiscard]] constexpr pte_t pte_mkuffd_wp(pte_t pte, DirtyBits bits = {}) noexcept {
    return pte_wrprotect(pte_set_flags(pte, page_uffd_wp), bits);
}
[[nodiscard]] constexpr pte_t pte_clear_uffd_wp(pte_t pte) noexcept {
    return pte_clear_flags(pte, page_uffd_wp);
}
/// pte_mkwrite_novma(): 6.1 calls it pte_mkwrite().
[[nodiscard]] constexpr pte_t pte_mkwrite_novma(pte_t pte) noexcept {
    return pte_set_flags(pte, page_rw);
}
[[nodiscard]] constexpr pmd_t pmd_mkwrite_novma(pmd_t pmd) noexcept {
    return pmd_set_flags(pmd, page_rw);
}
/// pte_mkwrite() of an entry of a shadow-stack VMA, and of any other VMA.
[[nodiscard]] constexpr pte_t pte_mkwrite_shstk(pte_t pte) noexcept {
    return pte_set_flags(pte_clear_flags(pte, page_rw), page_dirty);
}
[[nodiscard]] constexpr pte_t pte_mkwrite(pte_t pte, DirtyBits bits = {}) noexcept {
    return {detail::restore_dirty(pte.pte | page_rw, bits)};
}
[[nodiscard]] constexpr pmd_t pmd_mkwrite(pmd_t pmd, DirtyBits bits = {}) noexcept {
    return {detail::restore_dirty(pmd.pmd | page_rw, bits)};
}

/// The entry with the protection `prot`; frame, cache mode, A, dirtiness and software bits stay. [spec chapter C]
[[nodiscard]] inline pte_t pte_modify(const KernelState& state, pte_t pte, pgprot_t prot,
                                      DirtyBits bits = {}) noexcept {
    return {detail::modify(state, pte.pte, prot, detail::common_chg_mask | page_pat, pte_pfn_mask, bits)};
}
[[nodiscard]] inline pmd_t pmd_modify(const KernelState& state, pmd_t pmd, pgprot_t prot,
                                      DirtyBits bits = {}) noexcept {
    return {detail::modify(state, pmd.pmd, prot, detail::common_chg_mask | page_pse | page_pat_large,
                           pte_pfn_mask & pmd_mask, bits)};
}

/// pgprot_modify(): cache mode and frame-independent bits of `old` stay, the rest comes from `wanted`.
[[nodiscard]] constexpr pgprot_t pgprot_modify(pgprot_t old, pgprot_t wanted) noexcept {
    const pgprotval_t kept = detail::common_chg_mask | page_pat;
    return {(old.pgprot & kept) | (wanted.pgprot & ~kept)};
}
[[nodiscard]] constexpr pgprot_t pgprot_noncached(pgprot_t prot) noexcept {  ///< UC-
    return {(prot.pgprot & ~(page_pcd | page_pwt | page_pat)) | page_pcd};
}
[[nodiscard]] constexpr pgprot_t pgprot_writecombine(pgprot_t prot) noexcept {
    return {(prot.pgprot & ~(page_pcd | page_pwt | page_pat)) | page_pwt};
}

}  // namespace pgsim::kernel
