// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/zones.hpp"

#include <rapidcheck.h>
#include <map>

#include "pgsim/base/units.hpp"
#include "support/catch.hpp"

using namespace pgsim;
using namespace pgsim::kernel;

namespace {

constexpr std::size_t dma = 0, dma32 = 1, normal = 2, movable = 3;

Memblock memory_of(const std::vector<MemblockRegion>& regions) {
    Memblock m;
    for (const MemblockRegion& region : regions) {
        m.add(region.base, region.size);
        m.set_node(region.base, region.size, MemblockArray::memory, region.nid);
        if (region.flags != 0) {
            m.mark_hotplug(region.base, region.size);
        }
    }
    return m;
}

ZoneInputs inputs_for(const Memblock& m) {
    ZoneInputs inputs;
    inputs.max_low_pfn = m.end_of_dram() >> 12;
    return inputs;
}

/// q35 with 4 GiB.
Memblock q35() {
    return memory_of({{0x1000, 0x9e000, 0, 0}, {MiB, 0x7fee'0000, 0, 0}, {4 * GiB, 2 * GiB, 0, 0}});
}

}  // namespace

TEST_CASE("The zones of a 4 GiB machine", "[kernel][zones][R8.11][R8.12][M-A7]") {
    const Memblock m = q35();
    ZoneInputs inputs = inputs_for(m);
    inputs.dma_reserve = 158;
    const ZoneState state = free_area_init(m, inputs);
    REQUIRE(state.nodes.size() == 1);
    const Node& node = state.nodes[0];
    CHECK(node.zones[dma] == Zone{0, ZoneType::dma, 1, 4095, 3998, 3776});
    CHECK(node.zones[dma32] == Zone{0, ZoneType::dma32, 4096, 1044480, 520160, 512032});
    CHECK(node.zones[normal] == Zone{0, ZoneType::normal, 0x10'0000, 524288, 524288, 516096});
    CHECK(node.zones[movable] == Zone{0, ZoneType::movable, 0, 0, 0, 0});
    CHECK(node.first_deferred_pfn == 0x10'8000);
    CHECK(node.start_pfn == 1);
    CHECK(node.spanned_pages == 0x17'ffff);
    CHECK(state.zone_of(0, 0x10'0000)->type == ZoneType::normal);
    CHECK(state.zone_of(0, 0x18'0000) == nullptr);

    inputs.series = KernelSeries::of("6.12");
    CHECK(free_area_init(m, inputs).nodes[0].zones[dma].managed == 3998);
}

TEST_CASE("Deferred initialisation begins at a section after 32768 pages", "[kernel][zones][R8.17][M-A12]") {
    const Memblock m = memory_of({{0x1000, 2 * GiB - 0x1000, 0, 0}});
    ZoneInputs inputs = inputs_for(m);
    CHECK(free_area_init(m, inputs).nodes[0].first_deferred_pfn == 0x1'0000);  // the example of M-A12
    inputs.deferred_struct_page_init = false;
    CHECK(free_area_init(m, inputs).nodes[0].first_deferred_pfn == no_deferred_pfn);
    const Memblock small = memory_of({{0x1000, 128 * MiB, 0, 0}});
    CHECK(free_area_init(small, inputs_for(small)).nodes[0].first_deferred_pfn == no_deferred_pfn);
}

TEST_CASE("dma_reserve is the RAM below 16 MiB that is not free", "[kernel][zones][R8.12]") {
    Memblock m = q35();
    m.reserve(0, MiB);
    CHECK(find_dma_reserve(m) == 158);
    m.reserve(2 * MiB, 100);
    m.reserve(15 * MiB, 64 * MiB);
    CHECK(find_dma_reserve(m) == 158 + 1 + 256);
}

TEST_CASE("movablecore= leaves the lower part of each node to the kernel", "[kernel][zones][R8.11a][M-A4]") {
    // Two nodes of 2 GiB; all below 4 GiB is kernelcore because NORMAL is the highest zone.
    const Memblock m = memory_of({{0, 2 * GiB, 0, 0}, {4 * GiB, 2 * GiB, 0, 1}});
    ZoneInputs inputs = inputs_for(m);
    inputs.params.required_movablecore = GiB >> 12;
    const ZoneState state = free_area_init(m, inputs);
    // kernelcore = 3 GiB. First round: node 0 counts as 2 GiB, all of it being below the zone; of the 1 GiB left,
    // half a GiB is laid on each node, so node 1 gets to 4.5 GiB. Second round: the other half, to 5 GiB.
    CHECK(state.zone_movable_pfn[0] == 0);
    CHECK(state.zone_movable_pfn[1] == (5 * GiB) >> 12);
    CHECK(state.nodes[1].zones[normal].present == GiB >> 12);
    CHECK(state.nodes[1].zones[movable].present == GiB >> 12);
}

TEST_CASE("kernelcore= of everything or nothing makes no movable zone", "[kernel][zones][R8.11a]") {
    const Memblock m = q35();
    for (const std::uint64_t pages : {std::uint64_t{0}, (4 * GiB) >> 12}) {
        ZoneInputs inputs = inputs_for(m);
        inputs.params.required_kernelcore = pages;
        CHECK(free_area_init(m, inputs).nodes[0].zones[movable].spanned == 0);
    }
}

TEST_CASE("movable_node makes hotpluggable memory movable", "[kernel][zones][R8.11a]") {
    const Memblock m = memory_of(
        {{0, 2 * GiB, 0, 0}, {4 * GiB, GiB + MiB, 0, 1}, {5 * GiB + MiB, GiB - MiB, memblock_flag::hotplug, 1}});
    ZoneInputs inputs = inputs_for(m);
    inputs.params.movable_node = true;
    const ZoneState state = free_area_init(m, inputs);
    CHECK(state.zone_movable_pfn[1] == (5 * GiB + 4 * MiB) >> 12);  // rounded up to 1024 pages
    CHECK(state.nodes[1].zones[movable].end_pfn() == (6 * GiB) >> 12);
    CHECK(state.nodes[1].zones[normal].end_pfn() == state.zone_movable_pfn[1]);
}

TEST_CASE("Watermarks of whole machines", "[kernel][zones][M-A26][M-A27][M-A28][M-A29][M-A30]") {
    const auto zone = [](std::uint64_t pages, ZoneType type, int nid = 0) {
        Zone z;
        z.nid = nid;
        z.type = type;
        z.spanned = z.present = z.managed = pages;
        return z;
    };
    const auto state_of = [](const std::vector<Zone>& zones) {
        ZoneState state;
        for (const Zone& z : zones) {
            while (static_cast<int>(state.nodes.size()) <= z.nid) {
                state.nodes.emplace_back();
                state.nodes.back().nid = static_cast<int>(state.nodes.size()) - 1;
            }
            state.nodes[static_cast<std::size_t>(z.nid)].zones[static_cast<std::size_t>(z.type)] = z;
        }
        return state;
    };
    SECTION("min_free_kbytes grows with the square root") {
        const std::map<std::uint64_t, std::uint64_t> wanted{
            {128 * MiB, 1448}, {GiB, 4096}, {2 * GiB, 5792}, {4 * GiB, 8192}, {16 * GiB, 16384}};
        for (const auto& [bytes, kbytes] : wanted) {
            CHECK(setup_watermarks(state_of({zone(bytes >> 12, ZoneType::dma32)}), {}).min_free_kbytes == kbytes);
        }
        CHECK(setup_watermarks(state_of({zone(100, ZoneType::dma)}), {}).min_free_kbytes == 128);
        CHECK(setup_watermarks(state_of({zone(TiB * 64 >> 12, ZoneType::normal)}), {}).min_free_kbytes == 262144);
    }
    SECTION("three zones") {
        // By hand: lowmem 4000 + 500000 + 520000 pages = 4096000 KiB, sqrt(65536000) = 8095; pages_min 2023.
        const ZoneState state =
            state_of({zone(4000, ZoneType::dma), zone(500000, ZoneType::dma32), zone(520000, ZoneType::normal)});
        const Watermarks marks = setup_watermarks(state, {});
        CHECK(marks.min_free_kbytes == 8095);
        REQUIRE(marks.zones.size() == 3);
        CHECK(marks.zones[0].min == 7);   // 2023 * 4000 / 1024000 = 7.9
        CHECK(marks.zones[0].low == 11);  // + max(7/4, 4)
        CHECK(marks.zones[0].high == 15);
        CHECK(marks.zones[0].promo == 19);
        CHECK(marks.zones[1].min == 987);
        CHECK(marks.zones[1].low == 987 + 500);
        CHECK(marks.zones[2].min == 1027);
        CHECK(marks.zones[2].low == 1027 + 520);
        CHECK(marks.zones[0].lowmem_reserve == std::array<std::uint64_t, 5>{0, 1953, 3984, 3984, 3984});
        CHECK(marks.zones[1].lowmem_reserve == std::array<std::uint64_t, 5>{0, 0, 2031, 2031, 2031});
        CHECK(marks.zones[2].lowmem_reserve == std::array<std::uint64_t, 5>{0, 0, 0, 0, 0});
        CHECK(marks.totalreserve_pages == (3984 + 15) + (2031 + 987 + 1000) + (1027 + 1040));
        CHECK(marks.zones[0].pcp_batch == 1);
        CHECK(marks.zones[1].pcp_batch == 63);
        CHECK(marks.zones[1].pcp_high == 1487);
        CHECK(setup_watermarks(state, {false, {8}}).zones[1].pcp_high == 4 * 63);
    }
    SECTION("with transparent huge pages") {
        const Zone d = zone(4000, ZoneType::dma);
        const Zone d32 = zone(500000, ZoneType::dma32);
        CHECK(setup_watermarks(state_of({d, d32, zone(520000, ZoneType::normal)}), {true, {}}).min_free_kbytes ==
              67584);
        CHECK(setup_watermarks(state_of({d, d32}), {true, {}}).min_free_kbytes == 45056);
    }
    SECTION("a movable zone has its own min and no part in the share") {
        const ZoneState state = state_of(
            {zone(500000, ZoneType::dma32), zone(520000, ZoneType::movable), zone(520000, ZoneType::normal, 1)});
        const Watermarks marks = setup_watermarks(state, {});
        CHECK(marks.min_free_kbytes == 8079);  // sqrt(16 * 4 * 1020000)
        CHECK(marks.zones[1].min == 128);
        CHECK(marks.zones[0].lowmem_reserve[3] == 2031);
        CHECK(marks.zones[2].min == 2019 * 520000 / 1020000);
    }
}

namespace {

/// Every page counted on its own. [spec M-A3, M-A5, M-A6, M-A12]
struct PageCount {
    std::map<std::pair<int, int>, std::uint64_t> present;
    std::map<int, std::uint64_t> first, last;
};

PageCount count_pages(const Memblock& m) {
    PageCount count;
    m.for_each_mem_pfn_range(numa_no_node, [&](std::uint64_t start, std::uint64_t end, int nid) {
        for (std::uint64_t pfn = start; pfn < end; ++pfn) {
            ++count.present[{nid, pfn < 0x1000 ? 0 : pfn < 0x10'0000 ? 1 : 2}];
        }
        count.first.try_emplace(nid, start);
        count.last[nid] = end;
    });
    return count;
}

/// The kernel's defer_init, page by page.
std::map<int, std::uint64_t> deferred_by_page(const Memblock& m, const ZoneState& state) {
    std::map<int, std::uint64_t> first;
    std::uint64_t prev_end = 0;
    std::uint64_t initialised = 0;
    m.for_each_mem_pfn_range(numa_no_node, [&](std::uint64_t start, std::uint64_t end, int nid) {
        for (std::uint64_t pfn = start; pfn < end; ++pfn) {
            const Zone* const zone = state.zone_of(nid, pfn);
            if (prev_end != zone->end_pfn()) {
                prev_end = zone->end_pfn();
                initialised = 0;
            }
            if (zone->end_pfn() < state.node(nid)->end_pfn() || first.count(nid) != 0) {
                continue;
            }
            if (++initialised > 32768 && pfn % 32768 == 0) {
                first[nid] = pfn;
            }
        }
    });
    return first;
}

Memblock any_memory() {
    Memblock m;
    const std::vector<std::uint64_t> starts{0, 0x800, 0xf00, 0x1000, 0x8000, 0xfff00, 0x10'0000, 0x10'8000, 0x11'4000};
    const int length = *rc::gen::inRange(1, 7);
    for (int i = 0; i < length; ++i) {
        const std::uint64_t start = *rc::gen::elementOf(starts) + *rc::gen::inRange<std::uint64_t>(0, 0x600);
        const std::uint64_t bytes = *rc::gen::inRange<std::uint64_t>(1, *rc::gen::element(0x300, 0x18000)) * 4096 +
                                    *rc::gen::element<std::uint64_t>(0, 0x800);
        m.add(start * 4096, bytes);
    }
    for (int i = 0; i < 3; ++i) {
        const std::uint64_t at = (*rc::gen::elementOf(starts) + *rc::gen::inRange<std::uint64_t>(0, 0x600)) * 4096;
        m.set_node(i == 0 ? 0 : at, ~std::uint64_t{0}, MemblockArray::memory, *rc::gen::inRange(0, 3));
    }
    return m;
}

}  // namespace

TEST_CASE("Zones agree with counting pages", "[kernel][zones][property][M-A3][M-A6][M-A12]") {
    CHECK(rc::check("any memory, any nodes", [] {
        const Memblock m = any_memory();
        const ZoneState state = free_area_init(m, inputs_for(m));
        PageCount count = count_pages(m);
        RC_ASSERT(state.nodes.size() == count.first.size());
        const auto deferred = deferred_by_page(m, state);
        for (const Node& node : state.nodes) {
            RC_ASSERT(node.start_pfn == count.first[node.nid]);
            RC_ASSERT(node.end_pfn() == count.last[node.nid]);
            for (std::size_t i = 0; i < max_nr_zones; ++i) {
                RC_ASSERT(node.zones[i].present == (count.present[{node.nid, static_cast<int>(i)}]));
                RC_ASSERT(node.zones[i].spanned >= node.zones[i].present);
            }
            const auto found = deferred.find(node.nid);
            RC_ASSERT(node.first_deferred_pfn == (found == deferred.end() ? no_deferred_pfn : found->second));
        }
    }));
}

TEST_CASE("A movable zone takes pages from other zones and loses none", "[kernel][zones][property][R8.11a]") {
    CHECK(rc::check("any memory, any kernelcore", [] {
        const Memblock m = any_memory();
        const ZoneState plain = free_area_init(m, inputs_for(m));
        ZoneInputs inputs = inputs_for(m);
        inputs.params.required_kernelcore = *rc::gen::inRange<std::uint64_t>(0, 0x20000);
        inputs.params.required_movablecore = *rc::gen::inRange<std::uint64_t>(0, 0x20000);
        const ZoneState state = free_area_init(m, inputs);
        std::uint64_t movable_pages = 0;
        for (std::size_t n = 0; n < state.nodes.size(); ++n) {
            const Node& node = state.nodes[n];
            RC_ASSERT(node.present_pages == plain.nodes[n].present_pages);
            RC_ASSERT(node.spanned_pages == plain.nodes[n].spanned_pages);
            const Zone& zone = node.zones[movable];
            RC_ASSERT(zone.start_pfn % 1024 == 0);
            RC_ASSERT((zone.spanned == 0 || zone.end_pfn() == node.end_pfn()));
            movable_pages += zone.present;
        }
        const bool asked = inputs.params.required_kernelcore != 0 || inputs.params.required_movablecore != 0;
        RC_ASSERT((asked || movable_pages == 0));
    }));
}
