// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/formats/compare.hpp"

#include <algorithm>
#include <array>
#include <map>

#include "pgsim/base/level.hpp"
#include "pgsim/base/units.hpp"

namespace pgsim::formats {

namespace {

constexpr std::uint64_t accessed_dirty_bits = 0x60;
constexpr std::string_view timing_dependent = "user.init";

constexpr std::array<NotCompared, 9> left_out{{
    {"cpu.rip", "where the code of a real image stops; the simulation runs no machine code"},
    {"cpu.rsp", "the depth of a real stack; the simulation has none"},
    {"cpu.cs", "segments are outside paging"},
    {"cpu.cs_long", "segments are outside paging"},
    {"cpu.cr2 (before setup_arch.entry)",
     "the last address that the decompressor's code happened to touch first; its code is not run"},
    {"log_buf", "address of the printk buffer: outside paging"},
    {"log_buf_len", "size of the printk buffer: outside paging"},
    {"memblock_calls", "the trace of requests; its effect is compared as memblock's lists"},
    {"log_bytes", "length of the serial log"},
}};

bool is_left_out(std::string_view name) {
    return std::any_of(left_out.begin(), left_out.end(), [&](const NotCompared& item) { return item.name == name; });
}

std::string number_text(std::uint64_t value) {
    return std::to_string(value);
}

std::string number_text(std::int64_t value) {
    return std::to_string(value);
}

// Collects the outcome of one checkpoint.
class Report {
public:
    Report(CheckpointComparison& result, std::uint64_t max_listed) : result_{result}, max_listed_{max_listed} {}

    void differ(DifferenceKind kind, std::string text) {
        ++result_.difference_count;
        if (result_.differences.size() < max_listed_) {
            result_.differences.push_back({kind, std::move(text)});
        }
    }
    [[nodiscard]] bool lists_more() const { return result_.differences.size() < max_listed_; }

    void hex(DifferenceKind kind, const std::string& what, std::uint64_t expected, std::uint64_t actual) {
        ++result_.values;
        if (expected != actual) {
            differ(kind, what + ": expected " + pgsim::hex(expected) + ", got " + pgsim::hex(actual));
        }
    }
    template <class Number>
    void number(DifferenceKind kind, const std::string& what, Number expected, Number actual) {
        ++result_.values;
        if (expected != actual) {
            differ(kind, what + ": expected " + number_text(expected) + ", got " + number_text(actual));
        }
    }

    // Two ordered lists, element by element; the ends of the longer one are missing or too many.
    template <class List, class Show>
    void list(DifferenceKind kind, const std::string& what, const List& expected, const List& actual, Show show) {
        for (std::size_t i = 0; i < std::max(expected.size(), actual.size()); ++i) {
            ++result_.values;
            const std::string place = what + '[' + std::to_string(i) + ']';
            if (i >= actual.size()) {
                differ(kind, place + ": expected " + show(expected[i]) + ", got nothing");
            } else if (i >= expected.size()) {
                differ(kind, place + ": expected nothing, got " + show(actual[i]));
            } else if (!(expected[i] == actual[i])) {
                differ(kind, place + ": expected " + show(expected[i]) + ", got " + show(actual[i]));
            }
        }
    }
    template <class List, class Show>
    void optional_list(DifferenceKind kind, const std::string& what, const std::optional<List>& expected,
                       const std::optional<List>& actual, Show show) {
        if (!expected) {
            return;
        }
        if (!actual) {
            differ(kind, what + ": missing");
            return;
        }
        list(kind, what, *expected, *actual, show);
    }

    CheckpointComparison& result() { return result_; }

private:
    CheckpointComparison& result_;
    std::uint64_t max_listed_;
};

std::string table_name(const CaptureTable& table) {
    std::string text = table.name.empty() ? "table" : table.name;
    if (table.level) {
        text += " (level " + std::to_string(*table.level) + ')';
    }
    return text + " at " + hex(table.pa);
}

std::string entry_place(const CaptureTable& table, std::size_t index) {
    std::string text = table.level ? std::string{entry_name(static_cast<Level>(*table.level))} : "entry";
    if (!table.name.empty()) {
        text = table.name + ' ' + text;
    }
    return text + ' ' + hex(table.pa) + '[' + std::to_string(index) + ']';
}

void compare_entries(Report& report, DifferenceKind kind, const CaptureTable& expected, const CaptureTable& actual,
                     std::uint64_t ignored_bits) {
    ++report.result().tables;
    report.result().entries += std::tuple_size_v<TableEntries>;
    if (expected.entries == actual.entries) {
        return;
    }
    const TableEntries want = expected.entries.expand();
    const TableEntries have = actual.entries.expand();
    for (std::size_t i = 0; i < want.size(); ++i) {
        if (((want[i] ^ have[i]) & ~ignored_bits) == 0) {
            continue;
        }
        std::string text;
        if (report.lists_more()) {
            text = entry_place(expected, i) + ": expected " + hex(want[i]) + ", got " + hex(have[i]);
        }
        report.differ(kind, std::move(text));
    }
}

// Pairs the tables of two lists by `key` and compares the pairs.
template <class Key>
void compare_tables(Report& report, DifferenceKind missing, DifferenceKind entry,
                    const std::vector<CaptureTable>& expected, const std::vector<CaptureTable>& actual,
                    std::uint64_t ignored_bits, Key key) {
    std::map<decltype(key(expected.front())), std::pair<const CaptureTable*, const CaptureTable*>> pairs;
    for (const CaptureTable& table : expected) {
        pairs[key(table)].first = &table;
    }
    for (const CaptureTable& table : actual) {
        pairs[key(table)].second = &table;
    }
    for (const auto& [ignored, pair] : pairs) {
        const auto& [want, have] = pair;
        if (have == nullptr) {
            report.differ(missing, table_name(*want) + ": missing");
        } else if (want == nullptr) {
            report.differ(missing, table_name(*have) + ": too many");
        } else if (want->pa != have->pa || want->level != have->level) {
            report.differ(missing, table_name(*want) + ": got " + table_name(*have));
        } else {
            compare_entries(report, entry, *want, *have, ignored_bits);
        }
    }
}

void compare_all_tables(Report& report, const CaptureCheckpoint& expected, const CaptureCheckpoint& actual,
                        const CompareOptions& options) {
    const bool ignore = !options.accessed_dirty || ignores_accessed_dirty(expected.name);
    const std::uint64_t ignored_bits = ignore ? accessed_dirty_bits : 0;
    // Highest level first, as the file has them.
    compare_tables(report, DifferenceKind::table, DifferenceKind::entry, expected.tables, actual.tables, ignored_bits,
                   [](const CaptureTable& table) {
                       return std::pair{5 - table.level.value_or(0), table.pa};
                   });
    if (!expected.extra_tables) {
        return;
    }
    if (!actual.extra_tables) {
        report.differ(DifferenceKind::extra_table, "extra_tables: missing");
        return;
    }
    compare_tables(report, DifferenceKind::extra_table, DifferenceKind::extra_table, *expected.extra_tables,
                   *actual.extra_tables, ignored_bits, [](const CaptureTable& table) { return table.name; });
}

void compare_cpu(Report& report, const CaptureCheckpoint& expected, const CaptureCheckpoint& actual) {
    const auto one = [&](const char* name, const std::optional<std::uint64_t>& want,
                         const std::optional<std::uint64_t>& have) {
        if (!want) {
            return;
        }
        if (!have) {
            report.differ(DifferenceKind::cpu, std::string{name} + ": missing");
        } else {
            report.hex(DifferenceKind::cpu, name, *want, *have);
        }
    };
    one("CR0", expected.cpu.cr0, actual.cpu.cr0);
    one("CR3", expected.cpu.cr3, actual.cpu.cr3);
    one("CR4", expected.cpu.cr4, actual.cpu.cr4);
    one("EFER", expected.cpu.efer, actual.cpu.efer);
    // memblock is in the file from setup_arch.entry on, which is where the early #PF handler's own faults begin.
    if (expected.memblock) {
        one("CR2", expected.cpu.cr2, actual.cpu.cr2);
    }
}

void compare_roots(Report& report, const CaptureCheckpoint& expected, const CaptureCheckpoint& actual) {
    report.hex(DifferenceKind::root, "root", expected.root, actual.root);
    report.number(DifferenceKind::root, "levels", std::uint64_t{expected.levels}, std::uint64_t{actual.levels});
    report.list(DifferenceKind::root, "extra_roots", expected.extra_roots, actual.extra_roots,
                [](const CaptureRoot& root) { return root.name + " at " + hex(root.pa); });
}

std::string show_region(const CaptureRegion& region) {
    return "[base " + hex(region.base) + " size " + hex(region.size) + " nid " + std::to_string(region.nid) +
           " flags " + std::to_string(region.flags) + ']';
}

void compare_region_info(Report& report, const std::string& what, const std::optional<CaptureRegionInfo>& expected,
                         const std::optional<CaptureRegionInfo>& actual) {
    if (!expected) {
        return;
    }
    if (!actual) {
        report.differ(DifferenceKind::memblock, what + ": missing");
        return;
    }
    report.number(DifferenceKind::memblock, what + ".max", expected->max, actual->max);
    report.hex(DifferenceKind::memblock, what + ".total_size", expected->total_size, actual->total_size);
    report.hex(DifferenceKind::memblock, what + ".array", expected->array, actual->array);
}

void compare_memblock(Report& report, const CaptureCheckpoint& expected, const CaptureCheckpoint& actual) {
    if (!expected.memblock) {
        return;
    }
    if (!actual.memblock) {
        report.differ(DifferenceKind::memblock, "memblock: missing");
        return;
    }
    const CaptureMemblock& want = *expected.memblock;
    const CaptureMemblock& have = *actual.memblock;
    report.number(DifferenceKind::memblock, "memblock.bottom_up", std::uint64_t{want.bottom_up},
                  std::uint64_t{have.bottom_up});
    report.hex(DifferenceKind::memblock, "memblock.current_limit", want.current_limit, have.current_limit);
    report.list(DifferenceKind::memblock, "memblock.memory", want.memory, have.memory, show_region);
    report.list(DifferenceKind::memblock, "memblock.reserved", want.reserved, have.reserved, show_region);
    compare_region_info(report, "memblock.memory_info", want.memory_info, have.memory_info);
    compare_region_info(report, "memblock.reserved_info", want.reserved_info, have.reserved_info);
}

std::string show_global(const GlobalValue& value) {
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
        return std::to_string(*number);
    }
    if (const auto* address = std::get_if<Hex>(&value)) {
        return hex(address->value);
    }
    std::string text = "[";
    for (const auto& [first, end] : std::get<NumberPairs>(value)) {
        text += (text.size() > 1 ? ", [" : "[") + std::to_string(first) + ", " + std::to_string(end) + ')';
    }
    return text + ']';
}

void compare_globals(Report& report, const CaptureCheckpoint& expected, const CaptureCheckpoint& actual) {
    if (!expected.globals) {
        return;
    }
    if (!actual.globals) {
        report.differ(DifferenceKind::global, "globals: missing");
        return;
    }
    std::map<std::string_view, const GlobalValue*> have;
    for (const auto& [name, value] : *actual.globals) {
        have.emplace(name, &value);
    }
    for (const auto& [name, value] : *expected.globals) {
        if (is_left_out(name)) {
            continue;
        }
        ++report.result().values;
        const auto found = have.find(name);
        if (found == have.end()) {
            report.differ(DifferenceKind::global, name + ": missing, expected " + show_global(value));
        } else if (!(*found->second == value)) {
            report.differ(DifferenceKind::global,
                          name + ": expected " + show_global(value) + ", got " + show_global(*found->second));
        }
    }
}

std::string show_e820(const CaptureE820& entry) {
    return "[start " + hex(entry.start) + " size " + hex(entry.size) + " type " + std::to_string(entry.type) + ']';
}

std::string show_mapping_call(const CaptureMappingCall& call) {
    return '[' + hex(call.start) + ", " + hex(call.end) + ") pgt_buf_end " + std::to_string(call.pgt_buf_end) +
           " pgt_buf_top " + std::to_string(call.pgt_buf_top) + " min_pfn_mapped " +
           std::to_string(call.min_pfn_mapped) + " max_pfn_mapped " + std::to_string(call.max_pfn_mapped);
}

void compare_node(Report& report, const std::string& what, const CaptureNode& want, const CaptureNode& have) {
    const auto kind = DifferenceKind::node;
    report.number(kind, what + ".nid", want.nid, have.nid);
    report.hex(kind, what + ".pgdat", want.pgdat, have.pgdat);
    report.number(kind, what + ".node_start_pfn", want.node_start_pfn, have.node_start_pfn);
    report.number(kind, what + ".node_spanned_pages", want.node_spanned_pages, have.node_spanned_pages);
    report.number(kind, what + ".node_present_pages", want.node_present_pages, have.node_present_pages);
    if (want.first_deferred_pfn && !have.first_deferred_pfn) {
        report.differ(kind, what + ".first_deferred_pfn: missing");
    } else if (want.first_deferred_pfn) {
        report.number(kind, what + ".first_deferred_pfn", *want.first_deferred_pfn, *have.first_deferred_pfn);
    }
}

void compare_zone(Report& report, const std::string& what, const CaptureZone& want, const CaptureZone& have) {
    const auto kind = DifferenceKind::zone;
    report.number(kind, what + ".nid", want.nid, have.nid);
    report.number(kind, what + ".index", want.index, have.index);
    report.number(kind, what + ".start_pfn", want.start_pfn, have.start_pfn);
    report.number(kind, what + ".spanned", want.spanned, have.spanned);
    report.number(kind, what + ".present", want.present, have.present);
    report.number(kind, what + ".managed", want.managed, have.managed);
    report.list(kind, what + ".free_area", want.free_area, have.free_area,
                [](std::uint64_t count) { return std::to_string(count); });
}

// Elements that both have are compared field by field, the rest is missing or too many.
template <class List, class Compare, class Show>
void compare_records(Report& report, DifferenceKind kind, const std::string& what, const std::optional<List>& expected,
                     const std::optional<List>& actual, Compare compare, Show show) {
    if (!expected) {
        return;
    }
    if (!actual) {
        report.differ(kind, what + ": missing");
        return;
    }
    for (std::size_t i = 0; i < std::max(expected->size(), actual->size()); ++i) {
        const std::string place = what + '[' + std::to_string(i) + ']';
        if (i >= actual->size()) {
            report.differ(kind, place + ": expected " + show((*expected)[i]) + ", got nothing");
        } else if (i >= expected->size()) {
            report.differ(kind, place + ": expected nothing, got " + show((*actual)[i]));
        } else if (show((*expected)[i]) != show((*actual)[i])) {
            report.differ(kind, place + ": expected " + show((*expected)[i]) + ", got " + show((*actual)[i]));
        } else {
            compare(report, place + ' ' + show((*expected)[i]), (*expected)[i], (*actual)[i]);
        }
    }
}

}  // namespace

std::string_view to_string(DifferenceKind kind) noexcept {
    switch (kind) {
    case DifferenceKind::checkpoint: return "checkpoint";
    case DifferenceKind::cpu: return "cpu";
    case DifferenceKind::root: return "root";
    case DifferenceKind::table: return "table";
    case DifferenceKind::entry: return "entry";
    case DifferenceKind::extra_table: return "extra_table";
    case DifferenceKind::memblock: return "memblock";
    case DifferenceKind::global: return "global";
    case DifferenceKind::e820: return "e820";
    case DifferenceKind::node: return "node";
    case DifferenceKind::zone: return "zone";
    case DifferenceKind::early_fault: return "early_fault";
    case DifferenceKind::mapping_call: return "mapping_call";
    }
    return "?";
}

std::span<const NotCompared> not_compared() noexcept {
    return left_out;
}

bool ignores_accessed_dirty(std::string_view checkpoint) noexcept {
    return checkpoint == "decompressor.startup_64" || checkpoint == "kernel.startup_64";
}

CheckpointComparison compare_checkpoints(const CaptureCheckpoint& expected, const CaptureCheckpoint& actual,
                                         const CompareOptions& options) {
    CheckpointComparison result;
    result.name = expected.name;
    Report report{result, options.max_listed};
    compare_cpu(report, expected, actual);
    compare_roots(report, expected, actual);
    compare_all_tables(report, expected, actual, options);
    compare_memblock(report, expected, actual);
    compare_globals(report, expected, actual);
    report.optional_list(DifferenceKind::e820, "e820_kernel", expected.e820_kernel, actual.e820_kernel, show_e820);
    report.optional_list(DifferenceKind::early_fault, "early_faults", expected.early_faults, actual.early_faults, hex);
    report.optional_list(DifferenceKind::mapping_call, "init_memory_mapping_calls", expected.init_memory_mapping_calls,
                         actual.init_memory_mapping_calls, show_mapping_call);
    compare_records(report, DifferenceKind::node, "nodes", expected.nodes, actual.nodes, compare_node,
                    [](const CaptureNode& node) { return "node " + std::to_string(node.nid); });
    compare_records(report, DifferenceKind::zone, "zones", expected.zones, actual.zones, compare_zone,
                    [](const CaptureZone& zone) { return "node " + std::to_string(zone.nid) + ' ' + zone.name; });
    return result;
}

Comparison compare_captures(const Capture& expected, const Capture& actual, const CompareOptions& options) {
    Comparison result;
    for (const CaptureCheckpoint& checkpoint : expected.checkpoints) {
        const bool asked = checkpoint.name == options.only || checkpoint.name == options.until;
        const bool wanted = options.only.empty() ? asked || checkpoint.name != timing_dependent : asked;
        if (wanted) {
            if (const CaptureCheckpoint* other = actual.find(checkpoint.name)) {
                result.checkpoints.push_back(compare_checkpoints(checkpoint, *other, options));
            } else {
                CheckpointComparison missing;
                missing.name = checkpoint.name;
                missing.difference_count = 1;
                missing.differences.push_back({DifferenceKind::checkpoint, "the checkpoint is missing"});
                result.checkpoints.push_back(std::move(missing));
            }
        }
        if (!options.until.empty() && checkpoint.name == options.until) {
            break;
        }
    }
    return result;
}

std::uint64_t Comparison::entries() const noexcept {
    std::uint64_t sum = 0;
    for (const CheckpointComparison& checkpoint : checkpoints) {
        sum += checkpoint.entries;
    }
    return sum;
}

std::uint64_t Comparison::differences() const noexcept {
    std::uint64_t sum = 0;
    for (const CheckpointComparison& checkpoint : checkpoints) {
        sum += checkpoint.difference_count;
    }
    return sum;
}

}  // namespace pgsim::formats
