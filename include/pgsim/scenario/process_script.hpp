// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "pgsim/scenario/process_world.hpp"

namespace pgsim {

/// One line of a script of processes.
struct ScriptLine {
    std::size_t number = 0;  ///< in the text, from 1
    std::string text;
    ProcessOperation operation;
};

/// Reads a script: a line an operation, `PROCESS OPERATION ARGUMENTS…`, `#` begins a comment. Numbers may be decimal or
/// 0x…, with K, M, G for KiB, MiB, GiB. Arguments in order:
///
///     mmap ADDR LEN PROT FLAGS [file=N offset=BYTES]     read|write|rdwr ADDR [COUNT [STRIDE]]
///     munmap|mlock|munlock|kwrite|kread ADDR LEN         mprotect ADDR LEN PROT
///     madvise ADDR LEN ADVICE                            mremap ADDR LEN NEWLEN [FLAGS [NEWADDR]]
///     fork CHILD     exit     call ADDR     brk ADDR     thp_off 0|1
///     openfile N tmpfs|ext4   filewrite N OFFSET PAGES   ftruncate N LEN   fsync N   dropcache N
///
/// @throws Error  line and reason
[[nodiscard]] std::vector<ScriptLine> parse_process_script(std::string_view text);

struct StoryOptions {
    bool steps = true;    ///< the functions that a fault passed and what they decided
    bool entries = true;  ///< the entries that changed
    bool check = false;   ///< all invariants after each line
};

/// Runs a script and tells step by step what happened and why.
/// @throws Error  as parse_process_script and ProcessWorld::perform, with the line
[[nodiscard]] std::string tell_process_story(std::string_view script, const ProcessWorld::Options& world,
                                             const StoryOptions& options);

}  // namespace pgsim
