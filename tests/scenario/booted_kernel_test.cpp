// SPDX-License-Identifier: GPL-2.0-only
// What runs on the machine that a boot leaves: its allocator, looked at and asked, and processes. [spec chapters A, B]
#include "support/catch.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "pgsim/base/error.hpp"
#include "pgsim/kernel/mm_check.hpp"
#include "pgsim/scenario/booted_kernel.hpp"
#include "pgsim/scenario/buddy_account.hpp"
#include "pgsim/scenario/presets.hpp"
#include "pgsim/scenario/process_script.hpp"

using namespace pgsim;
using namespace pgsim::kernel;

namespace {

Boot boot(BootScenario scenario) {
    return run(scenario, {.until = "buddy.exit"});
}

const Boot& small_boot() {
    static const Boot booted = boot(presets::qemu_q35("1G"));
    return booted;
}

std::uint64_t pages_in(const std::vector<FreeListLength>& lists) {
    std::uint64_t pages = 0;
    for (const FreeListLength& list : lists) {
        pages += static_cast<std::uint64_t>(list.blocks) << list.order;
    }
    return pages;
}

std::int64_t change_of(const BuddyChange& change, unsigned order, MigrateType type) {
    std::int64_t blocks = 0;
    for (const FreeListLength& list : change.changed) {
        blocks += list.order == order && list.type == type ? list.blocks : 0;
    }
    return blocks;
}

std::string error_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

}  // namespace

TEST_CASE("The free lists after a boot are those of its checkpoint", "[scenario][buddy][M-A20]") {
    BootedKernel kernel{small_boot(), {.late = false}};
    const Checkpoint& checkpoint = small_boot().at("buddy.exit");
    std::uint64_t managed = 0;
    for (const ZoneFreeArea& area : checkpoint.free_areas) {
        for (unsigned order = 0; order <= max_order; ++order) {
            std::uint64_t blocks = 0;
            for (const FreeListLength& list : free_list_lengths(kernel.buddy())) {
                if (list.zone == area.type && list.nid == area.nid && list.order == order) {
                    CHECK(list.type == MigrateType::movable);  // [spec M-A18]
                    blocks += static_cast<std::uint64_t>(list.blocks);
                }
            }
            CHECK(blocks == area.nr_free[order]);
        }
        managed += area.free_pages();
    }
    CHECK(pages_in(free_list_lengths(kernel.buddy())) == managed);
}

TEST_CASE("An unmovable allocation after the boot claims the largest movable block", "[scenario][buddy][M-B14]") {
    BootedKernel kernel{small_boot(), {.late = false}};
    const auto changes = apply_requests(kernel.buddy(), {parse_alloc_request("0,kernel"), parse_free_request("@1")});
    REQUIRE(changes.size() == 2);
    const BuddyChange& allocation = changes[0];
    REQUIRE(allocation.pfn);
    CHECK(*allocation.pfn % 1024 == 0);  // the lower half of an order-10 block is what is kept [spec M-B12]
    CHECK(change_of(allocation, 10, MigrateType::movable) == -1);
    for (unsigned order = 0; order < 10; ++order) {
        CHECK(change_of(allocation, order, MigrateType::unmovable) == 1);
    }
    const auto claimed = std::count_if(allocation.events.begin(), allocation.events.end(),
                                       [](const BuddyEvent& e) { return e.kind == BuddyEvent::Kind::claim_block; });
    CHECK(claimed == 2);  // both pageblocks of 2 MiB [spec M-B15]
    // The block is whole again, and belongs to the mobility that its pageblocks have now. [spec M-B17]
    CHECK(change_of(changes[1], 10, MigrateType::unmovable) == 1);
    CHECK(changes[1].picture.find("after:") != std::string::npos);
    CHECK(changes[1].picture.find(" [10]") != std::string::npos);
}

TEST_CASE("Allocations and frees by hand keep every page", "[scenario][buddy]") {
    for (const bool pcp : {false, true}) {
        BootedKernel kernel{small_boot(), {.late = true, .pcp = pcp}};
        const std::uint64_t before = kernel.buddy().free_page_count();
        std::vector<BuddyRequest> requests;
        for (const char* text : {"0,highuser_movable", "3,kernel", "9,highuser_movable|comp", "10,kernel", "0,dma",
                                 "1,dma32|movable", "2,kernel|reclaimable"}) {
            requests.push_back(parse_alloc_request(text));
        }
        for (unsigned i = 7; i >= 1; --i) {
            requests.push_back(parse_free_request("@" + std::to_string(i)));
        }
        const auto changes = apply_requests(kernel.buddy(), requests);
        for (const BuddyChange& change : changes) {
            REQUIRE(change.pfn);
        }
        CHECK(*changes[4].pfn < 0x1000);  // ZONE_DMA
        CHECK(kernel.buddy().free_page_count() == before);
        CHECK(kernel.buddy().bad_pages() == 0);
    }
}

TEST_CASE("A free of what is not allocated is refused", "[scenario][buddy]") {
    BootedKernel kernel{small_boot()};
    const auto refuse = [&](const char* text) {
        return error_of([&] { (void)apply_requests(kernel.buddy(), {parse_free_request(text)}); });
    };
    using Catch::Matchers::Contains;
    const std::uint64_t free_block =
        kernel.buddy().free_list(kernel.buddy().zones().back(), 10, MigrateType::movable)[0];
    CHECK_THAT(refuse((hex(free_block) + ",0").c_str()), Contains("not allocated"));
    CHECK_THAT(refuse("0x1000,0"), Contains("reserved"));  // the kernel image
    CHECK_THAT(refuse("0x7fffffff,0"), Contains("no zone"));
    CHECK_THAT(refuse("0x401,1"), Contains("multiple"));
    CHECK_THAT(refuse("@1"), Contains("no such allocation"));
    CHECK_THAT(error_of([] { (void)parse_free_request("0x400"); }), Contains("wanted"));
    CHECK_THAT(error_of([] { (void)parse_free_request("@0"); }), Contains("from 1"));
    CHECK_THAT(error_of([] { (void)parse_alloc_request("11"); }), Contains("more than 10"));
    CHECK_THAT(error_of([] { (void)parse_alloc_request("0,sometimes"); }), Contains("sometimes"));
    CHECK_THAT(error_of([] { (void)parse_alloc_request("x"); }), Contains("no number"));
    CHECK_THAT(error_of([] { (void)parse_alloc_request("0,kernel,0,1"); }), Contains("wanted"));
    CHECK_THAT(error_of([&] { (void)apply_requests(kernel.buddy(), {parse_alloc_request("0,kernel,5")}); }),
               Contains("no such node"));
}

TEST_CASE("Text, picture, SVG and JSON show the same lists", "[scenario][buddy]") {
    BootedKernel kernel{small_boot(), {.late = false}};
    const std::string text = free_lists_text(kernel.buddy());
    CHECK_THAT(text, Catch::Matchers::Contains("zone DMA32"));
    CHECK_THAT(free_lists_picture(kernel.buddy()), Catch::Matchers::Contains("AAAA"));
    CHECK_THAT(free_lists_svg(kernel.buddy()),
               Catch::Matchers::StartsWith("<svg") && Catch::Matchers::EndsWith("</svg>\n"));
    const auto json = nlohmann::json::parse(buddy_json(kernel.buddy(), {}));
    std::uint64_t free = 0;
    for (const auto& list : json["lists"]) {
        free += list["blocks"].get<std::uint64_t>() << list["order"].get<unsigned>();
    }
    CHECK(free == pages_in(free_list_lengths(kernel.buddy())));
}

TEST_CASE("A refill of the CPU's own list is told in short", "[scenario][buddy][M-B19]") {
    BootedKernel kernel{small_boot(), {.late = true}};
    const auto changes = apply_requests(
        kernel.buddy(), {parse_alloc_request("0,highuser_movable"), parse_alloc_request("0,highuser_movable")});
    const auto lines = [](const std::string& text) { return std::count(text.begin(), text.end(), '\n'); };
    CHECK_THAT(to_string(changes[0]), Catch::Matchers::Contains("more such steps") &&
                                          Catch::Matchers::Contains("the CPU's own list of order 0 was empty"));
    CHECK(lines(to_string(changes[0])) < 30);
    CHECK(changes[1].changed.empty());  // the list has pages now: the free lists stay as they are
    CHECK(changes[1].events.size() == 2);
}

TEST_CASE("Deferred pages are free when init starts", "[scenario][buddy][M-A21]") {
    BootScenario scenario = presets::qemu_q35("2G");
    use_kernel(scenario, "6.1");  // Debian's build defers
    const Boot booted = boot(scenario);
    BootedKernel early{booted, {.late = false}};
    BootedKernel late{booted, {.late = true}};
    const std::uint64_t first = early.buddy().free_page_count();
    CHECK(first < 0x18000);  // the rest waits: M-A12's example has P = 0x10000 for 2 GiB without holes
    CHECK(late.buddy().free_page_count() + late.own_pages() == late.state().totalram_pages);
    CHECK(booted.at("buddy.exit").kernel.totalram_pages == late.state().totalram_pages);  // [spec M-A19]
}

TEST_CASE("Processes run on the machine that was booted, and give all memory back", "[scenario][run][M-D24]") {
    std::vector<BootScenario> scenarios{presets::qemu_q35("1G"), presets::qemu_q35("1G"), presets::qemu_q35("1G")};
    use_cpu(scenarios[1], "max,+la57");
    scenarios[2].inputs.boot_params.cmdline += " pti=on";
    for (BootScenario& scenario : scenarios) {
        const Boot booted = boot(scenario);
        ProcessWorld::Options options;
        options.mm.swap_slots = 4096;
        ProcessWorld world{booted, options};
        Mm& mm = world.mm();
        exit_process(mm, world.task("P"));  // a world without any process: all memory that is to come back
        const std::uint64_t free_pages = mm.buddy.free_page_count();
        const bool five_levels = mm.state.pgtable_l5_enabled;
        ProcessWorld fresh{booted, options};
        const ProcessStory story = run_process_script(
            "P mmap 0x100000000000 4M rwx private|anon|fixed\nP write 0x100000000000 1024\nP fork C\n"
            "C write 0x100000000000 10\nP madvise 0x100000000000 64K pageout\nP call 0x100000100000\n"
            "P read 0x100000000000 16\nP openfile 0 ext4\nP filewrite 0 0 20\n"
            "P mmap 0x100000800000 80K rw shared|fixed file=0\nC exit\nP write 0x100000800000 20\n"
            "P munmap 0x100000800000 80K\nP exit\n",
            fresh, {.views = true, .check = true});
        for (const StoryStep& step : story.steps) {
            CHECK(step.stopped.empty());
            CHECK_FALSE(step.outcome.signal);
            for (const std::string& what : step.broken) {
                FAIL_CHECK(step.line.text << ": " << what);
            }
        }
        CHECK(story.steps[1].outcome.minflt == 1024);
        CHECK(story.steps[3].outcome.pages_frame_changed == 10);
        const ProcessView& process = story.steps[2].after.processes.front();
        CHECK(process.tables.front().level == (five_levels ? Level::pml5 : Level::pml4));
        // The page cache of the file is what is left.
        CHECK(fresh.mm().buddy.free_page_count() + 20 == free_pages);
    }
}

TEST_CASE("The kernel half of a process is the boot's own", "[scenario][run]") {
    ProcessWorld world{small_boot(), {}};
    const Mm& mm = world.mm();
    PhysicalMemory& memory = world.kernel().machine().memory();
    const std::uint64_t pgd = world.task("P").mm->pgd_pfn << 12;
    unsigned used = 0;
    for (std::uint64_t slot = 256; slot < 512; ++slot) {
        const std::uint64_t entry = memory.read64(PhysAddr{pgd + 8 * slot});
        CHECK(entry == memory.read64(mm.init_top_pgt + 8 * slot));
        used += entry != 0 ? 1 : 0;
    }
    CHECK(used >= 3);  // direct map, vmemmap, kernel image
}

TEST_CASE("Processes want a kernel of series 6.6 that came to its allocator", "[scenario][run]") {
    using Catch::Matchers::Contains;
    BootScenario other = presets::qemu_q35("1G");
    use_kernel(other, "6.12");
    CHECK_THAT(error_of([&] { const ProcessWorld world{boot(other), {}}; }), Contains("6.6"));
    const Boot short_boot = run(presets::qemu_q35("1G"), {.until = "init_mem_mapping.exit"});
    CHECK_THAT(error_of([&] { const ProcessWorld world{short_boot, {}}; }), Contains("buddy.exit"));
}
