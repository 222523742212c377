// SPDX-License-Identifier: GPL-2.0-only
#include "scenario/capture_head.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace pgsim::scenario {

namespace {

using Json = nlohmann::ordered_json;

std::string hexadecimal(std::uint64_t value) {
    return fmt::format("{:#x}", value);
}

Json option_value(const std::string& text) {
    if (text == "y" || text == "n") {
        return text == "y";
    }
    const bool decimal =
        !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
    return decimal && text.size() < 19 ? Json(std::stoll(text)) : Json(text);
}

Json cpu(const CpuFeatures& features) {
    Json names = Json::array();
    for (const std::string_view name : features.names()) {
        names.push_back(std::string{name});
    }
    return {{"features", std::move(names)},
            {"phys_bits", features.maxphyaddr()},
            {"vendor", std::string{to_string(features.vendor)}},
            {"family", features.family},
            {"model", features.model},
            {"stepping", features.stepping}};
}

Json e820(const firmware::E820Table& table) {
    Json list = Json::array();
    for (const firmware::E820Entry& entry : table) {
        list.push_back({{"start", hexadecimal(entry.start)},
                        {"size", hexadecimal(entry.size)},
                        {"type", static_cast<std::uint32_t>(entry.type)}});
    }
    return list;
}

Json boot_params(const kernel::BootInputs& inputs) {
    const firmware::BootParams& params = inputs.boot_params;
    Json out{{"address", hexadecimal(params.address.value())},
             {"load_address", hexadecimal(params.load_address.value())},
             {"init_size", params.init_size},
             {"kernel_alignment", params.kernel_alignment},
             {"pref_address", hexadecimal(params.pref_address.value())},
             {"payload_offset", params.payload_offset},
             {"payload_length", params.payload_length},
             {"loadflags", hexadecimal(params.loadflags)},
             {"type_of_loader", hexadecimal(params.type_of_loader)},
             {"cmd_line_ptr", hexadecimal(params.cmd_line_ptr.value())},
             {"cmdline", params.cmdline},
             {"e820", e820(params.e820)}};
    if (!params.e820_firmware.empty()) {
        out["e820_firmware"] = e820(params.e820_firmware);
    }
    out["ramdisk"] = {{"start", hexadecimal(params.ramdisk_image.value())}, {"size", params.ramdisk_size}};
    Json nodes = Json::array();
    for (const firmware::SetupData& node : params.setup_data) {
        Json object{{"pa", hexadecimal(node.address.value())}, {"type", node.type}, {"len", node.length}};
        if (!node.e820_ext.empty()) {
            object["e820"] = e820(node.e820_ext);
        }
        if (node.indirect) {
            object["indirect"] = {{"pa", hexadecimal(node.indirect->address.value())},
                                  {"type", node.indirect->type},
                                  {"len", node.indirect->length}};
        }
        nodes.push_back(std::move(object));
    }
    out["setup_data"] = std::move(nodes);
    out["bda"] = {{"ebda_segment", hexadecimal(params.ebda_segment)}, {"base_memory_kb", params.base_memory_kb}};
    if (inputs.decompressor_base) {
        out["decompressor_base"] = hexadecimal(inputs.decompressor_base->value());
    }
    return out;
}

Json acpi_tables(const std::vector<firmware::AcpiTable>& tables) {
    Json list = Json::array();
    for (const firmware::AcpiTable& table : tables) {
        list.push_back({{"sig", table.signature}, {"pa", hexadecimal(table.address.value())}, {"len", table.length}});
    }
    return list;
}

Json numa(const firmware::NumaDescription& description) {
    Json nodes = Json::array();
    for (const std::uint32_t domain : description.domains) {
        Json ranges = Json::array();
        Json hotplug = Json::array();
        for (const firmware::SratMemory& memory : description.memory) {
            if (memory.proximity_domain == domain) {
                const Json range{hexadecimal(memory.range.start().value()), hexadecimal(memory.range.end().value())};
                ranges.push_back(range);
                if (memory.hot_pluggable) {
                    hotplug.push_back(range);
                }
            }
        }
        Json node{{"id", domain}, {"ranges", std::move(ranges)}};
        if (!hotplug.empty()) {
            node["hotplug"] = std::move(hotplug);
        }
        nodes.push_back(std::move(node));
    }
    Json result{{"nodes", std::move(nodes)}};
    const std::size_t count = description.domains.size();
    for (std::size_t i = 0; i < description.distances.size() && count != 0; i += count) {
        const auto row = description.distances.begin() + static_cast<std::ptrdiff_t>(i);
        result["distances"].push_back(std::vector<unsigned>(row, row + static_cast<std::ptrdiff_t>(count)));
    }
    return result;
}

Json layout(const kernel::KernelLayout& kernel_layout) {
    const std::uint64_t text = kernel_layout.va("_text").value();
    Json out{{"phys_base", hexadecimal(kernel_layout.text_pa.value() - (text - kernel::start_kernel_map))},
             {"text_pa", hexadecimal(kernel_layout.text_pa.value())},
             {"kaslr_offset", hexadecimal(kernel_layout.kaslr_offset)}};
    const auto base = [&out](const char* key, const std::optional<VirtAddr>& value) {
        if (value) {
            out[key] = hexadecimal(value->value());
        }
    };
    base("page_offset_base", kernel_layout.page_offset_base);
    base("vmalloc_base", kernel_layout.vmalloc_base);
    base("vmemmap_base", kernel_layout.vmemmap_base);
    out["struct_page_size"] = kernel_layout.struct_page_size;
    out["pglist_data_size"] = kernel_layout.pglist_data_size;
    out["zone_size"] = kernel_layout.zone_size;
    for (const auto& [name, bytes] : kernel_layout.struct_sizes) {
        out["struct_sizes"][name] = bytes;
    }
    out["link_text"] = hexadecimal(text - kernel_layout.kaslr_offset);
    for (const auto& [name, link_time] : kernel_layout.symbols()) {
        // Small values are offsets in the per-CPU section, which KASLR does not move.
        const bool per_cpu = link_time.value() < std::uint64_t{1} << 32;
        out["symbols"][name] =
            hexadecimal(per_cpu ? link_time.value() : link_time.value() + kernel_layout.kaslr_offset);
    }
    return out;
}

}  // namespace

std::string capture_head(const BootScenario& scenario) {
    const kernel::BootInputs& inputs = scenario.inputs;
    Json config = Json::object();
    for (const auto& [option, value] : inputs.config.options()) {
        config[option] = option_value(value);
    }
    const Json head{
        {"format", "pgsim-capture/1"},
        {"name", scenario.name},
        {"kernel",
         {{"release", inputs.series.name}, {"series", inputs.series.name}, {"version", "simulated by pgsim"}}},
        {"accel", "pgsim"},
        {"cmdline", inputs.boot_params.cmdline},
        {"cpu", cpu(inputs.cpu)},
        {"config", std::move(config)},
        {"boot_params", boot_params(inputs)},
        {"acpi_tables", acpi_tables(inputs.acpi_tables)},
        {"numa", numa(inputs.numa)},
        {"layout", layout(inputs.layout)}};
    return head.dump();
}

std::string memblock_calls_json(const std::vector<kernel::MemblockCall>& calls, std::size_t first) {
    Json list = Json::array();
    for (std::size_t i = first; i < calls.size(); ++i) {
        const kernel::MemblockCall& call = calls[i];
        Json out{{"op", call.op}};
        if (!call.text.empty()) {
            out["text"] = call.text;
        } else if (call.is_request()) {
            out["size"] = call.size;
            out["align"] = hexadecimal(call.align);
            if (call.nid) {
                out["nid"] = *call.nid;
            }
            out["from"] = fmt::format("{:#018x}", call.from);
            out["max_addr"] = fmt::format("{:#018x}", call.max_addr);
            out["by"] = call.by;
        } else {
            out["base"] = hexadecimal(call.base);
            out["size"] = hexadecimal(call.size);
            out["by"] = call.by;
        }
        list.push_back(std::move(out));
    }
    return Json{{"memblock_calls", std::move(list)}}.dump();
}

}  // namespace pgsim::scenario
