// SPDX-License-Identifier: GPL-2.0-only
#include <limits>

#include "formats/json_view.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/firmware/memory_map_import.hpp"
#include "pgsim/scenario/machine_json.hpp"
#include "scenario/capture_reduction.hpp"

namespace pgsim {

using formats::Json;
using formats::JsonView;
using formats::read_list;
using scenario::number_or_hex;
using namespace firmware;  // the vocabulary of this file

namespace {

/// Calls `read` with the member unless it is absent or null.
template <class Read>
void if_present(const JsonView& object, std::string_view key, Read read) {
    const auto value = object.find(key);
    if (value && !value->is_null()) {
        read(*value);
    }
}

std::optional<std::string> text_or_null(const JsonView& object, std::string_view key) {
    const auto value = object.find(key);
    return value && !value->is_null() ? std::optional{value->string()} : std::nullopt;
}

LogRange read_range(const JsonView& object, std::string_view start = "start", std::string_view end = "end") {
    const LogRange range{number_or_hex(object.at(start)), number_or_hex(object.at(end))};
    if (range.end < range.start) {
        object.fail("the end lies below the start");
    }
    return range;
}

int read_node(const JsonView& value) {
    const int node = scenario::node_id(value);
    if (node < 0) {
        value.fail("not a node id");
    }
    return node;
}

std::optional<int> read_node_or_null(const JsonView& object) {
    const auto node = object.find("node");
    return node && !node->is_null() ? std::optional{read_node(*node)} : std::nullopt;
}

std::uint32_t read_u32(const JsonView& value) {
    const std::uint64_t number = number_or_hex(value);
    if (number > std::numeric_limits<std::uint32_t>::max()) {
        value.fail("does not fit in 32 bits");
    }
    return static_cast<std::uint32_t>(number);
}

/// The number; where a file has only the printed word, what that means.
E820Type read_type(const JsonView& entry) {
    const auto number = entry.find("type");
    if (number && !number->is_null()) {
        return E820Type{read_u32(*number)};
    }
    const auto type = e820_type_of(entry.at("type_name").string());
    if (!type) {
        entry.at("type_name").fail("unknown kind of memory");
    }
    return *type;
}

E820Table read_map(const JsonView& list) {
    E820Table table = read_list(list, [](const JsonView& entry) {
        const std::uint64_t start = number_or_hex(entry.at("start"));
        const std::uint64_t size = number_or_hex(entry.at("size"));
        if (size == 0) {
            entry.fail("the range is empty");
        }
        if (size - 1 > ~start) {
            entry.fail("the range runs past the end of the address space");
        }
        return E820Entry{start, size, read_type(entry)};
    });
    if (table.size() > e820_max_entries_zeropage) {
        list.fail("boot_params holds 128 entries, the map has " + std::to_string(table.size()));
    }
    return table;
}

LogMapping read_mapping(const JsonView& object) {
    LogMapping mapping{read_range(object), {}};
    if_present(object, "chunks", [&](const JsonView& chunks) {
        mapping.chunks = read_list(chunks, [](const JsonView& chunk) {
            return LogMapping::Chunk{read_range(chunk), chunk.at("page").string()};
        });
    });
    return mapping;
}

LogZone read_zone(const JsonView& object) {
    LogZone zone{object.at("zone").string(), std::nullopt};
    if (object.find("start")) {
        zone.range = read_range(object);
    }
    return zone;
}

LogNodeRange read_node_range(const JsonView& object) {
    return {read_node_or_null(object), read_range(object)};
}

LogNodePages read_node_pages(const JsonView& object) {
    LogNodePages node{read_node(object.at("node")), object.at("totalpages").number(), {}};
    if_present(object, "zones", [&](const JsonView& zones) {
        for (const std::string& zone : zones.keys()) {
            LogNodePages::Parts parts;
            const JsonView fields = zones.at(zone);
            for (const std::string& part : fields.keys()) {
                parts.emplace_back(part, fields.at(part).number());
            }
            node.zones.emplace_back(zone, std::move(parts));
        }
    });
    return node;
}

LogMemory read_memory(const JsonView& object) {
    LogMemory memory;
    for (const std::string& key : object.keys()) {
        const JsonView value = object.at(key);
        if (key == "line") {
            memory.line = value.is_null() ? std::string{} : value.string();
        } else if (value.is_null()) {
            continue;
        } else if (key == "available_k") {
            memory.available_k = value.number();
        } else if (key == "total_k") {
            memory.total_k = value.number();
        } else {
            memory.parts.emplace_back(key, value.number());
        }
    }
    return memory;
}

void read_inputs(const JsonView& root, MachineRecord& record) {
    record.name = text_or_null(root, "name").value_or("");
    record.kernel = text_or_null(root, "kernel").value_or("");
    record.machine = text_or_null(root, "machine");
    record.firmware = text_or_null(root, "firmware");
    record.hypervisor = text_or_null(root, "hypervisor");
    record.command_line = text_or_null(root, "command_line");
    if_present(root, "memory_parameters", [&](const JsonView& list) {
        record.memory_parameters = read_list(list, [](const JsonView& word) { return word.string(); });
    });
    record.e820 = read_map(root.at("e820"));
    check_imported_map(record.e820);
    if_present(root, "ramdisk", [&](const JsonView& range) { record.ramdisk = read_range(range); });
    if_present(root, "gb_pages_line", [&](const JsonView& flag) { record.gb_pages_line = flag.boolean(); });
    if_present(root, "nx", [&](const JsonView& flag) { record.nx = flag.boolean(); });
    if_present(root, "srat_memory", [&](const JsonView& list) {
        record.srat_memory = read_list(list, [](const JsonView& entry) {
            return LogSrat{read_node(entry.at("node")), read_u32(entry.at("pxm")), read_range(entry),
                           text_or_null(entry, "flags").value_or("")};
        });
    });
    if_present(root, "e820_extended_by_setup_data",
               [&](const JsonView& list) { record.e820_extended_by_setup_data = read_map(list); });
    if_present(root, "e820_user_defined", [&](const JsonView& list) { record.e820_user_defined = read_map(list); });
}

void read_early_facts(const JsonView& root, MachineRecord& record) {
    if_present(root, "e820_changes", [&](const JsonView& list) {
        record.e820_changes = read_list(list, [](const JsonView& change) {
            return LogE820Change{change.at("op").string(), read_range(change),
                                 text_or_null(change, "text").value_or("")};
        });
    });
    if_present(root, "last_pfn", [&](const JsonView& list) { record.last_pfn = read_list(list, number_or_hex); });
    if_present(root, "max_arch_pfn", [&](const JsonView& value) { record.max_arch_pfn = number_or_hex(value); });
    if_present(root, "init_memory_mapping",
               [&](const JsonView& list) { record.init_memory_mapping = read_list(list, read_mapping); });
    const auto ranges = [](const JsonView& list) {
        return read_list(list, [](const JsonView& range) { return read_range(range); });
    };
    if_present(root, "brk_pgtable", [&](const JsonView& list) { record.brk_pgtable = ranges(list); });
    if_present(root, "nosave", [&](const JsonView& list) { record.nosave = ranges(list); });
    if_present(root, "pci_gap", [&](const JsonView& range) { record.pci_gap = read_range(range); });
}

void read_node_facts(const JsonView& root, MachineRecord& record) {
    if_present(root, "node_data", [&](const JsonView& list) { record.node_data = read_list(list, read_node_range); });
    if_present(root, "vmemmap", [&](const JsonView& list) {
        record.vmemmap = read_list(list, [](const JsonView& part) {
            return LogVmemmap{read_range(part), part.at("kind").string(),
                              read_range(part, "backing_start", "backing_end"), read_node(part.at("node"))};
        });
    });
    if_present(root, "zone_ranges", [&](const JsonView& list) { record.zone_ranges = read_list(list, read_zone); });
    if_present(root, "early_node_ranges",
               [&](const JsonView& list) { record.early_node_ranges = read_list(list, read_node_range); });
    if_present(root, "initmem_setup",
               [&](const JsonView& list) { record.initmem_setup = read_list(list, read_node_range); });
    if_present(root, "node_totalpages",
               [&](const JsonView& list) { record.node_totalpages = read_list(list, read_node_pages); });
    if_present(root, "unavailable_ranges", [&](const JsonView& list) {
        record.unavailable_ranges = read_list(list, [](const JsonView& entry) {
            return LogUnavailable{read_node_or_null(entry), entry.at("zone").string(), entry.at("pages").number()};
        });
    });
    if_present(root, "setup_percpu", [&](const JsonView& object) {
        record.setup_percpu = LogCpus{object.at("nr_cpus").number(), object.at("nr_cpumask_bits").number(),
                                      object.at("nr_cpu_ids").number(), object.at("nr_node_ids").number()};
    });
    if_present(root, "zonelists", [&](const JsonView& object) {
        record.zonelists = LogZonelists{object.at("count").number(), object.at("total_pages").number()};
    });
    if_present(root, "fallback_order", [&](const JsonView& list) {
        record.fallback_order = read_list(list, [](const JsonView& entry) {
            return LogFallback{read_node(entry.at("node")), read_list(entry.at("order"), read_node)};
        });
    });
    if_present(root, "memory", [&](const JsonView& object) { record.memory = read_memory(object); });
}

void read_inputs_of_lines(const JsonView& root, MachineRecord& record) {
    record.upstream = text_or_null(root, "upstream").value_or("");
    if_present(root, "srat_cpu_domains",
               [&](const JsonView& list) { record.srat_cpu_domains = read_list(list, read_u32); });
    record.mtrr_default = text_or_null(root, "mtrr_default");
    if_present(root, "mtrr", [&](const JsonView& list) {
        record.mtrr = read_list(list, [](const JsonView& range) {
            return LogMtrr{number_or_hex(range.at("base")), number_or_hex(range.at("mask")), range.at("type").string()};
        });
    });
    if_present(root, "top_mem2", [&](const JsonView& value) { record.top_mem2 = number_or_hex(value); });
}

/// The lines themselves, for what firmware and processor say there and no field holds.
void read_raw(const JsonView& root, MachineRecord& record) {
    std::string lines;
    if_present(root, "raw", [&](const JsonView& list) {
        for (const std::string& line : read_list(list, [](const JsonView& text) { return text.string(); })) {
            lines += line + '\n';
        }
    });
    if (lines.find("BIOS-e820: ") == std::string::npos) {
        return;
    }
    MachineRecord raw = parse_dmesg(lines);
    record.upstream = std::move(raw.upstream);
    record.mtrr_default = std::move(raw.mtrr_default);
    record.mtrr = std::move(raw.mtrr);
    record.top_mem2 = raw.top_mem2;
    record.srat_cpu_domains = std::move(raw.srat_cpu_domains);
    if (record.fallback_order.empty()) {
        record.fallback_order = std::move(raw.fallback_order);
    }
}

}  // namespace

MachineRecord machine_record_from_json(std::string_view text, std::string_view name) {
    const Json json = formats::parse_json(text, name);
    const JsonView root{json, name};
    if (const auto format = text_or_null(root, "format"); format && *format != "pgsim-machine/1") {
        root.at("format").fail("expected pgsim-machine/1");
    }
    MachineRecord record;
    read_inputs(root, record);
    read_early_facts(root, record);
    read_node_facts(root, record);
    read_inputs_of_lines(root, record);
    read_raw(root, record);
    return record;
}

}  // namespace pgsim
