// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "pgsim/kernel/kernel_config.hpp"
#include "pgsim/kernel/memmap.hpp"
#include "pgsim/kernel/sparse.hpp"
#include "pgsim/kernel/struct_page.hpp"

namespace pgsim::kernel {

struct Kernel;

/// Where a build keeps node, zone and last CPU in page->flags. [spec R8.15, M-G1]
[[nodiscard]] PageFlagsLayout page_flags_layout(const KernelConfig& config);

/// zone_sizes_init and free_area_init: nodes and zones are counted, struct pages initialised. Struct pages come into
/// being when somebody looks at them. [linux-6.6 arch/x86/mm/init.c, mm/mm_init.c; spec R8.10–R8.17]
void zone_sizes_init(Kernel& kernel);

/// From now on the frames behind vmemmap hold these struct pages, where nobody has written others.
void attach_memmap(PhysicalMemory& memory, std::span<const VmemmapBlock> blocks, VirtAddr vmemmap_base,
                   std::uint64_t struct_page_size, const std::shared_ptr<const Memmap>& contents);

/// mm_core_init's memblock_free_all: reserved pages are marked, the rest goes to the buddy system.
/// [linux-6.6 mm/memblock.c; spec R8.18, M-A14–M-A20]
void mem_init(Kernel& kernel);

}  // namespace pgsim::kernel
