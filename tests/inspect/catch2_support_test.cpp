// SPDX-License-Identifier: GPL-2.0-only
// The matchers that users test their own tables with: what they accept, and what they say when they do not.
#include "pgsim/formats/capture_space.hpp"
#include "pgsim/testing/catch2.hpp"
#include "support/catch.hpp"
#include "support/data.hpp"

using namespace pgsim;
using namespace pgsim::testing;

namespace {

AddressSpace at(const std::string& checkpoint) {
    static const formats::Capture boot = formats::read_capture(test::data_path("captures/k6.1-1g-4l.json.xz"));
    return formats::address_space(*boot.find(checkpoint));
}

template <class Matcher>
std::string failure(const AddressSpace& space, const Matcher& matcher) {
    REQUIRE_FALSE(matcher.match(space));
    return matcher.describe();
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("A real kernel's tables, as a course would test them", "[testing]") {
    const AddressSpace exit = at("init_mem_mapping.exit");
    CHECK_THAT(exit, MapsTo(0xffffffff81000000_va, 0x1000000_pa).size(PageSize::k2M).executable().writable().global());
    CHECK_THAT(exit, MapsTo(0xffff888000000123_va, 0x123_pa).size(PageSize::k4K).executable(false).supervisor());
    CHECK_THAT(exit, FaultsWith(0x1000_va, 0x0));
    CHECK_THAT(exit, FaultsWith(0xffff888000000000_va, 0x7).on({.kind = AccessKind::write, .cpl = 3}));
    CHECK_THAT(exit, FaultsWith(0xffff888000000000_va, 0x11).on({.kind = AccessKind::fetch}));
    CHECK_THAT(exit, HasEntry(0xffffffff81000000_va, Level::pml4, 0x2a15067));
    CHECK_THAT(exit, CoversDirectMap(0xffff888000000000_va, {0_pa, 0x3ffe0000_pa}));
    CHECK_THAT(at("decompressor.startup_64"), IsIdentityMapped({0_pa, 0x100000000_pa}));
    CHECK_THAT(at("sparse_init.entry"), SameTablesAs(at("initmem_init.exit")));
}

TEST_CASE("A failed match shows the walk, or the entries that differ", "[testing]") {
    const AddressSpace exit = at("init_mem_mapping.exit");
    const std::string wrong_page = failure(exit, MapsTo(0xffffffff81000000_va, 0x2000000_pa).size(PageSize::k1G));
    CHECK(contains(wrong_page, "maps 0xffffffff81000000 to 0x2000000 by a page of 1G"));
    CHECK(contains(wrong_page, "0x2a16040: PDE 0x10001e3"));
    CHECK_FALSE(MapsTo(0xffffffff81000000_va, 0x1000000_pa).user().match(exit));
    CHECK_FALSE(MapsTo(0xffffffff81000000_va, 0x1000000_pa).executable(false).match(exit));
    CHECK_FALSE(MapsTo(0xffffffff81000000_va, 0x1000000_pa).writable(false).match(exit));
    CHECK_FALSE(MapsTo(0xffffffff81000000_va, 0x1000000_pa).global(false).match(exit));
    CHECK(contains(failure(exit, FaultsWith(0xffffffff81000000_va, 0)), "faults on read at CPL 0"));
    CHECK_FALSE(FaultsWith(0x1000_va, 0x1).match(exit));
    CHECK(contains(failure(exit, HasEntry(0xffffffff81000000_va, Level::pt, 1)), "has the PTE 0x1"));
    CHECK_FALSE(HasEntry(0xffffffff81000000_va, Level::pml4, 0x2a15047).with_accessed_dirty().match(exit));
    CHECK(contains(failure(exit, CoversDirectMap(0xffff888000000000_va, {0_pa, 0x40000000_pa})),
                   "nothing maps physical address 0x3ffe0000"));
    CHECK(contains(failure(exit, CoversDirectMap(0xffffffff80000000_va, {0x1000000_pa, 0x8000000_pa})),
                   "nothing maps physical address 0x4600000"));
    CHECK_FALSE(IsIdentityMapped({0_pa, 0x1000_pa}).match(exit));
    CHECK(contains(failure(exit, SameTablesAs(at("init_mem_mapping.entry"))), "the roots or levels differ"));
    CHECK(contains(failure(exit, SameTablesAs(at("buddy.exit"))), "entries differ"));
    CHECK(Catch::StringMaker<AddressSpace>::convert(exit) == "address space with root 0x2a10000, 4 levels");
}

TEST_CASE("Addresses are canonical, and many lie at borders", "[testing]") {
    const VirtAddr virt = GENERATE(take(200, canonical_addresses(4)));
    CHECK(CanonicalAddr::check(virt, PagingMode::four_level));
    const VirtAddr wide = GENERATE(take(1, canonical_addresses(5, 7)));
    CHECK(CanonicalAddr::check(wide, PagingMode::five_level));
}

TEST_CASE("Memory maps ascend and do not touch", "[testing]") {
    const std::vector<PhysRange> map = GENERATE(take(100, memory_maps(16 * GiB)));
    REQUIRE_FALSE(map.empty());
    for (std::size_t i = 0; i < map.size(); ++i) {
        CHECK_FALSE(map[i].empty());
        CHECK(map[i].end() <= PhysAddr{16 * GiB});
        CHECK(map[i].start().is_aligned(4096));
        if (i > 0) {
            CHECK(map[i - 1].end() < map[i].start());
        }
    }
}
