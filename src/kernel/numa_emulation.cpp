// SPDX-License-Identifier: GPL-2.0-only
#include "kernel/numa_emulation.hpp"

#include <algorithm>

#include "pgsim/base/units.hpp"
#include "pgsim/kernel/early_param.hpp"

namespace pgsim::kernel {
namespace {

constexpr std::uint64_t fake_node_min_size = 32 * MiB;
constexpr std::uint64_t dma32_end = 4 * GiB;

constexpr std::uint64_t min_size_down(std::uint64_t value) noexcept {
    return value & ~(fake_node_min_size - 1);
}

class Splitter {
public:
    Splitter(const PhysicalNodes& physical, const Memblock& memblock)
        : physical_{physical}, blocks_{physical.meminfo}, memblock_{memblock} {
        result_.physical_node.assign(static_cast<std::size_t>(physical.max_numnodes), numa_no_node);
    }

    /// fake=N. False: impossible.
    bool into_nodes(std::uint64_t nr_nodes) {
        nr_nodes = std::min(nr_nodes, static_cast<std::uint64_t>(physical_.max_numnodes));
        if (nr_nodes == 0) {
            return false;
        }
        const std::uint64_t ram = physical_.max_addr - hole_size(0, physical_.max_addr);
        std::uint64_t size = ((ram >> 12) / nr_nodes) << 12;
        const std::uint64_t big = (size - min_size_down(size)) * nr_nodes / fake_node_min_size;
        size = min_size_down(size);
        if (size == 0) {
            return false;
        }
        return fill(physical_.parsed, nr_nodes, [&](const NumaMemblk& block, std::uint64_t nid) {
            const std::uint64_t at_least = block.start + size + (nid < big ? fake_node_min_size : 0);
            return extended(reaching(block.start, at_least, block.end, size), block.end, size);
        });
    }

    /// fake=SIZE.
    bool of_size(std::uint64_t size) {
        if (size == 0) {
            return false;
        }
        const auto nodes = static_cast<std::uint64_t>(physical_.max_numnodes);
        const std::uint64_t ram = physical_.max_addr - hole_size(0, physical_.max_addr);
        size = min_size_down(std::max(size, smallest(((ram >> 12) / nodes) << 12)));
        return fill(physical_.parsed, nodes, [&](const NumaMemblk& block, std::uint64_t) {
            return extended(reaching(block.start, block.start + size, block.end, size), block.end, size);
        });
    }

    /// fake=NU: each physical node in N, holes not counted.
    bool uniformly(std::uint64_t nr_nodes) {
        const auto nodes = static_cast<std::uint64_t>(physical_.max_numnodes);
        if (nr_nodes == 0) {
            return false;
        }
        for (std::size_t i = 0; i < physical_.parsed.size(); ++i) {
            if (blocks_.empty()) {
                return false;
            }
            const NumaMemblk first = blocks_.front();
            const std::uint64_t share = (((first.end - first.start) >> 12) / nr_nodes) << 12;
            const std::uint64_t size = min_size_down(std::max(share, smallest(share)));
            const bool done = fill({first.nid}, nodes, [&](const NumaMemblk& block, std::uint64_t) {
                return to_dma32_end(block.start + size);
            });
            if (!done || next_nid_ < nr_nodes) {
                return false;
            }
        }
        return true;
    }

    EmulatedNodes take() {
        result_.physical_node.resize(
            static_cast<std::size_t>(std::min(next_nid_, static_cast<std::uint64_t>(physical_.max_numnodes))));
        return std::move(result_);
    }

private:
    static std::uint64_t smallest(std::uint64_t size) noexcept {
        return min_size_down(std::max(size, fake_node_min_size) + fake_node_min_size - 1);
    }

    /// Bytes of [start, end) that are not RAM, in whole pages.
    [[nodiscard]] std::uint64_t hole_size(std::uint64_t start, std::uint64_t end) const {
        const std::uint64_t first = (start + 0xfff) >> 12;
        const std::uint64_t last = end >> 12;
        if (first >= last) {
            return 0;
        }
        std::uint64_t absent = last - first;
        memblock_.for_each_mem_pfn_range(numa_no_node, [&](std::uint64_t from, std::uint64_t to, int) {
            const std::uint64_t low = std::max(from, first);
            const std::uint64_t high = std::min(to, last);
            absent -= low < high ? high - low : 0;
        });
        return absent << 12;
    }

    /// The end of a node from `start` that is to hold `size` bytes of RAM.
    [[nodiscard]] std::uint64_t reaching(std::uint64_t start, std::uint64_t end, std::uint64_t limit,
                                         std::uint64_t size) const {
        while (end - start - hole_size(start, end) < size) {
            end += fake_node_min_size;
            if (end > limit) {
                return limit;
            }
        }
        return end;
    }

    /// A rest below 4 GiB that is too small for a node goes to the node before it.
    [[nodiscard]] std::uint64_t to_dma32_end(std::uint64_t end) const {
        const bool rest_too_small = end < dma32_end && dma32_end - end - hole_size(end, dma32_end) < fake_node_min_size;
        return rest_too_small ? dma32_end : end;
    }

    /// So does a rest of the physical node.
    [[nodiscard]] std::uint64_t extended(std::uint64_t end, std::uint64_t limit, std::uint64_t size) const {
        end = to_dma32_end(end);
        return limit - end - hole_size(end, limit) < size ? limit : end;
    }

    /// Cuts nodes off the given physical nodes in turn until nothing is left of them. `end_of(block, nid)` says where.
    template <class F>
    bool fill(std::set<int> nodes, std::uint64_t nr_nodes, F&& end_of) {
        while (!nodes.empty()) {
            for (auto node = nodes.begin(); node != nodes.end();) {
                const auto block =
                    std::find_if(blocks_.begin(), blocks_.end(), [&](const NumaMemblk& b) { return b.nid == *node; });
                if (block == blocks_.end()) {
                    node = nodes.erase(node);
                    continue;
                }
                ++node;
                const std::uint64_t end = std::min(end_of(*block, next_nid_), block->end);
                if (result_.meminfo.size() >= 2 * static_cast<std::size_t>(physical_.max_numnodes)) {
                    return false;
                }
                const std::uint64_t nid = next_nid_++ % nr_nodes;
                int& from = result_.physical_node[static_cast<std::size_t>(nid)];
                from = from == numa_no_node ? block->nid : from;
                result_.meminfo.push_back({block->start, end, static_cast<int>(nid)});
                block->start = end;
                if (block->start >= block->end) {
                    blocks_.erase(block);
                }
            }
        }
        return true;
    }

    const PhysicalNodes& physical_;
    std::vector<NumaMemblk> blocks_;  ///< what is still to be cut
    const Memblock& memblock_;
    EmulatedNodes result_;
    std::uint64_t next_nid_ = 0;
};

}  // namespace

std::optional<EmulatedNodes> split_nodes(std::string_view fake, const PhysicalNodes& physical,
                                         const Memblock& memblock) {
    Splitter splitter{physical, memblock};
    const std::string_view first = fake.substr(0, fake.find(':'));
    std::size_t digits = 0;
    while (digits < first.size() && first[digits] >= '0' && first[digits] <= '9') {
        ++digits;
    }
    const std::uint64_t number = memparse(first.substr(0, digits)).first;
    bool done = false;
    if (first.find('U') != std::string_view::npos) {
        done = splitter.uniformly(number);
    } else if (first.find('M') != std::string_view::npos || first.find('G') != std::string_view::npos) {
        done = splitter.of_size(memparse(first).first);
    } else {
        done = splitter.into_nodes(number);
    }
    return done ? std::optional{splitter.take()} : std::nullopt;
}

}  // namespace pgsim::kernel
