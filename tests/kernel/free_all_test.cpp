// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/free_all.hpp"

#include <rapidcheck.h>
#include <set>

#include "pgsim/base/units.hpp"
#include "support/catch.hpp"

using namespace pgsim;
using namespace pgsim::kernel;

namespace {

std::vector<std::pair<std::uint64_t, unsigned>> chunks(std::uint64_t start, std::uint64_t end) {
    std::vector<std::pair<std::uint64_t, unsigned>> result;
    for_each_chunk(start, end, [&](std::uint64_t pfn, unsigned order) { result.emplace_back(pfn, order); });
    return result;
}

/// A second buddy system: a set of free blocks an order, merged as long as the buddy is free. [spec M-B3, M-B8]
class BuddySet {
public:
    void free(std::uint64_t pfn, unsigned order) {
        while (order < max_page_order && blocks_[order].erase(pfn ^ (std::uint64_t{1} << order)) != 0) {
            pfn &= ~(std::uint64_t{1} << order);
            ++order;
        }
        blocks_[order].insert(pfn);
    }
    [[nodiscard]] std::array<std::uint64_t, max_page_order + 1> nr_free() const {
        std::array<std::uint64_t, max_page_order + 1> count{};
        for (unsigned order = 0; order <= max_page_order; ++order) {
            count[order] = blocks_[order].size();
        }
        return count;
    }

private:
    std::array<std::set<std::uint64_t>, max_page_order + 1> blocks_;
};

Memblock any_memory() {
    Memblock m;
    const int regions = *rc::gen::inRange(1, 6);
    for (int i = 0; i < regions; ++i) {
        m.add(*rc::gen::inRange<std::uint64_t>(0, 0x6000) * 2048, *rc::gen::inRange<std::uint64_t>(1, 0x4000) * 2048);
    }
    m.set_node(0, ~std::uint64_t{0}, MemblockArray::memory, 0);
    m.set_node(*rc::gen::inRange<std::uint64_t>(0, 0x6000) * 4096, ~std::uint64_t{0}, MemblockArray::memory, 1);
    const int holes = *rc::gen::inRange(0, 12);
    for (int i = 0; i < holes; ++i) {
        m.reserve(*rc::gen::inRange<std::uint64_t>(0, 0x8000) * 2048, *rc::gen::inRange<std::uint64_t>(1, 3000));
    }
    return m;
}

FreeAllInputs inputs_for(const Memblock& m, std::string_view release = "6.6") {
    return {m.end_of_dram() >> 12, KernelSeries::of(release)};
}

ZoneState zones_of(const Memblock& m) {
    ZoneInputs inputs;
    inputs.max_low_pfn = m.end_of_dram() >> 12;
    return free_area_init(m, inputs);
}

}  // namespace

TEST_CASE("A range is handed over in chunks that climb with its alignment", "[kernel][free_all][M-A17]") {
    using Chunks = std::vector<std::pair<std::uint64_t, unsigned>>;
    CHECK(chunks(1, 8) == Chunks{{1, 0}, {2, 1}, {4, 2}});
    CHECK(chunks(0, 7) == Chunks{{0, 2}, {4, 1}, {6, 0}});
    CHECK(chunks(0x3fe, 0xc01) == Chunks{{0x3fe, 1}, {0x400, 10}, {0x800, 10}, {0xc00, 0}});
    CHECK(chunks(0, 0x1000).size() == 4);
    CHECK(chunks(5, 5).empty());
}

TEST_CASE("Reserved bytes take whole pages with them, free ones do not give parts",
          "[kernel][free_all][M-A15][M-A16]") {
    Memblock m;
    m.add(0x1000, 0xf000);
    m.set_node(0, ~std::uint64_t{0}, MemblockArray::memory, 0);
    m.reserve(0x3800, 0x1000);
    ZoneState zones = zones_of(m);
    const FreeAll result = memblock_free_all(m, zones, inputs_for(m));
    CHECK(result.freed == std::vector<NodePfnRange>{{1, 3, 0}, {5, 16, 0}});
    CHECK(result.reserved == std::vector<NodePfnRange>{{3, 5, 0}});
    CHECK(result.totalram_pages == 13);
    CHECK(zones.nodes[0].zones[0].managed == 13);
    REQUIRE(result.free_areas.size() == 1);
    CHECK(result.free_areas[0].nr_free == std::array<std::uint64_t, 11>{3, 1, 0, 1});
}

TEST_CASE("Blocks merge over memory regions of one zone, not over nodes", "[kernel][free_all][M-A16][M-A20]") {
    Memblock m;
    m.add(0, 8 * MiB);
    m.set_node(0, ~std::uint64_t{0}, MemblockArray::memory, 0);
    m.mark_mirror(2 * MiB, 2 * MiB);  // two regions that touch
    ZoneState zones = zones_of(m);
    CHECK(memblock_free_all(m, zones, inputs_for(m)).free_areas[0].nr_free[10] == 2);

    Memblock two;
    two.add(0, 8 * MiB);
    two.set_node(0, 2 * MiB, MemblockArray::memory, 0);
    two.set_node(2 * MiB, 6 * MiB, MemblockArray::memory, 1);
    zones = zones_of(two);
    const FreeAll result = memblock_free_all(two, zones, inputs_for(two));
    REQUIRE(result.free_areas.size() == 2);
    CHECK(result.free_areas[0].nr_free[9] == 1);
    CHECK(result.free_areas[1].nr_free[9] == 1);
    CHECK(result.free_areas[1].nr_free[10] == 1);
}

TEST_CASE("Deferred memory counts as RAM and is freed later", "[kernel][free_all][M-A18][M-A19][M-A21]") {
    Memblock m;
    m.add(0x1000, 2 * GiB - 0x1000);
    m.set_node(0, ~std::uint64_t{0}, MemblockArray::memory, 0);
    ZoneState zones = zones_of(m);
    FreeAll result = memblock_free_all(m, zones, inputs_for(m));
    CHECK(result.freed == std::vector<NodePfnRange>{{1, 0x1'0000, 0}});
    CHECK(result.deferred == std::vector<NodePfnRange>{{0x1'0000, 0x8'0000, 0}});
    CHECK(result.totalram_pages == 0x7'ffff);
    CHECK(zones.nodes[0].zones[1].managed == 0xf000);
    free_deferred(zones, result);
    CHECK(zones.nodes[0].zones[1].managed == 0x7'f000);
    CHECK(result.free_areas[1].nr_free[10] == 0x7'f000 / 1024);
    CHECK(zones.nodes[0].first_deferred_pfn == no_deferred_pfn);
}

TEST_CASE("Reserved regions get node ids from 6.6 on; 6.6 spreads them upwards", "[kernel][free_all][M-A15]") {
    const auto nids = [](std::string_view release) {
        Memblock m;
        m.add(MiB, MiB);
        m.add(3 * MiB, MiB);
        m.set_node(0, 2 * MiB, MemblockArray::memory, 0);
        m.set_node(2 * MiB, 2 * MiB, MemblockArray::memory, 1);
        m.reserve(MiB, 0x1000);
        m.reserve(5 * MiB / 2, 0x1000);  // in no memory
        m.reserve(3 * MiB, 0x1000);
        ZoneState zones = zones_of(m);
        memblock_free_all(m, zones, inputs_for(m, release));
        return std::vector<int>{m.reserved.regions[0].nid, m.reserved.regions[1].nid, m.reserved.regions[2].nid};
    };
    CHECK(nids("6.1") == std::vector<int>{1024, 1024, 1024});
    CHECK(nids("6.6") == std::vector<int>{0, 0, 1});  // node 0's region [1 MiB, 2 MiB) is set from 1 to 3 MiB
    CHECK(nids("6.12") == std::vector<int>{0, 1024, 1});
}

TEST_CASE("The closed form is what freeing page by page leads to", "[kernel][free_all][property][M-A20][M-A22]") {
    CHECK(rc::check("any memory, any order", [] {
        Memblock m = any_memory();
        ZoneState zones = zones_of(m);
        const Memblock before = m;
        const FreeAll result = memblock_free_all(m, zones, inputs_for(m));
        RC_ASSERT(result.deferred.empty());  // memory ends below the 32769th page
        std::vector<std::uint64_t> order;
        for (const NodePfnRange& range : result.freed) {
            for (std::uint64_t pfn = range.start; pfn < range.end; ++pfn) {
                order.push_back(pfn);
            }
        }
        const auto step = *rc::gen::inRange<std::size_t>(1, 5000);
        for (std::size_t i = 0; i < order.size(); ++i) {
            std::swap(order[i], order[(i * step + step) % order.size()]);
        }
        for (const ZoneFreeArea& area : result.free_areas) {
            const Zone& zone = zones.node(area.nid)->zones[static_cast<std::size_t>(area.type)];
            BuddySet buddy;
            for (const std::uint64_t pfn : order) {
                if (zone.contains(pfn) && before.search_pfn_nid(pfn) == area.nid) {
                    buddy.free(pfn, 0);
                }
            }
            RC_ASSERT(buddy.nr_free() == area.nr_free);
            RC_ASSERT(area.free_pages() == zone.managed);
        }
        // M-A22: every page of RAM is free or touched by a reservation (or lost at a region's ragged end).
        std::uint64_t present = 0;
        before.for_each_mem_pfn_range(numa_no_node, [&](std::uint64_t start, std::uint64_t end, int) {
            for (std::uint64_t pfn = start; pfn < end; ++pfn) {
                bool reserved = false;
                for (const NodePfnRange& range : result.reserved) {
                    reserved = reserved || (range.start <= pfn && pfn < range.end);
                }
                present += reserved ? 0 : 1;
            }
        });
        RC_ASSERT(present == result.totalram_pages);
    }));
}
