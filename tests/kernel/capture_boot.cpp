// SPDX-License-Identifier: GPL-2.0-only
#include "capture_boot.hpp"

#include <algorithm>
#include <filesystem>
#include <stdexcept>

#include "pgsim/base/units.hpp"
#include "support/data.hpp"

namespace pgsim::test {
namespace {

using nlohmann::json;

std::uint64_t number(const json& value) {
    return value.is_string() ? std::stoull(value.get<std::string>(), nullptr, 0) : value.get<std::uint64_t>();
}

std::uint64_t number_or(const json& object, const char* key, std::uint64_t otherwise) {
    const auto found = object.find(key);
    return found == object.end() || found->is_null() ? otherwise : number(*found);
}

/// "reserve_real_mode+0x50/0x89" -> "reserve_real_mode"
std::string function_of(const std::string& by) {
    return by.substr(0, by.find_first_of("+."));
}

firmware::BootParams read_boot_params(const json& head) {
    const json& in = head.at("boot_params");
    firmware::BootParams params;
    params.cmdline = in.at("cmdline").get<std::string>();
    params.type_of_loader = static_cast<std::uint8_t>(number(in.at("type_of_loader")));
    for (const json& entry : in.at("e820")) {
        params.e820.push_back({number(entry.at("start")), number(entry.at("size")),
                               static_cast<firmware::E820Type>(number(entry.at("type")))});
    }
    params.ramdisk_image = PhysAddr{number(in.at("ramdisk").at("start"))};
    params.ramdisk_size = number(in.at("ramdisk").at("size"));
    for (const json& node : in.at("setup_data")) {
        params.setup_data.push_back({PhysAddr{number(node.at("pa"))},
                                     static_cast<std::uint32_t>(number(node.at("type"))),
                                     static_cast<std::uint32_t>(number(node.at("len")))});
    }
    params.ebda_segment = static_cast<std::uint16_t>(number(in.at("bda").at("ebda_segment")));
    params.base_memory_kb = static_cast<std::uint16_t>(number(in.at("bda").at("base_memory_kb")));
    return params;
}

firmware::NumaDescription read_numa(const json& head) {
    firmware::NumaDescription numa;
    for (const json& node : head.at("numa").at("nodes")) {
        const auto domain = static_cast<std::uint32_t>(number(node.at("id")));
        numa.domains.push_back(domain);
        const json hotplug = node.value("hotplug", json::array());
        for (const json& range : node.at("ranges")) {
            const PhysRange where{PhysAddr{number(range.at(0))}, PhysAddr{number(range.at(1))}};
            const bool hot = std::find(hotplug.begin(), hotplug.end(), range) != hotplug.end();
            numa.memory.push_back({domain, where, hot});
        }
    }
    return numa;
}

kernel::KernelConfig read_config(const json& head) {
    kernel::KernelConfig config;
    for (const auto& [key, value] : head.at("config").items()) {
        const std::string text = value.is_boolean()  ? (value.get<bool>() ? "y" : "n")
                                 : value.is_string() ? value.get<std::string>()
                                                     : value.dump();
        config.set(key, text);
    }
    return config;
}

}  // namespace

const formats::CaptureCheckpoint& CaptureBoot::at(const std::string& checkpoint) const {
    const formats::CaptureCheckpoint* const found = capture.find(checkpoint);
    if (found == nullptr) {
        throw std::runtime_error{capture.name + " has no " + checkpoint};
    }
    return *found;
}

std::vector<kernel::MemblockCall> CaptureBoot::calls(const std::string& checkpoint) const {
    std::vector<kernel::MemblockCall> result;
    const std::string& text = at(checkpoint).other_json;
    const json other = text.empty() ? json::object() : json::parse(text);
    const json list = other.value("memblock_calls", json::array());
    for (const json& in : list.is_null() ? json::array() : list) {
        kernel::MemblockCall call;
        call.op = in.at("op").get<std::string>();
        call.base = number_or(in, "base", 0);
        call.size = number_or(in, "size", 0);
        call.align = number_or(in, "align", 0);
        if (in.contains("nid")) {
            call.nid = in.at("nid").get<int>();
        }
        call.from = number_or(in, "from", 0);
        call.max_addr = number_or(in, "max_addr", 0);
        call.text = in.value("text", "");
        call.by = function_of(in.value("by", ""));
        result.push_back(call);
    }
    return result;
}

std::uint64_t CaptureBoot::global(const std::string& checkpoint, const std::string& name) const {
    for (const auto& [key, value] : at(checkpoint).globals.value()) {
        if (key == name) {
            return std::holds_alternative<formats::Hex>(value)
                       ? std::get<formats::Hex>(value).value
                       : static_cast<std::uint64_t>(std::get<std::int64_t>(value));
        }
    }
    throw std::runtime_error{capture.name + " " + checkpoint + " has no " + name};
}

CaptureBoot::Early CaptureBoot::setup_e820() const {
    Early early{kernel::E820{128 + 3 * static_cast<std::size_t>(config.max_numnodes())}, {}};
    early.e820.memory_setup(boot_params);
    early.params = kernel::parse_early_param(boot_params.cmdline, config, early.e820);
    early.e820.reserve_setup_data(boot_params.setup_data, series);
    if (!early.e820.finish_early_params(early.params.e820_userdef)) {
        throw std::runtime_error{"Invalid user supplied memory map"};
    }
    early.e820.add_kernel_range(image.start(), image.end());
    early.e820.trim_bios_range();
    return early;
}

kernel::Memblock::Setup CaptureBoot::memblock_setup() const {
    kernel::Memblock::Setup setup;
    setup.max_numnodes = static_cast<int>(config.max_numnodes());
    setup.empty_has_dummy = series.memblock_empty_has_dummy;
    setup.fixed_array_panics = series.memblock_fixed_array_panics;
    setup.memory_array = VirtAddr{memory_init_regions};
    setup.reserved_array = VirtAddr{reserved_init_regions};
    setup.page_offset_base = VirtAddr{page_offset_base};
    return setup;
}

kernel::Memblock CaptureBoot::memblock_at(const std::string& checkpoint) const {
    kernel::Memblock memblock{memblock_setup()};
    const formats::CaptureMemblock& in = at(checkpoint).memblock.value();
    memblock.bottom_up = in.bottom_up;
    memblock.current_limit = in.current_limit;
    memblock.can_resize = true;
    memblock.movable_node = kernel::cmdline_find_option_bool(boot_params.cmdline, "movable_node");
    const auto fill = [](const std::vector<formats::CaptureRegion>& regions,
                         const std::optional<formats::CaptureRegionInfo>& info, kernel::MemblockType& type) {
        for (const formats::CaptureRegion& region : regions) {
            type.regions.push_back(
                {region.base, region.size, static_cast<std::uint32_t>(region.flags), static_cast<int>(region.nid)});
        }
        type.max = info.value().max;
        type.total_size = info.value().total_size;
        type.array = VirtAddr{info.value().array};
    };
    fill(in.memory, in.memory_info, memblock.memory);
    fill(in.reserved, in.reserved_info, memblock.reserved);
    return memblock;
}

kernel::NumaInputs CaptureBoot::numa_inputs() const {
    kernel::NumaInputs inputs;
    inputs.description = numa;
    inputs.max_pfn = global("init_mem_mapping.entry", "max_pfn");
    inputs.pglist_data_size = pglist_data_size;
    inputs.max_numnodes = static_cast<int>(config.max_numnodes());
    inputs.acpi_numa = config.enabled("ACPI_NUMA");
    inputs.numa_emu = config.enabled("NUMA_EMU");
    inputs.params = setup_e820().params;
    inputs.series = series;
    return inputs;
}

kernel::ZoneInputs CaptureBoot::zone_inputs() const {
    kernel::ZoneInputs inputs;
    inputs.max_low_pfn = global("initmem_init.exit", "max_low_pfn");
    inputs.deferred_struct_page_init = config.enabled("DEFERRED_STRUCT_PAGE_INIT");
    inputs.params = setup_e820().params;
    inputs.series = series;
    inputs.dma_reserve = kernel::find_dma_reserve(memblock_at("sparse_init.entry"));
    return inputs;
}

std::vector<std::string> capture_names() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator{data_path("captures")}) {
        const std::string name = entry.path().filename().string();
        constexpr std::size_t suffix = sizeof ".json.xz" - 1;
        if (name.size() > suffix && name.substr(name.size() - suffix) == ".json.xz") {
            names.push_back(name.substr(0, name.size() - suffix));
        }
    }
    std::sort(names.begin(), names.end());
    return names;
}

CaptureBoot load_capture(const std::string& name) {
    CaptureBoot boot;
    boot.capture = formats::read_capture(data_path("captures/" + name + ".json.xz"));
    const json head = json::parse(boot.capture.head_json);
    boot.boot_params = read_boot_params(head);
    boot.numa = read_numa(head);
    boot.config = read_config(head);
    boot.series = kernel::KernelSeries::of(boot.capture.release);
    const json& layout = head.at("layout");
    const json& symbols = layout.at("symbols");
    boot.pglist_data_size = number(layout.at("pglist_data_size"));
    boot.page_offset_base = number(layout.at("page_offset_base"));
    boot.memory_init_regions = number(symbols.at("memblock_memory_init_regions"));
    boot.reserved_init_regions = number(symbols.at("memblock_reserved_init_regions"));
    const PhysAddr text{number(layout.at("text_pa"))};
    const auto pa = [&](const char* symbol) {
        return text + (number(symbols.at(symbol)) - number(symbols.at("_text")));
    };
    boot.image = {text, pa("_end")};
    boot.reserved = {text, pa("__end_of_kernel_reserve")};
    boot.levels = boot.at("init_mem_mapping.entry").levels;
    return boot;
}

std::string describe(const kernel::MemblockType& type) {
    std::string text =
        "max " + std::to_string(type.max) + " total " + hex(type.total_size) + " array " + to_string(type.array) + "\n";
    for (const kernel::MemblockRegion& region : type.regions) {
        text += "[" + hex(region.base) + "," + hex(region.end()) + ") nid " + std::to_string(region.nid) + " flags " +
                hex(region.flags) + "\n";
    }
    return text;
}

std::string describe(const kernel::MemblockCall& call) {
    return call.op + " base " + hex(call.base) + " size " + hex(call.size) + " align " + hex(call.align) + " nid " +
           (call.nid ? std::to_string(*call.nid) : "none") + " from " + hex(call.from) + " max_addr " +
           hex(call.max_addr) + " " + call.text + " by " + call.by;
}

}  // namespace pgsim::test
