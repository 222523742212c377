// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "pgsim/firmware/e820_table.hpp"
#include "pgsim/kernel/boot_inputs.hpp"
#include "pgsim/kernel/kernel_state.hpp"
#include "pgsim/kernel/memblock.hpp"
#include "pgsim/kernel/zones.hpp"

namespace pgsim::kernel {

/// Where the boot stands when the requests begin: after free_area_init.
struct BuiltinRequestFacts {
    const BootInputs& inputs;
    const KernelState& state;
    const Memblock& memblock;
    const ZoneState& zones;
    std::span<const firmware::E820Entry> e820;  ///< the kernel's own table
};

/// What the subsystems of a plain Debian (or defconfig) kernel on one processor ask memblock for between free_area_init
/// and memblock_free_all: resources of the map, per-CPU area, hash tables, swiotlb, …, with sizes by the kernel's own
/// rules. For boots whose real requests are not known. [spec appendix D]
[[nodiscard]] std::vector<MemblockRequest> builtin_requests(const BuiltinRequestFacts& facts);

/// Ranges that hibernation must not save, up to `limit_pfn`: everything between RAM entries, in the order in which
/// e820__register_nosave_regions registers them; a range that continues the one before is merged with it.
/// [linux-6.6 kernel/power/snapshot.c register_nosave_region()]
struct NosaveRegion {
    std::uint64_t start_pfn = 0;
    std::uint64_t end_pfn = 0;
    friend bool operator==(const NosaveRegion&, const NosaveRegion&) = default;
};
[[nodiscard]] std::vector<NosaveRegion> register_nosave_regions(std::span<const firmware::E820Entry> e820,
                                                                std::uint64_t limit_pfn, bool merge = true,
                                                                std::uint64_t first_pfn = 0);

}  // namespace pgsim::kernel
