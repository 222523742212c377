// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>
#include <bit>
#include <cmath>

#include "pgsim/kernel/zones.hpp"

namespace pgsim::kernel {
namespace {

constexpr std::uint64_t pageblock_nr_pages = 512;
constexpr std::uint64_t migrate_pcptypes = 3;
/// sysctl_lowmem_reserve_ratio; 0: no reserve.
constexpr std::array<std::uint64_t, max_nr_zones> reserve_ratio{256, 256, 32, 0, 0};

bool is_lowmem(ZoneType type) noexcept {
    return type != ZoneType::movable;
}

/// The floor of the square root.
std::uint64_t int_sqrt(std::uint64_t value) noexcept {
    auto root = static_cast<std::uint64_t>(std::sqrt(static_cast<double>(value)));
    while (root * root > value) {
        --root;
    }
    while ((root + 1) * (root + 1) <= value) {
        ++root;
    }
    return root;
}

/// a * b / c with a 128-bit product.
std::uint64_t mul_div(std::uint64_t a, std::uint64_t b, std::uint64_t c) noexcept {
    if (c == 0) {
        return 0;
    }
    const std::uint64_t quotient = a / c;
    const std::uint64_t remainder = a % c;
    return quotient * b + remainder * b / c;
}

struct Totals {
    std::uint64_t lowmem_pages = 0;  ///< zones DMA, DMA32, NORMAL
    std::uint64_t low_zones = 0;     ///< populated ones of them
};

Totals count(const ZoneState& state) {
    Totals totals;
    for (const Node& node : state.nodes) {
        for (const Zone& zone : node.zones) {
            if (zone.type <= ZoneType::normal) {
                totals.lowmem_pages += zone.managed;
                totals.low_zones += zone.present != 0 ? 1 : 0;
            }
        }
    }
    return totals;
}

/// M-A26.
std::uint64_t default_min_free_kbytes(const Totals& totals) {
    return std::clamp<std::uint64_t>(int_sqrt(totals.lowmem_pages * 4 * 16), 128, 262144);
}

/// M-A27: what khugepaged wants; by then the zones have their high marks, which nr_free_buffer_pages leaves out.
std::uint64_t khugepaged_min_free_kbytes(const Totals& totals, const std::vector<ZoneWatermarks>& marks) {
    std::uint64_t pages = totals.lowmem_pages;
    for (const ZoneWatermarks& zone : marks) {
        pages -= zone.type <= ZoneType::normal ? std::min(pages, zone.high) : 0;
    }
    const std::uint64_t wanted = pageblock_nr_pages * totals.low_zones * (2 + migrate_pcptypes * migrate_pcptypes);
    return std::min(wanted, pages / 20) * 4;
}

void set_marks(const Zone& zone, std::uint64_t pages_min, std::uint64_t lowmem_pages, ZoneWatermarks& marks) {
    const std::uint64_t share = mul_div(zone.managed, pages_min, lowmem_pages);
    marks.min = is_lowmem(zone.type) ? share : std::clamp<std::uint64_t>(zone.managed / 1024, 32, 128);
    const std::uint64_t delta = std::max(share >> 2, mul_div(zone.managed, 10, 10000));
    marks.low = marks.min + delta;
    marks.high = marks.low + delta;
    marks.promo = marks.high + delta;
}

void set_reserve(const Node& node, ZoneWatermarks& marks) {
    const auto i = static_cast<unsigned>(marks.type);
    std::uint64_t above = 0;
    for (unsigned j = i + 1; j < max_nr_zones; ++j) {
        above += node.zones[j].managed;
        const bool clear = reserve_ratio[i] == 0 || node.zones[i].managed == 0;
        marks.lowmem_reserve[j] = clear ? 0 : above / reserve_ratio[i];
    }
}

void set_pcp(const Zone& zone, std::uint64_t cpus, ZoneWatermarks& marks) {
    const std::uint64_t quarter = std::max<std::uint64_t>(std::min<std::uint64_t>(zone.managed >> 10, 256) / 4, 1);
    marks.pcp_batch = std::max<std::uint64_t>(std::bit_floor(quarter + quarter / 2) - 1, 1);
    marks.pcp_high = std::max(marks.low / std::max<std::uint64_t>(cpus, 1), 4 * marks.pcp_batch);
}

Watermarks watermarks_for(std::uint64_t min_free_kbytes, const Totals& totals, const ZoneState& state,
                          const WatermarkInputs& inputs) {
    Watermarks result;
    result.min_free_kbytes = min_free_kbytes;
    for (const Node& node : state.nodes) {
        const auto nid = static_cast<std::size_t>(node.nid);
        const std::uint64_t cpus = nid < inputs.cpus_of_node.size() ? inputs.cpus_of_node[nid] : 1;
        for (const Zone& zone : node.zones) {
            if (zone.present == 0) {
                continue;
            }
            ZoneWatermarks marks;
            marks.nid = node.nid;
            marks.type = zone.type;
            set_marks(zone, min_free_kbytes / 4, totals.lowmem_pages, marks);
            set_reserve(node, marks);
            set_pcp(zone, cpus, marks);
            const std::uint64_t reserve = *std::max_element(marks.lowmem_reserve.begin(), marks.lowmem_reserve.end());
            result.totalreserve_pages += std::min(zone.managed, reserve + marks.high);
            result.zones.push_back(marks);
        }
    }
    return result;
}

}  // namespace

Watermarks setup_watermarks(const ZoneState& state, const WatermarkInputs& inputs) {
    const Totals totals = count(state);
    Watermarks result = watermarks_for(default_min_free_kbytes(totals), totals, state, inputs);
    if (inputs.transparent_hugepage) {
        const std::uint64_t wanted = khugepaged_min_free_kbytes(totals, result.zones);
        if (wanted > result.min_free_kbytes) {
            return watermarks_for(wanted, totals, state, inputs);
        }
    }
    return result;
}

}  // namespace pgsim::kernel
