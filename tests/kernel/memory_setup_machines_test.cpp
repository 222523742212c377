// SPDX-License-Identifier: GPL-2.0-only
// Real machines' boot logs: what the kernel printed about memory follows from the firmware's map.
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>

#include "pgsim/kernel/early_param.hpp"
#include "pgsim/kernel/numa.hpp"
#include "pgsim/kernel/zones.hpp"
#include "support/catch.hpp"
#include "support/data.hpp"

using namespace pgsim;
using namespace pgsim::kernel;
using nlohmann::json;

namespace {

std::uint64_t number(const json& value) {
    return value.is_string() ? std::stoull(value.get<std::string>(), nullptr, 0) : value.get<std::uint64_t>();
}

std::vector<std::filesystem::path> machine_files() {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator{test::data_path("machines")}) {
        if (entry.path().extension() == ".json") {
            files.push_back(entry.path());
        }
    }
    std::sort(files.begin(), files.end());
    return files;
}

firmware::BootParams boot_params_of(const json& machine) {
    firmware::BootParams params;
    // A map that was edited by hand in a way the file does not keep stands there itself.
    const bool edited = !machine.at("e820_user_defined").is_null() && machine.at("memory_parameters").empty();
    for (const json& entry : machine.at(edited ? "e820_user_defined" : "e820")) {
        const json& type = entry.at("type");  // null where the log has only "type 20"
        const std::uint64_t value =
            type.is_null() ? std::stoull(entry.at("type_name").get<std::string>().substr(5)) : number(type);
        params.e820.push_back(
            {number(entry.at("start")), number(entry.at("size")), static_cast<firmware::E820Type>(value)});
    }
    for (const json& parameter : machine.at("memory_parameters")) {
        params.cmdline += parameter.get<std::string>() + ' ';
    }
    return params;
}

firmware::E820Type type_of(const std::string& name) {
    return name == "usable" ? firmware::E820Type::ram : firmware::E820Type::reserved;
}

/// The changes that other parts of the kernel (EFI, MTRR) made before memblock was filled: by the log.
void apply_printed_changes(const json& raw, E820& e820) {
    static const std::regex change{
        R"(e820: (update|remove) \[mem (0x[0-9a-f]+)-(0x[0-9a-f]+)\] (\w+)(?: ==> (\w+))?.*)"};
    const auto is_last_pfn = [](const json& line) {
        return line.get<std::string>().find("last_pfn = ") != std::string::npos;
    };
    std::size_t end = raw.size();
    while (end > 0 && !is_last_pfn(raw[end - 1])) {
        --end;
    }
    for (std::size_t i = 0; i < end; ++i) {
        const std::string line = raw[i].get<std::string>();
        std::smatch match;
        if (!std::regex_match(line, match, change)) {
            continue;
        }
        const std::uint64_t first = std::stoull(match[2], nullptr, 0);
        const std::uint64_t size = std::stoull(match[3], nullptr, 0) - first + 1;
        if (match[1] == "remove") {
            e820.range_remove(first, size, type_of(match[4]), E820::CheckType::yes);
        } else if (match[4] == "usable" && match[5] == "usable") {
            e820.range_update(first, size, firmware::E820Type::ram, firmware::E820Type::reserved_kern);
        } else {
            e820.range_update(first, size, type_of(match[4]), type_of(match[5]));
        }
        e820.update_table();
    }
}

NumaInputs numa_inputs(const json& machine, std::uint64_t max_pfn, const KernelSeries& series) {
    NumaInputs inputs;
    inputs.max_pfn = max_pfn;
    inputs.series = series;
    if (!machine.at("srat_memory").is_null()) {
        for (const json& entry : machine.at("srat_memory")) {
            const auto domain = static_cast<std::uint32_t>(number(entry.at("pxm")));
            const PhysRange range{PhysAddr{number(entry.at("start"))}, PhysAddr{number(entry.at("end")) + 1}};
            inputs.description.memory.push_back(
                {domain, range, entry.at("flags").get<std::string>().find("hotplug") != std::string::npos});
        }
    }
    return inputs;
}

struct PrintedRange {
    std::uint64_t node = 0, start = 0, end = 0;
    bool operator==(const PrintedRange&) const = default;
};

std::ostream& operator<<(std::ostream& out, const PrintedRange& range) {
    return out << "node " << range.node << std::hex << " [" << range.start << "-" << range.end << "]" << std::dec;
}

std::vector<PrintedRange> printed_node_ranges(const json& machine) {
    std::vector<PrintedRange> ranges;
    for (const json& range : machine.at("early_node_ranges")) {
        ranges.push_back({number(range.at("node")), number(range.at("start")), number(range.at("end"))});
    }
    return ranges;
}

/// Kernels may be built without a zone: then a higher zone begins where memory begins. (A log that lost the line of a
/// zone is no such case.)
bool has_zone_below(const json& machine, std::uint64_t end_of_zone) {
    const json& ranges = machine.at("zone_ranges");
    return std::none_of(ranges.begin(), ranges.end(), [&](const json& range) {
        return !range.value("empty", false) && number(range.at("start")) == 0x1000 &&
               number(range.at("end")) >= end_of_zone;
    });
}

void check_zone_ranges(const json& machine, const ZoneState& zones) {
    for (const json& range : machine.at("zone_ranges")) {
        const std::string name = range.at("zone").get<std::string>();
        for (unsigned i = 0; i < 3; ++i) {
            if (zone_name(static_cast<ZoneType>(i)) != name) {
                continue;
            }
            INFO("zone " << name);
            const bool empty = zones.lowest_possible_pfn[i] == zones.highest_possible_pfn[i];
            CHECK(empty == range.value("empty", false));
            if (!empty) {
                CHECK(zones.lowest_possible_pfn[i] << 12 == number(range.at("start")));
                // Before 3.17 a zone's limit was printed as it is, whatever the end of RAM.
                const bool limited = machine.at("kernel").get<std::string>().front() != '3';
                CHECK((!limited || (zones.highest_possible_pfn[i] << 12) - 1 == number(range.at("end"))));
            }
        }
    }
}

/// "DMA32 zone: 9751 pages used for memmap", "DMA32 zone: 624011 pages, LIFO batch:63", up to 5.13.
void check_node_totals(const json& machine, ZoneState zones) {
    if (machine.at("node_totalpages").is_null()) {
        return;
    }
    const bool modern = machine.at("kernel").get<std::string>().front() >= '5';
    for (const json& wanted : machine.at("node_totalpages")) {
        const Node* const node = zones.node(wanted.at("node").get<int>());
        REQUIRE(node != nullptr);
        CHECK(node->present_pages == number(wanted.at("totalpages")));
        for (const Zone& zone : node->zones) {
            const auto found = wanted.at("zones").find(std::string{zone_name(zone.type)});
            REQUIRE((found != wanted.at("zones").end()) == (zone.present != 0));
            if (found == wanted.at("zones").end()) {
                continue;
            }
            INFO("node " << node->nid << " zone " << zone_name(zone.type));
            CHECK(zone.present == number(found->at("pages")));
            if (modern) {  // older kernels had other sizes of struct page and of per-cpu lists
                CHECK(zone.present - zone.managed == number(found->at("used_for_memmap")));
            }
        }
    }
    const Watermarks marks = setup_watermarks(zones, {});
    for (const ZoneWatermarks& zone : marks.zones) {
        const json& wanted = machine.at("node_totalpages").at(static_cast<std::size_t>(zone.nid)).at("zones");
        if (modern) {
            CHECK(zone.pcp_batch ==
                  std::max<std::uint64_t>(1, number(wanted.at(std::string{zone_name(zone.type)}).at("lifo_batch"))));
        }
    }
}

void check_machine(const json& machine) {
    const KernelSeries series = KernelSeries::of(machine.at("kernel").get<std::string>());
    const firmware::BootParams params = boot_params_of(machine);
    E820 e820;
    e820.memory_setup(params);
    KernelConfig config;
    const EarlyParams early = parse_early_param(params.cmdline, config, e820);
    REQUIRE(e820.finish_early_params(early.e820_userdef));
    apply_printed_changes(machine.at("raw"), e820);
    e820.trim_bios_range();

    const std::uint64_t max_pfn = e820.end_of_ram_pfn(4, series);
    const json& last_pfn = machine.at("last_pfn");
    CHECK(max_pfn == number(last_pfn.at(0)));
    const std::uint64_t low = max_pfn > 0x10'0000 ? e820.end_of_low_ram_pfn(series) : max_pfn;
    CHECK(low == number(last_pfn.at(last_pfn.size() - 1)));

    Memblock memblock;
    e820_memblock_setup(e820, memblock);
    memblock.reserve(0, 0x10'0000);
    const NumaState numa = initmem_init(numa_inputs(machine, max_pfn, series), memblock);
    CHECK_FALSE(numa.panic);
    std::vector<PrintedRange> ranges;
    memblock.for_each_mem_pfn_range(numa_no_node, [&](std::uint64_t start, std::uint64_t end, int nid) {
        ranges.push_back({static_cast<std::uint64_t>(nid), start << 12, (end << 12) - 1});
    });
    CHECK(ranges == printed_node_ranges(machine));

    ZoneInputs inputs;
    inputs.max_low_pfn = max_pfn;
    inputs.series = series;
    inputs.series.managed_is_present = false;
    inputs.zone_dma = has_zone_below(machine, 0x100'0000);
    inputs.zone_dma32 = has_zone_below(machine, 0x1'0000'0000);
    const ZoneState zones = free_area_init(memblock, inputs);
    check_zone_ranges(machine, zones);
    check_node_totals(machine, zones);
}

}  // namespace

TEST_CASE("What 48 machines logged about their memory follows from their E820 maps", "[kernel][machines][R5][R7][R8]") {
    const std::vector<std::filesystem::path> files = machine_files();
    REQUIRE(files.size() >= 48);
    for (const std::filesystem::path& file : files) {
        const json machine = json::parse(test::read_file(file.string()));
        INFO(file.stem().string());
        check_machine(machine);
    }
}
