// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/boot_stages.hpp"

#include <array>

#include "pgsim/kernel/decompressor.hpp"
#include "pgsim/kernel/direct_map.hpp"
#include "pgsim/kernel/head64.hpp"
#include "pgsim/kernel/kernel.hpp"
#include "pgsim/kernel/mm_init.hpp"
#include "pgsim/kernel/setup_arch.hpp"
#include "pgsim/kernel/sparse.hpp"
#include "pgsim/kernel/start_kernel.hpp"

namespace pgsim::kernel {

namespace {

void decompress(Kernel& k) {
    decompressor_startup_64(k);
    extract_kernel(k);
}

constexpr std::array<BootStage, 14> stages{{
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
    {"free_area_init.exit", "free_area_init", "paging_init", zone_sizes_init},
    {"buddy.entry", "start_kernel", "start_kernel", start_kernel_before_buddy},
    {"buddy.exit", "memblock_free_all", "start_kernel", mem_init},
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
