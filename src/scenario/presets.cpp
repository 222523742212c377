// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/scenario/presets.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>

#include "firmware/text_scan.hpp"
#include "kernel/presets.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"

namespace pgsim {

using firmware::E820Entry;
using firmware::E820Table;
using firmware::E820Type;

namespace {

constexpr std::uint64_t four_gib = 4 * GiB;

/// The build that stands for a version: the nearest one that was measured.
const kernel::KernelPreset& build_for(std::string_view kernel) {
    for (const char* name : {"debian-6.1", "defconfig-6.6", "debian-6.12"}) {
        if (kernel == name) {
            return kernel::kernel_preset(name);
        }
    }
    const kernel::KernelSeries series = kernel::KernelSeries::of(kernel);
    const bool newer_than_6_11 = series.major > 6 || (series.major == 6 && series.minor >= 12);
    const bool older_than_6_6 = series.major < 6 || (series.major == 6 && series.minor < 6);
    return kernel::kernel_preset(newer_than_6_11 ? "debian-6.12" : older_than_6_6 ? "debian-6.1" : "defconfig-6.6");
}

enum class QemuMachine { q35, pc };

/// Where QEMU puts RAM: below 4 GiB as much as the machine type leaves room for, the rest above.
struct RamSplit {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    std::uint64_t high_start = four_gib;
};

// AMD processors keep [0xfd00000000, 1 TiB) for HyperTransport: QEMU tells the firmware so.
constexpr std::uint64_t hyper_transport_start = 0xfd'0000'0000;
constexpr std::uint64_t hyper_transport_size = 0x3'0000'0000;

RamSplit split_ram(QemuMachine machine, std::uint64_t ram) {
    const bool q35 = machine == QemuMachine::q35;
    const std::uint64_t threshold = q35 ? 0xb000'0000 : 0xe000'0000;
    const std::uint64_t low_when_split = q35 ? 0x8000'0000 : 0xc000'0000;
    if (ram < threshold) {
        return {ram, 0};
    }
    RamSplit split{low_when_split, ram - low_when_split};
    if (split.high_start + split.high > hyper_transport_start) {
        split.high_start = TiB;
    }
    return split;
}

E820Table seabios_map(QemuMachine machine, const RamSplit& ram) {
    constexpr std::uint64_t acpi_size = 0x20000;
    E820Table map{{0, 0x9fc00, E820Type::ram},
                  {0x9fc00, 0x400, E820Type::reserved},
                  {0xf0000, 0x10000, E820Type::reserved},
                  {0x100000, ram.low - acpi_size - 0x100000, E820Type::ram},
                  {ram.low - acpi_size, acpi_size, E820Type::reserved}};
    if (machine == QemuMachine::q35) {
        map.push_back({0xb000'0000, 0x1000'0000, E820Type::reserved});
        map.push_back({0xfed1'c000, 0x4000, E820Type::reserved});
    }
    map.push_back({0xfffc'0000, 0x40000, E820Type::reserved});
    if (ram.high != 0 && ram.high_start < hyper_transport_start) {
        map.push_back({ram.high_start, ram.high, E820Type::ram});
    }
    map.push_back({hyper_transport_start, hyper_transport_size, E820Type::reserved});
    if (ram.high != 0 && ram.high_start > hyper_transport_start) {
        map.push_back({ram.high_start, ram.high, E820Type::ram});
    }
    return map;
}

struct TablePlace {
    std::string_view signature;
    std::uint64_t offset;
    std::uint64_t length;
};

// Offsets in the reserved block below the end of low RAM, in the order in which the kernel reserves the tables.
constexpr std::array<TablePlace, 7> q35_tables{{{"FACP", 0x2068, 244},
                                                {"DSDT", 0x40, 8232},
                                                {"FACS", 0x0, 64},
                                                {"APIC", 0x215c, 120},
                                                {"HPET", 0x21d4, 56},
                                                {"MCFG", 0x220c, 60},
                                                {"WAET", 0x2248, 40}}};
constexpr std::array<TablePlace, 6> pc_tables{{{"FACP", 0x1931, 116},
                                               {"DSDT", 0x40, 6385},
                                               {"FACS", 0x0, 64},
                                               {"APIC", 0x19a5, 120},
                                               {"HPET", 0x1a1d, 56},
                                               {"WAET", 0x1a55, 40}}};

template <std::size_t N>
void add_tables(const std::array<TablePlace, N>& tables, PhysAddr block, kernel::BootInputs& inputs) {
    for (const TablePlace& table : tables) {
        const PhysAddr address = block + table.offset;
        inputs.acpi_tables.push_back({std::string{table.signature}, address, table.length});
        inputs.acpi_reserved.push_back(PhysRange::sized(address, table.length));
    }
}

void add_firmware(QemuMachine machine, const RamSplit& ram, kernel::BootInputs& inputs) {
    inputs.boot_params.e820 = seabios_map(machine, ram);
    inputs.boot_params.ebda_segment = 0x9fc0;
    inputs.boot_params.base_memory_kb = 639;
    const PhysAddr acpi{ram.low - 0x20000};
    if (machine == QemuMachine::q35) {
        add_tables(q35_tables, acpi, inputs);
    } else {
        add_tables(pc_tables, acpi, inputs);
    }
    inputs.mp_table = {PhysRange::sized(PhysAddr{0xf5ba0}, 0x10), PhysRange::sized(PhysAddr{0xf5bb0}, 0xc8)};
    inputs.brk_early_bytes = 4096;  // DMI, as in every capture
}

BootScenario qemu(QemuMachine machine, std::string_view size) {
    const std::uint64_t ram = parse_ram_size(size);
    constexpr std::uint64_t smallest = 64 * MiB;
    constexpr std::uint64_t largest = std::uint64_t{1} << 51;
    if (ram < smallest || ram > largest || ram % MiB != 0) {
        throw Error{"RAM size \"" + std::string{size} + '"', "must be whole MiB, 64 MiB to 2 PiB"};
    }
    const RamSplit split = split_ram(machine, ram);
    BootScenario scenario;
    scenario.name = (machine == QemuMachine::q35 ? "q35-" : "pc-") + std::string{size};
    use_kernel(scenario, "6.6");
    use_cpu(scenario, "max,-la57");
    const std::uint64_t end = split.high != 0 ? split.high_start + split.high : split.low;
    const unsigned needed = static_cast<unsigned>(std::bit_width(end - 1));
    scenario.inputs.cpu.set_maxphyaddr(std::max(scenario.inputs.cpu.maxphyaddr(), needed));
    if (end > std::uint64_t{1} << 46) {
        scenario.inputs.cpu.enable(Feature::la57);  // 64 TiB is what 4-level paging can map
    }
    scenario.inputs.boot_params.cmdline = "nokaslr";
    add_firmware(machine, split, scenario.inputs);
    return scenario;
}

struct NamedPreset {
    const char* name;
    const char* description;
    QemuMachine machine;
    const char* ram;
    const char* cpu;   ///< null: the default
    const char* numa;  ///< null: none
};

constexpr std::array<NamedPreset, 12> named_presets{{
    {"q35-4g", "QEMU q35, 4 GiB (the default)", QemuMachine::q35, "4G", nullptr, nullptr},
    {"q35-512m", "QEMU q35, 512 MiB: all RAM below 4 GiB", QemuMachine::q35, "512M", nullptr, nullptr},
    {"q35-1g", "QEMU q35, 1 GiB", QemuMachine::q35, "1G", nullptr, nullptr},
    {"q35-64g", "QEMU q35, 64 GiB", QemuMachine::q35, "64G", nullptr, nullptr},
    {"q35-16t", "QEMU q35, 16 TiB: tables follow the page size, not the RAM", QemuMachine::q35, "16T", nullptr,
     nullptr},
    {"q35-4g-5level", "QEMU q35, 4 GiB, a processor with 57-bit linear addresses", QemuMachine::q35, "4G", "max",
     nullptr},
    {"q35-4g-2m", "QEMU q35, 4 GiB, a processor without 1 GiB pages", QemuMachine::q35, "4G", "max,-la57,-pdpe1gb",
     nullptr},
    {"q35-4g-nonx", "QEMU q35, 4 GiB, a processor without NX", QemuMachine::q35, "4G", "max,-la57,-nx", nullptr},
    {"q35-4g-numa2", "QEMU q35, 4 GiB in two nodes", QemuMachine::q35, "4G", nullptr, "2"},
    {"q35-8g-numa4", "QEMU q35, 8 GiB in four nodes", QemuMachine::q35, "8G", nullptr, "4"},
    {"pc-3g", "QEMU i440FX, 3 GiB: all RAM below 4 GiB", QemuMachine::pc, "3G", nullptr, nullptr},
    {"pc-5g", "QEMU i440FX, 5 GiB", QemuMachine::pc, "5G", nullptr, nullptr},
}};

BootScenario named(const NamedPreset& preset) {
    BootScenario scenario = qemu(preset.machine, preset.ram);
    scenario.name = preset.name;
    if (preset.cpu != nullptr) {
        use_cpu(scenario, preset.cpu);
    }
    if (preset.numa != nullptr) {
        use_numa(scenario, preset.numa);
    }
    return scenario;
}

}  // namespace

void use_kernel(BootScenario& scenario, std::string_view kernel) {
    const kernel::KernelPreset& build = build_for(kernel);
    kernel::BootInputs& inputs = scenario.inputs;
    inputs.series = kernel::KernelSeries::of(kernel);
    inputs.config = kernel::KernelConfig::preset(build.name);
    inputs.layout = kernel::KernelLayout::preset(build.name);
    firmware::BootParams& params = inputs.boot_params;
    params.init_size = build.init_size;
    params.payload_offset = build.payload_offset;
    params.payload_length = build.payload_length;
    // QEMU's -kernel puts these at fixed places; boot_params follows the size of the real-mode part.
    params.address = PhysAddr{build.boot_params_address};
    params.load_address = PhysAddr{0x100000};
    params.cmd_line_ptr = PhysAddr{0x20000};
    params.type_of_loader = 0xb0;
    params.loadflags = 0x81;
}

void use_cpu(BootScenario& scenario, std::string_view cpu) {
    const unsigned width = scenario.inputs.cpu.maxphyaddr();
    scenario.inputs.cpu = parse_cpu(cpu);
    if (cpu.find("phys-bits=") == std::string_view::npos && scenario.inputs.cpu.maxphyaddr() < width &&
        !scenario.inputs.boot_params.e820.empty()) {
        scenario.inputs.cpu.set_maxphyaddr(width);  // the RAM that is there needs it
    }
}

std::uint64_t parse_ram_size(std::string_view text) {
    firmware::TextScan scan{text};
    const auto number = scan.number();
    constexpr std::string_view suffixes = "KMGTP";
    if (number && scan.rest().size() == 1) {
        const auto suffix = suffixes.find(static_cast<char>(std::toupper(static_cast<unsigned char>(scan.rest()[0]))));
        const unsigned shift = 10 * (static_cast<unsigned>(suffix) + 1);
        if (suffix != std::string_view::npos && *number >> (64 - shift) == 0) {
            return *number << shift;
        }
    }
    if (!number || !scan.at_end()) {
        throw Error{"size \"" + std::string{text} + '"', "expected a number with K, M, G, T or P, e.g. 4G"};
    }
    return *number;
}

namespace presets {

BootScenario qemu_q35(std::string_view ram) {
    return qemu(QemuMachine::q35, ram);
}

BootScenario qemu_pc(std::string_view ram) {
    return qemu(QemuMachine::pc, ram);
}

}  // namespace presets

std::vector<PresetInfo> preset_list() {
    std::vector<PresetInfo> list;
    for (const NamedPreset& preset : named_presets) {
        list.push_back({preset.name, preset.description});
    }
    return list;
}

BootScenario preset(std::string_view name) {
    std::string names;
    for (const NamedPreset& known : named_presets) {
        if (name == known.name) {
            return named(known);
        }
        names += std::string{names.empty() ? "" : ", "} + known.name;
    }
    for (const QemuMachine machine : {QemuMachine::q35, QemuMachine::pc}) {
        const std::string_view prefix = machine == QemuMachine::q35 ? "q35-" : "pc-";
        if (name.substr(0, prefix.size()) == prefix && name.size() > prefix.size() &&
            std::isdigit(static_cast<unsigned char>(name[prefix.size()])) != 0 &&
            name.find('-', prefix.size()) == std::string_view::npos) {
            return qemu(machine, name.substr(prefix.size()));
        }
    }
    throw Error{"preset \"" + std::string{name} + '"', "unknown; there are " + names + ", and q35-SIZE, pc-SIZE"};
}

}  // namespace pgsim
