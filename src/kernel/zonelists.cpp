// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/zonelists.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>

namespace pgsim::kernel {

namespace {

/// node_load counts for how many nodes a node begins a group of one distance; it lives on from node to node.
std::optional<int> find_next_best_node(const NodeOrderInputs& inputs, int node, const std::vector<int>& used,
                                       const std::map<int, unsigned>& node_load) {
    const auto is_used = [&used](int n) { return std::find(used.begin(), used.end(), n) != used.end(); };
    if (!is_used(node)) {
        return node;
    }
    std::optional<int> best;
    std::uint64_t least = 0;
    for (const int n : inputs.with_memory) {
        if (is_used(n)) {
            continue;
        }
        const std::uint64_t far = inputs.distance(node, n) + (n < node ? 1U : 0U);
        const auto load = node_load.find(n);
        const std::uint64_t value = far * inputs.max_numnodes + (load == node_load.end() ? 0 : load->second);
        if (!best || value < least) {
            best = n;
            least = value;
        }
    }
    return best;
}

}  // namespace

std::vector<NodeOrder> build_node_orders(const NodeOrderInputs& inputs) {
    std::vector<NodeOrder> result;
    std::map<int, unsigned> node_load;
    for (const int local : inputs.nodes) {
        NodeOrder order{local, {}};
        int previous = local;
        while (const auto node = find_next_best_node(inputs, local, order.fallback, node_load)) {
            if (inputs.distance(local, *node) != inputs.distance(local, previous)) {
                ++node_load[*node];
            }
            order.fallback.push_back(*node);
            previous = *node;
        }
        result.push_back(std::move(order));
    }
    return result;
}

std::vector<NodeOrder> build_all_zonelists(const NumaState& numa, const ZoneState& zones, unsigned nodes_shift) {
    NodeOrderInputs inputs;
    for (const NodeData& node : numa.nodes) {
        inputs.nodes.push_back(node.nid);
    }
    for (const Node& node : zones.nodes) {
        if (node.present_pages != 0) {
            inputs.with_memory.push_back(node.nid);
        }
    }
    std::sort(inputs.nodes.begin(), inputs.nodes.end());
    std::sort(inputs.with_memory.begin(), inputs.with_memory.end());
    inputs.distance = [&numa](int from, int to) { return numa.node_distance(from, to); };
    inputs.max_numnodes = 1U << nodes_shift;
    return build_node_orders(inputs);
}

}  // namespace pgsim::kernel
