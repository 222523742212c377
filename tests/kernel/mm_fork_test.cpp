// SPDX-License-Identifier: GPL-2.0-only
// fork, writes after it, unmapping and what moves entries. [spec chapter D]
#include "support/catch.hpp"

#include <algorithm>
#include <random>

#include "mm_world.hpp"

using namespace pgsim;
using namespace pgsim::test;

namespace {

// Whether some area touches [start, start + size).
bool touched(const task_struct& task, std::uint64_t start, std::uint64_t size) {
    return std::any_of(task.mm->mm_mt.begin(), task.mm->mm_mt.end(), [&](const auto& area) {
        return area.second->vm_start < start + size && area.second->vm_end > start;
    });
}

// Every page of paging structures below the top one, with what it maps.
template <class F>
void for_each_table(MmWorld& world, std::uint64_t pfn, unsigned level, std::uint64_t base, F&& f) {
    const std::uint64_t span = std::uint64_t{1} << (12 + 9 * (level - 1));
    for (std::uint64_t i = 0; i < (base == 0 && level >= 4 ? 256U : 512U); ++i) {
        const std::uint64_t entry = world.kernel.machine().memory().read64(PhysAddr{(pfn << 12) + 8 * i});
        if ((entry & 1) != 0 && (entry & 0x80) == 0 && level > 1) {
            const std::uint64_t below = (entry & 0x000f'ffff'ffff'f000) >> 12;
            f(level - 1, base + i * span, span);
            for_each_table(world, below, level - 1, base + i * span, f);
        }
    }
}

}  // namespace

TEST_CASE("fork write-protects both sides with the values of the rule", "[kernel][mm][M-D9][M-D11]") {
    const bool five_levels = GENERATE(false, true);
    MmWorld world{{.memory_bytes = 64 * MiB, .five_levels = five_levels}};
    world.map_private(r | w, 2);
    REQUIRE_FALSE(world.write(at));
    REQUIRE_FALSE(world.read(at + page_size));
    const std::uint64_t frame = world.frame(at);
    CHECK(world.mm.pages.test(frame, PageFlag::anon_exclusive));
    task_struct& child = *fork_process(world.mm, *world.p, "C");
    CHECK(world.pte(at) == (0x8400'0000'0000'0025 | frame << 12));
    CHECK(world.pte(child, at) == (0x8400'0000'0000'0005 | frame << 12));
    // The zero page goes along, old, and is not counted. [spec M-D10]
    CHECK(world.pte(child, at + page_size) == (0x8000'0000'0000'0205 | world.mm.zero_pfn << 12));
    CHECK(child.mm->counter(MmCounter::anon) == 1);
    CHECK_FALSE(world.mm.pages.test(frame, PageFlag::anon_exclusive));
    CHECK(world.mm.pages.raw_mapcount(frame) + 1 == 2);
    CHECK(world.p->min_flt == 2);
    CHECK(child.min_flt == 0);
    CHECK(world.broken() == nothing);
}

TEST_CASE("What fork copies, and what the child faults in again", "[kernel][mm][M-D2][M-D3][M-D5]") {
    MmWorld world;
    const auto file = world.file_with(FileKind::tmpfs, 8);
    world.map_private(r | w, 8, at);                              // only read: not copied
    world.map_private(r | w, 8, at + 1 * MiB);                    // one page written: copied whole
    world.map_file(r | w, 8, file, map::private_, at + 2 * MiB);  // only read: not copied
    world.map_file(r | w, 8, file, map::private_, at + 4 * MiB);  // one page written: copied whole
    world.map_file(r | w, 8, file, map::shared, at + 6 * MiB);    // shared: not copied
    world.map_private(r | w, 8, at + 8 * MiB);                    // MADV_DONTFORK
    world.map_private(r | w, 8, at + 10 * MiB);                   // MADV_WIPEONFORK
    do_madvise(world.mm, *world.p, at + 8 * MiB, 8 * page_size, Advice::dontfork);
    do_madvise(world.mm, *world.p, at + 10 * MiB, 8 * page_size, Advice::wipeonfork);
    for (std::uint64_t area = 0; area < 12 * MiB; area += area < 2 * MiB ? 1 * MiB : 2 * MiB) {
        for (std::uint64_t page = 0; page < 8; ++page) {
            REQUIRE_FALSE(world.read(at + area + page * page_size));
        }
    }
    for (const std::uint64_t area : {1 * MiB, 4 * MiB, 8 * MiB, 10 * MiB}) {
        REQUIRE_FALSE(world.write(at + area));
    }
    task_struct& child = *fork_process(world.mm, *world.p, "C");
    const auto present = [&](std::uint64_t area) {
        std::uint64_t pages = 0;
        for (std::uint64_t page = 0; page < 8; ++page) {
            pages += (world.pte(child, at + area + page * page_size) & 1) != 0 ? 1 : 0;
        }
        return pages;
    };
    CHECK(present(0) == 0);
    CHECK(present(1 * MiB) == 8);
    CHECK(present(2 * MiB) == 0);
    CHECK(present(4 * MiB) == 8);
    CHECK(present(6 * MiB) == 0);
    CHECK(present(8 * MiB) == 0);
    CHECK(present(10 * MiB) == 0);
    CHECK(user_load(world.mm, child, VirtAddr{at + 8 * MiB}).signal->si_code == segv_maperr);
    CHECK(user_load(world.mm, child, VirtAddr{at + 10 * MiB}).value == 0);
    CHECK(child.mm->mm_mt.size() == 6);
    CHECK(world.broken() == nothing);
}

TEST_CASE("Locks are not inherited", "[kernel][mm][M-D2]") {
    MmWorld world;
    world.map_private(r | w, 4);
    REQUIRE(do_mlock(world.mm, *world.p, at, 4 * page_size) == 0);
    task_struct& child = *fork_process(world.mm, *world.p, "C");
    CHECK(child.mm->locked_vm == 0);
    CHECK_FALSE(child.mm->mm_mt.begin()->second->has(vm::locked));
    CHECK(world.p->mm->mm_mt.begin()->second->has(vm::locked));
    CHECK(world.broken() == nothing);
}

TEST_CASE("With g sharers g - 1 copies are made, in any order of the writers", "[kernel][mm][M-D15][M-D19]") {
    std::mt19937 random{7};
    for (unsigned sharers = 1; sharers <= 5; ++sharers) {
        for (int round = 0; round < 6; ++round) {
            MmWorld world{{.memory_bytes = 64 * MiB}};
            world.map_private(r | w, 1);
            REQUIRE_FALSE(world.write(at));
            const std::uint64_t shared = world.frame(at);
            std::vector<task_struct*> tasks{world.p};
            while (tasks.size() < sharers) {
                tasks.push_back(fork_process(world.mm, *tasks[random() % tasks.size()], "C"));
            }
            std::shuffle(tasks.begin(), tasks.end(), random);
            unsigned copies = 0;
            for (task_struct* const task : tasks) {
                const std::uint64_t before = task->min_flt;
                REQUIRE_FALSE(user_store(world.mm, *task, VirtAddr{at}, 2).signal);
                CHECK(task->min_flt == before + (sharers > 1 ? 1 : 0));
                copies += pte_pfn(pte_t{world.pte(*task, at)}) != shared ? 1 : 0;
            }
            CHECK(copies == sharers - 1);
            CHECK(world.broken() == nothing);
        }
    }
}

TEST_CASE("The last one reuses though its page still waits in the CPU's batch", "[kernel][mm][M-D15]") {
    MmWorld world;
    world.map_private(r | w, 1);
    REQUIRE_FALSE(world.write(at));
    const std::uint64_t frame = world.frame(at);
    REQUIRE_FALSE(world.mm.pages.test(frame, PageFlag::lru));  // the batch holds a reference
    exit_process(world.mm, *fork_process(world.mm, *world.p, "C"));
    REQUIRE_FALSE(world.write(at));
    CHECK(world.frame(at) == frame);
    CHECK(world.mm.pages.test(frame, PageFlag::lru));
    CHECK(world.mm.vmstat.pgreuse == 1);
}

TEST_CASE("Private file pages are copied, shared ones never", "[kernel][mm][M-D14][M-D16]") {
    MmWorld world;
    const FileKind kind = GENERATE(FileKind::tmpfs, FileKind::ext4);
    const auto file = world.file_with(kind, 4);
    const std::uint64_t cached = file->pages.at(0);
    file_sync(world.mm, file);
    world.map_file(r | w, 4, file, map::private_);
    world.map_file(r | w, 4, file, map::shared, at + 2 * MiB);
    REQUIRE_FALSE(world.read(at));
    REQUIRE_FALSE(world.read(at + 2 * MiB));
    std::uint64_t faults = world.p->min_flt;
    REQUIRE_FALSE(world.write(at));
    CHECK(world.frame(at) != cached);
    CHECK(world.p->min_flt == faults + 1);
    faults = world.p->min_flt;
    REQUIRE_FALSE(world.write(at + 2 * MiB));
    CHECK(world.frame(at + 2 * MiB) == cached);
    // A file without write notification was writable from the read on. [spec M-F17]
    CHECK(world.p->min_flt == faults + (kind == FileKind::ext4 ? 1 : 0));
    CHECK(world.broken() == nothing);
}

TEST_CASE("Writes to a huge page after fork split it, or take it whole", "[kernel][mm][M-D8][M-D20]") {
    MmSetup setup;
    setup.thp = ThpSetting::always;
    MmWorld world{{.memory_bytes = 128 * MiB}, setup};
    world.map_private(r | w, 512);
    REQUIRE_FALSE(world.write(at));
    CHECK(world.p->mm->counter(MmCounter::anon) == 512);
    task_struct& child = *fork_process(world.mm, *world.p, "C");
    CHECK(child.mm->counter(MmCounter::anon) == 512);
    CHECK(child.mm->pgtables_bytes == world.p->mm->pgtables_bytes);  // with the deposited table
    SECTION("others hold references: one page is copied") {
        REQUIRE_FALSE(world.write(at + 5 * page_size));
        CHECK(world.p->min_flt == 2);
        CHECK(world.mm.vmstat.thp_split_pmd == 1);
        CHECK(world.frame(at + 4 * page_size) + 2 == world.frame(at + 6 * page_size));
        CHECK(world.frame(at + 5 * page_size) != world.frame(at + 4 * page_size) + 1);
        CHECK(child.mm->counter(MmCounter::anon) == 512);
    }
    SECTION("the only one left: reused by one fault") {
        exit_process(world.mm, child);
        REQUIRE_FALSE(world.write(at + 5 * page_size));
        REQUIRE_FALSE(world.write(at + 500 * page_size));
        CHECK(world.p->min_flt == 2);
        CHECK(world.mm.vmstat.thp_split_pmd == 0);
    }
    SECTION("unmapping a part splits the mapping and frees nothing of the rest") {
        do_munmap(world.mm, *world.p, at, 16 * page_size);
        CHECK(world.p->mm->counter(MmCounter::anon) == 496);
        CHECK(world.mm.vmstat.thp_split_pmd == 1);
    }
    CHECK(world.broken() == nothing);
}

TEST_CASE("A write to the huge zero page makes 512 entries and one copy", "[kernel][mm][M-D20][M-F18]") {
    MmSetup setup;
    setup.thp = ThpSetting::always;
    MmWorld world{{.memory_bytes = 128 * MiB}, setup};
    world.map_private(r | w, 512);
    REQUIRE_FALSE(world.read(at));
    CHECK(world.p->mm->counter(MmCounter::anon) == 0);
    CHECK(world.table_pages() == 3);
    REQUIRE_FALSE(world.write(at + 7 * page_size));
    CHECK(world.p->mm->counter(MmCounter::anon) == 1);
    CHECK(world.frame(at + 6 * page_size) == world.mm.zero_pfn);
    CHECK(world.frame(at + 7 * page_size) != world.mm.zero_pfn);
    CHECK(world.table_pages() == 3);
    CHECK(world.broken() == nothing);
}

TEST_CASE("A page of paging structures stays exactly as long as an area touches what it maps",
          "[kernel][mm][M-D22][property]") {
    const bool five_levels = GENERATE(false, true);
    std::mt19937_64 random{five_levels ? 11U : 12U};
    for (int round = 0; round < 20; ++round) {
        MmWorld world{{.memory_bytes = 64 * MiB, .five_levels = five_levels}};
        const auto somewhere = [&] {
            // Clustered at borders of 2 MiB, 1 GiB and 512 GiB.
            static constexpr std::uint64_t borders[] = {0, 2 * MiB, 4 * MiB, 1024 * MiB, 1026 * MiB, 512 * 1024 * MiB};
            return at + 512 * 1024 * MiB + borders[random() % 6] + (random() % 8) * page_size - 4 * page_size;
        };
        for (int i = 0; i < 12; ++i) {
            const std::uint64_t start = somewhere();
            const std::uint64_t pages = 1 + random() % 6;
            world.map_private(r | w, pages, start);
            for (std::uint64_t page = 0; page < pages; ++page) {
                REQUIRE_FALSE(world.write(start + page * page_size));
            }
        }
        while (!world.p->mm->mm_mt.empty()) {
            const auto& [start, vma] = *std::next(world.p->mm->mm_mt.begin(),
                                                  static_cast<std::ptrdiff_t>(random() % world.p->mm->mm_mt.size()));
            do_munmap(world.mm, *world.p, start, (1 + random() % 1024) * page_size * (random() % 3 == 0 ? 512 : 1));
            std::uint64_t tables = 0;
            for_each_table(world, world.p->mm->pgd_pfn, five_levels ? 5 : 4, 0,
                           [&](unsigned level, std::uint64_t base, std::uint64_t size) {
                               INFO("level " << level << " at " << base);
                               CHECK(touched(*world.p, base, size));
                               tables += level < 4 ? 1 : 0;
                           });
            CHECK(tables == world.table_pages());
        }
        CHECK(world.table_pages() == 0);
        CHECK(world.broken() == nothing);
    }
}

TEST_CASE("Page tables that one page in an empty area takes", "[kernel][mm][M-C6][D.6]") {
    MmWorld world;
    world.map_private(r | w, (8 * 1024 * MiB) >> 12, at, map::noreserve);
    REQUIRE_FALSE(world.write(at));
    CHECK(world.table_pages() == 3);
    for (std::uint64_t i = 1; i < 20; ++i) {
        REQUIRE_FALSE(world.write(at + i * 2 * MiB));
        CHECK(world.table_pages() == i + 3);
    }
    REQUIRE_FALSE(world.write(at + 1024 * MiB));
    CHECK(world.table_pages() == 24);
}

TEST_CASE("mremap moves entries without a fault or a copy", "[kernel][mm][M-D26]") {
    MmWorld world;
    // Aligned alike at 2 MiB (whole page tables move), or not (entry by entry).
    const std::uint64_t shift = GENERATE(0U, 3U);
    constexpr std::uint64_t pages = 600;
    world.map_private(r | w, pages);
    std::vector<std::uint64_t> frames;
    for (std::uint64_t page = 0; page < pages; ++page) {
        REQUIRE_FALSE(world.write(at + page * page_size));
        frames.push_back(world.frame(at + page * page_size));
    }
    const std::uint64_t to = at + 64 * MiB + shift * page_size;
    const std::uint64_t faults = world.p->min_flt;
    CHECK(do_mremap(world.mm, *world.p, at, pages * page_size, (pages + 8) * page_size,
                    mremap_flag::maymove | mremap_flag::fixed, to) == static_cast<long>(to));
    CHECK(world.p->min_flt == faults);
    for (std::uint64_t page = 0; page < pages; ++page) {
        REQUIRE(world.frame(to + page * page_size) == frames[page]);
    }
    CHECK(world.pte(at) == 0);
    CHECK(world.read(at)->si_code == segv_maperr);
    CHECK(world.table_pages() == 2 + 2);  // two page tables, PMD and PUD page
    CHECK(world.broken() == nothing);
    // Shrinking in place gives the end back.
    CHECK(do_mremap(world.mm, *world.p, to, (pages + 8) * page_size, 100 * page_size, 0, 0) == static_cast<long>(to));
    CHECK(world.p->mm->counter(MmCounter::anon) == 100);
    CHECK(world.table_pages() == 3);
    CHECK(world.broken() == nothing);
}

TEST_CASE("Growing in place needs room", "[kernel][mm][M-D26]") {
    MmWorld world;
    world.map_private(r | w, 4);
    world.map_private(r, 1, at + 8 * page_size);
    CHECK(do_mremap(world.mm, *world.p, at, 4 * page_size, 8 * page_size, 0, 0) == static_cast<long>(at));
    CHECK(do_mremap(world.mm, *world.p, at, 8 * page_size, 9 * page_size, 0, 0) == -enomem);
    CHECK(world.p->mm->mm_mt.size() == 2);
    CHECK(world.broken() == nothing);
}

TEST_CASE("mprotect makes entries writable at once only where nobody shares them", "[kernel][mm][M-D25]") {
    MmWorld world;
    world.map_private(r | w, 3);
    REQUIRE_FALSE(world.write(at));
    REQUIRE_FALSE(world.read(at + page_size));
    do_mprotect(world.mm, *world.p, at, 3 * page_size, r);
    CHECK((world.pte(at) & page_rw) == 0);
    do_mprotect(world.mm, *world.p, at, 3 * page_size, r | w);
    CHECK((world.pte(at) & page_rw) != 0);
    CHECK((world.pte(at + page_size) & page_rw) == 0);  // the zero page
    const std::uint64_t faults = world.p->min_flt;
    REQUIRE_FALSE(world.write(at));
    CHECK(world.p->min_flt == faults);
    fork_process(world.mm, *world.p, "C");
    do_mprotect(world.mm, *world.p, at, 3 * page_size, r);
    do_mprotect(world.mm, *world.p, at, 3 * page_size, r | w);
    CHECK((world.pte(at) & page_rw) == 0);
    REQUIRE_FALSE(world.write(at));
    CHECK(world.p->min_flt == faults + 1);
    CHECK(world.broken() == nothing);
}

TEST_CASE("Populating counts one fault a page, as if touched", "[kernel][mm][M-D27]") {
    MmWorld world;
    world.map_private(r | w, 10, at, map::populate);
    CHECK(world.p->min_flt == 10);
    CHECK(world.p->mm->counter(MmCounter::anon) == 10);
    world.map_private(r, 10, at + 2 * MiB, map::populate);
    CHECK(world.p->min_flt == 20);
    CHECK(world.frame(at + 2 * MiB) == world.mm.zero_pfn);
    world.map_private(r | w, 10, at + 4 * MiB);
    do_madvise(world.mm, *world.p, at + 4 * MiB, 10 * page_size, Advice::populate_read);
    CHECK(world.p->min_flt == 30);
    do_madvise(world.mm, *world.p, at + 4 * MiB, 10 * page_size, Advice::populate_write);
    CHECK(world.p->min_flt == 40);
    do_madvise(world.mm, *world.p, at + 4 * MiB, 10 * page_size, Advice::populate_write);
    CHECK(world.p->min_flt == 40);
    CHECK(world.broken() == nothing);
}

TEST_CASE("MADV_DONTNEED takes pages and leaves tables, MADV_FREE waits for need", "[kernel][mm][M-D23][D.6]") {
    MmWorld world;
    world.map_private(r | w, 16);
    for (std::uint64_t page = 0; page < 16; ++page) {
        REQUIRE_FALSE(world.write(at + page * page_size, 5));
    }
    do_madvise(world.mm, *world.p, at, 8 * page_size, Advice::dontneed);
    CHECK(world.p->mm->counter(MmCounter::anon) == 8);
    CHECK(world.table_pages() == 3);
    CHECK(user_load(world.mm, *world.p, VirtAddr{at}).value == 0);
    const std::uint64_t faults = world.p->min_flt;
    do_madvise(world.mm, *world.p, at + 8 * page_size, 8 * page_size, Advice::free);
    CHECK(world.p->mm->counter(MmCounter::anon) == 8);
    CHECK(user_load(world.mm, *world.p, VirtAddr{at + 8 * page_size}).value == 5);
    REQUIRE_FALSE(world.write(at + 9 * page_size));
    CHECK(world.p->min_flt == faults);
    CHECK(world.broken() == nothing);
}

TEST_CASE("After exit nothing is left", "[kernel][mm][M-D24]") {
    BareKernel kernel{{.memory_bytes = 64 * MiB}};
    std::uint64_t managed = 0;
    for (const BuddyZone& zone : kernel.buddy().zones()) {
        managed += zone.managed_pages;
    }
    {
        Mm mm{kernel.machine(),      kernel.memory(),    kernel.state(), kernel.buddy(),
              kernel.init_top_pgt(), kernel.zero_page(), kernel.lists()};
        task_struct& p = create_process(mm, "P");
        do_mmap(mm, p, at, 64 * page_size, r | w, map::private_ | map::anonymous | map::fixed, nullptr, 0);
        for (std::uint64_t page = 0; page < 64; ++page) {
            user_store(mm, p, VirtAddr{at + page * page_size}, 1);
        }
        task_struct& child = *fork_process(mm, p, "C");
        for (std::uint64_t page = 0; page < 32; ++page) {
            user_store(mm, child, VirtAddr{at + page * page_size}, 1);
        }
    }
    CHECK(kernel.buddy().free_page_count() == managed);
    CHECK(kernel.buddy().bad_pages() == 0);
}

TEST_CASE("A wish for an address is met where the range is free", "[kernel][mm]") {
    MmWorld world;
    const auto map_near = [&](std::uint64_t address, std::uint64_t pages) {
        return static_cast<std::uint64_t>(
            do_mmap(world.mm, *world.p, address, pages << 12, r | w, map::private_ | map::anonymous, nullptr, 0));
    };
    CHECK(map_near(at, 4) == at);
    CHECK(map_near(at + 4 * page_size, 4) == at + 4 * page_size);
    CHECK(map_near(at + 2 * page_size, 1) != at + 2 * page_size);
    world.map_private(r | w, 1, at + 64 * MiB, map::growsdown);
    CHECK(map_near(at + 64 * MiB - 257 * page_size, 1) == at + 64 * MiB - 257 * page_size);
    CHECK(map_near(at + 64 * MiB - 256 * page_size, 1) != at + 64 * MiB - 256 * page_size);
    CHECK(do_mmap(world.mm, *world.p, 0, ~std::uint64_t{0} - page_size, r, map::private_ | map::anonymous, nullptr,
                  0) == -enomem);
    CHECK(do_mremap(world.mm, *world.p, at, page_size, 0 - 2 * page_size, mremap_flag::maymove | mremap_flag::fixed,
                    at + 128 * MiB) == -einval);
    CHECK(world.broken() == nothing);
}
