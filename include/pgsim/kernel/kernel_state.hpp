// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "pgsim/base/address.hpp"
#include "pgsim/base/range.hpp"

namespace pgsim::kernel {

/// One call of init_memory_mapping and the state at its entry. [spec R6.6]
struct MappingCall {
    std::uint64_t start = 0;  ///< bytes
    std::uint64_t end = 0;
    std::uint64_t pgt_buf_end = 0;  ///< page frames, as the rest
    std::uint64_t pgt_buf_top = 0;
    std::uint64_t min_pfn_mapped = 0;
    std::uint64_t max_pfn_mapped = 0;
};

/// A piece of an init_memory_mapping call with one page size mask, as the log prints it. [spec R6.5]
struct MapRange {
    std::uint64_t start = 0;  ///< bytes
    std::uint64_t end = 0;
    unsigned page_size_mask = 0;  ///< 4: 2 MiB pages, 8: 1 GiB pages
    friend bool operator==(const MapRange&, const MapRange&) = default;
};

/// The simulated kernel's own variables, named as the kernel names them. Frame numbers and byte addresses are what
/// the kernel's variables hold. [design rule 2]
struct KernelState {
    // arch/x86/kernel/head64.c
    std::uint64_t phys_base = 0;
    unsigned next_early_pgt = 0;
    std::uint64_t early_pmd_flags = 0xe3;
    bool pgtable_l5_enabled = false;
    unsigned pgdir_shift = 39;
    unsigned ptrs_per_p4d = 1;
    std::uint64_t page_offset_base = 0xffff'8880'0000'0000;
    std::uint64_t vmalloc_base = 0xffff'c900'0000'0000;
    std::uint64_t vmemmap_base = 0xffff'ea00'0000'0000;

    // arch/x86/kernel/setup.c
    std::uint64_t brk_start = 0;
    std::uint64_t brk_end = 0;
    std::uint64_t max_pfn = 0;
    std::uint64_t max_low_pfn = 0;
    std::uint64_t min_low_pfn = 0;
    std::uint64_t max_possible_pfn = 0;
    std::uint64_t high_memory = 0;
    std::uint64_t initrd_start = 0;
    std::uint64_t initrd_end = 0;
    std::uint64_t real_mode_header = 0;
    std::uint64_t mmu_cr4_features = 0;
    unsigned x86_phys_bits = 0;  ///< boot_cpu_data
    unsigned x86_virt_bits = 0;
    unsigned pti_mode = 0;
    bool pti_enabled = false;  ///< X86_FEATURE_PTI
    bool movable_node_enabled = false;
    bool memblock_can_resize = false;

    // arch/x86/mm/init.c
    std::uint64_t pgt_buf_start = 0;  ///< page frames
    std::uint64_t pgt_buf_end = 0;
    std::uint64_t pgt_buf_top = 0;
    bool can_use_brk_pgt = true;
    std::uint64_t min_pfn_mapped = 0;
    std::uint64_t max_pfn_mapped = 0;
    std::uint64_t max_low_pfn_mapped = 0;
    unsigned page_size_mask = 0;
    bool direct_gbpages = true;
    bool after_bootmem = false;
    std::uint64_t supported_pte_mask = ~std::uint64_t{0};
    std::uint64_t default_kernel_pte_mask = ~std::uint64_t{0};
    std::vector<std::pair<std::uint64_t, std::uint64_t>> pfn_mapped;  ///< [first, end) frames, sorted
    std::uint64_t trampoline_pgd_entry = 0;

    // mm
    std::uint64_t mem_section = 0;  ///< address of the root array
    std::uint64_t nr_node_ids = 0;
    std::uint64_t highest_memmap_pfn = 0;
    std::uint64_t totalram_pages = 0;
    std::uint64_t log_buf_len = 0;  ///< bytes; 0: the built-in buffer

    // What happened, for whoever looks: not the kernel's variables.
    std::vector<VirtAddr> early_faults;                 ///< R4.5, in order, since the start
    std::vector<MappingCall> mapping_calls;             ///< R6.6, in order
    std::vector<std::vector<MapRange>> mapping_pieces;  ///< of each call
    std::vector<PhysAddr> brk_page_tables;              ///< pages taken from pgt_buf, in order
};

}  // namespace pgsim::kernel
