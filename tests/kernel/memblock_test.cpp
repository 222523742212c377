// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/memblock.hpp"

#include "support/catch.hpp"

using namespace pgsim;
using namespace pgsim::kernel;

namespace {

constexpr int none = 1024;  // the nid of a region without a node

Memblock::Setup setup_6_6() {
    Memblock::Setup setup;
    setup.memory_array = VirtAddr{0xffff'ffff'82c0'6160};
    setup.reserved_array = VirtAddr{0xffff'ffff'82c0'5560};
    setup.page_offset_base = VirtAddr{0xffff'8880'0000'0000};
    return setup;
}

using Regions = std::vector<MemblockRegion>;

}  // namespace

TEST_CASE("Adding inserts exactly what is not covered and merges neighbours of equal node and flags",
          "[kernel][memblock][R5.14]") {
    Memblock m{setup_6_6()};
    m.add(0x3000, 0x1000);
    m.add(0x5000, 0x1000);
    CHECK(m.memory.regions == Regions{{0x3000, 0x1000, 0, none}, {0x5000, 0x1000, 0, none}});

    SECTION("the parts between and around existing regions are filled") {
        m.add(0x2000, 0x5000);
        CHECK(m.memory.regions == Regions{{0x2000, 0x5000, 0, none}});
        CHECK(m.memory.total_size == 0x5000);
    }
    SECTION("existing regions keep their node, so neighbours of another node stay apart") {
        m.set_node(0x3000, 0x1000, MemblockArray::memory, 0);
        m.add(0x2000, 0x5000);
        CHECK(m.memory.regions ==
              Regions{{0x2000, 0x1000, 0, none}, {0x3000, 0x1000, 0, 0}, {0x4000, 0x3000, 0, none}});
    }
    SECTION("what is covered already changes nothing") {
        m.add(0x3800, 0x100);
        CHECK(m.memory.regions.size() == 2);
        CHECK(m.memory.total_size == 0x2000);
    }
    SECTION("a range ends at 2^64 - 1 at the latest") {
        m.add(0xffff'ffff'ffff'f000, 0x10'0000);
        CHECK(m.end_of_dram() == 0xffff'ffff'ffff'ffff);
    }
    SECTION("size 0 adds nothing") {
        CHECK(m.add(0x9000, 0) == MemblockStatus::ok);
        CHECK(m.memory.regions.size() == 2);
    }
}

TEST_CASE("Removing splits regions at both ends", "[kernel][memblock][R5.14]") {
    Memblock m{setup_6_6()};
    m.reserve(0x1000, 0x9000);
    m.phys_free(0x3000, 0x2000);
    CHECK(m.reserved.regions == Regions{{0x1000, 0x2000, 0, none}, {0x5000, 0x5000, 0, none}});
    CHECK(m.reserved.total_size == 0x7000);
    m.phys_free(0, ~std::uint64_t{0});
    CHECK(m.reserved.regions.empty());
    CHECK(m.reserved.total_size == 0);
}

TEST_CASE("An empty array has cnt 1, in 6.12 cnt 0", "[kernel][memblock][R5.13]") {
    Memblock::Setup setup = setup_6_6();
    CHECK(Memblock{setup}.cnt(MemblockArray::memory) == 1);
    setup.empty_has_dummy = false;
    CHECK(Memblock{setup}.cnt(MemblockArray::memory) == 0);
}

TEST_CASE("Trimming makes memory whole pages and leaves total_size as it was", "[kernel][memblock][R5.14][R5.16]") {
    Memblock m{setup_6_6()};
    m.add(0x1000, 0x9ec00);  // q35: [0x1000, 0x9fc00)
    m.add(0x20'0800, 0x700);
    m.trim_memory(4096);
    CHECK(m.memory.regions == Regions{{0x1000, 0x9e000, 0, none}});
    CHECK(m.memory.total_size == 0x9ec00);  // k6.1-4g-numa2: total_size 0xfff7ec00 with [0x1000,0x9f000) and others
}

TEST_CASE("A region is memory only when one region holds all of it", "[kernel][memblock][R5.14]") {
    Memblock m{setup_6_6()};
    m.add(0x1000, 0x3000);
    CHECK(m.is_region_memory(0x1000, 0x3000));
    CHECK_FALSE(m.is_region_memory(0x1000, 0x3001));
    CHECK_FALSE(m.is_region_memory(0x800, 0x1000));
    m.set_node(0x2000, 0x2000, MemblockArray::memory, 1);
    CHECK_FALSE(m.is_region_memory(0x1000, 0x3000));
    CHECK(m.search_pfn_nid(3) == 1);
    CHECK_FALSE(m.search_pfn_nid(4));
}

TEST_CASE("A block is taken from the top, at the end minus the size rounded down", "[kernel][memblock][R5.15]") {
    Memblock m{setup_6_6()};
    m.add(0x1000, 0x10'0000 - 0x1000);
    m.reserve(0xf'f000, 0x1000);

    SECTION("the size itself is not rounded") {
        CHECK(m.alloc(73, 64) == PhysAddr{0xf'ef80});
        CHECK(m.reserved.regions == Regions{{0xf'ef80, 73, 0, none}, {0xf'f000, 0x1000, 0, none}});
    }
    SECTION("the gap that is left is found by a smaller block") {
        m.alloc(73, 64);
        CHECK(m.alloc(48, 16) == PhysAddr{0xf'efd0});
    }
    SECTION("bounds") {
        CHECK(m.phys_alloc_range(0x1000, 0x1000, 0x4000, 0x8000) == PhysAddr{0x7000});
        CHECK_FALSE(m.phys_alloc_range(0x1000, 0x1000, 0x8000, 0x8800));
    }
    SECTION("the first page is never given") {
        m.add(0, 0x1000);
        CHECK_FALSE(m.phys_alloc_range(0x1000, 0x1000, 0, 0x1000));
    }
    SECTION("bottom-up takes the lowest") {
        m.bottom_up = true;
        CHECK(m.phys_alloc_range(0x800, 0x2000, 0, 0) == PhysAddr{0x2000});
    }
    SECTION("current_limit bounds what has no bound of its own") {
        m.current_limit = 0x8000;
        CHECK(m.alloc(0x1000, 64) == PhysAddr{0x7000});
    }
}

TEST_CASE("Free ranges end where memory regions end", "[kernel][memblock][R5.15]") {
    Memblock m{setup_6_6()};
    m.add(0x10'0000, 0x10'0000);
    m.set_node(0x10'0000, 0x8'0000, MemblockArray::memory, 0);
    m.set_node(0x18'0000, 0x8'0000, MemblockArray::memory, 1);
    m.reserve(0x1f'0000, 0x1000);
    CHECK_FALSE(m.phys_alloc_range(0x9'0000, 0x1000, 0, 0));  // free on both sides of 0x180000, but not in one region

    std::vector<std::vector<std::uint64_t>> free;
    m.for_each_free_mem_range(numa_no_node, 0, [&](std::uint64_t start, std::uint64_t end, int nid) {
        free.push_back({start, end, static_cast<std::uint64_t>(nid)});
    });
    CHECK(free == std::vector<std::vector<std::uint64_t>>{
                      {0x10'0000, 0x18'0000, 0}, {0x18'0000, 0x1f'0000, 1}, {0x1f'1000, 0x20'0000, 1}});
}

TEST_CASE("A node is preferred, or demanded", "[kernel][memblock][R5.15]") {
    Memblock m{setup_6_6()};
    m.add(0x10'0000, 0x10'0000);
    m.set_node(0x10'0000, 0x8'0000, MemblockArray::memory, 0);
    m.set_node(0x18'0000, 0x8'0000, MemblockArray::memory, 1);
    CHECK(m.alloc_node(0x1000, 64, 0) == PhysAddr{0x17'f000});
    CHECK(m.phys_alloc_try_nid(0x1000, 64, 1) == PhysAddr{0x1f'f000});
    CHECK(m.alloc_node(0x7'f001, 1, 0) == std::nullopt);  // fits on neither node
    m.phys_free(0x1f'f000, 0x1000);
    CHECK(m.alloc_node(0x8'0000, 1, 0) == PhysAddr{0x18'0000});  // node 0 is too full: node 1
    CHECK_FALSE(m.alloc_exact_nid_raw(0x8'0000, 1, 0, 0, 0));
}

TEST_CASE("The virtual allocators drop the lower bound when nothing is above it", "[kernel][memblock][R5.15]") {
    Memblock m{setup_6_6()};
    m.add(0x1000, 0xf'f000);
    CHECK(m.alloc_try_nid(0x1000, 64, 0x100'0000, 0, numa_no_node) == PhysAddr{0xf'f000});
    CHECK_FALSE(m.phys_alloc_range(0x1000, 64, 0x100'0000, 0));
}

TEST_CASE("With movable_node, hotpluggable memory is skipped", "[kernel][memblock][R5.15]") {
    Memblock m{setup_6_6()};
    m.add(0x10'0000, 0x10'0000);
    m.mark_hotplug(0x18'0000, 0x8'0000);
    CHECK(m.memory.regions.size() == 2);
    CHECK(m.alloc(0x1000, 64) == PhysAddr{0x1f'f000});
    m.movable_node = true;
    CHECK(m.alloc(0x1000, 64) == PhysAddr{0x17'f000});
    m.clear_hotplug(0, ~std::uint64_t{0});
    CHECK(m.memory.regions == Regions{{0x10'0000, 0x10'0000, 0, none}});
}

TEST_CASE("Memory marked nomap is never given; mirrored memory first", "[kernel][memblock][R5.15]") {
    Memblock m{setup_6_6()};
    m.add(0x10'0000, 0x10'0000);
    m.mark_nomap(0x1f'0000, 0x1'0000);
    CHECK(m.alloc(0x1000, 64) == PhysAddr{0x1e'f000});
    m.mark_mirror(0x10'0000, 0x1'0000);
    CHECK(m.alloc(0x1000, 64) == PhysAddr{0x10'f000});
    CHECK(m.alloc(0x2'0000, 64) == PhysAddr{0x1c'f000});  // does not fit there
}

TEST_CASE("A full array doubles", "[kernel][memblock][R5.14]") {
    Memblock m{setup_6_6()};
    m.add(0x10'0000, 0x1000'0000);
    for (std::uint64_t i = 0; i < 128; ++i) {
        REQUIRE(m.reserve(0x100'0000 + 0x2000 * i, 0x1000) == MemblockStatus::ok);
    }
    REQUIRE(m.reserved.regions.size() == 128);

    SECTION("not before resizing is allowed") {
        CHECK(m.reserve(0x200'0000, 0x1000) == MemblockStatus::no_memory);
        CHECK(m.reserved.regions.size() == 128);
        CHECK_FALSE(m.panic());
    }
    SECTION("in 6.12 that is a panic") {
        Memblock::Setup setup = setup_6_6();
        setup.fixed_array_panics = true;
        Memblock late{setup};
        for (std::uint64_t i = 0; i < 128; ++i) {
            late.reserve(0x100'0000 + 0x2000 * i, 0x1000);
        }
        CHECK(late.reserve(0x200'0000, 0x1000) == MemblockStatus::panic);
        CHECK(late.panic() == "memblock: cannot resize reserved array");
        CHECK(late.add(0x1000, 0x1000) == MemblockStatus::panic);
    }
    SECTION("into 2 pages above the range being added") {
        m.can_resize = true;
        m.take_calls();
        CHECK(m.reserve(0x200'0000, 0x1000) == MemblockStatus::ok);
        CHECK(m.reserved.max == 256);
        CHECK(m.reserved.array == VirtAddr{0xffff'8880'100f'e000});
        CHECK(m.reserved.regions.back() == MemblockRegion{0x100f'e000, 0x2000, 0, none});
        CHECK(m.is_reserved(0x200'0000));
        REQUIRE(m.calls().size() == 3);
        CHECK(m.calls()[1].text == "reserved is doubled to 256 at [0x00000000100fe000-0x00000000100ff7ff]");
        CHECK(m.calls()[2].by == "memblock_double_array");
    }
    SECTION("below it when there is nothing above") {
        m.can_resize = true;
        m.current_limit = 0x300'0000;
        CHECK(m.reserve(0x280'0000, 0x80'0000) == MemblockStatus::ok);
        CHECK(m.reserved.array == VirtAddr{0xffff'8880'027f'e000});
    }
    SECTION("and the second array frees the first") {
        m.can_resize = true;
        for (std::uint64_t i = 0; i < 200; ++i) {
            REQUIRE(m.reserve(0x200'0000 + 0x2000 * i, 0x1000) == MemblockStatus::ok);
        }
        CHECK(m.reserved.max == 512);
        CHECK(m.reserved.array == VirtAddr{0xffff'8880'100f'b000});  // 3 pages below the first one's 2
        CHECK_FALSE(m.is_reserved(0x100f'e000));
    }
}

TEST_CASE("The log says what memblock=debug prints", "[kernel][memblock]") {
    Memblock m{setup_6_6()};
    m.add(0x10'0000, 0x10'0000, "e820__memblock_setup");
    m.alloc_try_nid(448, 64, 0, 0x18'0000, 0, "sparse_init_nid");
    const std::vector<MemblockCall> calls = m.take_calls();
    REQUIRE(calls.size() == 3);
    CHECK(calls[0].op == "add");
    CHECK(calls[1].op == "alloc_try_nid");
    CHECK(calls[1].is_request());
    CHECK(calls[1].nid == 0);
    CHECK(calls[1].max_addr == 0x18'0000);
    CHECK(calls[2].op == "reserve");
    CHECK(calls[2].base == 0x17'fe40);
    CHECK(calls[2].by == "memblock_alloc_range_nid");
    CHECK(m.calls().empty());
    m.debug = false;
    m.reserve(0x10'0000, 0x1000);
    CHECK(m.calls().empty());
}

TEST_CASE("Ranges of pages leave out what is not a whole page", "[kernel][memblock][R6.12][M-A5]") {
    Memblock m{setup_6_6()};
    m.add(0x1800, 0x2000);
    m.add(0x5100, 0x200);
    m.set_node(0x1800, 0x2000, MemblockArray::memory, 3);
    std::vector<std::uint64_t> seen;
    m.for_each_mem_pfn_range(numa_no_node, [&](std::uint64_t start, std::uint64_t end, int nid) {
        seen = {start, end, static_cast<std::uint64_t>(nid)};
    });
    CHECK(seen == std::vector<std::uint64_t>{2, 3, 3});
}
