// SPDX-License-Identifier: GPL-2.0-only
#include <nlohmann/json.hpp>
#include <type_traits>

#include "formats/json_view.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/formats/capture.hpp"
#include "pgsim/formats/text_file.hpp"

namespace pgsim::formats {

namespace {

std::string quoted(std::string_view text) {
    return Json(std::string{text}).dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Most text of a capture is entries: it is appended, not built as a tree of values.
class Writer {
public:
    [[nodiscard]] std::string take() { return std::move(text_); }

    // Separates members and elements; `open` and `close` bracket them.
    Writer& open(char bracket) {
        separate();
        text_ += bracket;
        first_ = true;
        return *this;
    }
    Writer& close(char bracket) {
        text_ += bracket;
        first_ = false;
        return *this;
    }
    Writer& key(std::string_view name) {
        separate();
        text_ += quoted(name) + ':';
        first_ = true;
        return *this;
    }
    Writer& hex(std::uint64_t value) { return raw('"' + pgsim::hex(value) + '"'); }
    Writer& stride(std::uint64_t value) {
        const bool negative = static_cast<std::int64_t>(value) < 0;
        return raw((negative ? "\"-" : "\"") + pgsim::hex(negative ? 0 - value : value) + '"');
    }
    template <class Integer>
    Writer& number(Integer value) {
        static_assert(std::is_integral_v<Integer> && !std::is_same_v<Integer, bool>);
        return raw(std::to_string(value));
    }
    Writer& boolean(bool value) { return raw(value ? "true" : "false"); }
    Writer& string(std::string_view value) { return raw(quoted(value)); }
    Writer& raw(std::string_view json) {
        separate();
        text_ += json;
        return *this;
    }

    template <class List, class Write>
    Writer& list(const List& elements, Write write) {
        open('[');
        for (const auto& element : elements) {
            write(*this, element);
        }
        return close(']');
    }
    // The members of a JSON object given as text.
    Writer& members(const Json& object) {
        for (auto it = object.begin(); it != object.end(); ++it) {
            key(it.key()).raw(it.value().dump());
        }
        return *this;
    }

private:
    void separate() {
        if (!first_) {
            text_ += ',';
        }
        first_ = false;
    }

    std::string text_;
    bool first_ = true;
};

Json object_of(const std::string& text, std::string_view name) {
    if (text.empty()) {
        return Json::object();
    }
    Json json = parse_json(text, name);
    if (!json.is_object()) {
        throw Error{name, "expected a JSON object"};
    }
    return json;
}

void optional_hex(Writer& out, std::string_view key, const std::optional<std::uint64_t>& value) {
    if (value) {
        out.key(key).hex(*value);
    }
}

void write_cpu(Writer& out, const CaptureCpu& cpu) {
    out.open('{');
    optional_hex(out, "cr0", cpu.cr0);
    optional_hex(out, "cr2", cpu.cr2);
    optional_hex(out, "cr3", cpu.cr3);
    optional_hex(out, "cr4", cpu.cr4);
    optional_hex(out, "efer", cpu.efer);
    optional_hex(out, "rip", cpu.rip);
    optional_hex(out, "rsp", cpu.rsp);
    optional_hex(out, "cs", cpu.cs);
    if (cpu.cs_long) {
        out.key("cs_long").boolean(*cpu.cs_long);
    }
    out.close('}');
}

void write_root(Writer& out, const CaptureRoot& root) {
    out.open('{').key("name").string(root.name).key("pa").hex(root.pa).key("levels").number(root.levels).close('}');
}

void write_run(Writer& out, const EntryRun& run) {
    out.open('[').number(unsigned{run.index}).number(unsigned{run.count}).hex(run.first).stride(run.stride).close(']');
}

void write_table(Writer& out, const CaptureTable& table) {
    out.open('{');
    if (!table.name.empty()) {
        out.key("name").string(table.name);
    }
    out.key("pa").hex(table.pa).key("level");
    if (table.level) {
        out.number(*table.level);
    } else {
        out.raw("null");
    }
    out.key("entries").list(table.entries.runs(), write_run).close('}');
}

void write_region(Writer& out, const CaptureRegion& region) {
    out.open('{').key("base").hex(region.base).key("size").hex(region.size);
    out.key("nid").number(region.nid).key("flags").number(region.flags).close('}');
}

void write_region_info(Writer& out, std::string_view key, const std::optional<CaptureRegionInfo>& info) {
    if (info) {
        out.key(key).open('{').key("max").number(info->max).key("total_size").hex(info->total_size);
        out.key("array").hex(info->array).close('}');
    }
}

void write_memblock(Writer& out, const CaptureMemblock& memblock) {
    out.open('{').key("bottom_up").boolean(memblock.bottom_up).key("current_limit").hex(memblock.current_limit);
    out.key("memory").list(memblock.memory, write_region).key("reserved").list(memblock.reserved, write_region);
    write_region_info(out, "memory_info", memblock.memory_info);
    write_region_info(out, "reserved_info", memblock.reserved_info);
    out.close('}');
}

void write_global(Writer& out, const GlobalValue& value) {
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
        out.number(*number);
    } else if (const auto* hex = std::get_if<Hex>(&value)) {
        out.hex(hex->value);
    } else {
        out.list(std::get<NumberPairs>(value), [](Writer& list, const auto& pair) {
            list.open('[').number(pair.first).number(pair.second).close(']');
        });
    }
}

void write_e820(Writer& out, const CaptureE820& entry) {
    out.open('{').key("start").hex(entry.start).key("size").hex(entry.size).key("type").number(entry.type).close('}');
}

void write_node(Writer& out, const CaptureNode& node) {
    out.open('{').key("nid").number(node.nid).key("pgdat").hex(node.pgdat);
    out.key("node_start_pfn").number(node.node_start_pfn);
    out.key("node_spanned_pages").number(node.node_spanned_pages);
    out.key("node_present_pages").number(node.node_present_pages);
    if (node.first_deferred_pfn) {
        out.key("first_deferred_pfn").number(*node.first_deferred_pfn);
    }
    out.close('}');
}

void write_zone(Writer& out, const CaptureZone& zone) {
    out.open('{').key("nid").number(zone.nid).key("name").string(zone.name).key("index").number(zone.index);
    out.key("start_pfn").number(zone.start_pfn).key("spanned").number(zone.spanned);
    out.key("present").number(zone.present).key("managed").number(zone.managed);
    out.key("free_area").list(zone.free_area, [](Writer& list, std::uint64_t count) { list.number(count); });
    out.close('}');
}

void write_mapping_call(Writer& out, const CaptureMappingCall& call) {
    out.open('{').key("start").hex(call.start).key("end").hex(call.end);
    out.key("pgt_buf_end").number(call.pgt_buf_end).key("pgt_buf_top").number(call.pgt_buf_top);
    out.key("min_pfn_mapped").number(call.min_pfn_mapped).key("max_pfn_mapped").number(call.max_pfn_mapped);
    out.close('}');
}

template <class List, class Write>
void optional_list(Writer& out, std::string_view key, const std::optional<List>& list, Write write) {
    if (list) {
        out.key(key).list(*list, write);
    }
}

void write_checkpoint(Writer& out, const CaptureCheckpoint& checkpoint) {
    out.open('{').key("name").string(checkpoint.name).key("cpu");
    write_cpu(out, checkpoint.cpu);
    out.key("root").hex(checkpoint.root).key("levels").number(checkpoint.levels);
    out.key("extra_roots").list(checkpoint.extra_roots, write_root);
    out.key("tables").list(checkpoint.tables, write_table);
    optional_list(out, "extra_tables", checkpoint.extra_tables, write_table);
    if (checkpoint.memblock) {
        out.key("memblock");
        write_memblock(out, *checkpoint.memblock);
    }
    if (checkpoint.globals) {
        out.key("globals").open('{');
        for (const auto& [name, value] : *checkpoint.globals) {
            out.key(name);
            write_global(out, value);
        }
        out.close('}');
    }
    optional_list(out, "e820_kernel", checkpoint.e820_kernel, write_e820);
    optional_list(out, "nodes", checkpoint.nodes, write_node);
    optional_list(out, "zones", checkpoint.zones, write_zone);
    optional_list(out, "early_faults", checkpoint.early_faults,
                  [](Writer& list, std::uint64_t address) { list.hex(address); });
    optional_list(out, "init_memory_mapping_calls", checkpoint.init_memory_mapping_calls, write_mapping_call);
    out.members(object_of(checkpoint.other_json, checkpoint.name)).close('}');
}

}  // namespace

std::string capture_to_json(const Capture& capture) {
    Json head = object_of(capture.head_json, "head of the capture");
    head.erase("checkpoints");
    Writer out;
    out.open('{').key("format").string("pgsim-capture/1");
    head.erase("format");
    if (!head.contains("name")) {
        out.key("name").string(capture.name);
    }
    if (!head.contains("kernel")) {
        out.key("kernel").open('{').key("release").string(capture.release);
        out.key("series").string(capture.series).close('}');
    }
    if (!head.contains("cmdline")) {
        out.key("cmdline").string(capture.cmdline);
    }
    out.members(head).key("checkpoints").list(capture.checkpoints, write_checkpoint).close('}');
    return out.take();
}

void write_capture(const std::string& path, const Capture& capture) {
    write_file_whole(path, capture_to_json(capture));
}

}  // namespace pgsim::formats
