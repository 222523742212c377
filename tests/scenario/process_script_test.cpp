// SPDX-License-Identifier: GPL-2.0-only
// Scripts of processes: what a line does, what is told of it, and what is refused.
#include "support/catch.hpp"
#include "support/data.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "pgsim/base/error.hpp"
#include "pgsim/scenario/process_script.hpp"

using namespace pgsim;
using kernel::LeftOutFlush;

namespace {

constexpr const char* base = "0x100000000000";

ProcessStory run(const std::string& script, ProcessWorld::Options options = {}) {
    options.memory_bytes = std::min(options.memory_bytes, std::uint64_t{256} << 20);
    return run_process_script(script, options, {.views = true, .check = true});
}

ProcessStory run_without(LeftOutFlush flush, const std::string& script) {
    ProcessWorld::Options options;
    options.mm.left_out = flush;
    return run_process_script(script, options, {.views = true});
}

const StoryStep& last(const ProcessStory& story) {
    return story.steps.back();
}

const ProcessView& process(const ProcessesView& view, const std::string& name) {
    const auto found = std::find_if(view.processes.begin(), view.processes.end(),
                                    [&](const ProcessView& process) { return process.name == name; });
    REQUIRE(found != view.processes.end());
    return *found;
}

const MappedPageView& page(const ProcessesView& view, const std::string& name, std::uint64_t address) {
    const ProcessView& of = process(view, name);
    const auto found = std::find_if(of.pages.begin(), of.pages.end(),
                                    [&](const MappedPageView& page) { return page.address == VirtAddr{address}; });
    REQUIRE(found != of.pages.end());
    return *found;
}

std::size_t passed(const StoryStep& step, const std::string& function, const std::string& what = {}) {
    return static_cast<std::size_t>(std::count_if(step.trace.begin(), step.trace.end(), [&](const auto& s) {
        return s.function == function && s.what.find(what) != std::string::npos;
    }));
}

std::vector<std::string> functions(const StoryStep& step) {
    std::vector<std::string> names;
    for (const kernel::TraceStep& passed : step.trace) {
        names.push_back(passed.function);
    }
    return names;
}

std::uint64_t counter(const StoryStep& step, const std::string& name) {
    const auto found = std::find_if(step.counters.begin(), step.counters.end(),
                                    [&](const auto& counter) { return counter.first == name; });
    return found == step.counters.end() ? 0 : found->second;
}

const std::string anonymous = std::string{"P mmap "} + base + " 16K rw private|anon|fixed\n";

}  // namespace

TEST_CASE("A first write to anonymous memory passes the functions of the kernel, in order", "[scenario][run][M-F13]") {
    const ProcessStory story = run(anonymous + "P write 0x100000000000\nP write 0x100000001000\n");
    // An anonymous area without anon_vma cannot be handled under its own lock. [spec M-F5 step 8]
    CHECK(functions(story.steps[1]) ==
          std::vector<std::string>{"exc_page_fault", "lock_vma_under_rcu", "lock_mm_and_find_vma", "handle_mm_fault",
                                   "alloc_pages", "__pud_alloc", "set_p4d", "alloc_pages", "__pmd_alloc", "set_pud",
                                   "do_pte_missing", "alloc_pages", "__pte_alloc", "set_pmd", "anon_vma_prepare",
                                   "alloc_pages", "do_anonymous_page", "set_pte"});
    CHECK(functions(story.steps[2]) == std::vector<std::string>{"exc_page_fault", "lock_vma_under_rcu",
                                                                "handle_mm_fault", "do_pte_missing", "alloc_pages",
                                                                "do_anonymous_page", "set_pte"});
    CHECK(story.steps[1].pages_allocated == 4);  // PUD, PMD and PTE page, and the page itself
    CHECK(story.steps[2].pages_allocated == 1);
    CHECK(counter(story.steps[1], "vma_lock_abort") == 1);
    CHECK(counter(story.steps[2], "vma_lock_success") == 1);
    CHECK(story.steps[1].cycles > Cycles{0});
}

TEST_CASE("Copy on write: the first writer copies, the last one keeps the frame", "[scenario][run][M-D19]") {
    const ProcessStory story = run(anonymous +
                                   "P write 0x100000000000 1 value=0x11\n"
                                   "P fork C\n"
                                   "P write 0x100000000000 1 value=0x22\n"
                                   "C write 0x100000000000 1 value=0x33\n"
                                   "P read 0x100000000000\n");
    const ProcessesView& forked = story.steps[2].after;
    const Pfn shared = page(forked, "P", 0x1000'0000'0000).pfn;
    CHECK(page(forked, "C", 0x1000'0000'0000).pfn == shared);
    const FrameView& frame = forked.frames.at(shared.value());
    CHECK(frame.mapcount == 2);
    CHECK(frame.mapped_by.size() == 2);
    CHECK_FALSE(frame.exclusive);
    // The values of M-D11.
    CHECK(page(forked, "P", 0x1000'0000'0000).entry == (0x8400'0000'0000'0025 | shared.value() << 12));
    CHECK(page(forked, "C", 0x1000'0000'0000).entry == (0x8400'0000'0000'0005 | shared.value() << 12));

    const ProcessesView& copied = story.steps[3].after;
    CHECK(page(copied, "P", 0x1000'0000'0000).pfn != shared);
    CHECK(page(copied, "C", 0x1000'0000'0000).pfn == shared);
    CHECK(copied.frames.at(shared.value()).mapcount == 1);
    CHECK(passed(story.steps[3], "wp_page_copy") == 1);
    CHECK(story.steps[3].pages_allocated == 1);

    CHECK(passed(story.steps[4], "wp_page_reuse") == 1);
    CHECK(story.steps[4].pages_allocated == 0);
    CHECK(page(story.steps[4].after, "C", 0x1000'0000'0000).pfn == shared);
    CHECK(page(story.steps[4].after, "C", 0x1000'0000'0000).writable);
    CHECK(last(story).outcome.loaded == std::vector<std::uint8_t>{0x22});
    for (const StoryStep& step : story.steps) {
        CHECK(step.broken.empty());
        CHECK(step.foreign_writes.empty());
    }
}

TEST_CASE("Three generations make two copies of each page", "[scenario][run][M-D19]") {
    const ProcessStory story = run(anonymous +
                                   "P write 0x100000000000 4\nP fork C\nC fork G\n"
                                   "G write 0x100000000000 4\nP write 0x100000000000 4\nC write 0x100000000000 4\n");
    CHECK(story.steps[4].outcome.pages_frame_changed == 4);
    CHECK(story.steps[5].outcome.pages_frame_changed == 4);
    CHECK(story.steps[6].outcome.pages_frame_changed == 0);
    CHECK(story.steps[6].outcome.minflt == 4);
}

TEST_CASE("The view agrees with itself: tables, frames and what maps them", "[scenario][run]") {
    for (const bool five_levels : {false, true}) {
        ProcessWorld::Options options;
        options.five_levels = five_levels;
        const ProcessStory story = run(anonymous +
                                           "P openfile 0 tmpfs\nP filewrite 0 0 4\n"
                                           "P mmap 0x100000200000 16K rw shared|fixed file=0\n"
                                           "P write 0x100000000000 4\nP read 0x100000200000 4\nP fork C\n"
                                           "C write 0x100000200000 2\nC read 0x100000003000\n",
                                       options);
        const ProcessesView& view = last(story).after;
        for (const ProcessView& of : view.processes) {
            // The top table, and with five levels the PML4 below it, are not counted. [spec M-C6]
            CHECK(of.tables.size() == of.state.pgtable_pages + (five_levels ? 2 : 1));
            CHECK(of.tables.front().level == (five_levels ? Level::pml5 : Level::pml4));
            CHECK(of.areas.size() == 2);
            CHECK(of.areas[1].rights == "rw-s");
            CHECK(of.areas[1].backing == "file 0");
        }
        for (const auto& [pfn, frame] : view.frames) {
            CHECK(static_cast<std::size_t>(frame.mapcount) == frame.mapped_by.size());
        }
        // Two pages of the file are mapped by both, and two more by P alone.
        CHECK(process(view, "C").state.pfn_shared_with_others == 4 + 2);
    }
}

TEST_CASE("A flush left out by fork lets the parent write the shared frame", "[scenario][run][M-D13]") {
    const std::string script = anonymous +
                               "P write 0x100000000000 1 value=0x11\nP fork C\n"
                               "P write 0x100000000000 1 value=0x22\nC read 0x100000000000\n";
    const ProcessStory correct = run(script);
    CHECK(correct.steps[2].stale.empty());
    CHECK(correct.steps[3].outcome.minflt == 1);
    CHECK(last(correct).outcome.loaded.front() == 0x11);

    const ProcessStory wrong = run_without(LeftOutFlush::fork, script);
    REQUIRE(wrong.steps[2].stale.size() == 1);
    CHECK(wrong.steps[2].stale.front().writable);
    CHECK(wrong.steps[3].outcome.minflt == 0);
    REQUIRE(wrong.steps[3].foreign_writes.size() == 1);
    CHECK(wrong.steps[3].foreign_writes.front().process == "C");
    CHECK(last(wrong).outcome.loaded.front() == 0x22);
}

TEST_CASE("Flushes left out by munmap and mprotect leave rights that are gone", "[scenario][run]") {
    const std::string unmap =
        anonymous + "P write 0x100000000000\nP munmap 0x100000000000 4K\nP write 0x100000000000\n";
    REQUIRE(last(run(unmap)).outcome.signal);
    CHECK(last(run(unmap)).outcome.signal->si_code == kernel::segv_maperr);
    CHECK_FALSE(last(run_without(LeftOutFlush::munmap, unmap)).outcome.signal);

    const std::string protect =
        anonymous + "P write 0x100000000000\nP mprotect 0x100000000000 4K r\nP write 0x100000000000\n";
    REQUIRE(last(run(protect)).outcome.signal);
    CHECK(last(run(protect)).outcome.signal->si_code == kernel::segv_accerr);
    CHECK_FALSE(last(run_without(LeftOutFlush::mprotect, protect)).outcome.signal);
}

TEST_CASE("A working set that does not fit is swapped out and read again, in steps that can be watched",
          "[scenario][run][M-E13]") {
    ProcessWorld::Options options;
    options.memory_bytes = std::uint64_t{64} << 20;
    options.free_bytes = std::uint64_t{6} << 20;
    options.mm.swap_slots = 8192;
    const ProcessStory story =
        run("P mmap 0x100000000000 8M rw private|anon|fixed\n"
            "P write 0x100000000000 1024\nP write 0x100000000000 1024\n"
            "P write 0x100000000000 2048\nP write 0x100000000000 2048\n",
            options);
    CHECK(story.steps[2].outcome.minflt + story.steps[2].outcome.majflt == 0);  // 4 MiB fit
    CHECK(passed(story.steps[3], "balance_pgdat") > 0);
    CHECK(passed(story.steps[3], "shrink_lruvec") > 0);
    CHECK(counter(story.steps[3], "pswpout") > 0);
    CHECK(story.steps[4].outcome.majflt > 0);
    for (const StoryStep& step : story.steps) {
        CHECK(step.broken.empty());
    }
    // A swapped-out page is not lost: present and swapped are all that were written. [spec chapter E, test 7]
    const ProcessState& state = last(story).states.front().second;
    CHECK(state.present + state.swap == 2048);
}

TEST_CASE("Without swap the OOM killer ends the process with the most memory", "[scenario][run][M-E1]") {
    ProcessWorld::Options options;
    options.memory_bytes = std::uint64_t{64} << 20;
    options.free_bytes = std::uint64_t{6} << 20;
    const ProcessStory story =
        run("P fork C\n"
            "P mmap 0x100000000000 4M rw private|anon|fixed\nP write 0x100000000000 256\n"
            "C mmap 0x100000000000 16M rw private|anon|fixed\nC write 0x100000000000 4096\n"
            "P read 0x100000000000 4\n",
            options);
    CHECK(story.steps[4].killed == std::vector<std::string>{"C"});
    CHECK(story.steps[4].outcome.killed);
    CHECK(counter(story.steps[4], "oom_kill") == 1);
    CHECK(passed(story.steps[4], "oom_kill_process", "C") == 1);
    REQUIRE(last(story).states.size() == 1);
    CHECK(last(story).states.front().second.present == 256);
    CHECK(last(story).broken.empty());
}

TEST_CASE("Numbers, sizes, comments and options are read", "[scenario][run]") {
    const auto lines = parse_process_script(
        "# what comes now\n\nP mmap 0x100000000000 2M rwx shared|fixed file=3 offset=8K # the file\n"
        "# a\n# b\n  C  write 0x100000000000 2 64 value=0xff\r\n");
    REQUIRE(lines.size() == 2);
    CHECK(lines[0].number == 3);
    CHECK(lines[0].comment == "the file");
    CHECK(lines[0].operation.len == 0x20'0000);
    CHECK(lines[0].operation.file == std::uint64_t{3});
    CHECK(lines[0].operation.offset == 0x2000);
    CHECK(lines[0].operation.prot == "rwx");
    CHECK(lines[1].number == 6);
    CHECK(lines[1].comment == "a\nb");
    CHECK(lines[1].text == "C write 0x100000000000 2 64 value=0xff");
    CHECK(lines[1].operation.proc == "C");
    CHECK(lines[1].operation.stride == 64);
    CHECK(lines[1].operation.value == 0xff);
}

TEST_CASE("A script that cannot be read names the line and the reason", "[scenario][run]") {
    const auto error_of = [](const std::string& script) -> std::string {
        try {
            (void)run(script);
        } catch (const Error& error) {
            return error.what();
        }
        return "no error";
    };
    using Catch::Matchers::Contains;
    CHECK_THAT(error_of("\nP jump 0x1000\n"), Contains("line 2") && Contains("jump"));
    CHECK_THAT(error_of("P\n"), Contains("line 1") && Contains("missing"));
    CHECK_THAT(error_of("P write\n"), Contains("line 1") && Contains("address"));
    CHECK_THAT(error_of("P write 12q\n"), Contains("12q"));
    CHECK_THAT(error_of("P write 0x\n"), Contains("0x"));
    CHECK_THAT(error_of("P write 0x20000000000000000\n"), Contains("line 1"));
    CHECK_THAT(error_of("P write 99999999999999G\n"), Contains("line 1"));
    CHECK_THAT(error_of("P write 0x1000 1 4096 7\n"), Contains("too much"));
    CHECK_THAT(error_of("P write 0x1000 value=256\n"), Contains("byte"));
    CHECK_THAT(error_of("P mmap 0x1000 4K rw\n"), Contains("flags"));
    CHECK_THAT(error_of("P mmap 0x1000 4K rz private\n"), Contains("rz"));
    CHECK_THAT(error_of("P mmap 0x1000 4K rw private|odd\n"), Contains("odd"));
    CHECK_THAT(error_of("P mmap 0x1000 4K rw private size=1\n"), Contains("size=1"));
    CHECK_THAT(error_of("P mmap 0x1000 4K rw private file=9\n"), Contains("line 1"));
    CHECK_THAT(error_of("P madvise 0x1000 4K hope\n"), Contains("hope"));
    CHECK_THAT(error_of("Q write 0x1000\n"), Contains("line 1") && Contains("Q"));
    CHECK_THAT(error_of("P fork P\n"), Contains("line 1"));
    CHECK_THAT(error_of("P openfile 0 floppy\n"), Contains("floppy"));
    CHECK_THAT(error_of("P exit\nP read 0x1000\n"), Contains("line 2"));
}

TEST_CASE("The JSON of a story has what its text tells", "[scenario][run]") {
    const ProcessStory story = run(anonymous + "# touch it\nP write 0x100000000000\nP read 0x7000\n");
    const auto json = nlohmann::json::parse(to_json(story));
    CHECK(json["format"] == "pgsim-story/1");
    REQUIRE(json["steps"].size() == 3);
    CHECK(json["steps"][1]["comment"] == "touch it");
    CHECK(json["steps"][1]["outcome"]["minflt"] == 1);
    CHECK(json["steps"][1]["state"]["P"]["pgtable_pages"] == 3);
    CHECK(json["steps"][1]["changes"][0]["before"] == "0x0");
    CHECK(json["steps"][1]["after"]["processes"][0]["tables"].size() == 4);
    CHECK(json["steps"][2]["outcome"]["signal"]["si_addr"] == "0x7000");
    const std::string text = to_text(story);
    CHECK_THAT(text, Catch::Matchers::Contains("# touch it\nP write 0x100000000000\n"));
    CHECK_THAT(text, Catch::Matchers::Contains("SIGSEGV (code 1) at 0x7000"));
}

TEST_CASE("The examples run, and no invariant breaks", "[scenario][run]") {
    for (const char* name : {"copy-on-write", "fork-chain", "stack-growth", "mapped-file", "working-set", "stale-write",
                             "out-of-memory"}) {
        INFO(name);
        ProcessWorld::Options options;
        options.memory_bytes = std::uint64_t{256} << 20;
        options.mm.swap_slots = 65536;
        const std::string script =
            test::read_file(test::source_dir() + std::string{"/examples/processes/"} + name + ".txt");
        const ProcessStory story = run_process_script(script, options, {.check = true});
        CHECK(story.steps.size() >= 5);
        for (const StoryStep& step : story.steps) {
            CHECK(step.broken.empty());
            CHECK(step.stopped.empty());
        }
    }
}
