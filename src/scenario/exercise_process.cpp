// SPDX-License-Identifier: GPL-2.0-only
// Exercises on page faults, fork and copy on write. The answers come from processes on the simulated machine.
#include <fmt/format.h>

#include <array>
#include <set>

#include "pgsim/base/units.hpp"
#include "pgsim/scenario/process_world.hpp"
#include "scenario/exercise_parts.hpp"

namespace pgsim::exercises {

namespace {

constexpr std::uint64_t arena = 0x1000'0000'0000;
constexpr std::uint64_t page = 0x1000;

ProcessWorld::Options small_machine() {
    ProcessWorld::Options options;
    options.memory_bytes = 64 * MiB;
    return options;
}

// A world that writes down what is done in it: the exercise's text, and with the outcome the solution's.
class Story {
public:
    explicit Story(Exercise& exercise) : world_{small_machine()}, exercise_{&exercise} {}

    OperationOutcome perform(const ProcessOperation& operation, const std::string& what) {
        const OperationOutcome outcome = world_.perform(operation);
        exercise_->text += fmt::format("  {}. {}\n", ++step_, what);
        exercise_->solution += fmt::format("  {}. {}: {}", step_, what, counted(outcome.minflt, "minor fault"));
        if (outcome.pages_became_present != 0) {
            exercise_->solution += fmt::format(", {} became present", counted(outcome.pages_became_present, "page"));
        }
        if (outcome.pages_frame_changed != 0) {
            exercise_->solution += fmt::format(", {} got another frame", outcome.pages_frame_changed);
        }
        if (outcome.signal) {
            exercise_->solution += fmt::format(", signal {}", outcome.signal->signo);
        }
        exercise_->solution += '\n';
        return outcome;
    }
    OperationOutcome access(const std::string& who, bool write, std::uint64_t first, std::uint64_t count) {
        ProcessOperation operation;
        operation.proc = who;
        operation.op = write ? "write" : "read";
        operation.addr = arena + first * page;
        operation.count = count;
        return perform(operation, count == 1 ? fmt::format("{} {} page {}", who, write ? "writes" : "reads", first)
                                             : fmt::format("{} {} pages {} to {}", who, write ? "writes" : "reads",
                                                           first, first + count - 1));
    }
    void fork(const std::string& who, const std::string& child) {
        ProcessOperation operation;
        operation.proc = who;
        operation.op = "fork";
        operation.child = child;
        perform(operation, fmt::format("{} forks {}", who, child));
    }
    void exit(const std::string& who) {
        ProcessOperation operation;
        operation.proc = who;
        operation.op = "exit";
        perform(operation, who + " exits");
    }
    void map(std::uint64_t first, std::uint64_t pages, const std::string& flags, const std::string& what) {
        ProcessOperation operation;
        operation.op = "mmap";
        operation.addr = arena + first * page;
        operation.len = pages * page;
        operation.prot = "rw";
        operation.flags = flags;
        perform(operation, what);
    }
    [[nodiscard]] ProcessWorld& world() { return world_; }
    [[nodiscard]] ProcessState state(const std::string& who) const { return world_.state(who); }
    /// Frames that any process sees.
    [[nodiscard]] std::uint64_t frames() const {
        std::set<std::uint64_t> all;
        for (const std::string& name : world_.processes()) {
            for (const auto& [address, view] : world_.pages(name)) {
                all.insert(view.pfn);
            }
        }
        return all.size();
    }

private:
    ProcessWorld world_;
    Exercise* exercise_;
    unsigned step_ = 0;
};

constexpr std::string_view minor_hint =
    "A write faults if the entry is not present or write-protected. After fork both sides are "
    "write-protected; the side that is left alone with a page just gets its R/W bit back.";

void copy_on_write(SplitMix64& random, Exercise& exercise) {
    exercise.text = "P has a private anonymous mapping, readable and writable, whose pages are numbered from 0:\n\n";
    Story story{exercise};
    const std::uint64_t pages = random.between(8, 40);
    story.map(0, pages, "private|anon|fixed", fmt::format("P maps {} pages", pages));
    const std::uint64_t written = random.between(4, pages);
    const OperationOutcome first = story.access("P", true, 0, written);
    story.fork("P", "C");
    const bool child_first = random.chance(2);
    const std::uint64_t from = random.below(written / 2);
    const std::uint64_t count = random.between(1, written - from);
    const OperationOutcome second = story.access(child_first ? "C" : "P", true, from, count);
    if (random.chance(3)) {
        story.exit(child_first ? "C" : "P");
    }
    const std::string last = child_first ? "P" : "C";
    const OperationOutcome third = story.access(last, true, 0, written);
    exercise.text += "\nHow many page faults do the writes cause, and how many pages are copied by the last two?\n";
    exercise.fields = {
        number("f1", "faults of P's first writes", first.minflt, "Each page is touched for the first time."),
        number("f2", "faults of the first writes after fork", second.minflt, std::string{minor_hint}),
        number("c2", "pages that got a new frame in them", second.pages_frame_changed,
               "Is anybody else still using the page? Then it must be copied."),
        number("f3", "faults of the last writes", third.minflt, std::string{minor_hint}),
        number("c3", "pages that got a new frame in them", third.pages_frame_changed,
               "Which of these pages does another living process still use? The others are reused."),
        number("shared", "pages of " + last + " that another living process shares in the end",
               story.state(last).pfn_shared_with_others, "After a copy nobody shares the page any more.")};
}

void fork_chain(SplitMix64& random, Exercise& exercise) {
    exercise.text =
        "P has a private anonymous mapping, readable and writable, whose pages are numbered from 0. Nothing else of "
        "these processes is\nlooked at:\n\n";
    Story story{exercise};
    const std::uint64_t pages = random.between(6, 24);
    story.map(0, pages, "private|anon|fixed", fmt::format("P maps {} pages", pages));
    story.access("P", true, 0, pages);
    story.fork("P", "C");
    const std::array<std::string, 3> names{"P", "C", "G"};
    if (random.chance(2)) {
        const std::string& writer = names[random.below(2)];
        story.access(writer, true, 0, random.between(1, pages));
    }
    story.fork("C", "G");
    OperationOutcome last;
    std::string who;
    for (unsigned i = 0; i < 2; ++i) {
        who = names[random.below(3)];
        const std::uint64_t from = random.below(pages);
        last = story.access(who, true, from, random.between(1, pages - from));
    }
    exercise.text += "\nHow do the frames lie in the end?\n";
    exercise.fields = {
        number("faults", "faults of the last step", last.minflt, std::string{minor_hint}),
        number("frames", "different frames that P, C and G have mapped together", story.frames(),
               "Follow each page: who still shares it with whom?"),
        number("p", "pages of P that no other process shares", pages - story.state("P").pfn_shared_with_others,
               "A page stops being shared with P when P writes it, or when everybody else who had it has written it."),
        number("g", "pages of G that no other process shares", pages - story.state("G").pfn_shared_with_others,
               "As for P.")};
}

void stack_growth(SplitMix64& random, Exercise& exercise) {
    Story story{exercise};
    const std::uint64_t top = 4096;  // pages above the arena's begin
    const std::uint64_t size = random.between(2, 8);
    exercise.text = fmt::format(
        "P's stack is a mapping that grows down: {} pages from {} to {}; its resource limit is 8 MiB, the guard "
        "gap\n(stack_guard_gap) "
        "256 pages. Page numbers count down from the top: the page just below the top is 1. One after the other:\n\n",
        size, hex(arena + (top - size) * page), hex(arena + top * page));
    story.map(top - size, size, "private|anon|fixed|growsdown",
              fmt::format("the stack is mapped, pages 1 to {}", size));
    std::uint64_t other = 0;
    if (random.chance(2)) {
        other = random.between(300, 900);
        story.map(top - other - 1, 1, "private|anon|fixed",
                  fmt::format("another mapping is made, of one page, where page {} of the stack would be", other + 1));
    }
    std::uint64_t faults = 0;
    for (unsigned i = 1; i <= 4; ++i) {
        const std::uint64_t number_of_page = random.chance(4)   ? random.between(1, size)
                                             : other != 0       ? random.between(other - 280, other - 230)
                                             : random.chance(3) ? random.between(2000, 2100)
                                                                : random.between(size + 1, 600);
        ProcessOperation write;
        write.op = "write";
        write.addr = arena + (top - number_of_page) * page;
        const OperationOutcome outcome = story.perform(write, fmt::format("P writes page {}", number_of_page));
        faults += outcome.minflt;
        exercise.fields.push_back(
            yes_no(fmt::format("w{}", i), fmt::format("does the write of page {} go through?", number_of_page),
                   !outcome.signal,
                   "May the stack grow so far? It may not be larger than its limit, and not come nearer to a "
                   "mapping below than the guard gap."));
    }
    exercise.text +=
        "\nA write that does not go through raises SIGSEGV; P catches it and goes on. Which writes go through, how "
        "many "
        "minor faults are\ncounted, and how many pages has the stack's area in the end?\n";
    exercise.fields.push_back(number("faults", "minor faults of the writes together", faults,
                                     "One for each page that becomes present. The pages between are not touched."));
    std::uint64_t area = 0;
    for (const auto& [start, vma] : story.world().task("P").mm->mm_mt) {
        if (vma->vm_end == arena + top * page) {
            area = vma->pages();
        }
    }
    exercise.fields.push_back(number("area", "pages of the stack's area in the end", area,
                                     "The area reaches down to the lowest page that was allowed."));
    exercise.solution += fmt::format("\nThe stack's area has {} pages in the end, {} of them present.\n", area,
                                     story.state("P").present);
}

void mapped_file(SplitMix64& random, Exercise& exercise) {
    Story story{exercise};
    const std::uint64_t cached = random.between(20, 64);
    std::uint64_t start = random.below(3) * 16;
    start += random.below(16);
    const bool shared = random.chance(3);
    exercise.text = fmt::format(
        "A file on tmpfs has {} pages, all in the page cache. Fault-around is 64 KiB (16 pages, aligned in the address "
        "space and kept "
        "inside the mapping and its 2 MiB).\nThe address {} is page 0:\n\n",
        cached, hex(arena));
    ProcessOperation open;
    open.op = "openfile";
    open.file = 0;
    open.kind = "tmpfs";
    story.world().perform(open);
    ProcessOperation fill;
    fill.op = "filewrite";
    fill.file = 0;
    fill.count = cached;
    story.world().perform(fill);
    ProcessOperation map;
    map.op = "mmap";
    map.addr = arena + start * page;
    map.len = cached * page;
    map.prot = "rw";
    map.flags = shared ? "shared|fixed" : "private|fixed";
    map.file = 0;
    story.perform(map, fmt::format("P maps the whole file {} at page {}, readable and writable",
                                   shared ? "shared" : "private", start));
    const OperationOutcome one = story.access("P", false, start + random.below(cached), 1);
    const OperationOutcome all = story.access("P", false, start, cached);
    const std::uint64_t written = random.between(1, cached);
    const OperationOutcome write = story.access("P", true, start, written);
    exercise.text +=
        "\nHow many pages does the first read make present, and how many faults and new frames are there?\n";
    exercise.fields = {
        number("around", "pages that the first read makes present", one.pages_became_present,
               "The aligned 16 pages around the address, as far as the mapping reaches."),
        number("reads", "minor faults when all pages are read", all.minflt,
               "One for each piece of 16 aligned pages that is not there yet."),
        number("writes", "minor faults of the writes", write.minflt,
               "Fault-around maps pages read-only in a private mapping. In a shared mapping of tmpfs nothing needs to "
               "be told of "
               "the first write: its pages may be mapped writable at once."),
        number("copies", "pages that get a new frame in them", write.pages_frame_changed,
               "Whose page is it that is written: the file's, or P's own?"),
        number("anon", "anonymous pages of P in the end", story.state("P").anon, "Copies belong to P alone.")};
}

void zero_page(SplitMix64& random, Exercise& exercise) {
    exercise.text = "P has a private anonymous mapping, readable and writable, whose pages are numbered from 0:\n\n";
    Story story{exercise};
    const std::uint64_t pages = random.between(10, 60);
    story.map(0, pages, "private|anon|fixed", fmt::format("P maps {} pages", pages));
    const std::uint64_t read = random.between(2, pages);
    const OperationOutcome reads = story.access("P", false, 0, read);
    const std::uint64_t from = random.below(pages / 2);
    const OperationOutcome writes = story.access("P", true, from, random.between(1, pages - from));
    exercise.text += "\nHow many faults are there, and what has P got in the end?\n";
    exercise.fields = {
        number("reads", "minor faults of the reads", reads.minflt,
               "A read of a page that is not there is a fault, too."),
        number("writes", "minor faults of the writes", writes.minflt,
               "What does a page that was only read hold: a frame of its own?"),
        number("zero", "entries that still name the zero page", story.state("P").zero_page, "Read, but not written."),
        number("rss", "frames of P's own (its RSS)", story.state("P").rss, "The zero page does not count."),
        number("changed", "entries whose frame changed in the writes", writes.pages_frame_changed,
               "From the zero page to a frame of its own.")};
}

constexpr std::array exercises_here{
    ExerciseEntry{{"zero-page", "Reads and first writes of fresh memory"}, zero_page},
    ExerciseEntry{{"copy-on-write", "fork, and who then copies"}, copy_on_write},
    ExerciseEntry{{"fork-chain", "Three generations that share pages"}, fork_chain},
    ExerciseEntry{{"stack-growth", "How far a stack may grow"}, stack_growth},
    ExerciseEntry{{"mapped-file", "Fault-around and private copies of a file"}, mapped_file}};

}  // namespace

std::span<const ExerciseEntry> process_exercises() {
    return exercises_here;
}

}  // namespace pgsim::exercises
