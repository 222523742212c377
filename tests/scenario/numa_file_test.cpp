// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/firmware/memory_map_import.hpp"
#include "pgsim/scenario/boot.hpp"
#include "pgsim/scenario/machine_facts.hpp"
#include "pgsim/scenario/presets.hpp"
#include "support/catch.hpp"
#include "support/data.hpp"

using namespace pgsim;

namespace {

const char* const srat_lines = R"([    0.004000] ACPI: SRAT: Node 0 PXM 7 [mem 0x00000000-0x0009ffff]
[    0.004000] ACPI: SRAT: Node 0 PXM 7 [mem 0x00100000-0x3fffffff]
[    0.004000] ACPI: SRAT: Node 1 PXM 3 [mem 0x40000000-0x7fffffff]
[    0.004000] ACPI: SRAT: Node 1 PXM 3 [mem 0x100000000-0x17fffffff] hotplug
)";

const char* const numactl = R"(available: 2 nodes (0-1)
node 0 cpus: 0 1
node 0 size: 1024 MB
node distances:
node   0   1 
  0:  10  21 
  1:  31  10 
)";

/// A file with this text for the time of a test.
class TemporaryFile {
public:
    explicit TemporaryFile(const std::string& text)
        : path_{(std::filesystem::temp_directory_path() / Catch::StringMaker<const void*>::convert(this)).string()} {
        std::ofstream{path_} << text;
    }
    ~TemporaryFile() { std::filesystem::remove(path_); }
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    std::string path_;
};

}  // namespace

TEST_CASE("SRAT lines and numactl's distances make a NUMA machine", "[scenario][numa][R7.3]") {
    BootScenario scenario = preset("q35-4g");
    use_srat(scenario, TemporaryFile{std::string{srat_lines} + numactl}.path());
    CHECK(scenario.inputs.numa.domains == std::vector<std::uint32_t>{7, 3});
    REQUIRE(scenario.inputs.numa.memory.size() == 4);
    CHECK(scenario.inputs.numa.memory[3].hot_pluggable);
    CHECK(scenario.inputs.numa.distances == std::vector<std::uint8_t>{10, 21, 31, 10});
    const Boot boot = run(scenario);
    REQUIRE(boot.find("buddy.exit") != nullptr);
    const kernel::NumaState& numa = boot.last().numa;
    REQUIRE(numa.nodes.size() == 2);
    CHECK(numa.distance_table);  // R7.1 #5: memory of its own
    CHECK(numa.node_distance(0, 1) == 21);
    CHECK(numa.node_distance(1, 0) == 31);
}

TEST_CASE("Distances decide the order in which nodes fall back on each other", "[scenario][numa][M-B5]") {
    BootScenario scenario = preset("q35-8g-numa4");
    const auto order_of = [](const BootScenario& machine) {
        firmware::MachineRecord record = facts_of(run(machine));
        std::vector<std::vector<int>> orders;
        for (const firmware::LogFallback& line : record.fallback_order) {
            orders.push_back(line.order);
        }
        return orders;
    };
    CHECK(order_of(scenario) == std::vector<std::vector<int>>{{0, 1, 2, 3}, {1, 2, 3, 0}, {2, 3, 0, 1}, {3, 0, 1, 2}});
    use_srat(scenario, TemporaryFile{R"({"distances": [[10, 32, 12, 32], [32, 10, 32, 12], [12, 32, 10, 32],
                                                       [32, 12, 32, 10]]})"}
                           .path());
    CHECK(order_of(scenario) == std::vector<std::vector<int>>{{0, 2, 1, 3}, {1, 3, 2, 0}, {2, 0, 3, 1}, {3, 1, 0, 2}});
}

TEST_CASE("A NUMA file that cannot be true is refused, and changes nothing", "[scenario][numa][robustness]") {
    BootScenario scenario = preset("q35-4g-numa2");
    const auto before = scenario.inputs.numa;
    for (const char* const text : {
             "",
             "hello",
             "node   0   1\n  0:  10  21\n",                                     // a row is missing
             "node   0   1\n  0:  10  21\n  0:  10  21\n",                       // twice the same
             "node   0   1\n  0:  10  9\n  1:  21  10\n",                        // nearer than the node itself
             "node   0   1\n  0:  10  21\n  1:  21  300\n",                      // more than a byte
             "node   0   1   2\n  0: 10 20 20\n  1: 20 10 20\n  2: 20 20 10\n",  // three for two nodes
             R"({"distances": [[10, 21]]})",
             R"({"distances": [[10, "x"], [21, 10]]})",
             R"({"nodes": [{"id": 0, "ranges": [["0x2000", "0x1000"]]}]})",
             R"({"nodes": )",
         }) {
        CAPTURE(text);
        CHECK_THROWS_AS(use_srat(scenario, TemporaryFile{text}.path()), Error);
        CHECK(scenario.inputs.numa == before);
    }
}

TEST_CASE("Logs of the captured kernels: each line that the rules fix is the same", "[scenario][machines][captures]") {
    std::size_t logs = 0;
    for (const auto& entry : std::filesystem::directory_iterator{test::data_path("capture-logs")}) {
        const std::string path = entry.path().string();
        CAPTURE(path);
        ++logs;
        const auto logged = load_machine_record(path);
        REQUIRE(logged);
        const auto facts = compare_machine(simulate_machine(*logged), *logged);
        CHECK_FALSE(has_difference(facts));
        CHECK(std::count_if(facts.begin(), facts.end(),
                            [](const MachineFact& fact) { return fact.verdict == MachineFact::Verdict::same; }) >= 15);
    }
    CHECK(logs >= 114);
}
