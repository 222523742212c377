// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/boot_stages.hpp"

#include <algorithm>
#include <array>

#include "pgsim/kernel/decompressor.hpp"
#include "pgsim/kernel/direct_map.hpp"
#include "pgsim/kernel/head64.hpp"
#include "pgsim/kernel/kernel.hpp"
#include "pgsim/kernel/setup_arch.hpp"
#include "pgsim/kernel/sparse.hpp"
#include "pgsim/kernel/start_kernel.hpp"

namespace pgsim::kernel {

namespace {

void decompress(Kernel& k) {
    decompressor_startup_64(k);
    extract_kernel(k);
}

// R8.10–R8.17.
void run_free_area_init(Kernel& k) {
    ZoneInputs inputs;
    inputs.max_low_pfn = k.state.max_low_pfn;
    inputs.dma_reserve = k.dma_reserve;
    inputs.zone_dma = k.inputs.config.enabled("ZONE_DMA");
    inputs.zone_dma32 = k.inputs.config.enabled("ZONE_DMA32");
    inputs.deferred_struct_page_init = k.inputs.config.enabled("DEFERRED_STRUCT_PAGE_INIT");
    inputs.struct_page_size = k.inputs.layout.struct_page_size;
    inputs.params = k.params;
    inputs.series = k.inputs.series;
    k.zones = free_area_init(k.memblock, inputs);
    if (!alloc_memoryless_nodes(k.inputs.layout.pglist_data_size, k.numa, k.memblock)) {
        panic("Cannot allocate node data", "free_area_init", "R7.5");
    }
    const auto& possible = k.numa.possible_nodes;
    k.state.nr_node_ids = possible.empty() ? 1 : static_cast<std::uint64_t>(possible.back()) + 1;
    k.memblock.for_each_mem_pfn_range(numa_no_node, [&k](std::uint64_t, std::uint64_t end, int) {
        k.state.highest_memmap_pfn = std::max(k.state.highest_memmap_pfn, end - 1);
    });
}

constexpr std::array<BootStage, 13> stages{{
    {"decompressor.startup_64", "startup_32", "decompressor", startup_32},
    {"kernel.startup_64", "extract_kernel", "decompressor", decompress},
    {"startup_64_fixups.exit", "__startup_64", "kernel head", startup_64_fixups},
    {"x86_64_start_kernel.entry", "secondary_startup_64", "kernel head", secondary_startup_64},
    {"reset_early_page_tables.exit", "reset_early_page_tables", "x86_64_start_kernel", reset_early_page_tables},
    {"setup_arch.entry", "x86_64_start_kernel", "x86_64_start_kernel", x86_64_start_kernel},
    {"init_mem_mapping.entry", "setup_arch", "setup_arch", setup_arch_before_direct_map},
    {"init_mem_mapping.exit", "init_mem_mapping", "setup_arch", init_mem_mapping},
    {"initmem_init.exit", "initmem_init", "setup_arch", setup_arch_numa},
    {"sparse_init.entry", "setup_arch", "paging_init", setup_arch_before_paging_init},
    {"sparse_init.exit", "sparse_init", "paging_init", sparse_init},
    {"free_area_init.exit", "free_area_init", "paging_init", run_free_area_init},
    {"buddy.entry", "start_kernel", "start_kernel", start_kernel_before_buddy},
}};

}  // namespace

std::span<const BootStage> boot_stages() noexcept {
    return stages;
}

std::optional<Halt> run_stage(Kernel& kernel, const BootStage& stage) {
    try {
        kernel.stage = stage.part;
        stage.run(kernel);
        return std::nullopt;
    } catch (const Halted& halted) {
        return halted.halt;
    }
}

}  // namespace pgsim::kernel
