// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pgsim/base/address.hpp"
#include "pgsim/firmware/numa_description.hpp"
#include "pgsim/kernel/early_param.hpp"
#include "pgsim/kernel/kernel_series.hpp"
#include "pgsim/kernel/memblock.hpp"

namespace pgsim::kernel {

/// One block of numa_meminfo: [start, end) bytes belong to node `nid`.
struct NumaMemblk {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    int nid = 0;
    friend bool operator==(const NumaMemblk&, const NumaMemblk&) = default;
};

/// What initmem_init works on.
struct NumaInputs {
    firmware::NumaDescription description;
    std::uint64_t max_pfn = 0;
    std::uint64_t pglist_data_size = 174208;  ///< sizeof(pg_data_t), bytes
    int max_numnodes = 1024;
    bool acpi_numa = true;  ///< CONFIG_ACPI_NUMA
    bool numa_emu = false;  ///< CONFIG_NUMA_EMU: numa=fake= works
    EarlyParams params;
    KernelSeries series;
};

/// NODE_DATA of a node: where its pg_data_t lies.
struct NodeData {
    int nid = 0;
    PhysAddr pgdat;
};

enum class NumaSource : std::uint8_t { srat, dummy };

/// NUMA after initmem_init.
struct NumaState {
    NumaSource source = NumaSource::dummy;
    std::vector<NumaMemblk> meminfo;         ///< after clean-up (and emulation)
    std::vector<NodeData> nodes;             ///< nodes with memory, ascending
    std::vector<int> possible_nodes;         ///< node_possible_map, ascending: also nodes without memory
    std::optional<PhysAddr> distance_table;  ///< numa_distance, distance_cnt^2 bytes; only when distances were set
    std::uint64_t distance_cnt = 0;
    std::vector<std::uint8_t> distances;  ///< what the table holds, row by row
    std::uint64_t max_possible_pfn = 0;   ///< end of the highest SRAT block, 0 without one
    std::optional<std::string> panic;     ///< NODE_DATA of a node could not be placed

    /// The table's entry; without one 10 (same node) or 20. [linux-6.6 arch/x86/mm/numa.c __node_distance()]
    [[nodiscard]] unsigned node_distance(int from, int to) const noexcept;
};

/// initmem_init: finds the nodes, gives memblock's regions their node ids, places NODE_DATA. [spec R7.2-R7.5]
[[nodiscard]] NumaState initmem_init(const NumaInputs& inputs, Memblock& memblock);

/// free_area_init gives each possible node without memory a pg_data_t of its own, anywhere; these are appended to
/// `numa.nodes`. False when one could not be placed. [linux-6.6 mm/mm_init.c free_area_init()]
bool alloc_memoryless_nodes(std::uint64_t pglist_data_size, NumaState& numa, Memblock& memblock);

/// numa_cleanup_meminfo on its own: blocks clamped to [low, high), joined and sorted as the kernel does.
/// nullopt when blocks of different nodes overlap. [spec R7.4]
[[nodiscard]] std::optional<std::vector<NumaMemblk>> numa_cleanup_meminfo(std::vector<NumaMemblk> meminfo,
                                                                          std::uint64_t low, std::uint64_t high,
                                                                          const Memblock& memblock);

}  // namespace pgsim::kernel
