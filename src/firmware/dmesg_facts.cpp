// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>
#include <array>
#include <limits>

#include "firmware/dmesg_reader.hpp"

namespace pgsim::firmware {

namespace {

constexpr std::uint64_t max_node = 0xffff;

std::optional<int> scan_node(TextScan& scan) {
    scan.blanks();
    const auto node = scan.number();
    return node && *node <= max_node ? std::optional{static_cast<int>(*node)} : std::nullopt;
}

std::string_view scan_zone_name(TextScan& scan) {
    constexpr std::array<std::string_view, 5> names{"DMA32", "DMA", "Normal", "Movable", "Device"};
    const std::string_view word = scan.word(":");
    return std::find(names.begin(), names.end(), word) == names.end() ? std::string_view{} : word;
}

/// "(usable) ==> (reserved)" of old kernels in today's words.
std::string without_brackets(std::string_view text) {
    std::string result;
    std::copy_if(text.begin(), text.end(), std::back_inserter(result), [](char c) { return c != '(' && c != ')'; });
    return result;
}

template <class T>
std::vector<T>& list(std::optional<std::vector<T>>& field) {
    return field ? *field : field.emplace();
}

}  // namespace

bool DmesgReader::update(TextScan scan) {
    const auto range = scan_range(scan);
    if (!range || scan.rest().find("==>") == std::string_view::npos) {
        return false;
    }
    record_.e820_changes.push_back({"update", *range, std::string{trimmed(scan.rest())}});
    return true;
}

bool DmesgReader::update_old(TextScan scan) {
    if (const auto range = scan_range(scan)) {
        record_.e820_changes.push_back({"update", *range, without_brackets(trimmed(scan.rest()))});
    }
    return true;
}

bool DmesgReader::remove(TextScan scan) {
    const auto range = scan_range(scan);
    if (!range) {
        return false;
    }
    record_.e820_changes.push_back({"remove", *range, std::string{trimmed(scan.rest())}});
    return true;
}

bool DmesgReader::remove_old(TextScan scan) {
    if (const auto range = scan_range(scan)) {
        record_.e820_changes.push_back({"remove", *range, without_brackets(trimmed(scan.rest()))});
    }
    return true;
}

bool DmesgReader::ram_buffer(TextScan scan) {
    scan.literal(":");
    if (const auto range = scan_range(scan)) {
        record_.e820_changes.push_back({"reserve RAM buffer", *range, ""});
    }
    return true;
}

bool DmesgReader::last_pfn(TextScan scan) {
    const auto last = scan.hex();
    const auto limit = scan.literal(" max_arch_pfn = ") ? scan.hex() : std::nullopt;
    if (last && limit) {
        record_.last_pfn.push_back(*last);
        record_.max_arch_pfn = *limit;
    }
    return true;
}

bool DmesgReader::mapping(TextScan scan) {
    if (const auto range = scan_range(scan)) {
        list(record_.init_memory_mapping).push_back({*range, {}});
    }
    return true;
}

/// Lines that begin with a bracket: parts of the direct map, of the vmemmap, and the hole for PCI devices.
bool DmesgReader::bracket(TextScan scan) {
    if (const auto range = scan_range(scan)) {
        if (scan.literal("page ") && record_.init_memory_mapping) {
            record_.init_memory_mapping->back().chunks.push_back({*range, std::string{scan.word()}});
        } else if (scan.literal("available for PCI devices")) {
            record_.pci_gap = *range;
        }
        return true;
    }
    const auto start = scan.literal("[") ? scan.number(16) : std::nullopt;
    const auto end = scan.literal("-") ? scan.number(16) : std::nullopt;
    if (!start || !end || !scan.literal("] ")) {
        return false;
    }
    LogVmemmap part{{*start, *end}, std::string{scan.word()}, {}, 0};
    const auto backing_start = scan.literal(" -> [") ? scan.number(16) : std::nullopt;
    const auto backing_end = scan.literal("-") ? scan.number(16) : std::nullopt;
    const auto node = scan.literal("] on node ") ? scan_node(scan) : std::nullopt;
    if (!backing_start || !backing_end || !node) {
        return false;
    }
    part.backing = {*backing_start, *backing_end};
    part.node = *node;
    list(record_.vmemmap).push_back(part);
    return true;
}

bool DmesgReader::brk(TextScan scan) {
    const auto start = scan.hex();
    const auto end = scan.literal(", ") ? scan.hex() : std::nullopt;
    if (start && end && scan.literal("] PGTABLE")) {
        list(record_.brk_pgtable).push_back({*start, *end});
    }
    return true;
}

bool DmesgReader::node_data(TextScan scan) {
    std::optional<int> node;
    if (scan.literal("(")) {
        node = scan_node(scan);
        if (!node || !scan.literal(") allocated ")) {
            return true;
        }
    }
    if (const auto range = scan_range(scan)) {
        list(record_.node_data).push_back({node, *range});
    }
    return true;
}

bool DmesgReader::zones_heading(TextScan) {
    record_.zone_ranges.clear();
    return true;
}

bool DmesgReader::zone(TextScan scan) {
    const std::string_view name = scan_zone_name(scan);
    if (name.empty()) {
        return false;
    }
    scan.blanks();
    if (scan.literal("empty")) {
        record_.zone_ranges.push_back({std::string{name}, std::nullopt});
        return true;
    }
    const auto range = scan_range(scan);
    if (!range) {
        return false;
    }
    record_.zone_ranges.push_back({std::string{name}, *range});
    return true;
}

bool DmesgReader::node_range(TextScan scan) {
    const auto node = scan_node(scan);
    if (!node || !scan.literal(":")) {
        return false;
    }
    if (const auto range = scan_range(scan)) {
        record_.early_node_ranges.push_back({*node, *range});
    }
    return true;
}

bool DmesgReader::initmem(TextScan scan) {
    const auto node = scan_node(scan);
    const auto range = scan_range(scan);
    if (node && range) {
        record_.initmem_setup.push_back({*node, *range});
    }
    return true;
}

bool DmesgReader::on_node(TextScan scan) {
    const auto node = scan_node(scan);
    if (!node) {
        return true;
    }
    if (scan.literal(" totalpages: ")) {
        if (const auto pages = scan.number()) {
            list(record_.node_totalpages).push_back({*node, *pages, {}});
        }
    } else if (scan.literal(", zone ")) {
        const std::string_view name = scan_zone_name(scan);
        const auto pages = scan.literal(": ") ? scan.number() : std::nullopt;
        if (!name.empty() && pages && scan.literal(" pages in unavailable ranges")) {
            list(record_.unavailable_ranges).push_back({*node, std::string{name}, *pages});
        }
    }
    return true;
}

/// "DMA zone: 64 pages used for memmap", "… pages reserved", "… pages, LIFO batch:0", under "On node".
bool DmesgReader::zone_pages(TextScan scan) {
    const std::string name{scan_zone_name(scan)};
    const auto pages = scan.literal(" zone: ") ? scan.number() : std::nullopt;
    if (name.empty() || !pages || !record_.node_totalpages) {
        return false;
    }
    auto& zones = record_.node_totalpages->back().zones;
    auto found = std::find_if(zones.begin(), zones.end(), [&](const auto& zone) { return zone.first == name; });
    const auto add = [&](std::string_view part, std::uint64_t value) {
        if (found == zones.end()) {
            found = zones.insert(zones.end(), {name, {}});
        }
        found->second.emplace_back(part, value);
    };
    if (scan.literal(" pages used for memmap")) {
        add("used_for_memmap", *pages);
    } else if (scan.literal(" pages reserved")) {
        add("reserved", *pages);
    } else if (scan.literal(" pages, LIFO batch:")) {
        add("pages", *pages);
        add("lifo_batch", scan.number().value_or(0));
    }
    return true;
}

bool DmesgReader::nosave(TextScan scan) {
    do {  // logs of serial consoles sometimes lose a line end
        if (const auto range = scan_range(scan)) {
            list(record_.nosave).push_back(*range);
        }
    } while (scan.past("nosave memory: "));
    return true;
}

bool DmesgReader::percpu(TextScan scan) {
    LogCpus cpus;
    const std::array<std::pair<std::string_view, std::uint64_t*>, 4> fields{
        {{"NR_CPUS:", &cpus.nr_cpus},
         {"nr_cpumask_bits:", &cpus.nr_cpumask_bits},
         {"nr_cpu_ids:", &cpus.nr_cpu_ids},
         {"nr_node_ids:", &cpus.nr_node_ids}}};
    for (const auto& [name, field] : fields) {
        const auto value = scan.literal(name) ? scan.number() : std::nullopt;
        if (!value) {
            return true;
        }
        *field = *value;
        scan.blanks();
    }
    record_.setup_percpu = cpus;
    return true;
}

bool DmesgReader::fallback_order(TextScan scan) {
    const auto node = scan.number();
    if (!node || *node > 0xffff || !scan.literal(":")) {
        return false;
    }
    LogFallback order{static_cast<int>(*node), {}};
    scan.blanks();
    while (const auto next = scan.number()) {
        if (*next > 0xffff) {
            return false;
        }
        order.order.push_back(static_cast<int>(*next));
        scan.blanks();
    }
    record_.fallback_order.push_back(std::move(order));
    return true;
}

bool DmesgReader::zonelists(TextScan scan) {
    const auto count = scan.number();
    if (count && !record_.zonelists && scan.literal(" zonelists") && scan.past("Total pages: ")) {
        if (const auto pages = scan.number()) {
            record_.zonelists = LogZonelists{*count, *pages};
        }
    }
    return true;
}

bool DmesgReader::memory(TextScan scan) {
    LogMemory memory;
    memory.line = "Memory: " + std::string{scan.rest()};
    const auto kib = [&scan](std::uint64_t& value) {
        const auto number = scan.number();
        value = number.value_or(0);
        return number && (scan.literal("K") || scan.literal("k"));
    };
    if (!kib(memory.available_k) || !scan.literal("/") || !kib(memory.total_k) || !scan.past("(")) {
        return false;
    }
    for (std::uint64_t value = 0; kib(value);) {
        scan.blanks();
        std::string_view name = scan.rest().substr(0, scan.rest().find_first_of(",)"));
        std::string key{name};
        std::replace(key.begin(), key.end(), ' ', '_');
        memory.parts.emplace_back(key + "_k", value);
        scan.literal(name);
        scan.literal(",");
        scan.blanks();
    }
    record_.memory = memory;
    return true;
}

}  // namespace pgsim::firmware
