// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>
#include <array>

#include "formats/json_view.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/formats/capture.hpp"
#include "pgsim/formats/text_file.hpp"

namespace pgsim::formats {

namespace {

constexpr std::string_view format_name = "pgsim-capture/1";

// The members of a checkpoint that CaptureCheckpoint holds.
constexpr std::array<std::string_view, 14> modelled{
    "name",     "cpu",     "root",        "levels", "extra_roots", "tables",       "extra_tables",
    "memblock", "globals", "e820_kernel", "nodes",  "zones",       "early_faults", "init_memory_mapping_calls"};

// Reads the member `key` if it is there.
template <class Read>
auto optional_member(const JsonView& object, std::string_view key, Read read) -> std::optional<decltype(read(object))> {
    if (const auto member = object.find(key)) {
        return read(*member);
    }
    return std::nullopt;
}

template <class Read>
auto list_of(Read read) {
    return [read](const JsonView& list) { return read_list(list, read); };
}

std::uint64_t as_hex(const JsonView& value) {
    return value.hex();
}

std::uint64_t table_address(const JsonView& value) {
    const std::uint64_t address = value.hex();
    if (address % 4096 != 0 || address >> 52 != 0) {
        value.fail("the address of a table must be a multiple of 4096 below 2^52");
    }
    return address;
}

unsigned level_within(const JsonView& value, unsigned lowest) {
    const std::uint64_t level = value.number();
    if (level < lowest || level > 5) {
        value.fail("expected a number from " + std::to_string(lowest) + " to 5");
    }
    return static_cast<unsigned>(level);
}

CaptureCpu read_cpu(const JsonView& cpu) {
    CaptureCpu result;
    result.cr0 = optional_member(cpu, "cr0", as_hex);
    result.cr2 = optional_member(cpu, "cr2", as_hex);
    result.cr3 = optional_member(cpu, "cr3", as_hex);
    result.cr4 = optional_member(cpu, "cr4", as_hex);
    result.efer = optional_member(cpu, "efer", as_hex);
    result.rip = optional_member(cpu, "rip", as_hex);
    result.rsp = optional_member(cpu, "rsp", as_hex);
    result.cs = optional_member(cpu, "cs", as_hex);
    result.cs_long = optional_member(cpu, "cs_long", [](const JsonView& value) { return value.boolean(); });
    return result;
}

CaptureRoot read_root(const JsonView& root) {
    return {root.at("name").string(), table_address(root.at("pa")), level_within(root.at("levels"), 4)};
}

EntryRun read_run(const JsonView& run) {
    if (run.size() != 4) {
        run.fail("expected [index, count, first, stride]");
    }
    const std::uint64_t index = run.item(0).number();
    const std::uint64_t count = run.item(1).number();
    if (count == 0 || index > 511 || count > 512 - index) {
        run.fail("the run leaves the table of 512 entries, or is empty");
    }
    return {static_cast<std::uint16_t>(index), static_cast<std::uint16_t>(count), run.item(2).hex(),
            run.item(3).signed_hex()};
}

CaptureTable read_table(const JsonView& table) {
    CaptureTable result;
    result.pa = table_address(table.at("pa"));
    const JsonView level = table.at("level");
    if (!level.is_null()) {
        result.level = level_within(level, 1);
    }
    const JsonView entries = table.at("entries");
    try {
        result.entries = TableRuns::from_runs(read_list(entries, read_run));
    } catch (const Error& error) {
        if (!error.where().empty()) {
            throw;
        }
        entries.fail(error.what());
    }
    return result;
}

CaptureTable read_reachable_table(const JsonView& table) {
    CaptureTable result = read_table(table);
    if (!result.level) {
        table.at("level").fail("a table below a root has a level");
    }
    return result;
}

CaptureTable read_extra_table(const JsonView& table) {
    CaptureTable result = read_table(table);
    result.name = table.at("name").string();
    return result;
}

CaptureRegion read_region(const JsonView& region) {
    return {region.at("base").hex(), region.at("size").hex(), region.at("nid").signed_number(),
            region.at("flags").number()};
}

CaptureRegionInfo read_region_info(const JsonView& info) {
    return {info.at("max").number(), info.at("total_size").hex(), info.at("array").hex()};
}

CaptureMemblock read_memblock(const JsonView& memblock) {
    CaptureMemblock result;
    result.bottom_up = memblock.at("bottom_up").boolean();
    result.current_limit = memblock.at("current_limit").hex();
    result.memory = read_list(memblock.at("memory"), read_region);
    result.reserved = read_list(memblock.at("reserved"), read_region);
    result.memory_info = optional_member(memblock, "memory_info", read_region_info);
    result.reserved_info = optional_member(memblock, "reserved_info", read_region_info);
    return result;
}

std::pair<std::uint64_t, std::uint64_t> read_pair(const JsonView& pair) {
    if (pair.size() != 2) {
        pair.fail("expected [first, end]");
    }
    return {pair.item(0).number(), pair.item(1).number()};
}

GlobalValue read_global(const JsonView& value) {
    if (value.json().is_string()) {
        return Hex{value.hex()};
    }
    if (value.json().is_array()) {
        return read_list(value, read_pair);
    }
    return value.signed_number();
}

std::vector<std::pair<std::string, GlobalValue>> read_globals(const JsonView& globals) {
    std::vector<std::pair<std::string, GlobalValue>> result;
    for (const std::string& name : globals.keys()) {
        result.emplace_back(name, read_global(globals.at(name)));
    }
    return result;
}

CaptureE820 read_e820(const JsonView& entry) {
    return {entry.at("start").hex(), entry.at("size").hex(), entry.at("type").number()};
}

CaptureNode read_node(const JsonView& node) {
    CaptureNode result;
    result.nid = node.at("nid").signed_number();
    result.pgdat = node.at("pgdat").hex();
    result.node_start_pfn = node.at("node_start_pfn").number();
    result.node_spanned_pages = node.at("node_spanned_pages").number();
    result.node_present_pages = node.at("node_present_pages").number();
    result.first_deferred_pfn =
        optional_member(node, "first_deferred_pfn", [](const JsonView& value) { return value.number(); });
    return result;
}

CaptureZone read_zone(const JsonView& zone) {
    CaptureZone result;
    result.nid = zone.at("nid").signed_number();
    result.name = zone.at("name").string();
    result.index = zone.at("index").number();
    result.start_pfn = zone.at("start_pfn").number();
    result.spanned = zone.at("spanned").number();
    result.present = zone.at("present").number();
    result.managed = zone.at("managed").number();
    if (const auto free_area = zone.find("free_area")) {
        result.free_area = read_list(*free_area, [](const JsonView& count) { return count.number(); });
    }
    return result;
}

CaptureMappingCall read_mapping_call(const JsonView& call) {
    return {call.at("start").hex(),
            call.at("end").hex(),
            call.at("pgt_buf_end").number(),
            call.at("pgt_buf_top").number(),
            call.at("min_pfn_mapped").number(),
            call.at("max_pfn_mapped").number()};
}

CaptureCheckpoint read_checkpoint(const JsonView& checkpoint) {
    CaptureCheckpoint result;
    result.name = checkpoint.at("name").string();
    result.cpu = read_cpu(checkpoint.at("cpu"));
    result.root = table_address(checkpoint.at("root"));
    result.levels = level_within(checkpoint.at("levels"), 4);
    if (const auto roots = checkpoint.find("extra_roots")) {
        result.extra_roots = read_list(*roots, read_root);
    }
    result.tables = read_list(checkpoint.at("tables"), read_reachable_table);
    result.extra_tables = optional_member(checkpoint, "extra_tables", list_of(read_extra_table));
    result.memblock = optional_member(checkpoint, "memblock", read_memblock);
    result.globals = optional_member(checkpoint, "globals", read_globals);
    result.e820_kernel = optional_member(checkpoint, "e820_kernel", list_of(read_e820));
    result.nodes = optional_member(checkpoint, "nodes", list_of(read_node));
    result.zones = optional_member(checkpoint, "zones", list_of(read_zone));
    result.early_faults = optional_member(checkpoint, "early_faults", list_of(as_hex));
    result.init_memory_mapping_calls =
        optional_member(checkpoint, "init_memory_mapping_calls", list_of(read_mapping_call));
    Json other = Json::object();
    for (auto it = checkpoint.json().begin(); it != checkpoint.json().end(); ++it) {
        if (std::find(modelled.begin(), modelled.end(), it.key()) == modelled.end()) {
            other[it.key()] = it.value();
        }
    }
    result.other_json = other.empty() ? std::string{} : other.dump();
    return result;
}

void check_names_unique(const JsonView& checkpoints, const std::vector<CaptureCheckpoint>& read) {
    std::vector<std::string_view> names;
    for (const CaptureCheckpoint& checkpoint : read) {
        names.push_back(checkpoint.name);
    }
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice != names.end()) {
        checkpoints.fail("two checkpoints are called \"" + std::string{*twice} + '"');
    }
}

}  // namespace

const CaptureCheckpoint* Capture::find(std::string_view checkpoint) const noexcept {
    for (const CaptureCheckpoint& candidate : checkpoints) {
        if (candidate.name == checkpoint) {
            return &candidate;
        }
    }
    return nullptr;
}

Capture parse_capture(std::string_view text, std::string_view name) {
    if (text.size() > max_capture_bytes) {
        throw Error{name, "larger than a capture may be"};
    }
    Json json = parse_json(text, name);
    const JsonView root{json, name};
    if (const JsonView format = root.at("format"); format.string() != format_name) {
        format.fail("expected \"" + std::string{format_name} + '"');
    }
    Capture capture;
    capture.name = root.at("name").string();
    capture.release = root.at("kernel").at("release").string();
    capture.series = root.at("kernel").at("series").string();
    capture.cmdline = root.at("cmdline").string();
    const JsonView checkpoints = root.at("checkpoints");
    capture.checkpoints = read_list(checkpoints, read_checkpoint);
    check_names_unique(checkpoints, capture.checkpoints);
    json.erase("checkpoints");
    capture.head_json = json.dump();
    return capture;
}

Capture read_capture(const std::string& path) {
    return parse_capture(read_text_maybe_xz(path, max_capture_bytes), path);
}

}  // namespace pgsim::formats
