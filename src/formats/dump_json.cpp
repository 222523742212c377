// SPDX-License-Identifier: GPL-2.0-only
#include <nlohmann/json.hpp>

#include "formats/dump_parts.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/formats/table_runs.hpp"

namespace pgsim::formats {

namespace {

using Out = std::back_insert_iterator<fmt::memory_buffer>;

std::string quoted(const std::string& text) {
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void write_table(fmt::memory_buffer& buffer, const AddressSpace& space, const TableRef& ref, const TableNames& names) {
    const std::string name = name_of(names, ref.address);
    fmt::format_to(Out{buffer}, R"({{"pa": "{}", "level": {}, "va": "{}", )", hex(ref.address.value()),
                   number(ref.level), hex(ref.virt.value()));
    if (!name.empty()) {
        fmt::format_to(Out{buffer}, R"("name": {}, )", quoted(name));
    }
    fmt::format_to(Out{buffer}, R"("entries": [)");
    const PageTable table = space.table(ref.address, ref.level);
    const char* separator = "";
    const TableRuns coded = TableRuns::encode(table.raw());
    for (const EntryRun& run : coded.runs()) {
        const bool negative = static_cast<std::int64_t>(run.stride) < 0;
        fmt::format_to(Out{buffer}, R"({}[{}, {}, "{}", "{}{}"])", separator, run.index, run.count, hex(run.first),
                       negative ? "-" : "", hex(negative ? 0 - run.stride : run.stride));
        separator = ", ";
    }
    fmt::format_to(Out{buffer}, "]}}");
}

void write_range(fmt::memory_buffer& buffer, const MappedRange& range) {
    fmt::format_to(Out{buffer},
                   R"({{"va": "{}", "last": "{}", "pa": "{}", "bytes": {}, "page_size": {}, "writable": {}, )"
                   R"("executable": {}, "user": {}, "global": {}, "pat_index": {}}})",
                   hex(range.virt.value()), hex(range.last().value()), hex(range.phys.value()), range.bytes,
                   bytes(range.page_size), range.rights.writable, range.rights.executable, range.rights.user,
                   range.attributes.global, range.attributes.pat_index);
}

}  // namespace

std::string dump_json(const AddressSpace& space, const DumpOptions& options) {
    fmt::memory_buffer buffer;
    fmt::format_to(Out{buffer}, "{{\"root\": \"{}\", \"levels\": {},\n \"tables\": [", hex(space.root().value()),
                   space.levels());
    const char* separator = "\n  ";
    for (const TableRef& table : space.tables()) {
        fmt::format_to(Out{buffer}, "{}", separator);
        write_table(buffer, space, table, options.names);
        separator = ",\n  ";
    }
    RangeOptions range_options;
    range_options.filter = options.filter;
    const RangeList list = space.ranges(range_options);
    fmt::format_to(Out{buffer}, "],\n \"ranges\": [");
    separator = "\n  ";
    for (const MappedRange& range : list.ranges) {
        fmt::format_to(Out{buffer}, "{}", separator);
        write_range(buffer, range);
        separator = ",\n  ";
    }
    fmt::format_to(Out{buffer}, "],\n \"complete\": {}}}\n", list.complete);
    return fmt::to_string(buffer);
}

}  // namespace pgsim::formats
