// SPDX-License-Identifier: GPL-2.0-only
// tree and vmprint: the tables as they hang together, and ranges.
#include "formats/dump_parts.hpp"
#include "pgsim/base/units.hpp"

namespace pgsim::formats {

namespace {

using Out = std::back_insert_iterator<fmt::memory_buffer>;

// Ways through tables that are shared without end are cut: what a person reads is shorter than this.
constexpr std::size_t max_lines = 2'000'000;

class Tree {
public:
    Tree(const AddressSpace& space, const DumpOptions& options) : space_{space}, options_{options} {}

    std::string write() {
        const std::string name = name_of(options_.names, space_.root());
        line("{} {}{}{}  {} levels", table_kind(space_.root_level()), hex(space_.root().value()),
             name.empty() ? "" : " ", name, space_.levels());
        table(space_.root(), space_.root_level(), 0, AccessRights{}, 1);
        if (lines_ >= max_lines) {
            fmt::format_to(Out{buffer_}, "... cut after {} lines\n", max_lines);
        }
        return fmt::to_string(buffer_);
    }

private:
    template <class... Parts>
    void line(fmt::format_string<Parts...> text, Parts&&... parts) {
        fmt::format_to(Out{buffer_}, text, std::forward<Parts>(parts)...);
        buffer_.push_back('\n');
        ++lines_;
    }

    [[nodiscard]] VirtAddr widen(std::uint64_t linear) const {
        const unsigned unused = space_.levels() == 5 ? 7 : 16;
        return VirtAddr{static_cast<std::uint64_t>(static_cast<std::int64_t>(linear << unused) >> unused)};
    }

    // NOLINTNEXTLINE(misc-no-recursion): at most five levels
    void table(PhysAddr address, Level level, std::uint64_t linear, AccessRights rights, unsigned depth) {
        const PageTable here = space_.table(address, level);
        for (const EntryGroup& group : groups_of(here, space_.controls())) {
            if (lines_ >= max_lines) {
                return;
            }
            const std::uint64_t start = linear | std::uint64_t{group.index} << index_shift(level);
            const VirtAddr virt = widen(start);
            const std::uint64_t last = virt.value() + group.count * span_of(level) - 1;
            if (virt > options_.filter.last || last < options_.filter.first.value()) {
                continue;
            }
            AccessRights mine = rights;
            mine.writable = mine.writable && group.first.has(EntryFlag::rw);
            mine.user = mine.user && group.first.has(EntryFlag::us);
            mine.executable = mine.executable && !(space_.controls().nxe && group.first.has(EntryFlag::xd));
            row(group, virt, last, mine, level, depth);
            if (group.kind == EntryKind::table) {
                table(group.first.base(), *below(level), start, mine, depth + 1);
            }
        }
    }

    void row(const EntryGroup& group, VirtAddr virt, std::uint64_t last, AccessRights rights, Level level,
             unsigned depth) {
        const std::string indent(std::size_t{depth} * 2, ' ');
        const std::string place = group.joined() ? fmt::format("{}..{}", group.index, group.index + group.count - 1)
                                                 : std::to_string(group.index);
        switch (group.kind) {
        case EntryKind::page: {
            PageFilter filter = options_.filter;
            filter.first = VirtAddr{0};
            filter.last = VirtAddr{~std::uint64_t{0}};
            if (!filter.accepts(virt, group.first.base(), *group.first.page_size(), rights)) {
                return;
            }
            line("{}[{}] {}-{} -> {} {} x {}  {}", indent, place, hex(virt.value()), hex(last),
                 hex(group.first.base().value()), group.count, short_name(*group.first.page_size()),
                 flag_names(group.first));
            return;
        }
        case EntryKind::table: {
            const std::string name = name_of(options_.names, group.first.base());
            line("{}[{}] {} {} -> {} {}{}{}  {}", indent, group.index, hex(virt.value()), hex(group.first.raw()),
                 table_kind(*below(level)), hex(group.first.base().value()), name.empty() ? "" : " ", name,
                 flag_names(group.first));
            return;
        }
        case EntryKind::reserved:
            line("{}[{}] {} {}  {} (reserved bit set)", indent, place, hex(virt.value()), hex(group.first.raw()),
                 flag_names(group.first));
            return;
        case EntryKind::not_present:
            line("{}[{}] {} {}{}  not present", indent, place, hex(virt.value()), hex(group.first.raw()),
                 group.joined() ? ".." : "");
            return;
        }
    }

    const AddressSpace& space_;
    const DumpOptions& options_;
    fmt::memory_buffer buffer_;
    std::size_t lines_ = 0;
};

}  // namespace

std::string dump_tree(const AddressSpace& space, const DumpOptions& options) {
    return Tree{space, options}.write();
}

std::string dump_ranges(const AddressSpace& space, const DumpOptions& options) {
    RangeOptions range_options;
    range_options.filter = options.filter;
    const RangeList list = space.ranges(range_options);
    std::string text;
    for (const MappedRange& range : list.ranges) {
        text += to_string(range) + '\n';
    }
    if (!list.complete) {
        text += "... cut: the search reached its limit\n";
    }
    return text;
}

std::string dump_vmprint(const AddressSpace& space, const DumpOptions& options) {
    fmt::memory_buffer buffer;
    fmt::format_to(Out{buffer}, "page table 0x{:016x}\n", space.root().value());
    std::size_t lines = 0;
    space.for_each_entry(
        [&](const EntryVisit& visit) {
            if (visit.kind == EntryKind::not_present) {
                return VisitNext::skip;
            }
            for (unsigned level = number(visit.entry.level()); level <= space.levels(); ++level) {
                fmt::format_to(Out{buffer}, " ..");
            }
            fmt::format_to(Out{buffer}, "{}: pte 0x{:016x} pa 0x{:016x}\n", visit.entry_addr.offset_in(4096) / 8,
                           visit.entry.raw(), visit.entry.base().value());
            return ++lines < max_lines ? VisitNext::descend : VisitNext::stop;
        },
        options.filter.first, options.filter.last);
    if (lines >= max_lines) {
        fmt::format_to(Out{buffer}, "... cut after {} lines\n", max_lines);
    }
    return fmt::to_string(buffer);
}

}  // namespace pgsim::formats
