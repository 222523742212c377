// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/zones.hpp"

#include <algorithm>
#include <map>
#include <vector>

namespace pgsim::kernel {
namespace {

constexpr std::uint64_t max_dma_pfn = 0x1000;
constexpr std::uint64_t max_dma32_pfn = 0x10'0000;
constexpr std::uint64_t max_order_nr_pages = 1024;
constexpr std::uint64_t pages_per_section = 32768;

constexpr unsigned index_of(ZoneType zone) noexcept {
    return static_cast<unsigned>(zone);
}

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t multiple) noexcept {
    return (value + multiple - 1) / multiple * multiple;
}

struct PfnSpan {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
};

/// Memory of each node: whole pages of its regions, ascending.
using NodeRanges = std::map<int, std::vector<PfnSpan>>;

NodeRanges ranges_by_node(const Memblock& memblock) {
    NodeRanges result;
    memblock.for_each_mem_pfn_range(numa_no_node, [&](std::uint64_t start, std::uint64_t end, int nid) {
        result[nid].push_back({start, end});
    });
    return result;
}

/// Pages of the spans inside [start, end).
std::uint64_t pages_in(const std::vector<PfnSpan>& spans, std::uint64_t start, std::uint64_t end) noexcept {
    std::uint64_t pages = 0;
    for (const PfnSpan& span : spans) {
        const std::uint64_t low = std::max(span.start, start);
        const std::uint64_t high = std::min(span.end, end);
        pages += low < high ? high - low : 0;
    }
    return pages;
}

/// R8.10: the range of frames that a zone may have, over all nodes.
void possible_ranges(const Memblock& memblock, const ZoneInputs& inputs, ZoneState& state) {
    std::array<std::uint64_t, max_nr_zones> limit{};
    limit[index_of(ZoneType::dma)] = inputs.zone_dma ? std::min(max_dma_pfn, inputs.max_low_pfn) : 0;
    limit[index_of(ZoneType::dma32)] = inputs.zone_dma32 ? std::min(max_dma32_pfn, inputs.max_low_pfn) : 0;
    limit[index_of(ZoneType::normal)] = inputs.max_low_pfn;
    std::uint64_t start = memblock.start_of_dram() >> 12;
    for (unsigned i = 0; i < max_nr_zones; ++i) {
        if (i == index_of(ZoneType::movable)) {
            continue;
        }
        state.lowest_possible_pfn[i] = start;
        state.highest_possible_pfn[i] = std::max(limit[i], start);
        start = state.highest_possible_pfn[i];
    }
}

/// The highest zone that can have pages; ZONE_MOVABLE is cut from it.
unsigned usable_zone_for_movable(const ZoneState& state) noexcept {
    for (unsigned i = max_nr_zones; i-- > 0;) {
        if (i != index_of(ZoneType::movable) && state.highest_possible_pfn[i] > state.lowest_possible_pfn[i]) {
            return i;
        }
    }
    return 0;
}

/// Lets each region that `wanted` names pull the node's movable start down to its first page.
template <class F>
void movable_from_regions(const Memblock& memblock, F&& wanted, std::vector<std::uint64_t>& movable) {
    for (const MemblockRegion& region : memblock.memory.regions) {
        const std::uint64_t first = (region.base + 0xfff) >> 12;
        if (region.nid < 0 || static_cast<std::size_t>(region.nid) >= movable.size() || !wanted(region, first)) {
            continue;
        }
        std::uint64_t& start = movable[static_cast<std::size_t>(region.nid)];
        start = start == 0 ? first : std::min(first, start);
    }
}

/// kernelcore= and movablecore=: spreads `kernelcore` pages over the nodes from their lowest pages on.
void spread_kernelcore(const NodeRanges& ranges, std::uint64_t kernelcore, std::uint64_t usable_start,
                       std::vector<std::uint64_t>& movable) {
    const auto take = [](std::uint64_t& from, std::uint64_t pages) { from -= std::min(pages, from); };
    std::uint64_t usable_nodes = ranges.size();
    do {
        std::uint64_t per_node = kernelcore / usable_nodes;
        for (const auto& [nid, spans] : ranges) {
            if (kernelcore < per_node) {
                per_node = kernelcore / usable_nodes;
            }
            std::uint64_t left = per_node;
            std::uint64_t& movable_start = movable[static_cast<std::size_t>(nid)];
            for (const PfnSpan& span : spans) {
                std::uint64_t start = std::max(span.start, movable_start);
                if (start >= span.end) {
                    continue;
                }
                if (start < usable_start) {
                    const std::uint64_t kernel_pages = std::min(span.end, usable_start) - start;
                    take(left, kernel_pages);
                    take(kernelcore, kernel_pages);
                    if (span.end <= usable_start) {
                        movable_start = span.end;
                        continue;
                    }
                    start = usable_start;
                }
                const std::uint64_t size = std::min(span.end - start, left);
                movable_start = start + size;
                take(kernelcore, size);
                left -= size;
                if (left == 0) {
                    break;
                }
            }
        }
        --usable_nodes;
    } while (usable_nodes != 0 && kernelcore > usable_nodes);
}

/// R8.11a, before rounding. False: no movable zone.
bool movable_starts(const Memblock& memblock, const NodeRanges& ranges, const EarlyParams& params,
                    const ZoneState& state, std::vector<std::uint64_t>& movable) {
    if (params.movable_node) {
        movable_from_regions(
            memblock,
            [](const MemblockRegion& region, std::uint64_t) { return (region.flags & memblock_flag::hotplug) != 0; },
            movable);
        return true;
    }
    if (params.mirrored_kernelcore) {
        if (memblock.has_some_mirror) {
            movable_from_regions(
                memblock,
                [](const MemblockRegion& region, std::uint64_t first) {
                    return (region.flags & memblock_flag::mirror) == 0 && first >= max_dma32_pfn;
                },
                movable);
        }
        return memblock.has_some_mirror;
    }
    std::uint64_t total = 0;
    for (const auto& [nid, spans] : ranges) {
        total += pages_in(spans, 0, ~std::uint64_t{0});
    }
    std::uint64_t kernelcore = params.required_kernelcore;
    std::uint64_t movablecore = params.required_movablecore;
    if (params.required_kernelcore_percent != 0) {
        kernelcore = total * 100 * params.required_kernelcore_percent / 10000;
    }
    if (params.required_movablecore_percent != 0) {
        movablecore = total * 100 * params.required_movablecore_percent / 10000;
    }
    if (movablecore != 0) {
        movablecore = std::min(total, round_up(movablecore, max_order_nr_pages));
        kernelcore = std::max(kernelcore, total - movablecore);
    }
    if (kernelcore == 0 || kernelcore >= total) {
        return false;
    }
    spread_kernelcore(ranges, kernelcore, state.lowest_possible_pfn[usable_zone_for_movable(state)], movable);
    return true;
}

void find_zone_movable_pfns(const Memblock& memblock, const NodeRanges& ranges, const EarlyParams& params,
                            ZoneState& state) {
    const int last_nid = ranges.empty() ? 0 : ranges.rbegin()->first;
    std::vector<std::uint64_t> movable(static_cast<std::size_t>(std::max(last_nid, 0)) + 1, 0);
    if (movable_starts(memblock, ranges, params, state, movable)) {
        for (const auto& [nid, spans] : ranges) {
            std::uint64_t& start = movable[static_cast<std::size_t>(nid)];
            start = round_up(start, max_order_nr_pages);
            if (start >= spans.back().end) {
                start = 0;
            }
        }
    } else {
        std::fill(movable.begin(), movable.end(), 0);
    }
    state.zone_movable_pfn = std::move(movable);
}

/// R8.11: the part of zone `i` that node [node_start, node_end) has, after the movable zone took its part.
PfnSpan zone_span(const ZoneState& state, unsigned i, int nid, std::uint64_t node_start, std::uint64_t node_end,
                  bool mirrored_kernelcore) {
    const std::uint64_t low = state.lowest_possible_pfn[i];
    const std::uint64_t high = state.highest_possible_pfn[i];
    PfnSpan span{std::clamp(node_start, low, high), std::clamp(node_end, low, high)};
    const std::uint64_t movable = state.zone_movable_pfn[static_cast<std::size_t>(nid)];
    if (movable != 0) {
        if (i == index_of(ZoneType::movable)) {
            span = {movable, std::min(node_end, state.highest_possible_pfn[usable_zone_for_movable(state)])};
        } else if (!mirrored_kernelcore && span.start < movable && span.end > movable) {
            span.end = movable;
        } else if (span.start >= movable) {
            span.start = span.end;
        }
    }
    if (span.end < node_start || span.start > node_end) {
        return {};
    }
    return {std::max(span.start, node_start), std::min(span.end, node_end)};
}

/// With kernelcore=mirror, ZONE_NORMAL and ZONE_MOVABLE span the same frames: each counts the other's as absent.
std::uint64_t absent_for_mirror(const Memblock& memblock, unsigned zone, const PfnSpan& span) {
    std::uint64_t absent = 0;
    for (const MemblockRegion& region : memblock.memory.regions) {
        const bool is_mirror = (region.flags & memblock_flag::mirror) != 0;
        const bool counts =
            (zone == index_of(ZoneType::movable) && is_mirror) || (zone == index_of(ZoneType::normal) && !is_mirror);
        if (counts) {
            absent += std::clamp(region.end() >> 12, span.start, span.end) -
                      std::clamp((region.base + 0xfff) >> 12, span.start, span.end);
        }
    }
    return absent;
}

/// R8.12: what the kernel takes for managed until memblock_free_all counts.
std::uint64_t managed_estimate(const Zone& zone, bool is_first_zone, const ZoneInputs& inputs) {
    if (inputs.series.managed_is_present) {
        return zone.present;
    }
    const std::uint64_t pages = zone.spanned > zone.present + zone.present / 16 ? zone.present : zone.spanned;
    const std::uint64_t memmap_pages = (pages * inputs.struct_page_size + 4095) >> 12;
    std::uint64_t managed = zone.present >= memmap_pages ? zone.present - memmap_pages : zone.present;
    if (is_first_zone && managed > inputs.dma_reserve) {
        managed -= inputs.dma_reserve;
    }
    return managed;
}

Node make_node(const Memblock& memblock, const ZoneInputs& inputs, const ZoneState& state, int nid,
               const std::vector<PfnSpan>& spans) {
    Node node;
    node.nid = nid;
    node.start_pfn = spans.front().start;
    const std::uint64_t node_end = spans.back().end;
    const bool mirrored = inputs.params.mirrored_kernelcore;
    const bool movable = state.zone_movable_pfn[static_cast<std::size_t>(nid)] != 0;
    const unsigned first_zone = index_of(inputs.zone_dma     ? ZoneType::dma
                                         : inputs.zone_dma32 ? ZoneType::dma32
                                                             : ZoneType::normal);
    for (unsigned i = 0; i < max_nr_zones; ++i) {
        Zone& zone = node.zones[i];
        zone.nid = nid;
        zone.type = static_cast<ZoneType>(i);
        const PfnSpan span = zone_span(state, i, nid, node.start_pfn, node_end, mirrored);
        if (span.start < span.end) {
            zone.start_pfn = span.start;
            zone.spanned = span.end - span.start;
            zone.present = pages_in(spans, span.start, span.end);
            if (mirrored && movable) {
                zone.present -= std::min(zone.present, absent_for_mirror(memblock, i, span));
            }
        }
        zone.managed = managed_estimate(zone, i == first_zone, inputs);
        node.spanned_pages += zone.spanned;
        node.present_pages += zone.present;
    }
    return node;
}

/// R8.17, M-A12: goes through the memory as memmap_init does and finds each node's first_deferred_pfn.
void find_deferred(const Memblock& memblock, ZoneState& state) {
    std::uint64_t prev_end_pfn = 0;
    std::uint64_t initialised = 0;
    memblock.for_each_mem_pfn_range(numa_no_node, [&](std::uint64_t start, std::uint64_t end, int nid) {
        const auto node = std::find_if(state.nodes.begin(), state.nodes.end(),
                                       [nid](const Node& candidate) { return candidate.nid == nid; });
        if (node == state.nodes.end()) {
            return;
        }
        for (const Zone& zone : node->zones) {
            const std::uint64_t low = std::clamp(start, zone.start_pfn, zone.end_pfn());
            const std::uint64_t high = std::clamp(end, zone.start_pfn, zone.end_pfn());
            if (zone.present == 0 || low >= high) {
                continue;
            }
            if (prev_end_pfn != zone.end_pfn()) {
                prev_end_pfn = zone.end_pfn();
                initialised = 0;
            }
            if (zone.end_pfn() < node->end_pfn() || node->first_deferred_pfn != no_deferred_pfn) {
                continue;
            }
            const std::uint64_t missing = pages_per_section - std::min(pages_per_section, initialised);
            const std::uint64_t candidate = round_up(low + missing, pages_per_section);
            if (candidate < high) {
                node->first_deferred_pfn = candidate;
            }
            initialised += high - low;
        }
    });
}

}  // namespace

std::string_view zone_name(ZoneType zone) noexcept {
    switch (zone) {
    case ZoneType::dma: return "DMA";
    case ZoneType::dma32: return "DMA32";
    case ZoneType::normal: return "Normal";
    case ZoneType::movable: return "Movable";
    case ZoneType::device: return "Device";
    }
    return "?";
}

const Node* ZoneState::node(int nid) const noexcept {
    const auto found =
        std::find_if(nodes.begin(), nodes.end(), [nid](const Node& candidate) { return candidate.nid == nid; });
    return found == nodes.end() ? nullptr : &*found;
}

const Zone* ZoneState::zone_of(int nid, std::uint64_t pfn) const noexcept {
    const Node* const home = node(nid);
    if (home == nullptr) {
        return nullptr;
    }
    const auto found =
        std::find_if(home->zones.begin(), home->zones.end(), [pfn](const Zone& zone) { return zone.contains(pfn); });
    return found == home->zones.end() ? nullptr : &*found;
}

std::uint64_t find_dma_reserve(const Memblock& memblock) {
    std::uint64_t pages = 0;
    memblock.for_each_mem_pfn_range(numa_no_node, [&](std::uint64_t start, std::uint64_t end, int) {
        pages += std::min(end, max_dma_pfn) - std::min(start, max_dma_pfn);
    });
    memblock.for_each_free_mem_range(numa_no_node, 0, [&](std::uint64_t start, std::uint64_t end, int) {
        const std::uint64_t first = std::min((start + 0xfff) >> 12, max_dma_pfn);
        const std::uint64_t last = std::min(end >> 12, max_dma_pfn);
        pages -= first < last ? last - first : 0;
    });
    return pages;
}

ZoneState free_area_init(const Memblock& memblock, const ZoneInputs& inputs) {
    ZoneState state;
    possible_ranges(memblock, inputs, state);
    NodeRanges ranges = ranges_by_node(memblock);
    ranges.erase(ranges.begin(), ranges.lower_bound(0));
    ranges.erase(ranges.lower_bound(memblock.setup().max_numnodes), ranges.end());
    find_zone_movable_pfns(memblock, ranges, inputs.params, state);
    for (const auto& [nid, spans] : ranges) {
        state.nodes.push_back(make_node(memblock, inputs, state, nid, spans));
    }
    if (inputs.deferred_struct_page_init) {
        find_deferred(memblock, state);
    }
    return state;
}

}  // namespace pgsim::kernel
