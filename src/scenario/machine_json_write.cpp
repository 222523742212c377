// SPDX-License-Identifier: GPL-2.0-only
#include <nlohmann/json.hpp>

#include "pgsim/base/units.hpp"
#include "pgsim/scenario/machine_json.hpp"

namespace pgsim {

using Json = nlohmann::ordered_json;
using namespace firmware;  // the vocabulary of this file

namespace {

// Declared before the templates that call them.
Json json_of(const LogZone& zone);
Json json_of(const LogMapping& mapping);
Json json_of(const LogSrat& entry);
Json json_of(const LogVmemmap& part);
Json json_of(const LogNodePages& node);
Json json_of(const LogUnavailable& entry);
Json json_of(const LogFallback& fallback);
Json json_of(const LogMtrr& range);

Json json_of(const LogRange& range) {
    return {{"start", hex(range.start)}, {"end", hex(range.end)}};
}

/// {"node": …} before the range, as the machine files order them.
Json json_of(const LogNodeRange& item) {
    return {{"node", item.node ? Json(*item.node) : Json(nullptr)},
            {"start", hex(item.range.start)},
            {"end", hex(item.range.end)}};
}

Json json_of(const E820Entry& entry) {
    return {{"start", hex(entry.start)},
            {"size", hex(entry.size)},
            {"type", static_cast<std::uint32_t>(entry.type)},
            {"type_name", linux_name(entry.type)}};
}

Json json_of(const LogE820Change& change) {
    return {
        {"op", change.op}, {"start", hex(change.range.start)}, {"end", hex(change.range.end)}, {"text", change.text}};
}

Json json_of(const LogMapping::Chunk& chunk) {
    return {{"start", hex(chunk.range.start)}, {"end", hex(chunk.range.end)}, {"page", chunk.page}};
}

template <class T>
Json json_list(const std::vector<T>& items) {
    Json list = Json::array();
    for (const T& item : items) {
        list.push_back(json_of(item));
    }
    return list;
}

Json json_of(const LogMapping& mapping) {
    Json object = json_of(mapping.range);
    object["chunks"] = json_list(mapping.chunks);
    return object;
}

Json json_of(const LogZone& zone) {
    if (!zone.range) {
        return {{"zone", zone.zone}, {"empty", true}};
    }
    return {{"zone", zone.zone}, {"start", hex(zone.range->start)}, {"end", hex(zone.range->end)}};
}

Json json_of(const LogSrat& entry) {
    return {{"node", entry.node},
            {"pxm", entry.pxm},
            {"start", hex(entry.range.start)},
            {"end", hex(entry.range.end)},
            {"flags", entry.flags}};
}

Json json_of(const LogVmemmap& part) {
    return {{"start", hex(part.range.start)},           {"end", hex(part.range.end)},           {"kind", part.kind},
            {"backing_start", hex(part.backing.start)}, {"backing_end", hex(part.backing.end)}, {"node", part.node}};
}

Json json_of(const LogNodePages& node) {
    Json zones = Json::object();
    for (const auto& [zone, parts] : node.zones) {
        Json fields = Json::object();
        for (const auto& [part, value] : parts) {
            fields[part] = value;
        }
        zones[zone] = fields;
    }
    return {{"node", node.node}, {"totalpages", node.totalpages}, {"zones", zones}};
}

Json json_of(const LogUnavailable& entry) {
    return {{"node", entry.node ? Json(*entry.node) : Json(nullptr)}, {"zone", entry.zone}, {"pages", entry.pages}};
}

Json json_of(const LogCpus& cpus) {
    return {{"nr_cpus", cpus.nr_cpus},
            {"nr_cpumask_bits", cpus.nr_cpumask_bits},
            {"nr_cpu_ids", cpus.nr_cpu_ids},
            {"nr_node_ids", cpus.nr_node_ids}};
}

Json json_of(const LogZonelists& lists) {
    return {{"count", lists.count}, {"total_pages", lists.total_pages}};
}

Json json_of(const LogFallback& fallback) {
    return {{"node", fallback.node}, {"order", fallback.order}};
}

Json json_of(const LogMtrr& range) {
    return {{"base", hex(range.base)}, {"mask", hex(range.mask)}, {"type", range.type}};
}

Json json_of(const LogMemory& memory) {
    Json object{{"available_k", memory.available_k == 0 ? Json(nullptr) : Json(memory.available_k)},
                {"total_k", memory.total_k}};
    for (const auto& [name, value] : memory.parts) {
        object[name] = value;
    }
    object["line"] = memory.line;
    return object;
}

Json json_of(const std::string& text) {
    return text;
}

Json json_of(bool flag) {
    return flag;
}

template <class T>
Json or_null(const std::optional<T>& value) {
    return value ? json_of(*value) : Json(nullptr);
}

template <class T>
Json list_or_null(const std::optional<std::vector<T>>& value) {
    return value ? json_list(*value) : Json(nullptr);
}

Json hex_list(const std::vector<std::uint64_t>& values) {
    Json list = Json::array();
    for (const std::uint64_t value : values) {
        list.push_back(hex(value));
    }
    return list;
}

void write_inputs(const MachineRecord& record, Json& root) {
    root["format"] = "pgsim-machine/1";
    root["name"] = record.name;
    root["kernel"] = record.kernel;
    root["machine"] = or_null(record.machine);
    root["firmware"] = or_null(record.firmware);
    root["hypervisor"] = or_null(record.hypervisor);
    root["memory_parameters"] = record.memory_parameters;
    root["e820"] = json_list(record.e820);
    root["e820_extended_by_setup_data"] = list_or_null(record.e820_extended_by_setup_data);
    root["e820_user_defined"] = list_or_null(record.e820_user_defined);
}

/// What the machine files have in their lines only; each key where there is something to say.
void write_inputs_of_lines(const MachineRecord& record, Json& root) {
    if (!record.upstream.empty()) {
        root["upstream"] = record.upstream;
    }
    if (!record.srat_cpu_domains.empty()) {
        root["srat_cpu_domains"] = record.srat_cpu_domains;
    }
    if (record.mtrr_default) {
        root["mtrr_default"] = *record.mtrr_default;
    }
    if (!record.mtrr.empty()) {
        root["mtrr"] = json_list(record.mtrr);
    }
    if (record.top_mem2) {
        root["top_mem2"] = hex(*record.top_mem2);
    }
}

void write_facts(const MachineRecord& record, Json& root) {
    root["e820_changes"] = json_list(record.e820_changes);
    root["last_pfn"] = hex_list(record.last_pfn);
    root["max_arch_pfn"] = record.max_arch_pfn ? Json(hex(*record.max_arch_pfn)) : Json(nullptr);
    root["gb_pages_line"] = or_null(record.gb_pages_line);
    root["ramdisk"] = or_null(record.ramdisk);
    root["init_memory_mapping_printed"] = record.init_memory_mapping.has_value();
    root["init_memory_mapping"] = list_or_null(record.init_memory_mapping);
    root["brk_pgtable"] = list_or_null(record.brk_pgtable);
    root["srat_memory"] = list_or_null(record.srat_memory);
    root["node_data"] = list_or_null(record.node_data);
    root["vmemmap"] = list_or_null(record.vmemmap);
    root["zone_ranges"] = json_list(record.zone_ranges);
    root["early_node_ranges"] = json_list(record.early_node_ranges);
    root["initmem_setup"] = json_list(record.initmem_setup);
    root["node_totalpages"] = list_or_null(record.node_totalpages);
    root["unavailable_ranges"] = list_or_null(record.unavailable_ranges);
    root["nosave"] = list_or_null(record.nosave);
    root["pci_gap"] = or_null(record.pci_gap);
    root["setup_percpu"] = or_null(record.setup_percpu);
    root["zonelists"] = or_null(record.zonelists);
    if (!record.fallback_order.empty()) {
        root["fallback_order"] = json_list(record.fallback_order);
    }
    root["memory"] = or_null(record.memory);
    if (!record.direct_map.empty()) {
        for (const auto& [name, kib] : record.direct_map) {
            root["direct_map"][name + "_k"] = kib;
        }
    }
}

}  // namespace

std::string machine_record_to_json(const MachineRecord& record) {
    Json root = Json::object();
    write_inputs(record, root);
    write_inputs_of_lines(record, root);
    write_facts(record, root);
    return root.dump(1, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace pgsim
