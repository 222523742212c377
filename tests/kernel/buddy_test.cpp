// SPDX-License-Identifier: GPL-2.0-only
// The buddy allocator in simulated struct pages. [spec chapters A, B]
#include "support/catch.hpp"

#include <map>
#include <random>
#include <set>

#include "pgsim/base/units.hpp"
#include "pgsim/kernel/bare_kernel.hpp"

using namespace pgsim;
using namespace pgsim::kernel;

namespace {

// A kernel in which exactly the order-10 block at `pfn` is free.
BareKernel one_block(std::uint64_t pfn) {
    BareKernel kernel{{.memory_bytes = 64 * MiB, .pcp = false}};
    kernel.buddy().init_free_lists();
    for (std::uint64_t page = pfn; page < pfn + 1024; ++page) {
        kernel.buddy().pages().set_type(page, page_type::none);
    }
    // What else was free must not look like a buddy.
    for (std::uint64_t page = 256; page < 16384; ++page) {
        if (kernel.buddy().pages().is_buddy(page)) {
            kernel.buddy().pages().set_type(page, page_type::none);
        }
    }
    kernel.buddy().free_pages_core(pfn, 10);
    return kernel;
}

std::uint64_t free_pages_on_lists(const Buddy& buddy) {
    std::uint64_t pages = 0;
    for (const BuddyZone& zone : buddy.zones()) {
        for (unsigned order = 0; order <= max_order; ++order) {
            pages += buddy.nr_free(zone, order) << order;
        }
        pages += zone.pcp.count;
    }
    return pages;
}

// B: what must hold after every operation.
void check_lists(Buddy& buddy) {
    for (const BuddyZone& zone : buddy.zones()) {
        std::uint64_t total = 0;
        for (unsigned order = 0; order <= max_order; ++order) {
            std::uint64_t blocks = 0;
            for (unsigned type = 0; type < migrate_types; ++type) {
                for (const std::uint64_t pfn : buddy.free_list(zone, order, static_cast<MigrateType>(type))) {
                    ++blocks;
                    REQUIRE(pfn % (std::uint64_t{1} << order) == 0);
                    REQUIRE(buddy.pages().is_buddy(pfn));
                    REQUIRE(buddy.pages().private_data(pfn) == order);
                    REQUIRE(buddy.pages().refcount(pfn) == 0);
                    REQUIRE(zone.span.contains(pfn));
                    REQUIRE(zone.span.contains(pfn + (std::uint64_t{1} << order) - 1));
                    if (order < max_order) {
                        const std::uint64_t other = pfn ^ (std::uint64_t{1} << order);
                        const bool free_twin = zone.span.contains(other) && buddy.pages().is_buddy(other) &&
                                               buddy.pages().private_data(other) == order;
                        REQUIRE_FALSE(free_twin);
                    }
                }
            }
            REQUIRE(blocks == buddy.nr_free(zone, order));
            total += blocks << order;
        }
        REQUIRE(total == zone.nr_free_pages);
    }
}

}  // namespace

TEST_CASE("A block is split from its upper half", "[kernel][buddy][M-B12]") {
    BareKernel kernel = one_block(0x400);
    Buddy& buddy = kernel.buddy();
    const auto pfn = buddy.alloc_pages(gfp::highuser_movable, 0);
    REQUIRE(pfn == 0x400);
    for (unsigned order = 0; order < 10; ++order) {
        INFO(order);
        const std::vector<std::uint64_t> expected{0x400 + (std::uint64_t{1} << order)};
        CHECK(buddy.free_list(buddy.zones()[0], order, MigrateType::movable) == expected);
    }
    CHECK(buddy.nr_free(buddy.zones()[0], 10) == 0);
    SECTION("and freeing it makes it whole again") {
        buddy.free_pages(*pfn, 0);
        CHECK(buddy.free_list(buddy.zones()[0], 10, MigrateType::movable) == std::vector<std::uint64_t>{0x400});
        CHECK(buddy.nr_free(buddy.zones()[0], 0) == 0);
    }
}

TEST_CASE("A block that will probably merge goes to the tail", "[kernel][buddy][M-B8]") {
    BareKernel kernel = one_block(0x400);
    Buddy& buddy = kernel.buddy();
    std::vector<std::uint64_t> pages;
    for (int i = 0; i < 8; ++i) {
        pages.push_back(*buddy.alloc_pages(gfp::highuser_movable, 0));
    }
    CHECK(pages[7] == 0x407);
    const BuddyZone& zone = buddy.zones()[0];
    buddy.free_pages(0x401, 0);  // no order-1 neighbour is free: head
    buddy.free_pages(0x403, 0);
    CHECK(buddy.free_list(zone, 0, MigrateType::movable) == std::vector<std::uint64_t>{0x403, 0x401});
    buddy.free_pages(0x402, 0);  // makes 0x402 of order 1
    buddy.free_pages(0x405, 0);
    CHECK(buddy.free_list(zone, 0, MigrateType::movable) == std::vector<std::uint64_t>{0x405, 0x401});
    // 0x400's parent block 0x400/1 has the buddy 0x402/1, which is free: 0x400 with 0x401 merges at once instead.
    buddy.free_pages(0x406, 0);
    buddy.free_pages(0x407, 0);  // 0x406/1
    CHECK(buddy.free_list(zone, 1, MigrateType::movable).front() == 0x406);
    buddy.free_pages(0x404, 0);  // 0x404/2, whose order-3 parent 0x400 has the free buddy 0x408/3: tail
    CHECK(buddy.free_list(zone, 2, MigrateType::movable) == std::vector<std::uint64_t>{0x404});
}

TEST_CASE("An unmovable request claims the largest movable block", "[kernel][buddy][M-B14]") {
    BareKernel kernel = one_block(0x400);
    Buddy& buddy = kernel.buddy();
    REQUIRE(buddy.alloc_pages(gfp::kernel, 0) == 0x400);
    if (!buddy.mobility_disabled()) {
        CHECK(buddy.pageblock_migratetype(0x400) == MigrateType::unmovable);
        CHECK(buddy.pageblock_migratetype(0x600) == MigrateType::unmovable);
        CHECK(buddy.free_list(buddy.zones()[0], 9, MigrateType::unmovable) == std::vector<std::uint64_t>{0x600});
    }
}

TEST_CASE("Freeing range by range leaves what the closed form says", "[kernel][buddy][M-A17][M-A20]") {
    std::mt19937 random{4711};
    for (int round = 0; round < 20; ++round) {
        BareKernel kernel{{.memory_bytes = 64 * MiB, .pcp = false}};
        std::vector<PfnRange> ranges;
        std::uint64_t at = 256 + random() % 64;
        while (at + 600 < 12000) {
            const std::uint64_t size = 1 + random() % 3000;
            ranges.emplace_back(Pfn{at}, Pfn{std::min<std::uint64_t>(at + size, 12288)});
            at += size + (random() % 3 == 0 ? 0 : random() % 40);
        }
        // Struct pages as after free_area_init, nothing free.
        Buddy& buddy = kernel.buddy();
        for (std::uint64_t pfn = 256; pfn < 16384; ++pfn) {
            buddy.pages().set_type(pfn, page_type::none);
            buddy.pages().set_refcount(pfn, 1);
        }
        buddy.init_free_lists();
        std::vector<PfnRange> shuffled = ranges;
        std::shuffle(shuffled.begin(), shuffled.end(), random);
        for (const PfnRange& range : round % 2 == 0 ? ranges : shuffled) {
            buddy.free_pages_memory(range.start().value(), range.end().value());
        }
        const FreedMemory closed = free_ranges(ranges, kernel.zones());
        for (std::size_t z = 0; z < closed.zones.size(); ++z) {
            CHECK(buddy.zones()[z].managed_pages == closed.zones[z].managed_pages);
            for (unsigned order = 0; order <= max_order; ++order) {
                CHECK(buddy.nr_free(buddy.zones()[z], order) == closed.zones[z].nr_free(order));
                if (round % 2 == 0) {  // upwards: the lists are in ascending order
                    std::vector<std::uint64_t> expected;
                    for (const BlockRun& run : closed.zones[z].runs[order]) {
                        for (std::uint64_t i = 0; i < run.count; ++i) {
                            expected.push_back(run.start_pfn + (i << order));
                        }
                    }
                    CHECK(buddy.free_list(buddy.zones()[z], order, MigrateType::movable) == expected);
                }
            }
        }
        check_lists(buddy);
    }
}

TEST_CASE("The memmap made on touch shows the lists that the allocator adopted", "[kernel][buddy][memmap][M-A20]") {
    BareKernel kernel{{.memory_bytes = 256 * MiB}};
    check_lists(kernel.buddy());
    std::uint64_t managed = 0;
    for (const BuddyZone& zone : kernel.buddy().zones()) {
        managed += zone.managed_pages;
    }
    CHECK(free_pages_on_lists(kernel.buddy()) == managed);
    CHECK(managed > 60000);
}

TEST_CASE("Random allocations and frees keep every page", "[kernel][buddy][spec-B]") {
    const bool pcp = GENERATE(false, true);
    const bool five = GENERATE(false, true);
    BareKernel kernel{{.memory_bytes = 64 * MiB, .five_levels = five, .pcp = pcp}};
    Buddy& buddy = kernel.buddy();
    for (BuddyZone& zone : buddy.zones()) {
        zone.pcp.high = 100;
        zone.pcp.batch = 15;
    }
    const std::uint64_t all = free_pages_on_lists(buddy);
    std::mt19937 random{1};
    std::map<std::uint64_t, unsigned> held;
    std::set<std::uint64_t> used;
    std::uint64_t held_pages = 0;
    for (int step = 0; step < 20000; ++step) {
        if (random() % 5 < (step / 4000 % 2 == 0 ? 3U : 2U)) {
            const auto order = static_cast<unsigned>(random() % 4 == 0 ? random() % 11 : random() % 2);
            const gfp_t mobility = random() % 3 == 0 ? gfp::kernel : gfp::highuser_movable;
            const gfp_t gfp = mobility | (random() % 2 == 0 ? gfp::comp : 0U) | gfp::nowarn;
            if (const auto pfn = buddy.alloc_pages(gfp & ~gfp::direct_reclaim, order)) {
                REQUIRE(*pfn % (std::uint64_t{1} << order) == 0);
                REQUIRE(buddy.pages().refcount(*pfn) == 1);
                for (std::uint64_t i = 0; i < std::uint64_t{1} << order; ++i) {
                    REQUIRE(used.insert(*pfn + i).second);
                }
                held[*pfn] = order;
                held_pages += std::uint64_t{1} << order;
            }
        } else if (!held.empty()) {
            auto victim = held.lower_bound(random() % 16384);
            if (victim == held.end()) {
                victim = held.begin();
            }
            buddy.free_pages(victim->first, victim->second);
            for (std::uint64_t i = 0; i < std::uint64_t{1} << victim->second; ++i) {
                used.erase(victim->first + i);
            }
            held_pages -= std::uint64_t{1} << victim->second;
            held.erase(victim);
        }
        if (step % 500 == 0) {
            check_lists(buddy);
            REQUIRE(free_pages_on_lists(buddy) + held_pages == all);
        }
    }
    for (const auto& [pfn, order] : held) {
        buddy.free_pages(pfn, order);
    }
    buddy.drain_all_pages();
    check_lists(buddy);
    CHECK(free_pages_on_lists(buddy) == all);
    CHECK(buddy.bad_pages() == 0);
}
