// SPDX-License-Identifier: GPL-2.0-only
// Watermarks, reclaim, swap and the last resort. [spec chapter E, M-B4 to M-B7]
#include "support/catch.hpp"

#include <algorithm>

#include "kernel/lru.hpp"
#include "mm_world.hpp"
#include "pgsim/kernel/vmscan.hpp"

using namespace pgsim;
using namespace pgsim::test;

namespace {

using Counts = std::array<std::uint64_t, 4>;

// 64 MiB of RAM of which so many pages are free.
BareKernelSetup tight(std::uint64_t pages, bool five_levels = false) {
    return {.memory_bytes = 64 * MiB, .five_levels = five_levels, .free_bytes = pages << 12};
}

MmSetup with_swap(std::uint64_t slots = 4096) {
    MmSetup setup;
    setup.swap_slots = slots;
    return setup;
}

}  // namespace

TEST_CASE("Allocation flags decide zone and mobility", "[kernel][gfp][M-B4]") {
    CHECK(gfp_zone(gfp::kernel) == 2);
    CHECK(gfp_zone(gfp::dma) == 0);
    CHECK(gfp_zone(gfp::dma32) == 1);
    CHECK(gfp_zone(gfp::highmem) == 2);
    CHECK(gfp_zone(gfp::movable) == 2);
    CHECK(gfp_zone(gfp::highuser_movable) == 3);
    CHECK(gfp_zone(gfp::dma32 | gfp::movable) == 1);
    CHECK(gfp_migratetype(gfp::kernel) == MigrateType::unmovable);
    CHECK(gfp_migratetype(gfp::pgtable_user) == MigrateType::unmovable);
    CHECK(gfp_migratetype(gfp::highuser_movable) == MigrateType::movable);
    CHECK(gfp_migratetype(gfp::kernel | gfp::reclaimable) == MigrateType::reclaimable);
}

TEST_CASE("The watermark check, flag by flag", "[kernel][buddy][M-B7]") {
    BareKernel kernel{{.memory_bytes = 64 * MiB, .pcp = false}};
    Buddy& buddy = kernel.buddy();
    BuddyZone zone = buddy.zones().back();  // a copy: its lists stay what they are
    zone.lowmem_reserve = {0, 0, 100, 0, 0};
    zone.nr_reserved_highatomic = 0;
    const auto ok = [&](std::uint64_t free, unsigned order, std::uint64_t mark, unsigned highest, unsigned flags) {
        zone.nr_free_pages = free;
        return buddy.zone_watermark_ok(zone, order, mark, highest, flags);
    };
    using namespace alloc_flag;
    SECTION("free pages must be more than mark and reserve") {
        CHECK(ok(1001, 0, 1000, 1, 0));
        CHECK_FALSE(ok(1000, 0, 1000, 1, 0));
        CHECK(ok(1101, 0, 1000, 2, 0));
        CHECK_FALSE(ok(1100, 0, 1000, 2, 0));
    }
    SECTION("a block counts as gone but for one page") {
        CHECK(ok(1008, 3, 1000, 1, 0));
        CHECK_FALSE(ok(1007, 3, 1000, 1, 0));
    }
    SECTION("__GFP_HIGH halves the mark, not waiting takes another quarter of the rest") {
        CHECK(ok(501, 0, 1000, 1, min_reserve));
        CHECK_FALSE(ok(500, 0, 1000, 1, min_reserve));
        CHECK(ok(376, 0, 1000, 1, min_reserve | non_block));
        CHECK_FALSE(ok(375, 0, 1000, 1, min_reserve | non_block));
        CHECK_FALSE(ok(1000, 0, 1000, 1, non_block));  // alone it lowers nothing
    }
    SECTION("a victim of the OOM killer gets half of what is left") {
        CHECK(ok(501, 0, 1000, 1, oom));
        CHECK_FALSE(ok(500, 0, 1000, 1, oom));
    }
    SECTION("the high-atomic reserve is only for those with reserves") {
        zone.nr_reserved_highatomic = 512;
        CHECK_FALSE(ok(1512, 0, 1000, 1, 0));
        CHECK(ok(1513, 0, 1000, 1, 0));
        CHECK(ok(1001, 0, 1000, 1, non_block));
        CHECK(ok(1001, 0, 1000, 1, highatomic));
    }
    SECTION("above order 0 a block that is large enough must be on a list") {
        for (unsigned order = 3; order <= max_order; ++order) {
            kernel.memory().write64(zone.address + 192 + order * 88 + 80, 0);  // nr_free
        }
        CHECK(ok(100000, 0, 10, 1, 0));
        CHECK_FALSE(ok(100000, 3, 10, 1, 0));
    }
}

TEST_CASE("A zone at its mark sends requests to the zone below, whose reserve they must leave",
          "[kernel][buddy][M-B6]") {
    BareKernel kernel{{.memory_bytes = 64 * MiB, .pcp = false}};
    Buddy& buddy = kernel.buddy();
    REQUIRE(buddy.zones().size() == 2);  // DMA and DMA32
    BuddyZone& dma = buddy.zones()[0];
    BuddyZone& dma32 = buddy.zones()[1];
    dma32.watermark = {10, dma32.nr_free_pages, dma32.nr_free_pages, 0};
    dma.watermark = {10, 20, 30, 0};
    SECTION("enough below") {
        dma.lowmem_reserve = {};
        const auto pfn = buddy.alloc_pages(gfp::nowait, 0);
        REQUIRE(pfn);
        CHECK(dma.span.contains(*pfn));
    }
    SECTION("all of it reserved: the slow path takes from the preferred zone, down to its min mark") {
        dma.lowmem_reserve.fill(dma.nr_free_pages);
        const auto pfn = buddy.alloc_pages(gfp::nowait, 0);
        REQUIRE(pfn);
        CHECK(dma32.span.contains(*pfn));
    }
    SECTION("min mark reached everywhere: only those with a right to the reserves get pages") {
        dma.lowmem_reserve.fill(dma.nr_free_pages);
        dma32.watermark[0] = dma32.nr_free_pages;
        CHECK_FALSE(buddy.alloc_pages(gfp::nowait, 0));
        CHECK(buddy.alloc_pages(gfp::atomic, 0));
        CHECK(buddy.alloc_pages(gfp::nowait | gfp::memalloc, 0));
    }
}

TEST_CASE("Inactive is low by the square root of ten times the gigabytes", "[kernel][vmscan][M-E9]") {
    constexpr std::uint64_t gib = std::uint64_t{1} << 18;
    const auto low = [](std::uint64_t pages, std::uint64_t inactive) {
        return inactive_is_low(inactive, pages - inactive);
    };
    // ratio r: low iff inactive * r < active, so the border is pages / (r + 1).
    for (const auto& [pages, ratio] :
         {std::pair{gib / 2, 1}, {gib, 3}, {4 * gib, 6}, {10 * gib, 10}, {100 * gib, 31}}) {
        const std::uint64_t border = pages / (static_cast<std::uint64_t>(ratio) + 1);
        CHECK(low(pages, border - 1));
        CHECK_FALSE(low(pages, border + 1));
    }
}

TEST_CASE("How much of each list is scanned", "[kernel][vmscan][M-E11]") {
    ScanCountInputs in;
    in.sizes = {4096, 8192, 40960, 81920};
    in.priority = 12;
    SECTION("no swap: files only") {
        in.can_swap = false;
        CHECK(get_scan_count(in) == Counts{0, 0, 10, 20});
    }
    SECTION("priority 0: all lists alike") {
        in.priority = 0;
        CHECK(get_scan_count(in) == Counts{4096, 8192, 40960, 81920});
        in.swappiness = 0;  // then by fractions, and anonymous memory has none
        CHECK(get_scan_count(in) == Counts{0, 0, 40960, 81920});
    }
    SECTION("hardly any file pages: anonymous memory only") {
        in.file_is_tiny = true;
        CHECK(get_scan_count(in) == Counts{1, 2, 0, 0});
    }
    SECTION("plenty of quiet file pages: files only") {
        in.cache_trim_mode = true;
        CHECK(get_scan_count(in) == Counts{0, 0, 10, 20});
        in.file_is_tiny = true;  // comes first
        CHECK(get_scan_count(in) == Counts{1, 2, 0, 0});
    }
    SECTION("fractions by swappiness, without any cost yet") {
        // A = F = T = 0: ap = 60 * 1 / 1, fp = 140 * 1 / 1; of 200.
        in.priority = 2;
        CHECK(get_scan_count(in) == Counts{1024 * 60 / 200, 2048 * 60 / 200, 10240 * 140 / 200, 20480 * 140 / 200});
    }
    SECTION("fractions by cost") {
        // t = 400, A = 700, F = 500, T = 1200: ap = 60 * 1201 / 701 = 102, fp = 140 * 1201 / 501 = 335.
        in.priority = 2;
        in.anon_cost = 300;
        in.file_cost = 100;
        CHECK(get_scan_count(in) == Counts{1024 * 102 / 437, 2048 * 102 / 437, 10240 * 335 / 437, 20480 * 335 / 437});
    }
    SECTION("swappiness 200: files are spared") {
        in.priority = 2;
        in.swappiness = 200;
        CHECK(get_scan_count(in) == Counts{1024, 2048, 0, 0});
    }
    SECTION("a control group with swappiness 0 never swaps") {
        in.cgroup_reclaim = true;
        in.swappiness = 0;
        in.priority = 0;
        CHECK(get_scan_count(in) == Counts{0, 0, 40960, 81920});
    }
}

TEST_CASE("kswapd wakes below the low mark and works up to the high mark", "[kernel][vmscan][M-E4]") {
    MmWorld world{tight(1800), with_swap(8192)};  // too small for boosted watermarks [spec M-B16]
    const auto zone_of_user_pages = [&]() -> const BuddyZone& {
        const auto zones = world.mm.buddy.zones();
        return *std::max_element(zones.begin(), zones.end(), [](const BuddyZone& a, const BuddyZone& b) {
            return a.managed_pages < b.managed_pages;
        });
    };
    world.map_private(r | w, 8192);
    std::uint64_t page = 0;
    std::uint64_t before = 0;
    while (world.mm.vmstat.kswapd_wakeups == 0 && page < 8192) {
        before = zone_of_user_pages().nr_free_pages;
        REQUIRE_FALSE(world.write(at + page++ * page_size));
    }
    REQUIRE(page < 8192);
    const BuddyZone& zone = zone_of_user_pages();
    // It slept while an allocation still passed the low mark; a refill of the CPU's list takes a batch at once.
    CHECK(before <= zone.watermark[1] + zone.pcp.batch + zone.lowmem_reserve[3] + 1);
    CHECK(world.mm.vmstat.pgscan_kswapd > 0);
    // All pages are new: each is spared once. When it finds some to take, it takes enough.
    while (world.mm.vmstat.pgsteal_kswapd == 0 && page < 8192) {
        REQUIRE_FALSE(world.write(at + page++ * page_size));
    }
    REQUIRE(page < 8192);
    CHECK(zone.nr_free_pages + zone.pcp.count > zone.watermark[2]);
    CHECK(world.broken() == nothing);
}

TEST_CASE("What is swapped out is counted, kept, and comes back by a major fault", "[kernel][vmscan][M-E20][M-F20]") {
    const bool five_levels = GENERATE(false, true);
    MmWorld world{tight(1536, five_levels), with_swap()};
    constexpr std::uint64_t pages = 2048;
    world.map_private(r | w, pages);
    for (std::uint64_t page = 0; page < pages; ++page) {
        REQUIRE_FALSE(world.write(at + page * page_size + page % 4096, static_cast<std::uint8_t>(page * 7 + 1)));
        // rss and swap entries together never change by a swap-out. [spec chapter E, test 7]
        const mm_struct& mm = *world.p->mm;
        REQUIRE(mm.counter(MmCounter::anon) + mm.counter(MmCounter::swapents) == static_cast<std::int64_t>(page + 1));
    }
    CHECK(world.mm.vmstat.pswpout > 0);
    CHECK(world.broken() == nothing);
    for (std::uint64_t page = 0; page < pages; ++page) {
        const std::uint64_t where = at + page * page_size + page % 4096;
        REQUIRE(user_load(world.mm, *world.p, VirtAddr{where}).value == static_cast<std::uint8_t>(page * 7 + 1));
    }
    CHECK(world.p->maj_flt > 0);
    CHECK(world.mm.vmstat.pswpin == world.p->maj_flt);
    CHECK(world.broken() == nothing);
}

TEST_CASE("Pages in the swap cache come back by a minor fault", "[kernel][vmscan][M-F20][M-F21]") {
    MmWorld world{{.memory_bytes = 64 * MiB}, with_swap()};
    world.map_private(r | w, 8);
    for (std::uint64_t page = 0; page < 8; ++page) {
        REQUIRE_FALSE(world.write(at + page * page_size));
    }
    const std::uint64_t frame = world.frame(at);
    do_madvise(world.mm, *world.p, at, 8 * page_size, Advice::pageout);
    CHECK(world.p->mm->counter(MmCounter::swapents) == 8);
    // Exclusive pages say so in their entries. [spec M-E19]
    CHECK(pte_swp_exclusive(pte_t{world.pte(at)}));
    if (world.mm.swap.cache.count(pte_to_swp_entry(pte_t{world.pte(at)}).offset) != 0) {
        REQUIRE_FALSE(world.read(at));
        CHECK(world.frame(at) == frame);
        CHECK(world.p->maj_flt == 0);
    } else {
        REQUIRE_FALSE(world.read(at));
        CHECK(world.p->maj_flt == 1);
    }
    // After a read the entry is read-only, and a write costs one more fault that copies nothing. [spec M-F21]
    const std::uint64_t faults = world.p->min_flt;
    const std::uint64_t now = world.frame(at);
    REQUIRE_FALSE(world.write(at));
    CHECK(world.p->min_flt == faults + 1);
    CHECK(world.frame(at) == now);
    CHECK(world.broken() == nothing);
}

TEST_CASE("A refault within the working set starts active, one beyond it does not", "[kernel][vmscan][M-E21]") {
    MmWorld world{{.memory_bytes = 64 * MiB}};
    const auto file = world.file_with(FileKind::ext4, 4);
    file_sync(world.mm, file);
    const std::uint64_t distance = GENERATE(0U, 40U, 41U, 200U);
    // 40 active pages are the working set; without swap nothing else counts.
    const auto other = world.file_with(FileKind::ext4, 40);
    file_write(world.mm, *world.p, other, 0, 40);  // touched twice: active [spec M-E8]
    lru_add_drain(world.mm);
    file_write(world.mm, *world.p, other, 0, 40);
    drop_page_cache(world.mm, file);
    REQUIRE(world.mm.lruvec.nr_pages[static_cast<std::size_t>(LruList::active_file)] == 40);
    world.mm.lruvec.nonresident_age = 1000 + distance;
    file->shadows[0] = std::uint64_t{1000} << 1;
    world.map_file(r, 1, file, map::private_);
    do_madvise(world.mm, *world.p, at, page_size, Advice::random);  // one page, no read-around
    REQUIRE_FALSE(world.read(at));
    CHECK(world.p->maj_flt == 1);
    CHECK(world.mm.vmstat.workingset_refault == 1);
    CHECK(world.mm.vmstat.workingset_activate == (distance <= 40 ? 1 : 0));
    CHECK(world.mm.pages.test(world.frame(at), PageFlag::active) == (distance <= 40));
    CHECK(file->shadows.empty());
}

TEST_CASE("A page that was used gets a second chance", "[kernel][vmscan][M-E16][M-E17]") {
    MmWorld world{{.memory_bytes = 64 * MiB}, with_swap()};
    world.map_private(r | w, 64);
    for (std::uint64_t page = 0; page < 64; ++page) {
        REQUIRE_FALSE(world.write(at + page * page_size));
    }
    lru_add_drain(world.mm);
    const auto scan = [&] {
        ScanControl sc;
        sc.priority = 0;
        sc.nr_to_reclaim = 1;
        sc.kswapd = true;
        shrink_lruvec(world.mm, sc);
        return sc.nr_reclaimed;
    };
    const std::uint64_t first = world.frame(at);
    // New pages have A from their fault: kept once, with PG_referenced and A taken away.
    CHECK(world.mm.pages.test(first, PageFlag::referenced) == false);
    (void)scan();
    CHECK(world.mm.vmstat.pswpout == 0);
    CHECK(world.mm.pages.test(first, PageFlag::referenced));
    CHECK((world.pte(at) & page_accessed) == 0);
    SECTION("used again: it becomes active") {
        world.kernel.machine().invlpg(VirtAddr{at});  // else the TLB keeps the processor from setting A
        REQUIRE_FALSE(world.read(at));
        (void)scan();
        CHECK(world.mm.pages.test(first, PageFlag::active));
        CHECK(world.frame(at) == first);
    }
    SECTION("not used again: it goes to the swap area") {
        (void)scan();
        CHECK(world.mm.vmstat.pswpout > 0);
        CHECK_FALSE(pte_present(pte_t{world.pte(at)}));
    }
    CHECK(world.broken() == nothing);
}

TEST_CASE("Locked pages are never taken", "[kernel][vmscan][M-E16][M-E19]") {
    MmWorld world{tight(1536), with_swap()};
    world.map_private(r | w, 256);
    REQUIRE(do_mlock(world.mm, *world.p, at, 256 * page_size) == 0);
    CHECK(world.p->min_flt == 256);  // [spec M-D27]
    std::vector<std::uint64_t> frames;
    for (std::uint64_t page = 0; page < 256; ++page) {
        frames.push_back(world.frame(at + page * page_size));
    }
    world.map_private(r | w, 2048, at + 64 * MiB);
    for (std::uint64_t page = 0; page < 2048; ++page) {
        REQUIRE_FALSE(world.write(at + 64 * MiB + page * page_size));
    }
    CHECK(world.mm.vmstat.pswpout > 0);
    for (std::uint64_t page = 0; page < 256; ++page) {
        REQUIRE(world.frame(at + page * page_size) == frames[page]);
    }
    CHECK(world.broken() == nothing);
    REQUIRE(do_munlock(world.mm, *world.p, at, 256 * page_size) == 0);
    CHECK(world.mm.lruvec.nr_pages[static_cast<std::size_t>(LruList::unevictable)] == 0);
    CHECK(world.broken() == nothing);
}

TEST_CASE("Clean file pages go without swap, dirty ones are written first", "[kernel][vmscan][M-E17][M-E18]") {
    MmWorld world{tight(1536)};
    const auto file = world.mm.new_file(FileKind::ext4, "large");
    REQUIRE(file_write(world.mm, *world.p, file, 0, 4096) == 0);  // more than there is memory
    CHECK(world.mm.vmstat.pgsteal_kswapd + world.mm.vmstat.pgsteal_direct > 0);
    CHECK(file->pages.size() < 1536);
    world.map_file(r, 4096, file, map::shared);
    for (const std::uint64_t page : {0U, 1000U, 4095U}) {
        const UserAccess load = user_load(world.mm, *world.p, VirtAddr{at + page * page_size});
        REQUIRE_FALSE(load.signal);
        CHECK(load.value == 0x41 + page % 26);  // what file_write() wrote
    }
    CHECK(world.p->maj_flt > 0);
    CHECK(world.broken() == nothing);
}

TEST_CASE("Without anything to reclaim the OOM killer takes the largest process", "[kernel][mm][M-E1][M-F5]") {
    const bool five_levels = GENERATE(false, true);
    MmWorld world{tight(1536, five_levels)};
    task_struct* const small = fork_process(world.mm, *world.p, "small");
    REQUIRE(small != nullptr);
    do_mmap(world.mm, *small, at, 64 * page_size, r | w, map::private_ | map::anonymous | map::fixed, nullptr, 0);
    for (std::uint64_t page = 0; page < 64; ++page) {
        REQUIRE_FALSE(user_store(world.mm, *small, VirtAddr{at + page * page_size}, 3).signal);
    }
    world.map_private(r | w, 4096);
    std::optional<FaultSignal> signal;
    std::uint64_t page = 0;
    for (; page < 4096 && !signal; ++page) {
        signal = world.write(at + page * page_size);
    }
    REQUIRE(signal);
    CHECK(signal->signo == sigkill);
    CHECK(world.p->oom_killed);
    CHECK_FALSE(small->oom_killed);
    CHECK(world.mm.vmstat.oom_kill == 1);
    exit_process(world.mm, *world.p);
    CHECK(world.broken() == nothing);
    for (std::uint64_t i = 0; i < 64; ++i) {
        REQUIRE(user_load(world.mm, *small, VirtAddr{at + i * page_size}).value == 3);
    }
}

TEST_CASE("A fork that runs out of memory leaves nothing behind", "[kernel][mm][M-D13]") {
    MmWorld world{tight(1536)};
    world.map_private(r | w, 1 << 20, at, map::noreserve);
    // A page table for each page: the copy needs as many again, and there is no swap.
    std::uint64_t touched = 0;
    while (world.mm.buddy.free_page_count() > 700) {
        REQUIRE_FALSE(world.write(at + touched++ * 2 * MiB));
    }
    const std::uint64_t free_pages = world.mm.buddy.free_page_count();
    task_struct* const child = fork_process(world.mm, *world.p, "C");
    if (child == nullptr) {
        if (!world.p->oom_killed) {
            CHECK(world.mm.buddy.free_page_count() == free_pages);
        }
    } else {
        exit_process(world.mm, *child);
        CHECK(world.mm.buddy.free_page_count() == free_pages);
    }
    CHECK(world.broken() == nothing);
}
