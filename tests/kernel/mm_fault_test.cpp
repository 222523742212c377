// SPDX-License-Identifier: GPL-2.0-only
// Page faults, row by row of the tables of chapter F. [spec M-F1 to M-F21]
#include "support/catch.hpp"

#include <algorithm>

#include "kernel/fault.hpp"
#include "mm_world.hpp"
#include "pgsim/cpu/registers.hpp"

using namespace pgsim;
using namespace pgsim::test;

namespace {

FaultSignal segv(int code, std::uint64_t address) {
    return {sigsegv, code, address};
}

}  // namespace

TEST_CASE("Accesses that no area allows are signals and count as no fault", "[kernel][mm][M-F5][M-F6][M-F8][M-F9]") {
    const bool five_levels = GENERATE(false, true);
    MmWorld world{{.memory_bytes = 64 * MiB, .five_levels = five_levels}};
    world.map_private(r, 4);
    world.map_private(0, 4, at + 0x10000);
    world.map_private(r | w, 4, at + 0x20000);
    REQUIRE_FALSE(world.read(at));
    REQUIRE_FALSE(world.write(at + 0x20000));
    do_mprotect(world.mm, *world.p, at + 0x20000, 0x4000, 0);
    const std::uint64_t before = world.p->min_flt;

    SECTION("where no area is") {
        CHECK(world.read(at + 0x5000) == segv(segv_maperr, at + 0x5000));
        CHECK(world.write(0x10) == segv(segv_maperr, 0x10));
        CHECK(world.read(at + 0x4fff) == segv(segv_maperr, at + 0x4fff));  // si_addr is CR2, not the page
    }
    SECTION("a write where only reads are allowed, populated or not") {
        CHECK(world.write(at) == segv(segv_accerr, at));
        CHECK(world.write(at + 0x1000) == segv(segv_accerr, at + 0x1000));
        CHECK(world.pte(at + 0x1000) == 0);
    }
    SECTION("anything in a PROT_NONE area, populated or not") {
        CHECK(world.read(at + 0x10000) == segv(segv_accerr, at + 0x10000));
        CHECK(world.write(at + 0x10000) == segv(segv_accerr, at + 0x10000));
        CHECK(world.read(at + 0x20000) == segv(segv_accerr, at + 0x20000));
        CHECK(world.write(at + 0x20000) == segv(segv_accerr, at + 0x20000));
    }
    SECTION("a fetch from a page of an area without exec") {
        CHECK(world.call(at) == segv(segv_accerr, at));
    }
    SECTION("the kernel half, and the page that no process has") {
        CHECK(world.read(0xffff'8880'0000'0000 | (five_levels ? 0xff00'0000'0000'0000 : 0)) != std::nullopt);
        CHECK(world.read(0xffff'ffff'ff5f'f000) == segv(segv_maperr, 0xffff'ffff'ff5f'f000));
        const std::uint64_t top = five_levels ? 0x00ff'ffff'ffff'f000 : 0x7fff'ffff'f000;
        CHECK(world.read(top) == segv(segv_maperr, top));
    }
    SECTION("what is no address") {
        const std::uint64_t hole = five_levels ? 0x0100'0000'0000'0000 : 0x8000'0000'0000;
        CHECK(world.read(hole) == segv(si_kernel, 0));  // #GP: no address is known [spec M-F1]
    }
    CHECK(world.p->min_flt == before);
    CHECK(world.p->maj_flt == 0);
    CHECK(world.broken() == nothing);
}

TEST_CASE("A fetch from an absent page of an area without exec first fills it", "[kernel][mm][M-F6]") {
    MmWorld world;
    world.map_private(r, 1);
    CHECK(world.call(at) == segv(segv_accerr, at));
    CHECK(world.p->min_flt == 1);
    CHECK(world.frame(at) == world.mm.zero_pfn);
}

TEST_CASE("Write-only implies read, and execute-only too without protection keys", "[kernel][mm][F.9]") {
    MmWorld world;
    world.map_private(w, 2);
    world.map_private(x, 2, at + 0x10000);
    CHECK_FALSE(world.read(at));
    CHECK_FALSE(world.write(at + 0x1000));
    CHECK_FALSE(world.read(at + 0x10000));
    CHECK_FALSE(world.call(at + 0x11000));
}

TEST_CASE("A protection key that denies is a signal of its own", "[kernel][mm][M-F6][M-F8]") {
    MmWorld world;
    world.map_private(r | w, 1);
    REQUIRE_FALSE(world.write(at));
    const VirtAddr place = world.pte_place(*world.p, at);
    world.kernel.memory().write64(place, world.kernel.memory().read64(place) | std::uint64_t{1} << 59);
    CpuState cpu = world.kernel.machine().cpu();
    cpu.cr4 |= Cr4::pke;
    cpu.pkru = 0b0100;  // access disabled for key 1
    world.kernel.machine().set_cpu_state(cpu);
    CHECK(world.read(at) == segv(segv_pkuerr, at));
}

TEST_CASE("Beyond the end of a file is SIGBUS, and only PUD and PMD pages stay", "[kernel][mm][M-C7][M-F15]") {
    MmWorld world;
    const FileKind kind = GENERATE(FileKind::tmpfs, FileKind::ext4);
    const unsigned how = GENERATE(map::private_, map::shared);
    const auto file = world.file_with(kind, 2);
    world.map_file(r | w, 8, file, how, at, 4);
    CHECK(world.read(at) == FaultSignal{sigbus, bus_adrerr, at});
    CHECK(world.write(at + 0x1008) == FaultSignal{sigbus, bus_adrerr, at + 0x1008});
    CHECK(world.table_pages() == 2);
    CHECK(world.p->min_flt + world.p->maj_flt == 0);
    CHECK(world.broken() == nothing);
}

TEST_CASE("A stack grows to the page that is touched, if 256 pages to what lies below stay", "[kernel][mm][M-F7]") {
    MmWorld world;
    constexpr std::uint64_t top = at + 64 * MiB;
    world.map_private(r | w, 4, top, map::growsdown);
    SECTION("any distance is allowed") {
        CHECK_FALSE(world.write(top - 5 * MiB + 0x123));
        CHECK(world.p->min_flt == 1);
        CHECK(world.p->mm->mm_mt.begin()->second->vm_start == top - 5 * MiB);
        CHECK(world.p->mm->mm_mt.size() == 1);
    }
    SECTION("but not beyond the limit of stacks") {
        // 8 MiB from the end of the area, which is 16 KiB above `top`.
        CHECK_FALSE(world.write(top + 16 * KiB - 8 * MiB));
        CHECK(world.write(top + 16 * KiB - 8 * MiB - 1) == segv(segv_maperr, top + 16 * KiB - 8 * MiB - 1));
    }
    SECTION("the gap to an accessible area is 256 pages, equal is allowed") {
        world.map_private(r, 1, top - 4 * MiB);
        const std::uint64_t end = top - 4 * MiB + page_size;
        CHECK(world.write(end + 255 * page_size) == segv(segv_maperr, end + 255 * page_size));
        CHECK_FALSE(world.write(end + 256 * page_size));
    }
    SECTION("areas without access, and other stacks, need no gap") {
        world.map_private(0, 1, top - 4 * MiB);
        CHECK_FALSE(world.write(top - 4 * MiB + page_size));
    }
    SECTION("a growing stack is an area that can be written") {
        do_mprotect(world.mm, *world.p, top, 0x4000, r);
        CHECK(world.write(top - page_size) == segv(segv_accerr, top - page_size));
    }
    CHECK(world.broken() == nothing);
}

TEST_CASE("The kernel's own accesses to user memory end in a fix-up, without a signal", "[kernel][mm][M-F5][M-D28]") {
    MmWorld world;
    world.map_private(r | w, 2);
    world.listen();
    CHECK(clear_user(world.mm, *world.p, VirtAddr{at}, 4 * page_size) == 2 * page_size);
    CHECK(world.p->min_flt == 2);
    CHECK(world.times("fixup_exception") == 1);
    CHECK(world.times("force_sig_fault") == 0);
    CHECK(clear_user(world.mm, *world.p, VirtAddr{0xffff'8880'0000'0000}, 16) == 0);  // access_ok() says no
}

TEST_CASE("What the kernel must never do is an oops: the machine stops", "[kernel][mm][M-F5]") {
    MmWorld world;
    world.map_private(r | w | x, 1);
    REQUIRE_FALSE(world.write(at));
    Machine& machine = world.kernel.machine();
    world.listen();
    SECTION("an access to user memory with SMAP and AC clear") {
        CHECK_FALSE(machine.load64(VirtAddr{at}).ok());
        CHECK(world.times("SMAP") == 1);
    }
    SECTION("execution of user memory with SMEP") {
        CHECK_FALSE(machine.fetch(VirtAddr{at}).ok());
        CHECK(world.times("executed user memory") == 1);
    }
    SECTION("an entry with a reserved bit") {
        const VirtAddr place = world.pte_place(*world.p, at);
        world.kernel.memory().write64(place, world.kernel.memory().read64(place) | std::uint64_t{1} << 51);
        machine.invlpg(VirtAddr{at});
        CHECK_THROWS_AS(world.read(at), Halted);
        CHECK(world.times("bad page table") == 1);
    }
    CHECK(machine.stopped());
}

TEST_CASE("A fault on what the entry allows already is spurious", "[kernel][mm][M-F11]") {
    MmWorld world;
    world.map_private(r | w, 1);
    REQUIRE_FALSE(world.write(at));
    REQUIRE_FALSE(world.read(at));
    const std::uint64_t entry = world.pte(at);
    world.listen();
    vm_area_struct& vma = *world.p->mm->mm_mt.begin()->second;
    const std::uint64_t flushed = world.mm.vmstat.tlb_flush_pages;
    CHECK(handle_mm_fault(world.mm, vma, at, fault_flag::write | fault_flag::user) == 0);
    CHECK(world.times("spurious") == 1);
    CHECK(world.pte(at) == entry);
    CHECK(world.mm.vmstat.tlb_flush_pages == flushed + 1);  // a stale entry made it
    CHECK(handle_mm_fault(world.mm, vma, at, fault_flag::user) == 0);
    CHECK(world.mm.vmstat.tlb_flush_pages == flushed + 1);
}

TEST_CASE("The area's own lock is enough, or mmap_lock is taken", "[kernel][mm][M-F5]") {
    MmWorld world;
    const VmStat& stat = world.mm.vmstat;
    const auto counts = [&] {
        return std::vector<std::uint64_t>{stat.vma_lock_success, stat.vma_lock_abort, stat.vma_lock_retry};
    };
    using Counts = std::vector<std::uint64_t>;
    SECTION("anonymous memory: not before the area has an anon_vma") {
        world.map_private(r | w, 4);
        CHECK_FALSE(world.read(at));
        CHECK(counts() == Counts{0, 1, 0});
        CHECK_FALSE(world.write(at + 0x1000));
        CHECK(counts() == Counts{0, 2, 0});
        CHECK_FALSE(world.write(at + 0x2000));
        CHECK(counts() == Counts{1, 2, 0});
    }
    SECTION("files: reads of cached pages yes, writes not") {
        const auto file = world.file_with(FileKind::tmpfs, 64);
        world.map_file(r | w, 64, file, map::shared);
        CHECK_FALSE(world.read(at));
        CHECK(counts() == Counts{1, 0, 0});
        CHECK_FALSE(world.write(at + 32 * page_size));
        CHECK(counts() == Counts{1, 0, 1});
        world.map_file(r | w, 64, file, map::private_, at + 2 * MiB);
        CHECK_FALSE(world.write(at + 2 * MiB));
        CHECK(counts() == Counts{1, 0, 2});
        CHECK_FALSE(world.read(at + 2 * MiB + 16 * page_size));
        CHECK(counts() == Counts{2, 0, 2});
    }
    SECTION("a page that must be read from the disk") {
        const auto file = world.file_with(FileKind::ext4, 64);
        file_sync(world.mm, file);
        drop_page_cache(world.mm, file);
        world.map_file(r, 64, file, map::shared);
        CHECK_FALSE(world.read(at));
        CHECK(counts() == Counts{0, 0, 1});
        CHECK(world.p->maj_flt == 1);  // however often it was tried [spec M-F9]
        CHECK(world.p->min_flt == 0);
    }
}

TEST_CASE("Fault-around maps the window that the rule says", "[kernel][mm][M-F15]") {
    // The area begins at page `first` of a 2-MByte stretch, the file at page `pgoff`; all of the file is cached.
    const std::uint64_t first = GENERATE(0U, 5U, 16U, 505U);
    const std::uint64_t pgoff = GENERATE(0U, 3U);
    constexpr std::uint64_t file_pages = 40;
    constexpr std::uint64_t area_pages = 36;
    for (std::uint64_t touched = 0; touched < area_pages; ++touched) {
        MmWorld world{{.memory_bytes = 64 * MiB}};
        const auto file = world.file_with(FileKind::tmpfs, file_pages);
        const std::uint64_t start = at + first * page_size;
        world.map_file(r, area_pages, file, map::private_, start, pgoff);
        REQUIRE_FALSE(world.read(start + touched * page_size));
        // The rule, in pages from the beginning of the area; i is the index in its page table.
        const std::uint64_t i = (first + touched) % 512;
        const std::uint64_t from = std::max(i / 16 * 16, i - std::min(i, touched));
        const std::uint64_t to = std::min({from + 16, std::uint64_t{512}, i + area_pages - touched});
        for (std::uint64_t page = 0; page < area_pages; ++page) {
            const bool same_table = (first + page) / 512 == (first + touched) / 512;
            const std::uint64_t index = (first + page) % 512;
            const bool in_file = pgoff + page < file_pages;
            const bool wanted = same_table && index >= from && index < to && in_file;
            INFO("first " << first << ", offset " << pgoff << ", touched " << touched << ", page " << page);
            CHECK((world.pte(start + page * page_size) != 0) == wanted);
        }
        CHECK(world.p->min_flt == 1);
    }
}

TEST_CASE("What is not in the cache is no part of the window, and costs a fault of its own", "[kernel][mm][M-F15]") {
    MmWorld world;
    const auto file = world.mm.new_file(FileKind::tmpfs, "holes");
    file_write(world.mm, *world.p, file, 0, 4);
    file_write(world.mm, *world.p, file, 8 * page_size, 8);
    world.map_file(r, 16, file, map::shared);
    CHECK_FALSE(world.read(at + 5 * page_size));  // a hole: a zeroed page is made
    CHECK(world.p->min_flt == 1);
    CHECK(world.p->mm->counter(MmCounter::shmem) == 13);
    CHECK_FALSE(world.read(at + 4 * page_size));
    CHECK(world.p->min_flt == 2);
    CHECK(world.broken() == nothing);
}

TEST_CASE("Entries of anonymous memory have the kernel's values", "[kernel][mm][M-F13][M-D17][M-D18]") {
    MmWorld world;
    world.map_private(r | w, 4);
    REQUIRE_FALSE(world.read(at));
    CHECK(world.pte(at) == (0x8000'0000'0000'0225 | world.mm.zero_pfn << 12));
    REQUIRE_FALSE(world.write(at));
    CHECK(world.frame(at) != world.mm.zero_pfn);
    CHECK(world.pte(at) == (0x8000'0000'0000'0067 | world.frame(at) << 12));
    world.map_private(r | w | x, 1, at + 0x10000);
    REQUIRE_FALSE(world.write(at + 0x10000));
    CHECK(world.pte(at + 0x10000) == (std::uint64_t{0x67} | world.frame(at + 0x10000) << 12));
}

TEST_CASE("Shared anonymous memory without a file behind it would be SIGBUS; ours has one", "[kernel][mm][M-F13]") {
    MmWorld world;
    do_mmap(world.mm, *world.p, at, 16 * page_size, r | w, map::shared | map::anonymous | map::fixed, nullptr, 0);
    CHECK_FALSE(world.write(at));
    CHECK(world.p->mm->counter(MmCounter::shmem) == 1);
    vm_area_struct& vma = *world.p->mm->mm_mt.begin()->second;
    const auto file = vma.vm_file;
    REQUIRE(file != nullptr);
    CHECK(file->pages.size() == 1);
}

TEST_CASE("A huge page is used when every condition holds", "[kernel][mm][M-F18]") {
    MmSetup setup;
    setup.thp = GENERATE(ThpSetting::never, ThpSetting::madvise, ThpSetting::always);
    const bool advised = GENERATE(false, true);
    const bool forbidden = GENERATE(false, true);
    MmWorld world{{.memory_bytes = 128 * MiB}, setup};
    world.p->thp_disabled = forbidden;
    world.map_private(r | w, 1024, at + page_size);  // only the second 2 MiB lie wholly inside
    if (advised) {
        do_madvise(world.mm, *world.p, at + page_size, 1024 * page_size, Advice::hugepage);
    }
    const bool allowed =
        !forbidden && (setup.thp == ThpSetting::always || (setup.thp == ThpSetting::madvise && advised));
    REQUIRE_FALSE(world.write(at + page_size));
    CHECK(world.p->mm->counter(MmCounter::anon) == 1);
    REQUIRE_FALSE(world.write(at + 2 * MiB + 0x5000));
    CHECK(world.p->mm->counter(MmCounter::anon) == (allowed ? 513 : 2));
    CHECK(world.p->min_flt == 2);
    // PUD, PMD, and a page table for each half: that of the huge page is deposited.
    CHECK(world.table_pages() == 4);
    CHECK(world.broken() == nothing);
}

TEST_CASE("A completed fault leaves an entry that permits the access", "[kernel][mm][F.9][property]") {
    MmSetup setup;
    setup.swap_slots = 1024;
    MmWorld world{{.memory_bytes = 64 * MiB}, setup};
    const auto tmpfs = world.file_with(FileKind::tmpfs, 32);
    const auto ext4 = world.file_with(FileKind::ext4, 32);
    std::uint64_t address = at;
    for (const unsigned rights : {r, w, x, r | w, r | x, w | x, r | w | x}) {
        for (int backing = 0; backing < 5; ++backing) {
            if (backing == 0) {
                world.map_private(rights, 8, address);
            } else {
                world.map_file(rights, 8, backing < 3 ? tmpfs : ext4, backing % 2 == 1 ? map::private_ : map::shared,
                               address);
            }
            for (std::uint64_t page = 0; page < 8; ++page) {
                const std::uint64_t where = address + page * page_size;
                const auto touch = [&] { return page % 2 == 0 ? world.read(where) : world.write(where); };
                const auto signal = touch();
                const bool allowed = page % 2 == 0 || (rights & w) != 0;
                CHECK(signal.has_value() == !allowed);
                const std::uint64_t faults = world.p->min_flt + world.p->maj_flt;
                CHECK(touch() == signal);
                CHECK(world.p->min_flt + world.p->maj_flt == faults);
            }
            address += 1 * MiB;
        }
    }
    CHECK(world.broken() == nothing);
}
