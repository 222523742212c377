// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/scenario/machine_facts.hpp"

#include <algorithm>
#include <filesystem>

#include "pgsim/scenario/machine_json.hpp"
#include "pgsim/scenario/presets.hpp"
#include "scenario/e820_facts.hpp"
#include "support/catch.hpp"
#include "support/data.hpp"

using namespace pgsim;
using firmware::E820Type;
using firmware::LogRange;
using firmware::MachineRecord;

namespace {

std::vector<MachineRecord> machines() {
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::directory_iterator{test::data_path("machines")}) {
        if (entry.path().extension() == ".json") {
            paths.push_back(entry.path().string());
        }
    }
    std::sort(paths.begin(), paths.end());
    std::vector<MachineRecord> records;
    for (const std::string& path : paths) {
        records.push_back(load_machine_record(path).value());
    }
    return records;
}

/// What a file holds that was not printed by the kernel: map, release, parameters, SRAT, ramdisk, the processor's
/// pages.
MachineRecord inputs_only(const MachineRecord& record) {
    MachineRecord inputs;
    inputs.name = record.name;
    inputs.kernel = record.kernel;
    inputs.memory_parameters = record.memory_parameters;
    inputs.e820 = record.e820;
    inputs.srat_memory = record.srat_memory;
    inputs.ramdisk = record.ramdisk;
    inputs.gb_pages_line = record.gb_pages_line;
    return inputs;
}

std::vector<firmware::LogZone> without_device(std::vector<firmware::LogZone> zones) {
    zones.erase(std::remove_if(zones.begin(), zones.end(), [](const auto& zone) { return zone.zone == "Device"; }),
                zones.end());
    return zones;
}

}  // namespace

TEST_CASE("Each machine's boot would log what it did log", "[scenario][machines]") {
    const auto all = machines();
    REQUIRE(all.size() >= 48);
    for (const MachineRecord& machine : all) {
        const auto facts = compare_machine(simulate_machine(machine), machine);
        INFO(machine.name << '\n' << machine_report(facts));
        CHECK_FALSE(has_difference(facts));
        CHECK(std::count_if(facts.begin(), facts.end(),
                            [](const MachineFact& fact) { return fact.verdict == MachineFact::Verdict::same; }) > 10);
    }
}

TEST_CASE("A machine's inputs alone fix last_pfn, zones, node ranges, page sizes and total memory",
          "[scenario][machines]") {
    for (const MachineRecord& machine : machines()) {
        INFO(machine.name);
        const MachineRecord simulated = simulate_machine(inputs_only(machine));
        CHECK(simulated.last_pfn == machine.last_pfn);
        if (machine.e820_user_defined && machine.memory_parameters.empty()) {
            continue;  // the parameters that made the user-defined map were not kept
        }
        CHECK(simulated.early_node_ranges == machine.early_node_ranges);
        CHECK(simulated.initmem_setup == machine.initmem_setup);
        REQUIRE(simulated.memory);
        REQUIRE(machine.memory);
        CHECK(simulated.memory->total_k == machine.memory->total_k);
        const auto zones = without_device(simulated.zone_ranges);
        const auto logged = without_device(machine.zone_ranges);
        if (logged.size() == zones.size()) {  // one build has no ZONE_DMA, one log has lost the line
            CHECK(zones == logged);
        } else {
            CHECK(zones.back().range.value().end == logged.back().range.value().end);
        }
        if (machine.init_memory_mapping) {
            // What follows in a log is EFI's.
            REQUIRE(machine.init_memory_mapping->size() >= simulated.init_memory_mapping->size());
            CHECK(std::equal(simulated.init_memory_mapping->begin(), simulated.init_memory_mapping->end(),
                             machine.init_memory_mapping->begin()));
        }
    }
}

TEST_CASE("Changes of the map are printed in the words and as often as the release does", "[scenario][machines]") {
    const auto changes = [](const char* release) {
        MachineRecord machine;
        machine.kernel = release;
        machine.e820 = {{0, 0x9fc00, E820Type::ram}, {0x100000, 0x7fe00000, E820Type::ram}};
        machine.e820_changes = {{"update", {0x50000018, 0x50001057}, "usable ==> usable"}};
        return simulate_machine(machine).e820_changes;
    };
    // As in the logs of 6.8.0-rc6 (twice), 6.12.32 (once), 6.16.0 (not at all) and 7.1.0 (other words).
    const firmware::LogE820Change setup_data{"update", {0x50000018, 0x50001057}, "usable ==> usable"};
    const auto old = changes("6.8.0");
    CHECK(std::count(old.begin(), old.end(), setup_data) == 2);
    const auto stable = changes("6.12.32");
    CHECK(std::count(stable.begin(), stable.end(), setup_data) == 1);
    const auto recent = changes("6.16.0");
    CHECK(std::count(recent.begin(), recent.end(), setup_data) == 0);
    CHECK(changes("7.1.0").front() == firmware::LogE820Change{"update", {0, 0xfff}, "System RAM ==> device reserved"});
}

TEST_CASE("A difference is found, and a line that depends on the build is none", "[scenario][machines]") {
    MachineRecord machine = machines().front();
    const MachineRecord simulated = simulate_machine(machine);
    SECTION("one page less") {
        machine.last_pfn.front() -= 1;
        CHECK(has_difference(compare_machine(simulated, machine)));
    }
    SECTION("a node range that ends elsewhere") {
        machine.early_node_ranges.front().range.end -= 0x1000;
        CHECK(has_difference(compare_machine(simulated, machine)));
    }
    SECTION("another total") {
        machine.memory->total_k += 4;
        CHECK(has_difference(compare_machine(simulated, machine)));
    }
    SECTION("NODE_DATA lies where the build's structures put it") {
        machine.node_data = std::vector<firmware::LogNodeRange>{{0, {0x1000, 0x1fff}}};
        CHECK_FALSE(has_difference(compare_machine(simulated, machine)));
    }
}

TEST_CASE("The Memory: line is the one that the captured kernel printed", "[scenario][machines][captures]") {
    struct Case {
        const char* capture;
        std::uint64_t available_k;
        std::uint64_t total_k;
        std::uint64_t reserved_k;
    };
    // From the captures' serial logs.
    const auto line =
        GENERATE(Case{"k6.6-4g-4l", 2136628, 4193784, 163560}, Case{"k6.1-4g-4l-2m", 2107956, 4193784, 192440},
                 Case{"k6.1-4g-5l", 2108012, 4193784, 194460}, Case{"k6.6-4g-numa2", 1350196, 4193784, 157436});
    INFO(line.capture);
    const std::string path = test::data_path("captures/" + std::string{line.capture} + ".json.xz");
    const MachineRecord facts = facts_of(run(load_scenario(path), {.until = "buddy.exit"}));
    REQUIRE(facts.memory);
    CHECK(facts.memory->available_k == line.available_k);
    CHECK(facts.memory->total_k == line.total_k);
    CHECK(facts.memory->parts == std::vector<std::pair<std::string, std::uint64_t>>{{"reserved_k", line.reserved_k}});
}

TEST_CASE("The facts of a capture's boot are what its kernel had", "[scenario][machines][captures]") {
    // k6.6-4g-4l's dmesg: "DMA [mem 0x1000-0xffffff]", "Normal [mem 0x100000000-0x17fffffff]".
    const MachineRecord facts = facts_of(run(presets::qemu_q35("4G"), {.until = "free_area_init.exit"}));
    CHECK(facts.last_pfn == std::vector<std::uint64_t>{0x180000, 0x7ffe0});
    CHECK(facts.zone_ranges.at(2) == firmware::LogZone{"Normal", LogRange{0x100000000, 0x17fffffff}});
    CHECK(facts.memory->total_k == (0x180000 - 0x100000 + 0x7ffe0 - 0x100 + 0x9e) * 4);
    // Spec 6.6 (a): 512 small pages in the first 2 MiB, and 480 at the end of low RAM.
    CHECK(facts.direct_map == std::vector<std::pair<std::string, std::uint64_t>>{{"DirectMap4k", (512 + 480) * 4},
                                                                                 {"DirectMap2M", (511 + 511) * 2048},
                                                                                 {"DirectMap1G", 2 * 1048576}});
}

TEST_CASE("The hole for PCI devices is the largest below 4 GiB, the lower one of equals", "[scenario][e820]") {
    const std::vector<firmware::E820Entry> map{{0, 0x80000000, E820Type::ram},
                                               {0xa0000000, 0x20000000, E820Type::reserved},
                                               {0xe0000000, 0x20000000, E820Type::reserved}};
    CHECK(scenario::pci_gap(map, 0x80000) == LogRange{0x80000000, 0x9fffffff});
    CHECK(scenario::pci_gap(std::vector<firmware::E820Entry>{{0, 0x100000000, E820Type::ram}}, 0x100000) ==
          LogRange{0x100100000, 0x1004fffff});
}

TEST_CASE("RAM is reserved up to the next round address", "[scenario][e820]") {
    const std::vector<firmware::E820Entry> map{
        {0, 0x9d800, E820Type::ram}, {0x100000, 0xe40000, E820Type::ram}, {0x1000000, 0x7effd000, E820Type::ram}};
    CHECK(scenario::ram_buffers(map) ==
          std::vector<LogRange>{{0x9d800, 0x9ffff}, {0xf40000, 0xffffff}, {0x7fffd000, 0x7fffffff}});
}
