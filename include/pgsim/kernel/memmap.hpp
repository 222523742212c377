// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "pgsim/base/address.hpp"
#include "pgsim/kernel/buddy.hpp"
#include "pgsim/kernel/memblock.hpp"
#include "pgsim/kernel/struct_page.hpp"
#include "pgsim/kernel/zones.hpp"
#include "pgsim/memory/physical_memory.hpp"

namespace pgsim::kernel {

/// Free blocks of one order that follow each other without a gap.
struct BlockRun {
    std::uint64_t start_pfn = 0;
    std::uint64_t count = 0;  ///< blocks
};

/// The free lists of one zone right after memblock_free_all: all MOVABLE, each in ascending order. [spec M-A20]
struct FreeBlocks {
    int nid = 0;
    ZoneType type = ZoneType::dma;
    std::array<std::vector<BlockRun>, max_order + 1> runs;
    std::uint64_t managed_pages = 0;

    [[nodiscard]] std::uint64_t nr_free(unsigned order) const noexcept;
};

/// What memblock_free_all did, as a closed form: 16 TiB cost no more than their ranges. [spec M-A14 to M-A20]
struct FreedMemory {
    std::vector<FreeBlocks> zones;     ///< populated zones, nodes ascending
    std::uint64_t totalram_pages = 0;  ///< with the pages that wait for the deferred thread
};

/// memblock_free_all() on the free ranges of `memblock`, without those that are deferred.
/// @param max_low_pfn  frames from here on are left out
[[nodiscard]] FreedMemory memblock_free_all(const Memblock& memblock, const ZoneState& zones,
                                            std::uint64_t max_low_pfn);

/// The same for ranges of frames given directly; they lie in order and do not overlap.
[[nodiscard]] FreedMemory free_ranges(const std::vector<PfnRange>& ranges, const ZoneState& zones);

/// Contents of all struct pages at one moment of the boot, as a pure function of the frame number: they are made when
/// touched. [spec R8.14 to R8.18, M-A10 to M-A15]
class Memmap {
public:
    struct Setup {
        PageFlagsLayout flags;
        unsigned pg_reserved_bit = 14;  ///< of the series [spec R8.16]
        VirtAddr vmemmap_base;
        std::vector<VirtAddr> node_data;  ///< by nid: where the struct zones lie
        std::uint64_t zone_size = 1664;
    };

    /// free_area_init: pages initialised, holes reserved, deferred pages not yet there.
    Memmap(const Memblock& memblock, const ZoneState& zones, Setup setup);

    /// memblock_free_all: reserved pages marked, free ones free, with their blocks linked.
    void free_all(const Memblock& memblock, const ZoneState& zones, const FreedMemory& freed);

    /// The eight words of the struct page of `pfn`.
    [[nodiscard]] std::array<std::uint64_t, 8> page(std::uint64_t pfn) const;

    /// Registers the contents for the frames that hold the struct pages from `first_pfn` on.
    /// @param frames  frames of the memmap; the first holds the struct page of `first_pfn`
    static void attach(PhysicalMemory& memory, PfnRange frames, std::uint64_t first_pfn,
                       std::shared_ptr<const Memmap> contents);

private:
    enum class State : std::uint8_t { absent, initialised, reserved, free };
    struct Piece {  ///< pages from `start` to the next piece
        std::uint64_t start = 0;
        std::uint64_t links = 0;
        State state = State::absent;
    };
    struct Block {
        std::uint64_t start = 0;
        std::uint64_t count = 0;
        unsigned order = 0;
        std::uint64_t before = 0;  ///< link of the block before the run's first: a list head or a page
        std::uint64_t after = 0;
    };

    void paint(std::uint64_t start, std::uint64_t end, std::uint64_t links, State state);
    void repaint(std::uint64_t start, std::uint64_t end, State state, const ZoneState& zones);
    [[nodiscard]] const Piece& piece_of(std::uint64_t pfn) const;
    [[nodiscard]] std::uint64_t lru_address(std::uint64_t pfn) const {
        return setup_.vmemmap_base.value() + pfn * 64 + 8;
    }

    Setup setup_;
    std::vector<Piece> pieces_;  ///< ascending; the first starts at 0
    std::vector<Block> blocks_;  ///< ascending by start
};

/// Offset of free_area[order].free_list[type] in struct zone.
[[nodiscard]] constexpr std::uint64_t free_list_offset(unsigned order, MigrateType type) noexcept {
    return 192 + order * (migrate_types * 16 + 8) + static_cast<std::uint64_t>(type) * 16;
}

}  // namespace pgsim::kernel
