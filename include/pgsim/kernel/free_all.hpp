// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <vector>

#include "pgsim/kernel/kernel_series.hpp"
#include "pgsim/kernel/memblock.hpp"
#include "pgsim/kernel/zones.hpp"

namespace pgsim::kernel {

/// Largest order of a free block: 1024 pages. [spec M-A17]
inline constexpr unsigned max_page_order = 10;

/// Frames [start, end) of one node.
struct NodePfnRange {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    int nid = 0;
    [[nodiscard]] constexpr std::uint64_t pages() const noexcept { return end - start; }
    friend bool operator==(const NodePfnRange&, const NodePfnRange&) = default;
};

/// Calls f(pfn, order) for the chunks in which [start, end) is handed to the buddy system, upwards. [spec M-A17]
template <class F>
void for_each_chunk(std::uint64_t start, std::uint64_t end, F&& f) {
    while (start < end) {
        const unsigned aligned = start == 0 ? max_page_order : static_cast<unsigned>(std::countr_zero(start));
        const auto fits = static_cast<unsigned>(std::bit_width(end - start) - 1);
        const unsigned order = std::min({max_page_order, aligned, fits});
        f(start, order);
        start += std::uint64_t{1} << order;
    }
}

/// Free blocks of one zone by order. [spec M-A20]
struct ZoneFreeArea {
    int nid = 0;
    ZoneType type = ZoneType::dma;
    std::array<std::uint64_t, max_page_order + 1> nr_free{};
    [[nodiscard]] std::uint64_t free_pages() const noexcept;
    friend bool operator==(const ZoneFreeArea&, const ZoneFreeArea&) = default;
};

/// What memblock_free_all did.
struct FreeAll {
    std::vector<NodePfnRange> freed;       ///< handed to the buddy system now, in this order
    std::vector<NodePfnRange> deferred;    ///< freed later, by page_alloc_init_late
    std::vector<NodePfnRange> reserved;    ///< frames marked PageReserved, in this order; nid as known to memblock
    std::uint64_t totalram_pages = 0;      ///< counts the deferred ones too [spec M-A19]
    std::vector<ZoneFreeArea> free_areas;  ///< zones with a span, nodes ascending, zones ascending
};

struct FreeAllInputs {
    std::uint64_t max_low_pfn = 0;
    KernelSeries series;
};

/// memblock_free_all: reserved pages are marked, the rest of memory goes to the buddy system; zones count what they
/// got (`managed`). [linux-6.6 mm/memblock.c, spec M-A14-M-A20]
FreeAll memblock_free_all(Memblock& memblock, ZoneState& zones, const FreeAllInputs& inputs);

/// page_alloc_init_late: the deferred ranges are freed as well; `zones` and `done` then say what the buddy system has
/// when nothing was allocated meanwhile. [spec M-A21]
void free_deferred(ZoneState& zones, FreeAll& done);

/// The free blocks when exactly these frames are free: per zone, the decomposition into maximal aligned blocks.
/// Takes time by the number of ranges, not of pages. [spec M-A20]
[[nodiscard]] std::vector<ZoneFreeArea> free_areas_of(std::vector<NodePfnRange> free, const ZoneState& zones);

}  // namespace pgsim::kernel
