// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "pgsim/kernel/early_param.hpp"
#include "pgsim/kernel/kernel_series.hpp"
#include "pgsim/kernel/memblock.hpp"

namespace pgsim::kernel {

/// Zone numbers of x86_64. [spec M-A1]
enum class ZoneType : std::uint8_t { dma = 0, dma32 = 1, normal = 2, movable = 3, device = 4 };
inline constexpr unsigned max_nr_zones = 5;

/// "DMA", "DMA32", "Normal", "Movable", "Device".
[[nodiscard]] std::string_view zone_name(ZoneType zone) noexcept;

/// first_deferred_pfn of a node where nothing is deferred.
inline constexpr std::uint64_t no_deferred_pfn = ~std::uint64_t{0};

/// One zone of one node; all in pages. Zones without a span have start_pfn 0.
struct Zone {
    int nid = 0;
    ZoneType type = ZoneType::dma;
    std::uint64_t start_pfn = 0;
    std::uint64_t spanned = 0;
    std::uint64_t present = 0;
    std::uint64_t managed = 0;  ///< first an estimate [spec R8.12], after memblock_free_all what was freed

    [[nodiscard]] std::uint64_t end_pfn() const noexcept { return start_pfn + spanned; }
    [[nodiscard]] bool contains(std::uint64_t pfn) const noexcept { return pfn - start_pfn < spanned; }
    friend bool operator==(const Zone&, const Zone&) = default;
};

/// One node; its zones in index order, the empty ones too.
struct Node {
    int nid = 0;
    std::uint64_t start_pfn = 0;
    std::uint64_t spanned_pages = 0;  ///< sum over its zones, as present_pages
    std::uint64_t present_pages = 0;
    std::uint64_t first_deferred_pfn = no_deferred_pfn;
    std::array<Zone, max_nr_zones> zones;

    [[nodiscard]] std::uint64_t end_pfn() const noexcept { return start_pfn + spanned_pages; }
};

struct ZoneInputs {
    std::uint64_t max_low_pfn = 0;
    std::uint64_t dma_reserve = 0;  ///< pages, of find_dma_reserve
    bool zone_dma = true;           ///< CONFIG_ZONE_DMA
    bool zone_dma32 = true;         ///< CONFIG_ZONE_DMA32
    bool deferred_struct_page_init = true;
    std::uint64_t struct_page_size = 64;
    EarlyParams params;
    KernelSeries series;
};

/// The nodes with memory, ascending, with their zones.
struct ZoneState {
    std::vector<Node> nodes;
    std::array<std::uint64_t, max_nr_zones> lowest_possible_pfn{};   ///< R8.10
    std::array<std::uint64_t, max_nr_zones> highest_possible_pfn{};  ///< R8.10
    std::vector<std::uint64_t> zone_movable_pfn;                     ///< by nid, 0: none [spec R8.11a]

    [[nodiscard]] const Node* node(int nid) const noexcept;
    [[nodiscard]] const Zone* zone_of(int nid, std::uint64_t pfn) const noexcept;
};

/// memblock_find_dma_reserve: pages of RAM below 16 MiB that are not in free ranges. Call it after initmem_init and
/// before sparse_init. [spec R8.12]
[[nodiscard]] std::uint64_t find_dma_reserve(const Memblock& memblock);

/// zone_sizes_init and free_area_init as far as they count pages. [spec R8.10-R8.12, R8.17, M-A2-M-A7, M-A12]
[[nodiscard]] ZoneState free_area_init(const Memblock& memblock, const ZoneInputs& inputs);

/// What the kernel derives from managed pages. [spec M-A26-M-A31]
struct ZoneWatermarks {
    int nid = 0;
    ZoneType type = ZoneType::dma;
    std::uint64_t min = 0, low = 0, high = 0, promo = 0;  ///< pages
    std::array<std::uint64_t, max_nr_zones> lowmem_reserve{};
    std::uint64_t pcp_batch = 1;
    std::uint64_t pcp_high = 0;  ///< 6.12: high_min
};
struct Watermarks {
    std::uint64_t min_free_kbytes = 0;
    std::uint64_t totalreserve_pages = 0;
    std::vector<ZoneWatermarks> zones;  ///< populated zones, nodes ascending, zones ascending
};
struct WatermarkInputs {
    bool transparent_hugepage = false;   ///< khugepaged has started and raised min_free_kbytes [spec M-A27]
    std::vector<unsigned> cpus_of_node;  ///< by nid; absent or 0 counts as 1
};
/// init_per_zone_wmark_min and what follows it, from the zones' managed pages.
[[nodiscard]] Watermarks setup_watermarks(const ZoneState& zones, const WatermarkInputs& inputs);

}  // namespace pgsim::kernel
