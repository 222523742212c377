// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/formats/dump.hpp"

#include <array>

#include "formats/dump_parts.hpp"
#include "pgsim/base/units.hpp"

namespace pgsim::formats {

namespace {

struct NamedFormat {
    std::string_view name;
    DumpFormat format;
    bool alias = false;
};

constexpr std::array<NamedFormat, 12> formats_by_name{{{"tree", DumpFormat::tree},
                                                       {"ranges", DumpFormat::ranges},
                                                       {"ptdump", DumpFormat::ptdump},
                                                       {"qemu-tlb", DumpFormat::qemu_tlb},
                                                       {"qemu-mem", DumpFormat::qemu_mem},
                                                       {"json", DumpFormat::json},
                                                       {"dot", DumpFormat::dot},
                                                       {"svg", DumpFormat::svg},
                                                       {"vmprint", DumpFormat::vmprint},
                                                       {"boxes", DumpFormat::boxes},
                                                       {"info-tlb", DumpFormat::qemu_tlb, true},
                                                       {"info-mem", DumpFormat::qemu_mem, true}}};

// True when `next` continues a group that begins with `group.first`: pages of one kind side by side, or entries that
// are not present and go up by one step.
bool joins(const EntryGroup& group, Entry next, EntryKind kind) {
    if (kind != group.kind || kind == EntryKind::table) {
        return false;
    }
    const std::uint64_t distance = next.raw() - group.first.raw();
    if (kind == EntryKind::page) {
        const auto size = next.page_size();
        return size == group.first.page_size() && distance == group.count * bytes(*size);
    }
    return (distance & 0xfff) == 0 && (group.count == 1 || distance == group.count * group.stride);
}

}  // namespace

std::optional<DumpFormat> find_dump_format(std::string_view name) noexcept {
    for (const NamedFormat& candidate : formats_by_name) {
        if (candidate.name == name) {
            return candidate.format;
        }
    }
    return std::nullopt;
}

std::vector<std::string_view> dump_format_names() {
    std::vector<std::string_view> names;
    for (const NamedFormat& candidate : formats_by_name) {
        if (!candidate.alias) {
            names.push_back(candidate.name);
        }
    }
    return names;
}

std::string dump(const AddressSpace& space, DumpFormat format, const DumpOptions& options) {
    switch (format) {
    case DumpFormat::tree: return dump_tree(space, options);
    case DumpFormat::ranges: return dump_ranges(space, options);
    case DumpFormat::ptdump: return dump_ptdump(space, options);
    case DumpFormat::qemu_tlb: return dump_qemu_tlb(space, options);
    case DumpFormat::qemu_mem: return dump_qemu_mem(space, options);
    case DumpFormat::json: return dump_json(space, options);
    case DumpFormat::dot: return dump_dot(space, options);
    case DumpFormat::svg: return dump_svg(space, options);
    case DumpFormat::vmprint: return dump_vmprint(space, options);
    case DumpFormat::boxes: return dump_boxes(space, options);
    }
    return {};
}

std::string flag_names(Entry entry) {
    if (!entry.present()) {
        return "not present";
    }
    std::string text = "P";
    const auto add = [&](bool set, const char* name) { text += set ? name : ""; };
    add(entry.has(EntryFlag::rw), " RW");
    add(entry.has(EntryFlag::us), " US");
    add(entry.has(EntryFlag::pwt), " PWT");
    add(entry.has(EntryFlag::pcd), " PCD");
    add(entry.has(EntryFlag::a), " A");
    if (entry.maps_page()) {
        add(entry.has(EntryFlag::d), " D");
        add(entry.ps().value_or(false), " PS");
        add(entry.pat().value_or(false), " PAT");
        add(entry.has(EntryFlag::g), " G");
    }
    add(entry.has(EntryFlag::xd), " XD");
    return text;
}

std::string name_of(const TableNames& names, PhysAddr table) {
    const auto found = names.find(table);
    return found == names.end() ? std::string{} : found->second;
}

std::string_view table_kind(Level level) noexcept {
    switch (level) {
    case Level::pml5: return "PML5";
    case Level::pml4: return "PML4";
    case Level::pdpt: return "PDPT";
    case Level::pd: return "PD";
    case Level::pt: return "PT";
    }
    return "?";
}

std::vector<EntryGroup> groups_of(const PageTable& table, const PagingControls& controls) {
    std::vector<EntryGroup> groups;
    for (unsigned index = 0; index < PageTable::entry_count; ++index) {
        const Entry entry = table[index];
        if (entry.raw() == 0) {
            continue;
        }
        const EntryKind kind = kind_of(entry, controls);
        if (!groups.empty() && groups.back().index + groups.back().count == index &&
            joins(groups.back(), entry, kind)) {
            if (groups.back().count == 1) {
                groups.back().stride = entry.raw() - groups.back().first.raw();
            }
            ++groups.back().count;
        } else {
            groups.push_back({index, 1, entry, kind, 0});
        }
    }
    return groups;
}

std::optional<std::size_t> Drawing::target(const Box& box, const EntryGroup& row) const {
    const auto level = below(box.table.level);
    if (row.kind != EntryKind::table || !level) {
        return std::nullopt;
    }
    const auto found = index.find({row.first.base(), *level});
    return found == index.end() ? std::nullopt : std::optional{found->second};
}

Drawing drawing_of(const AddressSpace& space, const DumpOptions& options) {
    Drawing drawing;
    for (const TableRef& table : space.tables()) {
        const std::uint64_t last = table.virt.value() + (span_of(table.level) << 9) - 1;
        // The first linear address of a table is one way to it; a filter by addresses keeps the ways that it touches.
        if (number(table.level) < space.levels() &&
            (last < options.filter.first.value() || table.virt > options.filter.last)) {
            continue;
        }
        if (drawing.boxes.size() >= options.max_tables) {
            ++drawing.left_out;
            continue;
        }
        const std::string name = name_of(options.names, table.address);
        drawing.index.emplace(std::pair{table.address, table.level}, drawing.boxes.size());
        drawing.boxes.push_back({table,
                                 fmt::format("{}{}{} {}", table_kind(table.level), name.empty() ? "" : " ", name,
                                             hex(table.address.value())),
                                 groups_of(space.table(table.address, table.level), space.controls())});
    }
    return drawing;
}

std::string row_text(const EntryGroup& row) {
    if (row.kind == EntryKind::page) {
        const std::string size{short_name(*row.first.page_size())};
        if (row.joined()) {
            return fmt::format("[{}..{}] {} {} x {}  {}", row.index, row.index + row.count - 1,
                               hex(row.first.base().value()), row.count, size, flag_names(row.first));
        }
        return fmt::format("[{}] {} {}  {}", row.index, hex(row.first.base().value()), size, flag_names(row.first));
    }
    const std::string place =
        row.joined() ? fmt::format("{}..{}", row.index, row.index + row.count - 1) : std::to_string(row.index);
    return fmt::format("[{}] {}{}  {}{}", place, hex(row.first.raw()), row.joined() ? ".." : "", flag_names(row.first),
                       row.kind == EntryKind::reserved ? " (reserved bit set)" : "");
}

}  // namespace pgsim::formats
