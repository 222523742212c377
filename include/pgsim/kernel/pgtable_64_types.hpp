// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>

#include "pgsim/kernel/kernel_state.hpp"

/// Shifts, sizes, the types of the two lowest levels, and where regions start.
/// [linux-6.6 arch/x86/include/asm/pgtable_64_types.h, include/linux/mmzone.h]
///
/// Constants keep the kernel's names in lower case (PMD_SHIFT is `pmd_shift`), because the C headers of some systems
/// define macros of these names.

namespace pgsim::kernel {

using pteval_t = std::uint64_t;
using pmdval_t = std::uint64_t;
using pudval_t = std::uint64_t;
using p4dval_t = std::uint64_t;
using pgdval_t = std::uint64_t;
using pgprotval_t = std::uint64_t;

/// An entry of a page table (lowest level). One word; changing it writes no memory.
struct pte_t {
    pteval_t pte = 0;
    friend constexpr bool operator==(pte_t, pte_t) noexcept = default;
};

/// An entry of a page middle directory: names a page table or maps 2 MiB.
struct pmd_t {
    pmdval_t pmd = 0;
    friend constexpr bool operator==(pmd_t, pmd_t) noexcept = default;
};

inline constexpr unsigned page_shift = 12;
inline constexpr unsigned pmd_shift = 21;
inline constexpr unsigned pud_shift = 30;
inline constexpr unsigned p4d_shift = 39;

inline constexpr std::uint64_t page_size = std::uint64_t{1} << page_shift;
inline constexpr std::uint64_t pmd_size = std::uint64_t{1} << pmd_shift;
inline constexpr std::uint64_t pud_size = std::uint64_t{1} << pud_shift;
inline constexpr std::uint64_t p4d_size = std::uint64_t{1} << p4d_shift;
inline constexpr std::uint64_t page_mask = ~(page_size - 1);
inline constexpr std::uint64_t pmd_mask = ~(pmd_size - 1);
inline constexpr std::uint64_t pud_mask = ~(pud_size - 1);
inline constexpr std::uint64_t p4d_mask = ~(p4d_size - 1);

inline constexpr unsigned ptrs_per_pte = 512;
inline constexpr unsigned ptrs_per_pmd = 512;
inline constexpr unsigned ptrs_per_pud = 512;
inline constexpr unsigned ptrs_per_pgd = 512;

/// pgtable_l5_enabled(): whether five levels are in use.
[[nodiscard]] constexpr bool pgtable_l5_enabled(bool la57) noexcept {
    return la57;
}
[[nodiscard]] inline bool pgtable_l5_enabled(const KernelState& state) noexcept {
    return state.pgtable_l5_enabled;
}

/// PGDIR_SHIFT: 48 with five levels, 39 with four.
[[nodiscard]] inline unsigned pgdir_shift(const KernelState& state) noexcept {
    return state.pgdir_shift;
}
[[nodiscard]] inline std::uint64_t pgdir_size(const KernelState& state) noexcept {
    return std::uint64_t{1} << state.pgdir_shift;
}
[[nodiscard]] inline std::uint64_t pgdir_mask(const KernelState& state) noexcept {
    return ~(pgdir_size(state) - 1);
}
/// PTRS_PER_P4D: 512 with five levels; 1 with four, where the level is folded.
[[nodiscard]] inline unsigned ptrs_per_p4d(const KernelState& state) noexcept {
    return state.ptrs_per_p4d;
}

/// MAX_PHYSMEM_BITS. [spec M, constants]
[[nodiscard]] inline unsigned max_physmem_bits(const KernelState& state) noexcept {
    return state.pgtable_l5_enabled ? 52 : 46;
}

/// TASK_SIZE_MAX: one past the last user address. [spec M, constants]
[[nodiscard]] inline std::uint64_t task_size_max(const KernelState& state) noexcept {
    return (std::uint64_t{1} << (state.pgtable_l5_enabled ? 56 : 47)) - page_size;
}

inline constexpr unsigned section_size_bits = 27;
inline constexpr std::uint64_t pages_per_section = std::uint64_t{1} << (section_size_bits - page_shift);

/// Bases of the regions while KASLR does not move them: four levels, five levels. [spec R10.1]
struct RegionBases {
    std::uint64_t page_offset;
    std::uint64_t vmalloc;
    std::uint64_t vmemmap;
};
inline constexpr RegionBases region_bases_l4{0xffff'8880'0000'0000, 0xffff'c900'0000'0000, 0xffff'ea00'0000'0000};
inline constexpr RegionBases region_bases_l5{0xff11'0000'0000'0000, 0xffa0'0000'0000'0000, 0xffd4'0000'0000'0000};

}  // namespace pgsim::kernel
