// SPDX-License-Identifier: GPL-2.0-only
#include "scenario/e820_facts.hpp"

#include <algorithm>

#include "firmware/dmesg_reader.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/kernel/builtin_requests.hpp"
#include "pgsim/kernel/e820_setup.hpp"

namespace pgsim::scenario {

using firmware::E820Entry;
using firmware::E820Type;
using firmware::LogE820Change;
using firmware::LogRange;

namespace {

constexpr std::uint64_t page = 4096;

bool is_ram(const E820Entry& entry) {
    return entry.type == E820Type::ram || entry.type == E820Type::reserved_kern;
}

/// From 6.16 on: what lies between RAM entries, in one piece.
std::vector<LogRange> between_ram(E820Span e820, std::uint64_t limit_pfn) {
    std::vector<LogRange> ranges;
    std::uint64_t last = 0;
    const auto add = [&ranges](std::uint64_t start, std::uint64_t end) {
        if (start < end) {
            ranges.push_back({start, end - 1});
        }
    };
    for (const E820Entry& entry : e820) {
        if (!is_ram(entry)) {
            continue;
        }
        if (last < entry.start) {
            add(last / page * page, (entry.start + page - 1) / page * page);
        }
        last = entry.end();
    }
    add(last / page * page, limit_pfn * page);
    return ranges;
}

}  // namespace

std::vector<LogRange> nosave_ranges(E820Span e820, std::uint64_t limit_pfn, const kernel::KernelSeries& series) {
    if (series.nosave_between_ram_only) {
        return between_ram(e820, limit_pfn);
    }
    std::vector<LogRange> ranges;
    // Old kernels began after the first entry; what it is, RAM or the reserved first page, is not looked at.
    const E820Span rest = series.nosave_skips_first_entry && !e820.empty() ? e820.subspan(1) : e820;
    const std::uint64_t from = rest.size() == e820.size() ? 0 : e820.front().end() / page;
    for (const kernel::NosaveRegion& region : kernel::register_nosave_regions(rest, limit_pfn, false, from)) {
        ranges.push_back({region.start_pfn * page, region.end_pfn * page - 1});
    }
    return ranges;
}

LogRange pci_gap(E820Span e820, std::uint64_t max_pfn) {
    std::uint64_t last = 4 * GiB;
    std::uint64_t size = 4 * MiB;
    std::optional<std::uint64_t> start;
    for (std::size_t i = e820.size(); i-- > 0;) {
        const std::uint64_t end = e820[i].end();
        if (last > end && last - end >= size) {
            size = last - end;
            start = end;
        }
        last = std::min(last, e820[i].start);
    }
    const std::uint64_t found = start.value_or(max_pfn * page + MiB);
    return {found, found + size - 1};
}

std::vector<LogRange> ram_buffers(E820Span e820) {
    std::vector<LogRange> ranges;
    for (const E820Entry& entry : e820) {
        const std::uint64_t start = entry.end();
        const std::uint64_t mib = start >> 20;
        const std::uint64_t alignment = mib == 0 ? 64 * KiB : mib < 16 ? MiB : 64 * MiB;
        const std::uint64_t end = (start + alignment - 1) & ~(alignment - 1);
        if (entry.type == E820Type::ram && start < end) {
            ranges.push_back({start, end - 1});
        }
    }
    return ranges;
}

std::vector<LogE820Change> parse_changes(const std::vector<std::string>& printed) {
    firmware::DmesgReader reader;
    for (std::size_t i = 0; i < printed.size(); ++i) {
        reader.read_line(printed[i], i + 1);
    }
    return reader.record().e820_changes;
}

EfiChanges efi_changes(const firmware::MachineRecord& record, const std::vector<LogE820Change>& computed) {
    EfiChanges result;
    result.added = record.graphics;
    for (const LogE820Change& change : record.e820_changes) {
        if (std::find(computed.begin(), computed.end(), change) != computed.end() || change.op.size() > 6) {
            continue;
        }
        const bool to_reserved = change.text.find("==> reserved") != std::string::npos ||
                                 change.text.find("==> device reserved") != std::string::npos;
        if (change.op == "remove" && change.text.find("reserved") != std::string::npos) {
            result.removed.push_back(change.range);
        } else if (change.op == "update" && to_reserved) {
            result.reserved.push_back(change.range);
        }
    }
    return result;
}

std::vector<E820Entry> with_efi_changes(E820Span e820, const EfiChanges& changes) {
    kernel::E820 table{e820.size() + 3200};
    for (const E820Entry& entry : e820) {
        table.range_add(entry.start, entry.size, entry.type);
    }
    for (const LogRange& range : changes.removed) {
        table.range_remove(range.start, range.end - range.start + 1, E820Type::reserved, kernel::E820::CheckType::yes);
    }
    for (const LogRange& range : changes.reserved) {
        table.range_update(range.start, range.end - range.start + 1, E820Type::ram, E820Type::reserved);
    }
    for (const LogRange& range : changes.added) {
        table.range_add(range.start, range.end - range.start + 1, E820Type::reserved);
    }
    if (!changes.removed.empty() || !changes.reserved.empty() || !changes.added.empty()) {
        table.update_table();
    }
    return table.entries();
}

}  // namespace pgsim::scenario
