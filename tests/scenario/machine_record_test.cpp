// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "pgsim/firmware/memory_map_import.hpp"
#include "pgsim/scenario/machine_json.hpp"
#include "support/catch.hpp"
#include "support/data.hpp"

using namespace pgsim;
using firmware::MachineRecord;

namespace {

std::vector<std::string> machine_files() {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator{test::data_path("machines")}) {
        if (entry.path().extension() == ".json") {
            files.push_back(entry.path().string());
        }
    }
    std::sort(files.begin(), files.end());
    return files;
}

std::string raw_log(const std::string& json) {
    std::string text;
    const auto root = nlohmann::json::parse(json);
    for (const auto& line : root["raw"]) {
        text += line.get<std::string>() + '\n';
    }
    return text;
}

}  // namespace

TEST_CASE("The log lines of each machine say what its file says", "[scenario][machines]") {
    const auto files = machine_files();
    REQUIRE(files.size() >= 48);
    for (const std::string& path : files) {
        INFO(path);
        const std::string json = test::read_file(path);
        const MachineRecord file = machine_record_from_json(json, path);
        const MachineRecord log = firmware::parse_dmesg(raw_log(json));
        CHECK(log.kernel == file.kernel);
        CHECK(log.machine == file.machine);
        CHECK(log.hypervisor == file.hypervisor);
        CHECK(log.e820 == file.e820);
        CHECK(log.e820_extended_by_setup_data == file.e820_extended_by_setup_data);
        CHECK(log.e820_user_defined == file.e820_user_defined);
        CHECK(log.e820_changes == file.e820_changes);
        CHECK(log.ramdisk == file.ramdisk);
        CHECK(log.srat_memory == file.srat_memory);
        CHECK(log.gb_pages_line == file.gb_pages_line);
        CHECK(log.last_pfn == file.last_pfn);
        CHECK(log.max_arch_pfn == file.max_arch_pfn);
        CHECK(log.init_memory_mapping == file.init_memory_mapping);
        CHECK(log.brk_pgtable == file.brk_pgtable);
        CHECK(log.node_data == file.node_data);
        CHECK(log.vmemmap == file.vmemmap);
        CHECK(log.zone_ranges == file.zone_ranges);
        CHECK(log.early_node_ranges == file.early_node_ranges);
        CHECK(log.initmem_setup == file.initmem_setup);
        CHECK(log.node_totalpages == file.node_totalpages);
        CHECK(log.unavailable_ranges == file.unavailable_ranges);
        if (file.nosave) {  // null where the log has the form of old kernels
            CHECK(log.nosave == file.nosave);
        }
        CHECK(log.pci_gap == file.pci_gap);
        CHECK(log.setup_percpu == file.setup_percpu);
        CHECK(log.zonelists == file.zonelists);
        CHECK(log.memory == file.memory);
    }
}

TEST_CASE("A machine record survives being written and read again", "[scenario][machines]") {
    for (const std::string& path : machine_files()) {
        INFO(path);
        const MachineRecord record = machine_record_from_json(test::read_file(path), path);
        CHECK(machine_record_from_json(machine_record_to_json(record)) == record);
    }
}
