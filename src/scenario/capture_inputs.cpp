// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>
#include <limits>
#include <utility>

#include "formats/json_view.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/scenario/boot_scenario.hpp"
#include "scenario/capture_reduction.hpp"
#include "scenario/numa_file.hpp"

namespace pgsim {

using formats::Json;
using formats::JsonView;
using scenario::number_or_hex;
using scenario::physical;
using scenario::sized_range;

namespace {

void expect_pair(const JsonView& list) {
    if (list.size() != 2) {
        list.fail("expected two elements");
    }
}

/// A number that must fit in the field that it is for.
template <class Field>
Field narrow(const JsonView& value) {
    const std::uint64_t number = number_or_hex(value);
    if (number > std::numeric_limits<Field>::max()) {
        value.fail("too large for its field");
    }
    return static_cast<Field>(number);
}

std::uint64_t number_or(const JsonView& object, std::string_view key, std::uint64_t otherwise) {
    const auto value = object.find(key);
    return value && !value->is_null() ? number_or_hex(*value) : otherwise;
}

CpuFeatures read_cpu(const JsonView& cpu) {
    CpuFeatures result;
    const JsonView features = cpu.at("features");
    for (std::size_t i = 0; i < features.size(); ++i) {
        if (const auto feature = find_feature(features.item(i).string())) {
            result.enable(*feature);
        }
    }
    const JsonView phys_bits = cpu.at("phys_bits");
    try {
        result.set_maxphyaddr(narrow<unsigned>(phys_bits));
    } catch (const Error& error) {
        phys_bits.fail(error.what());
    }
    if (const auto vendor = cpu.find("vendor")) {
        result.vendor = vendor->string() == "AuthenticAMD" ? Vendor::amd : Vendor::intel;
    }
    result.family = static_cast<unsigned>(number_or(cpu, "family", result.family));
    result.model = static_cast<unsigned>(number_or(cpu, "model", result.model));
    result.stepping = static_cast<unsigned>(number_or(cpu, "stepping", result.stepping));
    return result;
}

kernel::KernelConfig read_config(const JsonView& config) {
    kernel::KernelConfig result;
    if (!config.json().is_object()) {
        config.fail("must be an object");
    }
    for (const auto& [option, value] : config.json().items()) {
        if (value.is_boolean()) {
            result.set(option, value.get<bool>() ? "y" : "n");
        } else if (value.is_number_integer()) {
            result.set(option, value.dump());
        } else if (value.is_string()) {
            result.set(option, value.get<std::string>());
        } else {
            config.at(option).fail("a build option is true, false, \"m\", a number or a string");
        }
    }
    return result;
}

void read_struct_sizes(const JsonView& layout, kernel::KernelLayout& result) {
    result.struct_page_size = number_or(layout, "struct_page_size", result.struct_page_size);
    result.pglist_data_size = number_or(layout, "pglist_data_size", result.pglist_data_size);
    result.zone_size = number_or(layout, "zone_size", result.zone_size);
    const auto sizes = layout.find("struct_sizes");
    if (!sizes || sizes->is_null()) {
        return;
    }
    for (const auto& [name, bytes] : sizes->json().items()) {
        result.struct_sizes[name] = number_or_hex(sizes->at(name));
    }
}

void read_symbols(const JsonView& symbols, kernel::KernelLayout& result) {
    // Smaller values are offsets in the per-CPU section, which KASLR does not move.
    constexpr std::uint64_t per_cpu_limit = std::uint64_t{1} << 32;
    if (!symbols.json().is_object()) {
        symbols.fail("must be an object");
    }
    for (const auto& [name, address] : symbols.json().items()) {
        const std::uint64_t run_time = number_or_hex(symbols.at(name));
        result.set_symbol(name, VirtAddr{run_time < per_cpu_limit ? run_time : run_time - result.kaslr_offset});
    }
    if (!result.has("_text")) {
        symbols.fail("_text is missing");
    }
}

std::optional<VirtAddr> region_base(const JsonView& layout, std::string_view key) {
    const auto base = layout.find(key);
    return base && !base->is_null() ? std::optional{VirtAddr{number_or_hex(*base)}} : std::nullopt;
}

kernel::KernelLayout read_layout(const JsonView& layout) {
    kernel::KernelLayout result;
    result.text_pa = physical(layout.at("text_pa"));
    result.kaslr_offset = number_or(layout, "kaslr_offset", 0);
    result.page_offset_base = region_base(layout, "page_offset_base");
    result.vmalloc_base = region_base(layout, "vmalloc_base");
    result.vmemmap_base = region_base(layout, "vmemmap_base");
    read_struct_sizes(layout, result);
    read_symbols(layout.at("symbols"), result);
    return result;
}

firmware::E820Table read_e820(const JsonView& list) {
    if (list.size() > firmware::e820_max_entries_zeropage) {
        list.fail("boot_params holds 128 entries at most");
    }
    return formats::read_list(list, [](const JsonView& entry) {
        return firmware::E820Entry{number_or_hex(entry.at("start")), number_or_hex(entry.at("size")),
                                   firmware::E820Type{narrow<std::uint32_t>(entry.at("type"))}};
    });
}

std::vector<firmware::SetupData> read_setup_data(const JsonView& list) {
    return formats::read_list(list, [](const JsonView& node) {
        firmware::SetupData data{physical(node.at("pa")), narrow<std::uint32_t>(node.at("type")),
                                 narrow<std::uint32_t>(node.at("len"))};
        if (const auto more = node.find("e820")) {
            data.e820_ext = read_e820(*more);
        }
        if (const auto target = node.find("indirect")) {
            const PhysRange at = sized_range(target->at("pa"), target->at("len"));
            data.indirect =
                firmware::SetupData::Indirect{narrow<std::uint32_t>(target->at("type")), at.size(), at.start()};
        }
        return data;
    });
}

void read_loader_fields(const JsonView& object, firmware::BootParams& params) {
    params.address = physical(object.at("address"));
    params.load_address = physical(object.at("load_address"));
    params.init_size = narrow<std::uint32_t>(object.at("init_size"));
    params.cmd_line_ptr = physical(object.at("cmd_line_ptr"));
    if (const auto alignment = object.find("kernel_alignment")) {
        params.kernel_alignment = narrow<std::uint32_t>(*alignment);
    }
    if (const auto preferred = object.find("pref_address")) {
        params.pref_address = physical(*preferred);
    }
    if (const auto loader = object.find("type_of_loader")) {
        params.type_of_loader = narrow<std::uint8_t>(*loader);
    }
    if (const auto flags = object.find("loadflags")) {
        params.loadflags = narrow<std::uint8_t>(*flags);
    }
    params.payload_offset = number_or(object, "payload_offset", 0);
    params.payload_length = number_or(object, "payload_length", 0);
}

firmware::BootParams read_boot_params(const JsonView& object) {
    firmware::BootParams params;
    read_loader_fields(object, params);
    params.e820 = read_e820(object.at("e820"));
    if (const auto firmware_map = object.find("e820_firmware")) {
        params.e820_firmware = read_e820(*firmware_map);
    }
    if (const auto ramdisk = object.find("ramdisk")) {
        params.ramdisk_image = physical(ramdisk->at("start"));
        params.ramdisk_size = number_or_hex(ramdisk->at("size"));
    }
    if (const auto nodes = object.find("setup_data"); nodes && !nodes->is_null()) {
        params.setup_data = read_setup_data(*nodes);
    }
    if (const auto bda = object.find("bda"); bda && !bda->is_null()) {
        params.ebda_segment = narrow<std::uint16_t>(bda->at("ebda_segment"));
        params.base_memory_kb = narrow<std::uint16_t>(bda->at("base_memory_kb"));
    }
    return params;
}

std::vector<firmware::AcpiTable> read_acpi_tables(const JsonView& list) {
    return formats::read_list(list, [](const JsonView& table) {
        return firmware::AcpiTable{table.at("sig").string(), physical(table.at("pa")), number_or_hex(table.at("len"))};
    });
}

kernel::MemblockRequest read_request(const JsonView& object) {
    kernel::MemblockRequest request;
    request.op = object.at("op").string();
    request.size = number_or_hex(object.at("size"));
    request.align = number_or(object, "align", 0);
    request.from = number_or(object, "from", 0);
    request.max_addr = number_or(object, "max_addr", 0);
    request.offset = number_or(object, "offset", 0);
    request.base = number_or(object, "base", 0);
    if (const auto nid = object.find("nid")) {
        request.nid = scenario::node_id(*nid);
    }
    if (const auto of = object.find("of")) {
        request.of = static_cast<std::size_t>(of->number());
    }
    if (const auto by = object.find("by")) {
        request.by = by->string();
    }
    return request;
}

/// A free names an earlier allocation: anything else could not be replayed.
void check_requests(const JsonView& list, const std::vector<kernel::MemblockRequest>& requests) {
    for (std::size_t i = 0; i < requests.size(); ++i) {
        const auto& of = requests[i].of;
        if (of && (*of >= i || requests[*of].op == "phys_free")) {
            list.item(i).fail("\"of\" must be the index of an earlier request for memory");
        }
    }
}

std::vector<PhysRange> read_base_size_list(const JsonView& root, std::string_view key) {
    const auto list = root.find(key);
    if (!list || list->is_null()) {
        return {};
    }
    return formats::read_list(*list, [](const JsonView& pair) {
        expect_pair(pair);
        return sized_range(pair.item(0), pair.item(1));
    });
}

void read_reduced(const JsonView& root, kernel::BootInputs& inputs) {
    inputs.brk_early_bytes = number_or(root, "brk_early_bytes", 0);
    inputs.mp_table = read_base_size_list(root, "mp_table");
    inputs.acpi_reserved = read_base_size_list(root, "acpi_reserved");
    if (const auto list = root.find("memblock_requests"); list && !list->is_null()) {
        inputs.memblock_requests = formats::read_list(*list, read_request);
        check_requests(*list, *inputs.memblock_requests);
    }
}

void reduce(const JsonView& root, kernel::BootInputs& inputs) {
    scenario::ReducedCheckpoints reduced = scenario::reduce_checkpoints(root);
    inputs.brk_early_bytes = reduced.brk_early_bytes.value_or(0);
    inputs.mp_table = std::move(reduced.mp_table);
    inputs.acpi_reserved = std::move(reduced.acpi_reserved);
    inputs.memblock_requests = std::move(reduced.memblock_requests);
}

void read_machine(const JsonView& root, kernel::BootInputs& inputs) {
    inputs.cpu = read_cpu(root.at("cpu"));
    inputs.series = kernel::KernelSeries::of(root.at("kernel").at("series").string());
    inputs.config = read_config(root.at("config"));
    inputs.layout = read_layout(root.at("layout"));
    inputs.boot_params = read_boot_params(root.at("boot_params"));
    inputs.boot_params.cmdline = root.at("cmdline").string();
    if (const auto base = root.at("boot_params").find("decompressor_base"); base && !base->is_null()) {
        inputs.decompressor_base = physical(*base);
    }
    if (const auto tables = root.find("acpi_tables"); tables && !tables->is_null()) {
        inputs.acpi_tables = read_acpi_tables(*tables);
    }
    if (const auto numa = root.find("numa"); numa && !numa->is_null()) {
        inputs.numa = scenario::read_numa(*numa);
    }
}

// Options that matter and that captures do not list: the order of the fixmap, and the width of the last CPU's number in
// page->flags.
struct UnlistedOption {
    std::string_view name;
    bool in_debian;
    bool in_defconfig;
};
constexpr UnlistedOption unlisted_options[] = {
    {"PROVIDE_OHCI1394_DMA_INIT", false, true},
    {"NUMA_BALANCING", true, false},
};

void assume_unlisted_options(const JsonView& root, BootScenario& scenario) {
    const bool debian = root.at("kernel").at("version").string().find("Debian") != std::string::npos;
    for (const UnlistedOption& option : unlisted_options) {
        if (scenario.inputs.config.options().count(option.name) != 0) {
            continue;
        }
        const bool on = debian ? option.in_debian : option.in_defconfig;
        scenario.inputs.config.set(option.name, on ? "y" : "n");
        scenario.assumptions.push_back("CONFIG_" + std::string{option.name} + " is " + (on ? "on" : "off") +
                                       ", as in " + (debian ? "Debian's kernels" : "x86_64's defconfig"));
    }
}

}  // namespace

BootScenario scenario_from_capture(std::string_view text, std::string_view name) {
    const Json json = formats::parse_json(text, name);
    const JsonView root{json, name};
    const std::string format = root.at("format").string();
    BootScenario result;
    result.name = root.at("name").string();
    read_machine(root, result.inputs);
    assume_unlisted_options(root, result);
    if (format == "pgsim-inputs/1") {
        read_reduced(root, result.inputs);
    } else if (format == "pgsim-capture/1") {
        reduce(root, result.inputs);
    } else {
        root.at("format").fail("expected pgsim-capture/1 or pgsim-inputs/1");
    }
    return result;
}

}  // namespace pgsim
