// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <functional>
#include <vector>

#include "pgsim/kernel/numa.hpp"
#include "pgsim/kernel/zones.hpp"

namespace pgsim::kernel {

/// What the order of the nodes in a zonelist depends on.
struct NodeOrderInputs {
    std::vector<int> nodes;                      ///< those that get a zonelist, ascending; memory-less ones among them
    std::vector<int> with_memory;                ///< N_MEMORY, ascending
    std::function<unsigned(int, int)> distance;  ///< 10: the node itself
    unsigned max_numnodes = 64;                  ///< 1 << NODES_SHIFT
};

/// The nodes that an allocation for one node tries, in order: what "Fallback order for Node N:" prints.
struct NodeOrder {
    int node = 0;
    std::vector<int> fallback;
    friend bool operator==(const NodeOrder&, const NodeOrder&) = default;
};

/// The node itself comes first, even without memory; then always the nearest node that is left. Of nodes at one
/// distance, those above `node` go before those below it, which count as one unit further away; else the one that fewer
/// nodes have as the first of a distance, else the lower one. No processor has come up yet, so none counts. [linux-6.6
/// mm/page_alloc.c build_zonelists(), find_next_best_node()] [spec M-B5]
[[nodiscard]] std::vector<NodeOrder> build_node_orders(const NodeOrderInputs& inputs);

/// The orders on a booted machine. [linux-6.6 mm/page_alloc.c build_all_zonelists()]
/// @param nodes_shift  CONFIG_NODES_SHIFT
[[nodiscard]] std::vector<NodeOrder> build_all_zonelists(const NumaState& numa, const ZoneState& zones,
                                                         unsigned nodes_shift);

}  // namespace pgsim::kernel
