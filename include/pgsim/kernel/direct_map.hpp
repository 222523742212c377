// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <vector>

#include "pgsim/kernel/kernel_state.hpp"

namespace pgsim::kernel {

struct Kernel;

/// Cuts [start, end), bytes, into pieces that share a page size mask; at most 5. Pieces whose surroundings lie in one
/// memblock region get the larger page size. [linux-6.6 arch/x86/mm/init.c split_mem_range(); spec R6.5]
[[nodiscard]] std::vector<MapRange> split_mem_range(const Kernel& kernel, std::uint64_t start, std::uint64_t end);

/// Maps [start, end), bytes, in the direct map. Returns the end of what is mapped, in bytes, which may lie beyond
/// `end`. [linux-6.6 arch/x86/mm/init.c init_memory_mapping(); spec R6.6]
std::uint64_t init_memory_mapping(Kernel& kernel, std::uint64_t start, std::uint64_t end);

/// Fills init_top_pgt's part of the direct map for [start, end) with pages of the sizes in `page_size_mask`.
/// [linux-6.6 arch/x86/mm/init_64.c kernel_physical_mapping_init(); spec R6.8–R6.10]
std::uint64_t kernel_physical_mapping_init(Kernel& kernel, std::uint64_t start, std::uint64_t end,
                                           unsigned page_size_mask);

/// A zeroed page for a table: its physical address. [linux-6.6 arch/x86/mm/init.c alloc_low_pages(); spec R6.7]
/// @throws Halted  (panic) when there is none
[[nodiscard]] PhysAddr alloc_low_page(Kernel& kernel);

/// Builds the direct map of all RAM in init_top_pgt and switches to it.
/// [linux-6.6 arch/x86/mm/init.c init_mem_mapping(); spec section 6]
void init_mem_mapping(Kernel& kernel);

}  // namespace pgsim::kernel
