// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/zonelists.hpp"

#include "support/catch.hpp"

using namespace pgsim::kernel;

namespace {

using Table = std::vector<std::vector<unsigned>>;

std::vector<std::vector<int>> orders(const Table& table, std::vector<int> with_memory) {
    NodeOrderInputs inputs;
    for (std::size_t node = 0; node < table.size(); ++node) {
        inputs.nodes.push_back(static_cast<int>(node));
    }
    inputs.with_memory = std::move(with_memory);
    inputs.distance = [&table](int from, int to) {
        return table[static_cast<std::size_t>(from)][static_cast<std::size_t>(to)];
    };
    std::vector<std::vector<int>> result;
    for (const NodeOrder& order : build_node_orders(inputs)) {
        result.push_back(order.fallback);
    }
    return result;
}

}  // namespace

TEST_CASE("Nodes at one distance: those above first, then round", "[kernel][zonelists][M-B5]") {
    // As the captured kernels with two, three and four nodes printed it.
    CHECK(orders({{10, 20}, {20, 10}}, {0, 1}) == std::vector<std::vector<int>>{{0, 1}, {1, 0}});
    CHECK(orders({{10, 20, 20}, {20, 10, 20}, {20, 20, 10}}, {0, 1, 2}) ==
          std::vector<std::vector<int>>{{0, 1, 2}, {1, 2, 0}, {2, 0, 1}});
    CHECK(orders({{10, 20, 20, 20}, {20, 10, 20, 20}, {20, 20, 10, 20}, {20, 20, 20, 10}}, {0, 1, 2, 3}) ==
          std::vector<std::vector<int>>{{0, 1, 2, 3}, {1, 2, 3, 0}, {2, 3, 0, 1}, {3, 0, 1, 2}});
}

TEST_CASE("A node that already begins a group for others comes later", "[kernel][zonelists][M-B5]") {
    // Two sockets of two nodes: what node 2 falls back to first, node 3 leaves to it.
    const Table sockets{{10, 12, 32, 32}, {12, 10, 32, 32}, {32, 32, 10, 12}, {32, 32, 12, 10}};
    CHECK(orders(sockets, {0, 1, 2, 3}) ==
          std::vector<std::vector<int>>{{0, 1, 2, 3}, {1, 0, 3, 2}, {2, 3, 0, 1}, {3, 2, 1, 0}});
}

TEST_CASE("A node without memory begins its own list and stands in no other", "[kernel][zonelists][M-B5]") {
    CHECK(orders({{10, 20, 20}, {20, 10, 20}, {20, 20, 10}}, {0, 2}) ==
          std::vector<std::vector<int>>{{0, 2}, {1, 2, 0}, {2, 0}});
}

TEST_CASE("The nearest node comes first, also from below", "[kernel][zonelists][M-B5]") {
    CHECK(orders({{10, 30, 15}, {30, 10, 40}, {15, 40, 10}}, {0, 1, 2}) ==
          std::vector<std::vector<int>>{{0, 2, 1}, {1, 0, 2}, {2, 0, 1}});
}
