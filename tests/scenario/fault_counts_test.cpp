// SPDX-License-Identifier: GPL-2.0-only
// Every measured scenario, re-enacted: the same numbers in every field of every step. [spec D.6, F.9]
#include "support/catch.hpp"
#include "support/data.hpp"

#include <algorithm>

#include "pgsim/scenario/fault_counts.hpp"

using namespace pgsim;

namespace {

void report(const std::vector<FaultCountDifference>& differences) {
    for (const FaultCountDifference& d : differences) {
        FAIL_CHECK(d.scenario << " step " << d.step << " " << d.field << ": measured " << d.measured << ", simulated "
                              << d.simulated);
    }
}

}  // namespace

// What the files say in words about v6.6. [fault-counts, v6_6_difference]
TEST_CASE("Scenarios that differ in v6.6 differ as the notes say", "[scenario][faults]") {
    std::vector<std::string> found;
    for (const char* name : {"fault-counts/faults.json", "fault-counts/swap.json"}) {
        for (const auto& d :
             run_fault_counts(test::read_file(test::data_path(name)), fault_counts_options()).expected_differences) {
            found.push_back(d.scenario + " " + std::to_string(d.step) + " " + d.field + " " + d.simulated);
        }
    }
    const auto has = [&](const std::string& line) {
        return std::find(found.begin(), found.end(), line) != found.end();
    };
    CHECK(has("swap-read-write-32 4 minflt 32"));         // read swap-in maps read-only
    CHECK(has("thp-fork-512 10 pages_frame_changed 1"));  // the large folio has other references: copied
    // The huge zero page is split, one page copied.
    CHECK(has("thp-zero-then-write-0 4 state/P/rss 1"));
    CHECK(has("thp-zero-then-write-0 4 state/P/zero_page 511"));
    for (const std::string& line : found) {
        const bool known = line.rfind("swap-read-write-32 4 ", 0) == 0 || line.rfind("thp-fork-512 10 ", 0) == 0 ||
                           line.rfind("thp-zero-then-write-0 ", 0) == 0 ||
                           (line.rfind("dontneed-20 ", 0) == 0 && line.find("pgtable_pages") != std::string::npos);
        INFO(line);
        CHECK(known);
    }
}

TEST_CASE("Scenarios that are the same in v6.6 give the measured numbers", "[scenario][faults]") {
    const char* const name = GENERATE("fault-counts/faults.json", "fault-counts/swap.json");
    const bool five_levels = GENERATE(false, true);
    const bool pcp = GENERATE(true, false);
    ProcessWorld::Options options = fault_counts_options();
    options.five_levels = five_levels;
    options.pcp = pcp;
    const FaultCountsRun run = run_fault_counts(test::read_file(test::data_path(name)), options, true);
    CHECK(run.broken_invariants == std::vector<std::string>{});
    CHECK(run.steps > 0);
    INFO(name << (five_levels ? ", 5 levels" : ", 4 levels"));
    std::vector<FaultCountDifference> differences = run.differences;
    if (five_levels) {  // 0x800000000000 is canonical with 57 bits: an unmapped address like any other
        std::erase_if(differences,
                      [](const FaultCountDifference& d) { return d.scenario == "signals-basic" && d.step == 19; });
    }
    report(differences);
}
