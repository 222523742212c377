// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/inspect/address_space.hpp"

#include <rapidcheck.h>

#include <map>

#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/formats/capture_space.hpp"
#include "pgsim/inspect/space_statistics.hpp"
#include "support/catch.hpp"
#include "support/data.hpp"

using namespace pgsim;

namespace {

constexpr std::uint64_t nx = std::uint64_t{1} << 63;

// Tables written by hand into a memory that is all RAM.
struct HandMade {
    PhysicalMemory memory;
    HandMade() { memory.map_region({PhysAddr{0}, PhysAddr{1 * TiB}}, RegionKind::ram); }
    HandMade& put(std::uint64_t table, unsigned index, std::uint64_t value) {
        memory.write64(PhysAddr{table + index * 8}, value);
        return *this;
    }
    [[nodiscard]] AddressSpace space(std::uint64_t root = 0x1000, unsigned levels = 4) const {
        return {memory.snapshot(), RootRef{PhysAddr{root}, levels}};
    }
};

// A kernel's direct map in small: 2 MiB in 4-KByte pages, then two 2-MByte pages, then a 1-GByte page.
HandMade small_direct_map() {
    HandMade tables;
    tables.put(0x1000, 273, 0x2067).put(0x2000, 0, 0x3067).put(0x2000, 1, nx | 0x400001e3).put(0x3000, 0, 0x4067);
    for (unsigned i = 0; i < 512; ++i) {
        tables.put(0x4000, i, nx | i << 12 | 0x163);
    }
    return std::move(tables.put(0x3000, 1, nx | 0x2001e3).put(0x3000, 2, nx | 0x4001e3));
}

formats::Capture capture(const std::string& name) {
    return formats::read_capture(test::data_path("captures/" + name + ".json.xz"));
}

}  // namespace

TEST_CASE("Tables are listed once per address and level, highest level first, then by address", "[inspect]") {
    // As every capture does it. [captures FORMAT "tables"]
    for (const char* name : {"k6.1-4g-numa2", "k6.1-1g-5l-kaslr-pti", "k6.12-1g-4l-2m"}) {
        for (const formats::CaptureCheckpoint& checkpoint : capture(name).checkpoints) {
            INFO(name << " " << checkpoint.name);
            std::vector<RootRef> roots{{PhysAddr{checkpoint.root}, checkpoint.levels}};
            for (const formats::CaptureRoot& root : checkpoint.extra_roots) {
                roots.push_back({PhysAddr{root.pa}, root.levels});
            }
            CHECK(formats::capture_tables(formats::memory_of(checkpoint), roots) == checkpoint.tables);
        }
    }
}

TEST_CASE("Pages join to ranges by rights, size and type", "[inspect]") {
    const AddressSpace space = small_direct_map().space();
    const RangeList list = space.ranges();
    REQUIRE(list.complete);
    REQUIRE(list.ranges.size() == 3);
    CHECK(list.ranges[0].virt == 0xffff888000000000_va);
    CHECK(list.ranges[0].phys == 0_pa);
    CHECK(list.ranges[0].bytes == 2 * MiB);
    CHECK(list.ranges[0].page_size == PageSize::k4K);
    CHECK(list.ranges[1].bytes == 4 * MiB);
    CHECK(list.ranges[2].virt == 0xffff888040000000_va);
    CHECK(list.ranges[2].page_size == PageSize::k1G);
    CHECK(list.ranges[2].rights == AccessRights{true, false, false});
    CHECK(list.ranges[2].attributes.global);

    SECTION("sizes may be merged, then only the hole separates") {
        const RangeList merged = space.ranges({.by_page_size = false});
        REQUIRE(merged.ranges.size() == 2);
        CHECK(merged.ranges[0].bytes == 6 * MiB);
        CHECK(merged.ranges[1].bytes == 1 * GiB);
    }
    SECTION("accessed and dirty split ranges only when asked") {
        HandMade tables = small_direct_map();
        tables.put(0x4000, 7, nx | 7 << 12 | 0x103);
        CHECK(tables.space().ranges().ranges.size() == 3);
        CHECK(tables.space().ranges({.by_accessed_dirty = true}).ranges.size() == 5);
    }
    SECTION("physical contiguity may be left out") {
        HandMade tables = small_direct_map();
        tables.put(0x4000, 7, nx | 0x9000 << 12 | 0x163);
        CHECK(tables.space().ranges().ranges.size() == 5);
        const RangeList merged = tables.space().ranges({.contiguous = false});
        REQUIRE(merged.ranges.size() == 3);
        CHECK_FALSE(merged.ranges[0].contiguous);
        CHECK(merged.ranges[1].contiguous);
    }
    SECTION("rights are those of the whole path") {
        HandMade tables = small_direct_map();
        tables.put(0x2000, 0, nx | 0x3061);  // R/W = 0 and XD at the PDPTE
        CHECK_FALSE(tables.space().ranges().ranges[0].rights.writable);
    }
}

TEST_CASE("Filters choose pages by address, rights, size and physical range", "[inspect]") {
    const AddressSpace space = small_direct_map().space();
    const auto count = [&](const PageFilter& filter) {
        std::uint64_t pages = 0;
        space.for_each_page(filter, [&](const Mapping&) { return ++pages != 0; });
        return pages;
    };
    CHECK(count({}) == 515);
    CHECK(count({.size = PageSize::k2M}) == 2);
    CHECK(count({.writable = false}) == 0);
    CHECK(count({.executable = false}) == 515);
    CHECK(count({.user = true}) == 0);
    CHECK(count({.first = 0xffff888000001fff_va, .last = 0xffff888000003000_va}) == 3);
    CHECK(count({.first = 0xffff888000200001_va, .last = 0xffff888000200001_va}) == 1);
    CHECK(count({.first = VirtAddr{5}, .last = VirtAddr{4}}) == 0);
    CHECK(count({.phys = PhysRange{0x1ff000_pa, 0x200001_pa}}) == 2);
    CHECK(count({.phys = PhysRange{0x7fffffff_pa, 0x80000000_pa}}) == 1);
}

TEST_CASE("Who maps a physical page: every alias, in the order of linear addresses", "[inspect]") {
    // 6.1 at init_mem_mapping.exit maps _text (0x1000000) in the direct map and at __START_KERNEL_map.
    const formats::Capture boot = capture("k6.1-1g-4l");
    const AddressSpace space = formats::address_space(*boot.find("init_mem_mapping.exit"));
    const std::vector<Mapping> found = space.mappings_of(0x1000000_pa);
    REQUIRE(found.size() == 2);
    CHECK(found[0].virt <= 0xffff888001000000_va);
    CHECK(found[1].virt == 0xffffffff81000000_va);
    CHECK(found[1].size == PageSize::k2M);
    CHECK(space.mappings_of(0xdead000000_pa).empty());
}

TEST_CASE("Entries are visited in the order of linear addresses, tables before what they hold", "[inspect]") {
    const AddressSpace space = small_direct_map().space();
    std::vector<std::pair<Level, std::uint64_t>> seen;
    const bool complete = space.for_each_entry([&](const EntryVisit& visit) {
        if (visit.kind != EntryKind::not_present &&
            (visit.entry.level() != Level::pt || visit.virt.offset_in(2 * MiB) == 0)) {
            seen.emplace_back(visit.entry.level(), visit.entry_addr.value());
        }
        return VisitNext::descend;
    });
    CHECK(complete);
    CHECK(seen == std::vector<std::pair<Level, std::uint64_t>>{{Level::pml4, 0x1000 + 273 * 8},
                                                               {Level::pdpt, 0x2000},
                                                               {Level::pd, 0x3000},
                                                               {Level::pt, 0x4000},
                                                               {Level::pd, 0x3008},
                                                               {Level::pd, 0x3010},
                                                               {Level::pdpt, 0x2008}});
}

TEST_CASE("A range may end at the last byte of the address space", "[inspect]") {
    HandMade tables;
    tables.put(0x1000, 511, 0x2003).put(0x2000, 511, 0x3003).put(0x3000, 511, 0x4003).put(0x4000, 511, 0x5003);
    const RangeList list = tables.space().ranges();
    REQUIRE(list.ranges.size() == 1);
    CHECK(list.ranges[0].virt == 0xfffffffffffff000_va);
    CHECK(list.ranges[0].last() == 0xffffffffffffffff_va);
    CHECK(to_string(list.ranges[0]) == "0xfffffffffffff000-0xffffffffffffffff -> 0x5000 4 KiB 4K pages rwx supervisor");
}

TEST_CASE("Statistics count tables, pages, rights, aliases and what is wrong", "[inspect]") {
    const SpaceStatistics plain = statistics(small_direct_map().space());
    CHECK(plain.tables[4] == 1);
    CHECK(plain.tables[3] == 1);
    CHECK(plain.tables[1] == 1);
    CHECK(plain.table_bytes() == 4 * 4096);
    CHECK(plain.pages_4k == 512);
    CHECK(plain.pages_2m == 2);
    CHECK(plain.pages_1g == 1);
    CHECK(plain.mapped_bytes == 1 * GiB + 6 * MiB);
    CHECK(plain.writable_executable_bytes == 0);
    CHECK(plain.aliased_bytes == 0);
    CHECK(plain.loops == 0);

    HandMade odd = small_direct_map();
    odd.put(0x1000, 511, 0x1063);   // the PML4 names itself: a loop, with everything mapped again
    odd.put(0x3000, 3, 0x2001e3);   // the page at 0x200000 again, executable
    odd.put(0x3000, 4, 0x4001fb);   // the page at 0x400000 again, PCD and PWT: index 3, UC
    odd.put(0x3000, 5, 0x6021e3);   // bit 13 of a 2-MByte page's address is reserved
    odd.put(0x3000, 6, 0xdead000);  // not present, not zero
    const SpaceStatistics counted = statistics(odd.space());
    CHECK(counted.loops > 0);
    CHECK(counted.reserved_entries > 0);
    CHECK(counted.writable_executable_bytes > 0);
    CHECK(counted.type_conflict_bytes == 2 * MiB);
    CHECK(counted.not_present_not_zero > 0);
    CHECK(counted.complete);
}

TEST_CASE("Hostile tables end every search", "[inspect]") {
    // Each of 512 entries names the same next table: 2^36 pages in four tables.
    HandMade tables;
    for (unsigned i = 0; i < 512; ++i) {
        tables.put(0x1000, i, 0x2007).put(0x2000, i, 0x3007).put(0x3000, i, 0x4007).put(0x4000, i, 0x5007);
    }
    const AddressSpace space = tables.space();
    CHECK(space.tables().size() == 4);
    const RangeList list = space.ranges({.max_ranges = 10000});
    CHECK_FALSE(list.complete);
    CHECK(list.ranges.size() == 10000);

    // A table that names itself on every level.
    HandMade self;
    for (unsigned i = 0; i < 512; ++i) {
        self.put(0x1000, i, 0x1007);
    }
    CHECK(self.space().tables().size() == 4);
    CHECK(self.space(0x1000, 5).tables().size() == 5);
    CHECK_FALSE(self.space().ranges({.max_ranges = 1000}).complete);

    // Tables outside memory read as ones.
    HandMade outside;
    outside.put(0x1000, 0, 0xffff'ffff'f000 | 7);
    CHECK(outside.space().ranges().complete);
    CHECK_THROWS_AS(outside.space(0x1008), Error);
    CHECK_THROWS_AS(outside.space(0x1000, 3), Error);
}

TEST_CASE("The address space says of every address what the walker says", "[inspect][property]") {
    rc::check("random tables", [] {
        HandMade tables;
        const bool five = *rc::gen::arbitrary<bool>();
        // 16 tables that name each other at random, entries with random flags, few reserved bits.
        const auto entry = rc::gen::map(
            rc::gen::tuple(rc::gen::inRange<std::uint64_t>(1, 17), rc::gen::inRange<std::uint64_t>(0, 0x1000),
                           rc::gen::inRange(0, 8)),
            [](const std::tuple<std::uint64_t, std::uint64_t, int>& t) {
                const auto [frame, flags, extra] = t;
                return frame << 12 | flags | (extra == 0 ? nx : 0) | (extra == 1 ? std::uint64_t{1} << 45 : 0);
            });
        for (std::uint64_t table = 1; table <= 16; ++table) {
            for (int i = 0; i < 12; ++i) {
                tables.put(table << 12, *rc::gen::inRange(0U, 4U) * 170, *entry | (i % 3 != 0 ? 1 : 0));
            }
        }
        PagingControls controls;
        controls.mode = five ? PagingMode::five_level : PagingMode::four_level;
        controls.root = 0x1000_pa;
        controls.nxe = *rc::gen::arbitrary<bool>();
        controls.pages_1g = *rc::gen::arbitrary<bool>();
        controls.maxphyaddr = *rc::gen::element<std::uint8_t>(40, 52);
        controls.vendor = *rc::gen::element(Vendor::intel, Vendor::amd);
        const AddressSpace space{tables.memory.snapshot(), controls};
        std::map<std::uint64_t, Mapping> pages;
        space.for_each_page({}, [&](const Mapping& page) {
            pages.emplace(page.virt.value(), page);
            return pages.size() < 20000;
        });
        RC_PRE(pages.size() < 20000);
        // Every mix of the four indices that are in use.
        for (unsigned mix = 0; mix < (five ? 1024U : 256U); ++mix) {
            std::uint64_t linear = 0;
            for (unsigned level = 0; level < (five ? 5U : 4U); ++level) {
                linear |= std::uint64_t{(mix >> (2 * level) & 3) * 170} << (12 + 9 * level);
            }
            const unsigned unused = five ? 7 : 16;
            const VirtAddr virt{static_cast<std::uint64_t>(static_cast<std::int64_t>(linear << unused) >> unused)};
            const WalkResult walk = space.walk(virt);
            const auto after = pages.upper_bound(virt.value());
            const Mapping* page = after == pages.begin() ? nullptr : &std::prev(after)->second;
            if (page != nullptr && virt - page->virt >= bytes(page->size)) {
                page = nullptr;
            }
            RC_ASSERT((walk.translation() != nullptr) == (page != nullptr));
            if (page != nullptr) {
                RC_ASSERT(walk.translation()->phys == page->phys + (virt - page->virt));
                RC_ASSERT(walk.translation()->page_size == page->size);
                RC_ASSERT(walk.translation()->rights == page->rights);
                RC_ASSERT(walk.translation()->pat_index == page->attributes().pat_index);
            }
        }
    });
}
