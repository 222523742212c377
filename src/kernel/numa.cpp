// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/numa.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <cstddef>
#include <set>
#include <utility>

#include "kernel/numa_emulation.hpp"

namespace pgsim::kernel {
namespace {

constexpr std::uint64_t page_size = 4096;
constexpr std::uint64_t phys_addr_max = ~std::uint64_t{0};
constexpr std::uint8_t local_distance = 10;
constexpr std::uint8_t remote_distance = 20;
constexpr std::uint64_t coverage_slack = std::uint64_t{1} << 20;

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t align) noexcept {
    return (value + align - 1) & ~(align - 1);
}

/// One boot's NUMA set-up: what each attempt shares.
class Setup {
public:
    Setup(const NumaInputs& inputs, Memblock& memblock) : inputs_{inputs}, memblock_{memblock} {}

    NumaState run() {
        const bool use_acpi = !inputs_.params.numa_off && inputs_.acpi_numa && !inputs_.params.numa_noacpi;
        if (use_acpi && attempt(NumaSource::srat)) {
            return std::move(state_);
        }
        attempt(NumaSource::dummy);
        return std::move(state_);
    }

private:
    /// numa_init with one source. False: memblock's nodes are to be found in another way.
    bool attempt(NumaSource source) {
        reset();
        state_.source = source;
        if (source == NumaSource::srat ? !read_srat() : !make_dummy_node()) {
            return false;
        }
        memblock_.bottom_up = false;
        const auto [low, high] = bounds();
        auto cleaned = numa_cleanup_meminfo(std::move(state_.meminfo), low, high, memblock_);
        state_.meminfo.clear();
        if (!cleaned) {
            return false;
        }
        state_.meminfo = std::move(*cleaned);
        emulate();
        return register_memblks();
    }

    /// What numa_cleanup_meminfo cuts blocks to. [spec R7.4]
    [[nodiscard]] std::pair<std::uint64_t, std::uint64_t> bounds() const {
        if (inputs_.series.numa_bounds_are_dram) {
            return {memblock_.start_of_dram(), memblock_.end_of_dram()};
        }
        return {0, inputs_.max_pfn * page_size};
    }

    void reset() {
        free_distances();
        state_ = {};
        parsed_.clear();
        const int no_node = inputs_.series.no_node_is_minus_one ? numa_no_node : inputs_.max_numnodes;
        memblock_.set_node(0, phys_addr_max, MemblockArray::memory, no_node);
        memblock_.set_node(0, phys_addr_max, MemblockArray::reserved, no_node);
        memblock_.clear_hotplug(0, phys_addr_max);
    }

    bool make_dummy_node() {
        parsed_.insert(0);
        add_memblk(0, 0, inputs_.max_pfn * page_size);
        return true;
    }

    void add_memblk(int nid, std::uint64_t start, std::uint64_t end) {
        if (start < end && nid >= 0 && nid < inputs_.max_numnodes) {
            state_.meminfo.push_back({start, end, nid});
        }
    }

    /// acpi_map_pxm_to_node: nodes are numbered as their proximity domains appear.
    int node_of(std::uint32_t domain) {
        const auto found = std::find(domains_.begin(), domains_.end(), domain);
        if (found == domains_.end()) {
            domains_.push_back(domain);
            return static_cast<int>(domains_.size()) - 1;
        }
        return static_cast<int>(found - domains_.begin());
    }

    bool read_srat() {
        const firmware::NumaDescription& description = inputs_.description;
        for (const std::uint32_t domain : description.domains) {
            if (const int nid = node_of(domain); nid < inputs_.max_numnodes) {
                parsed_.insert(nid);
            }
        }
        for (const firmware::SratMemory& entry : description.memory) {
            const int nid = node_of(entry.proximity_domain);
            const bool room = state_.meminfo.size() < 2 * static_cast<std::size_t>(inputs_.max_numnodes);
            if (nid >= inputs_.max_numnodes || (!entry.range.empty() && !room)) {
                return false;
            }
            const std::uint64_t start = entry.range.start().value();
            const std::uint64_t end = entry.range.end().value();
            add_memblk(nid, start, end);
            parsed_.insert(nid);
            if (entry.hot_pluggable) {
                memblock_.mark_hotplug(start, entry.range.size());
            }
            state_.max_possible_pfn = std::max(state_.max_possible_pfn, (end + page_size - 2) >> 12);
        }
        if (description.memory.empty()) {
            return false;
        }
        read_slit();
        return true;
    }

    /// acpi_numa_slit_init, after slit_valid: 10 on the diagonal, more elsewhere.
    void read_slit() {
        const std::vector<std::uint8_t>& slit = inputs_.description.distances;
        const std::size_t count = inputs_.description.domains.size();
        if (slit.empty() || slit.size() != count * count) {
            return;
        }
        for (std::size_t i = 0; i < count; ++i) {
            for (std::size_t j = 0; j < count; ++j) {
                const std::uint8_t value = slit[i * count + j];
                if (i == j ? value != local_distance : value <= local_distance) {
                    return;
                }
            }
        }
        if (!alloc_distances(node_limit(state_.meminfo))) {
            return;
        }
        for (std::size_t i = 0; i < count; ++i) {
            for (std::size_t j = 0; j < count; ++j) {
                set_distance(static_cast<std::size_t>(node_of(inputs_.description.domains[i])),
                             static_cast<std::size_t>(node_of(inputs_.description.domains[j])), slit[i * count + j]);
            }
        }
    }

    /// One more than the highest node that was parsed or has a block.
    std::uint64_t node_limit(const std::vector<NumaMemblk>& meminfo) const {
        int highest = parsed_.empty() ? -1 : *parsed_.rbegin();
        for (const NumaMemblk& block : meminfo) {
            highest = std::max(highest, block.nid);
        }
        return static_cast<std::uint64_t>(highest + 1);
    }

    bool alloc_distances(std::uint64_t cnt) {
        const std::uint64_t limit = memblock_.current_limit;
        const auto table = inputs_.series.numa_bounds_are_dram
                               ? memblock_.alloc(cnt * cnt, page_size, "numa_set_distance")
                               : memblock_.phys_alloc_range(cnt * cnt, page_size, 0, limit, "numa_set_distance");
        if (!table) {
            return false;
        }
        state_.distance_table = table;
        state_.distance_cnt = cnt;
        state_.distances.assign(static_cast<std::size_t>(cnt * cnt), remote_distance);
        for (std::uint64_t i = 0; i < cnt; ++i) {
            set_distance(i, i, local_distance);
        }
        return true;
    }

    void set_distance(std::uint64_t from, std::uint64_t to, std::uint8_t value) {
        if (from < state_.distance_cnt && to < state_.distance_cnt && (from != to || value == local_distance)) {
            state_.distances[static_cast<std::size_t>(from * state_.distance_cnt + to)] = value;
        }
    }

    void free_distances() {
        if (state_.distance_table) {
            memblock_.phys_free(state_.distance_table->value(), state_.distance_cnt * state_.distance_cnt,
                                "numa_reset_distance");
        }
    }

    /// numa_emulation: numa=fake= cuts the nodes into smaller ones; distances follow the physical nodes.
    void emulate() {
        if (!inputs_.numa_emu || inputs_.params.numa_fake.empty()) {
            return;
        }
        PhysicalNodes nodes{state_.meminfo, parsed_, inputs_.max_pfn * page_size, inputs_.max_numnodes};
        auto emulated = split_nodes(inputs_.params.numa_fake, nodes, memblock_);
        const auto [low, high] = bounds();
        auto cleaned = emulated ? numa_cleanup_meminfo(std::move(emulated->meminfo), low, high, memblock_)
                                : std::optional<std::vector<NumaMemblk>>{};
        if (!cleaned) {
            return;
        }
        const NumaState physical = state_;
        free_distances();
        state_.distance_table.reset();
        state_.distance_cnt = 0;
        state_.distances.clear();
        state_.meminfo = std::move(*cleaned);
        parsed_.clear();
        for (const NumaMemblk& block : state_.meminfo) {
            parsed_.insert(block.nid);
        }
        const auto count = static_cast<std::uint64_t>(emulated->physical_node.size());
        if (alloc_distances(node_limit(state_.meminfo))) {
            for (std::uint64_t i = 0; i < count; ++i) {
                for (std::uint64_t j = 0; j < count; ++j) {
                    const int from = emulated->physical_node[static_cast<std::size_t>(i)];
                    const int to = emulated->physical_node[static_cast<std::size_t>(j)];
                    set_distance(i, j, static_cast<std::uint8_t>(physical.node_distance(from, to)));
                }
            }
        }
    }

    /// numa_register_memblks.
    bool register_memblks() {
        std::set<int> possible = parsed_;
        for (const NumaMemblk& block : state_.meminfo) {
            possible.insert(block.nid);
            memblock_.set_node(block.start, block.end - block.start, MemblockArray::memory, block.nid);
        }
        state_.possible_nodes.assign(possible.begin(), possible.end());
        clear_kernel_node_hotplug();
        if (possible.empty() || uncovered_bytes() >= coverage_slack) {
            return false;
        }
        for (const int nid : possible) {
            const bool has_memory = std::any_of(state_.meminfo.begin(), state_.meminfo.end(),
                                                [nid](const NumaMemblk& block) { return block.nid == nid; });
            if (has_memory && !alloc_node_data(nid)) {
                break;
            }
        }
        return true;
    }

    void clear_kernel_node_hotplug() {
        for (const NumaMemblk& block : state_.meminfo) {
            memblock_.set_node(block.start, block.end - block.start, MemblockArray::reserved, block.nid);
        }
        std::set<int> reserved_nodes;
        for (const MemblockRegion& region : memblock_.reserved.regions) {
            reserved_nodes.insert(region.nid);
        }
        for (const NumaMemblk& block : state_.meminfo) {
            if (reserved_nodes.count(block.nid) != 0) {
                memblock_.clear_hotplug(block.start, block.end - block.start);
            }
        }
    }

    /// RAM that no block covers.
    std::uint64_t uncovered_bytes() const {
        std::uint64_t pages = 0;
        memblock_.for_each_mem_pfn_range(numa_no_node, [&](std::uint64_t start, std::uint64_t end, int nid) {
            pages += nid < 0 || nid >= inputs_.max_numnodes ? end - start : 0;
        });
        return pages * page_size;
    }

    bool alloc_node_data(int nid) {
        const std::uint64_t size = round_up(inputs_.pglist_data_size, inputs_.series.node_data_alignment);
        const auto pgdat = memblock_.phys_alloc_try_nid(size, 64, nid);
        if (!pgdat) {
            state_.panic = fmt::format("Cannot allocate {} bytes for node {} data", size, nid);
            return false;
        }
        state_.nodes.push_back({nid, *pgdat});
        return true;
    }

    const NumaInputs& inputs_;
    Memblock& memblock_;
    NumaState state_;
    std::set<int> parsed_;                ///< numa_nodes_parsed
    std::vector<std::uint32_t> domains_;  ///< node number -> proximity domain
};

/// True iff [start, end) holds memory of a node other than `nid`.
bool overlaps_other_node(const std::vector<NumaMemblk>& blocks, int nid, std::uint64_t start, std::uint64_t end) {
    return std::any_of(blocks.begin(), blocks.end(), [&](const NumaMemblk& block) {
        return block.nid != nid && start < block.end && end > block.start;
    });
}

}  // namespace

unsigned NumaState::node_distance(int from, int to) const noexcept {
    const auto row = static_cast<std::uint64_t>(from);
    const auto column = static_cast<std::uint64_t>(to);
    if (row >= distance_cnt || column >= distance_cnt) {
        return from == to ? local_distance : remote_distance;
    }
    return distances[static_cast<std::size_t>(row * distance_cnt + column)];
}

NumaState initmem_init(const NumaInputs& inputs, Memblock& memblock) {
    return Setup{inputs, memblock}.run();
}

bool alloc_memoryless_nodes(std::uint64_t pglist_data_size, NumaState& numa, Memblock& memblock) {
    for (const int nid : numa.possible_nodes) {
        const bool placed =
            std::any_of(numa.nodes.begin(), numa.nodes.end(), [nid](const NodeData& node) { return node.nid == nid; });
        if (placed) {
            continue;
        }
        const auto pgdat = memblock.alloc(pglist_data_size, 64, "free_area_init");
        if (!pgdat) {
            return false;
        }
        numa.nodes.push_back({nid, *pgdat});
    }
    return true;
}

std::optional<std::vector<NumaMemblk>> numa_cleanup_meminfo(std::vector<NumaMemblk> meminfo, std::uint64_t low,
                                                            std::uint64_t high, const Memblock& memblock) {
    std::vector<NumaMemblk> blocks;
    for (NumaMemblk block : meminfo) {
        if (memblock.overlaps_memory(block.start, block.end - block.start)) {
            block.start = std::max(block.start, low);
            block.end = std::min(block.end, high);
            if (block.start < block.end) {
                blocks.push_back(block);
            }
        }
    }
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        for (std::size_t j = i + 1; j < blocks.size(); ++j) {
            if (blocks[i].end > blocks[j].start && blocks[i].start < blocks[j].end && blocks[i].nid != blocks[j].nid) {
                return std::nullopt;
            }
            const std::uint64_t start = std::min(blocks[i].start, blocks[j].start);
            const std::uint64_t end = std::max(blocks[i].end, blocks[j].end);
            if (blocks[i].nid != blocks[j].nid || overlaps_other_node(blocks, blocks[i].nid, start, end)) {
                continue;
            }
            blocks[i].start = start;
            blocks[i].end = end;
            blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(j));
            --j;
        }
    }
    return blocks;
}

}  // namespace pgsim::kernel
