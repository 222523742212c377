// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>
#include <array>
#include <bit>

#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/firmware/memory_map_import.hpp"
#include "pgsim/kernel/e820_setup.hpp"
#include "pgsim/kernel/early_param.hpp"
#include "pgsim/scenario/boot_scenario.hpp"
#include "pgsim/scenario/presets.hpp"

namespace pgsim {

using firmware::E820Entry;
using firmware::E820Table;
using firmware::E820Type;
using firmware::LogRange;
using firmware::MachineRecord;

namespace {

/// One past the last byte of RAM.
std::uint64_t end_of_ram(const E820Table& map) {
    std::uint64_t end = 0;
    for (const E820Entry& entry : map) {
        if (entry.type == E820Type::ram && entry.size != 0) {
            end = std::max(end, entry.end());
        }
    }
    return end;
}

std::optional<PhysRange> physical(const LogRange& range) {
    const auto start = PhysAddr::try_from(range.start);
    const auto last = PhysAddr::try_from(range.end);
    if (!start || !last || range.end == PhysSpace::last || range.end < range.start) {
        return std::nullopt;
    }
    return PhysRange{*start, *last + 1};
}

PhysRange physical_or_throw(const LogRange& range, std::string_view what) {
    const auto result = physical(range);
    if (!result) {
        throw Error{what, "the range does not fit in 52 bits of physical address"};
    }
    return *result;
}

/// MAXPHYADDR from the MTRR masks, which cover all bits up to it; else what the RAM needs, at least 40.
unsigned physical_bits(const MachineRecord& record) {
    unsigned bits = 0;
    for (const firmware::LogMtrr& mtrr : record.mtrr) {
        bits = std::max(bits, static_cast<unsigned>(std::bit_width(mtrr.mask)));
    }
    const std::uint64_t end = end_of_ram(record.e820);
    const unsigned needed = end == 0 ? 0 : static_cast<unsigned>(std::bit_width(end - 1));
    return std::min(std::max({bits == 0 ? 40U : std::max(bits, 36U), needed}), 52U);
}

/// The encoding of a memory type in Linux's words.
std::uint64_t encoded_type(std::string_view words) {
    constexpr std::array<std::pair<std::string_view, MemoryType>, 5> names{{{"uncachable", MemoryType::uc},
                                                                            {"write-combining", MemoryType::wc},
                                                                            {"write-through", MemoryType::wt},
                                                                            {"write-protect", MemoryType::wp},
                                                                            {"write-back", MemoryType::wb}}};
    const auto found = std::find_if(names.begin(), names.end(), [&](const auto& name) { return name.first == words; });
    return static_cast<std::uint64_t>(found == names.end() ? MemoryType::uc : found->second);
}

/// The processor in words that the log has for it.
void take_cpu(const MachineRecord& record, BootScenario& scenario) {
    constexpr std::uint64_t max_arch_pfn_5_level = std::uint64_t{1} << 40;
    CpuFeatures& cpu = scenario.inputs.cpu;
    if (!record.nx.value_or(true)) {
        cpu.disable(Feature::nx);
    }
    if (record.gb_pages_line == false) {
        cpu.disable(Feature::pdpe1gb);
    } else if (!record.gb_pages_line) {
        scenario.assumptions.emplace_back("the processor has 1 GiB pages");
    }
    const std::uint64_t end = end_of_ram(record.e820);
    if (record.max_arch_pfn == max_arch_pfn_5_level || end > std::uint64_t{1} << 46) {
        cpu.enable(Feature::la57);
    } else if (!record.max_arch_pfn) {
        scenario.assumptions.emplace_back("the kernel runs with 4-level paging");
    }
    cpu.set_maxphyaddr(physical_bits(record));
}

/// The MTRRs as logged. RAM above 4 GiB that no range covers means that TOP_MEM2 does, if the log does not say.
void take_mtrrs(const MachineRecord& record, BootScenario& scenario) {
    constexpr std::uint64_t enabled = 3U << 10;
    constexpr std::uint64_t range_valid = 1U << 11;
    if (!record.mtrr_default) {
        return;
    }
    Mtrrs& mtrrs = scenario.inputs.mtrrs;
    mtrrs.def_type = encoded_type(*record.mtrr_default) | enabled;
    bool covers_high = false;
    for (std::size_t i = 0; i < record.mtrr.size() && i < mtrrs.variable.size(); ++i) {
        const firmware::LogMtrr& range = record.mtrr[i];
        mtrrs.variable[i] = {range.base | encoded_type(range.type), range.mask | range_valid};
        const std::uint64_t size = range.mask & (~range.mask + 1);
        covers_high = covers_high || (range.type == "write-back" && range.base + size > 4 * GiB);
    }
    const std::uint64_t end = end_of_ram(scenario.inputs.boot_params.e820);
    mtrrs.top_mem2 = record.top_mem2.value_or(0);
    if (mtrrs.top_mem2 == 0 && !covers_high && end > 4 * GiB && *record.mtrr_default == "uncachable") {
        mtrrs.top_mem2 = end;
        scenario.assumptions.emplace_back("TOP_MEM2 makes the RAM above 4 GiB write-back");
    }
}

std::string command_line_of(const MachineRecord& record) {
    std::string line;
    if (record.command_line) {
        line = *record.command_line;
    } else {
        for (const std::string& parameter : record.memory_parameters) {
            line += (line.empty() ? "" : " ") + parameter;
        }
    }
    return line;
}

void take_command_line(const MachineRecord& record, BootScenario& scenario) {
    std::string line = command_line_of(record);
    // What KASLR chose is not in a log.
    if (!kernel::cmdline_find_option_bool(line, "nokaslr")) {
        line += line.empty() ? "nokaslr" : " nokaslr";
        scenario.assumptions.emplace_back("the kernel was not moved by KASLR");
    }
    scenario.inputs.boot_params.cmdline = line;
}

/// "update X usable ==> usable" is what marking a setup_data node as the kernel's prints.
std::vector<firmware::SetupData> setup_data_of(const MachineRecord& record) {
    constexpr std::uint64_t header = 16;
    constexpr std::uint32_t setup_pci = 3;
    std::vector<firmware::SetupData> nodes;
    for (const firmware::LogE820Change& change : record.e820_changes) {
        const std::uint64_t size = change.range.end - change.range.start + 1;
        const auto start = PhysAddr::try_from(change.range.start);
        const bool same_type = change.text == "usable ==> usable" || change.text == "System RAM ==> System RAM";
        if (change.op != "update" || !same_type || !start || size <= header || size - header > 0xffff'ffff) {
            continue;
        }
        const firmware::SetupData node{*start, setup_pci, static_cast<std::uint32_t>(size - header)};
        if (std::find(nodes.begin(), nodes.end(), node) == nodes.end()) {
            nodes.push_back(node);  // printed once for each of the kernel's tables
        }
    }
    return nodes;
}

/// mem= and memmap= on the command line: what the kernel calls a user-defined map.
bool has_map_parameters(std::string_view line) {
    for (const kernel::CommandLineArgument& argument : kernel::split_command_line(line)) {
        if (argument.name == "mem" || argument.name == "memmap") {
            return true;
        }
    }
    return false;
}

/// The map; where the log shows that parameters changed it, but not which, the map that they led to.
void take_map(const MachineRecord& record, BootScenario& scenario) {
    const bool unknown_parameters =
        record.e820_user_defined && !has_map_parameters(scenario.inputs.boot_params.cmdline);
    scenario.inputs.boot_params.e820 = unknown_parameters ? *record.e820_user_defined : record.e820;
    if (unknown_parameters) {
        scenario.assumptions.emplace_back("the firmware's map is the user-defined one: the log has no mem= or memmap=");
    }
}

/// Zones that this build has not got: the lowest zone that its log names begins where they would lie. What
/// distributions ship has a zone Device.
void take_zones(const MachineRecord& record, BootScenario& scenario) {
    constexpr std::uint64_t end_of_dma = 16 * MiB;
    const bool device =
        record.zone_ranges.empty() || std::any_of(record.zone_ranges.begin(), record.zone_ranges.end(),
                                                  [](const firmware::LogZone& zone) { return zone.zone == "Device"; });
    scenario.inputs.config.set("ZONE_DEVICE", device ? "y" : "n");
    if (record.zone_ranges.empty() || !record.zone_ranges.front().range) {
        return;
    }
    const firmware::LogZone& lowest = record.zone_ranges.front();
    if (lowest.range->start >= end_of_dma) {
        return;  // the lines above it are lost
    }
    if (lowest.zone != "DMA") {
        scenario.inputs.config.set("ZONE_DMA", "n");
        scenario.assumptions.emplace_back("the kernel was built without ZONE_DMA");
    }
    if (lowest.zone == "Normal") {
        scenario.inputs.config.set("ZONE_DMA32", "n");
        scenario.assumptions.emplace_back("the kernel was built without ZONE_DMA32");
    }
}

void take_loader(const MachineRecord& record, BootScenario& scenario) {
    firmware::BootParams& params = scenario.inputs.boot_params;
    params.efi = record.firmware == "uefi";
    if (!params.efi) {
        params.ebda_segment = 0x9fc0;
        params.base_memory_kb = 639;
    }
    if (record.ramdisk) {
        const PhysRange ramdisk = physical_or_throw(*record.ramdisk, "ramdisk");
        params.ramdisk_image = ramdisk.start();
        params.ramdisk_size = ramdisk.size();
    }
    params.setup_data = setup_data_of(record);
}

void take_acpi(const MachineRecord& record, BootScenario& scenario) {
    kernel::BootInputs& inputs = scenario.inputs;
    inputs.acpi_tables = record.acpi_tables;
    for (const LogRange& range : record.acpi_reserved) {
        inputs.acpi_reserved.push_back(physical_or_throw(range, "ACPI table"));
    }
    if (record.mp_table) {
        inputs.mp_table = {physical_or_throw(*record.mp_table, "MP table")};
    }
}

/// Where the boot loader can put the image so that it and the kernel find RAM: the lowest fitting place from the
/// preferred address on. Loaders do the same when the preferred place is taken.
std::optional<PhysAddr> find_place(const E820Table& map, std::uint64_t from, std::uint64_t size, std::uint64_t align) {
    kernel::E820 table;
    firmware::BootParams params;
    params.e820 = map;
    table.memory_setup(params);
    for (const E820Entry& entry : table.entries()) {
        const std::uint64_t start = (std::max(entry.start, from) + align - 1) & ~(align - 1);
        if (entry.type == E820Type::ram && start < entry.end() && entry.end() - start >= size &&
            start + size <= 4 * GiB) {
            return PhysAddr{start};
        }
    }
    return std::nullopt;
}

/// Moves the image where the map has RAM for it.
void place_kernel(BootScenario& scenario) {
    kernel::BootInputs& inputs = scenario.inputs;
    firmware::BootParams& params = inputs.boot_params;
    const std::uint64_t preferred = inputs.config.load_physical_addr();
    const auto place = find_place(params.e820, preferred, params.init_size, params.kernel_alignment);
    if (!place || place->value() == preferred) {
        return;  // check_scenario says what is wrong, if it is
    }
    params.load_address = *place;
    inputs.layout.text_pa = *place;
    scenario.assumptions.push_back("the boot loader put the kernel at " + hex(place->value()) +
                                   ", the first place with enough RAM");
}

}  // namespace

void check_scenario(const BootScenario& scenario) {
    const kernel::BootInputs& inputs = scenario.inputs;
    const firmware::BootParams& params = inputs.boot_params;
    const std::uint64_t limit = std::uint64_t{1} << inputs.cpu.maxphyaddr();
    for (std::size_t i = 0; i < params.e820.size(); ++i) {
        const E820Entry& entry = params.e820[i];
        if (entry.type == E820Type::ram && entry.size != 0 &&
            (entry.start >= limit || entry.size > limit - entry.start)) {
            throw Error{
                "memory map: entry " + std::to_string(i) + " at " + hex(entry.start),
                "RAM beyond the processor's " + std::to_string(inputs.cpu.maxphyaddr()) + " physical address bits"};
        }
    }
    const PhysAddr text = inputs.layout.pa("_text");
    const PhysAddr end = inputs.layout.pa("_end");
    kernel::E820 table;
    table.memory_setup(params);
    if (!table.mapped_all(text.value(), end.value(), E820Type::ram)) {
        throw Error{"memory map",
                    "no RAM where the kernel must lie, " + hex(text.value()) + " to " + hex(end.value() - 1)};
    }
}

BootScenario scenario_from_record(const MachineRecord& record) {
    firmware::check_imported_map(record.e820);
    BootScenario scenario;
    scenario.name = record.name;
    use_kernel(scenario, record.kernel.empty() ? "6.6" : record.kernel);
    if (record.kernel.empty()) {
        scenario.assumptions.emplace_back("the kernel is 6.6");
    }
    if (!record.upstream.empty()) {
        scenario.inputs.series = kernel::KernelSeries::of(record.upstream);
    }
    use_cpu(scenario, "max,-la57");
    take_cpu(record, scenario);
    take_command_line(record, scenario);
    take_map(record, scenario);
    take_mtrrs(record, scenario);
    take_loader(record, scenario);
    take_zones(record, scenario);
    scenario.inputs.numa = firmware::numa_of(record);
    take_acpi(record, scenario);
    place_kernel(scenario);
    check_scenario(scenario);
    return scenario;
}

BootScenario scenario_from_map(const E820Table& map, std::string_view name) {
    MachineRecord record;
    record.name = std::string{name};
    record.e820 = map;
    return scenario_from_record(record);
}

}  // namespace pgsim
