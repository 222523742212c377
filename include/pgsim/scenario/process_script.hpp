// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pgsim/scenario/process_view.hpp"
#include "pgsim/scenario/process_world.hpp"

namespace pgsim {

/// One line of a script of processes.
struct ScriptLine {
    std::size_t number = 0;  ///< in the text, from 1
    std::string text;        ///< words with one space between them, without the comment
    std::string comment;     ///< what stood behind `#`, and in lines of comment alone directly above; lines end in \n
    ProcessOperation operation;
};

/// Reads a script: a line an operation, `PROCESS OPERATION ARGUMENTS…`, `#` begins a comment. Numbers may be decimal or
/// 0x…, with K, M, G for KiB, MiB, GiB. Arguments in order:
///
///     mmap ADDR LEN PROT FLAGS [file=N offset=BYTES]     read|write|rdwr ADDR [COUNT [STRIDE]] [value=BYTE]
///     munmap|mlock|munlock|kwrite|kread ADDR LEN         mprotect ADDR LEN PROT
///     madvise ADDR LEN ADVICE                            mremap ADDR LEN NEWLEN [FLAGS [NEWADDR]]
///     fork CHILD     exit     call ADDR     brk ADDR     thp_off 0|1
///     openfile N tmpfs|ext4   filewrite N OFFSET PAGES   ftruncate N LEN   fsync N   dropcache N
///
/// @throws Error  line and reason
[[nodiscard]] std::vector<ScriptLine> parse_process_script(std::string_view text);

struct StoryStep;

struct StoryOptions {
    bool trace = true;    ///< the functions that a fault or call passed and what they decided
    bool entries = true;  ///< the entries that changed
    bool views = false;  ///< how everything stands after each line: takes time and room in proportion to what is mapped
    bool check = false;  ///< all invariants after each line (see kernel::check_invariants)
    std::size_t most_trace_steps = 100'000;  ///< of one line; further ones are only counted
    /// Called with each step while the world stands as the step left it; not when the machine stopped.
    std::function<void(const StoryStep&)> after_step = {};
};

/// One page of one process whose entry is not what it was.
struct PageChange {
    std::string process;
    VirtAddr address;
    std::uint64_t before = 0;  ///< value of the entry; 0: none
    std::uint64_t after = 0;
    bool huge = false;  ///< a 2-MByte mapping's, before or after
};

/// A private anonymous page of a process that somebody else has written: what a flush that was left out leads to.
struct ForeignWrite {
    std::string process;
    VirtAddr address;
    Pfn pfn;
};

/// What one line of a script did.
struct StoryStep {
    ScriptLine line;
    OperationOutcome outcome;
    std::vector<kernel::TraceStep> trace;
    std::size_t trace_left_out = 0;
    std::vector<PageChange> changes;                              ///< of all processes, by process and address
    std::vector<std::pair<std::string, std::uint64_t>> counters;  ///< of vmstat: those that grew, and by how much
    std::uint64_t pages_allocated = 0;                            ///< by anybody, tables included
    std::uint64_t pages_freed = 0;
    Cycles cycles{};
    std::vector<std::pair<std::string, ProcessState>> states;  ///< of those that live after it
    std::vector<std::string> killed;                           ///< processes that the OOM killer took
    std::vector<StaleTranslation> stale;                       ///< what the TLB holds and the tables do not say
    std::vector<ForeignWrite> foreign_writes;
    std::vector<std::string> broken;  ///< invariants, with StoryOptions::check
    std::string stopped;              ///< why the simulated machine stopped here; empty: it did not
    ProcessesView after;              ///< with StoryOptions::views
};

/// The steps of one fault or call, and how often in a row the same functions were passed.
struct TraceWay {
    std::vector<kernel::TraceStep> steps;
    std::size_t times = 1;
};

/// A trace, fault by fault.
[[nodiscard]] std::vector<TraceWay> ways_of(const std::vector<kernel::TraceStep>& trace);

struct ProcessStory {
    ProcessesView before;  ///< with StoryOptions::views
    std::vector<StoryStep> steps;
};

/// Runs a script, in a new world or in one that stands already. When the world's memory has a journal and the trace is
/// wanted, writes are put down to the functions that the kernel passed.
/// @throws Error  as parse_process_script and ProcessWorld::perform, with the line
[[nodiscard]] ProcessStory run_process_script(std::string_view script, const ProcessWorld::Options& world,
                                              const StoryOptions& options = {});
[[nodiscard]] ProcessStory run_process_script(std::string_view script, ProcessWorld& world,
                                              const StoryOptions& options = {});

/// The story for people: step by step what happened and why.
[[nodiscard]] std::string to_text(const ProcessStory& story);
/// The story for programs, "pgsim-story/1".
[[nodiscard]] std::string to_json(const ProcessStory& story);

}  // namespace pgsim
