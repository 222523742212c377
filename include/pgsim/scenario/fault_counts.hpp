// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "pgsim/scenario/process_world.hpp"

namespace pgsim {

/// One field of one step in which a run and a file's `measured` disagree.
struct FaultCountDifference {
    std::string scenario;
    std::size_t step = 0;  ///< from 0
    std::string field;     ///< e.g. "minflt", "state/P/rss"
    std::string measured;
    std::string simulated;
};

struct FaultCountsRun {
    std::string results;  ///< the file with `measured` as simulated
    std::size_t scenarios = 0;
    std::size_t steps = 0;
    /// Of scenarios whose numbers are said to hold for v6.6 too, and which had `measured`.
    std::vector<FaultCountDifference> differences;
    /// Of scenarios that differ in v6.6: what differs, which the file explains in words.
    std::vector<FaultCountDifference> expected_differences;
    bool check = false;  ///< invariants were checked after each step
    std::vector<std::string> broken_invariants;
};

/// Runs a pgsim-faults/1 file, with or without `measured`, which the run does not look at.
/// @param check  looks at all invariants after each step (see kernel::check_invariants)
/// @throws Error  when it is no such file: what, in which scenario and step
[[nodiscard]] FaultCountsRun run_fault_counts(std::string_view json, const ProcessWorld::Options& options,
                                              bool check = false);
/// With a swap area, as the measured machine had one.
[[nodiscard]] ProcessWorld::Options fault_counts_options();

}  // namespace pgsim
