// SPDX-License-Identifier: GPL-2.0-only
// Exercise on too little memory: which programs go on faulting for ever.
#include <fmt/format.h>

#include <array>

#include "pgsim/base/units.hpp"
#include "pgsim/scenario/process_world.hpp"
#include "scenario/exercise_parts.hpp"

namespace pgsim::exercises {

namespace {

constexpr std::uint64_t arena = 0x1000'0000'0000;

struct Passes {
    std::uint64_t later_faults = 0;  // of the third pass
    std::uint64_t swapped = 0;       // pages in swap at the end
};

// A process writes its pages round and round on a machine with so much memory left.
Passes run_passes(std::uint64_t free_bytes, std::uint64_t pages) {
    ProcessWorld::Options options;
    options.memory_bytes = 16 * MiB;
    options.free_bytes = free_bytes;
    options.mm.swap_slots = 4096;
    ProcessWorld world{options};
    ProcessOperation map;
    map.op = "mmap";
    map.addr = arena;
    map.len = pages * 4096;
    map.prot = "rw";
    map.flags = "private|anon|fixed";
    world.perform(map);
    ProcessOperation write;
    write.op = "write";
    write.addr = arena;
    write.count = pages;
    Passes passes;
    for (unsigned pass = 0; pass < 3; ++pass) {
        const OperationOutcome outcome = world.perform(write);
        passes.later_faults = outcome.minflt + outcome.majflt;
    }
    passes.swapped = world.state("P").swap;
    return passes;
}

void thrashing(SplitMix64& random, Exercise& exercise) {
    const std::uint64_t free_mib = random.between(3, 5);
    exercise.text = fmt::format(
        "A machine has {} MiB of memory left for processes (page tables included), and enough swap. Four programs, "
        "each alone on "
        "such a\nmachine, write every one of their pages, from the first to the last, and then again and again, for "
        "ever:\n\n",
        free_mib);
    std::vector<std::string> thrash;
    exercise.solution = "What the simulated kernel counted:\n\n";
    for (const char letter : {'a', 'b', 'c', 'd'}) {
        // Well below or well above what is left: reclaim keeps some pages free.
        const std::uint64_t percent = random.chance(2) ? random.between(20, 75) : random.between(115, 180);
        const std::uint64_t pages = free_mib * 256 * percent / 100;
        const Passes passes = run_passes(free_mib * MiB, pages);
        exercise.text += fmt::format("  {}  {} pages\n", letter, pages);
        exercise.solution +=
            fmt::format("  {}  {} pages, {}: {} faults in the third pass, {} pages in swap at its end\n", letter, pages,
                        human_bytes(pages * 4096), passes.later_faults, passes.swapped);
        if (passes.later_faults != 0) {
            thrash.emplace_back(1, letter);
        }
    }
    const std::uint64_t fits = free_mib * 256;
    exercise.text += "\nWhich of them still cause page faults in their third pass?\n";
    exercise.fields = {
        list("thrash", "the letters of the programs that fault in every pass", thrash,
             "Does the working set, all the pages that a pass touches, fit into the memory that is left?"),
        number("frames", "frames of 4 KiB that are left for processes", fits, "MiB to pages of 4 KiB.")};
    exercise.solution += fmt::format(
        "\n{} MiB are {} frames. What fits faults once for each page and never again; what does not fit loses "
        "pages that\nit needs again soon: going round in the same order, reclaim often takes just those.\n",
        free_mib, fits);
}

constexpr std::array exercises_here{ExerciseEntry{{"thrashing", "Which programs fault for ever"}, thrashing}};

}  // namespace

std::span<const ExerciseEntry> reclaim_exercises() {
    return exercises_here;
}

}  // namespace pgsim::exercises
