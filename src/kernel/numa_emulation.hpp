// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "pgsim/kernel/memblock.hpp"
#include "pgsim/kernel/numa.hpp"

namespace pgsim::kernel {

/// Nodes made by numa=fake=.
struct EmulatedNodes {
    std::vector<NumaMemblk> meminfo;  ///< in the order in which they were cut, not yet cleaned up
    std::vector<int> physical_node;   ///< emulated node -> the node that its first block was cut from
};

/// What numa=fake= is applied to.
struct PhysicalNodes {
    std::vector<NumaMemblk> meminfo;  ///< after clean-up
    std::set<int> parsed;             ///< numa_nodes_parsed
    std::uint64_t max_addr = 0;       ///< end of RAM, bytes
    int max_numnodes = 1024;
};

/// `fake=N` (N nodes of equal size), `fake=SIZE` with M or G (nodes of at least that size), `fake=NU` (each physical
/// node in N). nullopt when it cannot be done: the physical nodes stay.
/// [linux-6.6 arch/x86/mm/numa_emulation.c]
[[nodiscard]] std::optional<EmulatedNodes> split_nodes(std::string_view fake, const PhysicalNodes& physical,
                                                       const Memblock& memblock);

}  // namespace pgsim::kernel
