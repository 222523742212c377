// SPDX-License-Identifier: GPL-2.0-only
// Every measured scenario, re-enacted: the same numbers in every field of every step. [spec D.6, F.9]
#include "support/catch.hpp"
#include "support/data.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "pgsim/base/error.hpp"
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

TEST_CASE("A file without measured numbers gets them, the same as one with", "[scenario][faults]") {
    for (const char* name : {"fault-counts/faults.json", "fault-counts/swap.json"}) {
        const std::string text = test::read_file(test::data_path(name));
        auto bare = nlohmann::ordered_json::parse(text);
        for (auto& scenario : bare["scenarios"]) {
            for (auto& step : scenario["steps"]) {
                step.erase("measured");
            }
        }
        const FaultCountsRun run = run_fault_counts(bare.dump(), fault_counts_options());
        CHECK(run.differences.empty());
        CHECK(run.expected_differences.empty());
        const auto whole = nlohmann::json::parse(run_fault_counts(text, fault_counts_options()).results);
        CHECK(nlohmann::json::parse(run.results) == whole);
    }
}

TEST_CASE("A file that is none is refused, with the place", "[scenario][faults]") {
    const auto error_of = [](const std::string& text) -> std::string {
        try {
            (void)run_fault_counts(text, fault_counts_options());
        } catch (const Error& error) {
            return error.what();
        }
        return "no error";
    };
    const auto step = [](const std::string& body) {
        return R"({"format": "pgsim-faults/1", "scenarios": [{"id": "one", "title": "", "steps": [)" + body + "]}]}";
    };
    using Catch::Matchers::Contains;
    CHECK_THAT(error_of(""), !Contains("no error"));
    CHECK_THAT(error_of("[]"), Contains("pgsim-faults/1"));
    CHECK_THAT(error_of("{}"), Contains("pgsim-faults/1"));
    CHECK_THAT(error_of(R"({"format": "pgsim-faults/1"})"), Contains("scenarios"));
    CHECK_THAT(error_of(R"({"format": "pgsim-faults/1", "scenarios": [7]})"), Contains("scenario 0"));
    CHECK_THAT(error_of(R"({"format": "pgsim-faults/1", "scenarios": [{"id": "x"}]})"), Contains("steps"));
    CHECK_THAT(error_of(step("7")), Contains("scenario one, step 0"));
    CHECK_THAT(error_of(step(R"({"op": "read", "addr": "0x0", "count": 1})")), Contains("process"));
    CHECK_THAT(error_of(step(R"({"proc": "P", "op": "swim"})")), Contains("swim"));
    CHECK_THAT(error_of(step(R"({"proc": "P", "op": "read", "count": 1})")), Contains("addr"));
    CHECK_THAT(error_of(step(R"({"proc": "P", "op": "read", "addr": "0xzz", "count": 1})")), Contains("0xzz"));
    CHECK_THAT(error_of(step(R"({"proc": "P", "op": "read", "addr": "0x1000", "count": -1})")), Contains("count"));
    CHECK_THAT(error_of(step(R"({"proc": "P", "op": "read", "addr": "0x1000", "count": 1e300})")), Contains("count"));
    CHECK_THAT(error_of(step(R"({"proc": "P", "op": "read", "addr": "0x1000", "count": 99999999999})")),
               Contains("count"));
    CHECK_THAT(error_of(step(R"({"proc": "P", "op": "mmap", "addr": "0x1000", "len": "0x1000", "prot": "q",
                                 "flags": "private|anon"})")),
               Contains("prot"));
    CHECK_THAT(error_of(step(R"({"proc": "P", "op": "mmap", "addr": "0x1000", "len": "0x1000", "prot": "r",
                                 "flags": "private", "file": 4})")),
               Contains("file"));
    CHECK_THAT(error_of(step(R"({"proc": "P", "op": "filewrite", "file": 4, "offset": "0x0", "count": 1})")),
               Contains("file"));
    CHECK_THAT(error_of(step(R"({"proc": "P", "op": "madvise", "addr": "0x1000", "len": "0x1000", "advice": 4})")),
               Contains("advice"));
}
