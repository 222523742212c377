// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/free_all.hpp"

#include <iterator>

namespace pgsim::kernel {
namespace {

constexpr std::uint64_t page_size = 4096;

/// memmap_init_reserved_pages: reserved regions take the nodes of the memory they lie in. [spec M-A15]
void give_reserved_nids(Memblock& memblock, const KernelSeries& series) {
    if (!series.reserved_gets_nids) {
        return;
    }
    std::uint64_t max_before = 0;
    do {  // growing the array reserves memory, perhaps below what has its node already
        max_before = memblock.reserved.max;
        for (std::size_t i = 0; i < memblock.memory.regions.size(); ++i) {
            const MemblockRegion region = memblock.memory.regions[i];
            const std::uint64_t size = series.reserved_nids_spread_up ? region.end() : region.size;
            memblock.set_node(region.base, size, MemblockArray::reserved, region.nid);
        }
    } while (!series.reserved_nids_spread_up && max_before != memblock.reserved.max);
}

void mark_reserved(const Memblock& memblock, std::vector<NodePfnRange>& reserved) {
    const auto mark = [&](const MemblockRegion& region) {
        const std::uint64_t start = region.base / page_size;
        const std::uint64_t end = region.end() / page_size + (region.end() % page_size != 0 ? 1 : 0);
        reserved.push_back({start, end, region.nid});
    };
    for (const MemblockRegion& region : memblock.memory.regions) {
        if ((region.flags & memblock_flag::nomap) != 0) {
            mark(region);
        }
    }
    std::for_each(memblock.reserved.regions.begin(), memblock.reserved.regions.end(), mark);
}

/// Splits [start, end) of a node at its first_deferred_pfn, which is a multiple of every chunk size.
void hand_over(const NodePfnRange& range, const ZoneState& zones, FreeAll& result) {
    const Node* const node = zones.node(range.nid);
    const std::uint64_t limit = node == nullptr ? no_deferred_pfn : node->first_deferred_pfn;
    const std::uint64_t middle = std::clamp(limit, range.start, range.end);
    if (range.start < middle) {
        result.freed.push_back({range.start, middle, range.nid});
    }
    if (middle < range.end) {
        result.deferred.push_back({middle, range.end, range.nid});
    }
}

void count_managed(const std::vector<NodePfnRange>& freed, ZoneState& zones) {
    for (Node& node : zones.nodes) {
        for (Zone& zone : node.zones) {
            for (const NodePfnRange& range : freed) {
                const std::uint64_t low = std::max(range.start, zone.start_pfn);
                const std::uint64_t high = std::min(range.end, zone.end_pfn());
                zone.managed += range.nid == node.nid && low < high ? high - low : 0;
            }
        }
    }
}

/// The chunks of [start, end), the largest ones without walking over them.
void count_blocks(std::uint64_t start, std::uint64_t end, ZoneFreeArea& area) {
    constexpr std::uint64_t largest = std::uint64_t{1} << max_page_order;
    const std::uint64_t first = (start + largest - 1) & ~(largest - 1);
    const std::uint64_t last = end & ~(largest - 1);
    const auto count = [&](std::uint64_t, unsigned order) { ++area.nr_free[order]; };
    if (first >= last) {
        for_each_chunk(start, end, count);
        return;
    }
    for_each_chunk(start, first, count);
    area.nr_free[max_page_order] += (last - first) / largest;
    for_each_chunk(last, end, count);
}

}  // namespace

std::uint64_t ZoneFreeArea::free_pages() const noexcept {
    std::uint64_t pages = 0;
    for (unsigned order = 0; order <= max_page_order; ++order) {
        pages += nr_free[order] << order;
    }
    return pages;
}

std::vector<ZoneFreeArea> free_areas_of(std::vector<NodePfnRange> free, const ZoneState& zones) {
    std::sort(free.begin(), free.end(), [](const NodePfnRange& a, const NodePfnRange& b) { return a.start < b.start; });
    std::vector<ZoneFreeArea> areas;
    for (const Node& node : zones.nodes) {
        for (const Zone& zone : node.zones) {
            if (zone.spanned == 0) {
                continue;
            }
            ZoneFreeArea area{node.nid, zone.type, {}};
            std::uint64_t start = 0;  // of the run of frames that is being gathered
            std::uint64_t end = 0;
            const auto flush = [&] { count_blocks(start, end, area); };
            for (const NodePfnRange& range : free) {
                const std::uint64_t low = std::max(range.start, zone.start_pfn);
                const std::uint64_t high = std::min(range.end, zone.end_pfn());
                if (range.nid != node.nid || low >= high) {
                    continue;
                }
                if (low != end) {
                    flush();
                    start = low;
                }
                end = high;
            }
            flush();
            areas.push_back(area);
        }
    }
    return areas;
}

FreeAll memblock_free_all(Memblock& memblock, ZoneState& zones, const FreeAllInputs& inputs) {
    FreeAll result;
    for (Node& node : zones.nodes) {
        for (Zone& zone : node.zones) {
            zone.managed = 0;
        }
    }
    memblock.clear_hotplug(0, ~std::uint64_t{0});
    give_reserved_nids(memblock, inputs.series);
    mark_reserved(memblock, result.reserved);
    memblock.for_each_free_mem_range(numa_no_node, 0, [&](std::uint64_t start, std::uint64_t end, int nid) {
        const std::uint64_t first = start / page_size + (start % page_size != 0 ? 1 : 0);
        const std::uint64_t last = std::min(end / page_size, inputs.max_low_pfn);
        if (first < last) {
            result.totalram_pages += last - first;
            hand_over({first, last, nid}, zones, result);
        }
    });
    count_managed(result.freed, zones);
    result.free_areas = free_areas_of(result.freed, zones);
    return result;
}

void free_deferred(ZoneState& zones, FreeAll& done) {
    count_managed(done.deferred, zones);
    std::move(done.deferred.begin(), done.deferred.end(), std::back_inserter(done.freed));
    done.deferred.clear();
    done.free_areas = free_areas_of(done.freed, zones);
    for (Node& node : zones.nodes) {
        node.first_deferred_pfn = no_deferred_pfn;
    }
}

}  // namespace pgsim::kernel
