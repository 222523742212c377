// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/inspect/space_diff.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "pgsim/base/units.hpp"

namespace pgsim {

namespace {

constexpr std::uint64_t accessed_dirty_bits = 0x60;

ChangeKind kind_of_change(std::uint64_t before, std::uint64_t after) {
    if (before == 0) {
        return ChangeKind::added;
    }
    return after == 0 ? ChangeKind::removed : ChangeKind::changed;
}

// The order of reachable_tables.
bool comes_before(const TableRef& a, const TableRef& b) {
    return a.level != b.level ? a.level > b.level : a.address < b.address;
}

class EntryDiff {
public:
    EntryDiff(const AddressSpace& before, const AddressSpace& after, const DiffOptions& options, SpaceDiff& result)
        : before_{before}, after_{after}, options_{options}, result_{result} {}

    void run() {
        const std::vector<TableRef> old_tables = before_.tables();
        const std::vector<TableRef> new_tables = after_.tables();
        auto old_table = old_tables.begin();
        auto new_table = new_tables.begin();
        while (old_table != old_tables.end() || new_table != new_tables.end()) {
            if (new_table == new_tables.end() ||
                (old_table != old_tables.end() && comes_before(*old_table, *new_table))) {
                compare(*old_table++, true, false);
            } else if (old_table == old_tables.end() || comes_before(*new_table, *old_table)) {
                compare(*new_table++, false, true);
            } else {
                compare(*new_table++, true, true);
                ++old_table;
            }
        }
    }

private:
    void compare(const TableRef& table, bool in_before, bool in_after) {
        PageTable::Words none{};
        const PageTable old_words =
            in_before ? before_.table(table.address, table.level) : PageTable{table.address, table.level, none};
        const PageTable new_words =
            in_after ? after_.table(table.address, table.level) : PageTable{table.address, table.level, none};
        const std::uint64_t ignored = options_.accessed_dirty ? 0 : accessed_dirty_bits;
        for (unsigned i = 0; i < PageTable::entry_count; ++i) {
            const std::uint64_t old_value = old_words.raw()[i];
            const std::uint64_t new_value = new_words.raw()[i];
            if (((old_value ^ new_value) & ~ignored) == 0) {
                continue;
            }
            if (result_.entries.size() >= options_.max_entries) {
                result_.complete = false;
                return;
            }
            result_.entries.push_back({kind_of_change(old_value, new_value), new_words.entry_address(i), table.level,
                                       VirtAddr{table.virt.value() + i * span_of(table.level)}, old_value, new_value});
        }
    }

    const AddressSpace& before_;
    const AddressSpace& after_;
    const DiffOptions& options_;
    SpaceDiff& result_;
};

// The part of a range from `start` on, `bytes` long.
std::optional<MappedRange> cut(const MappedRange* range, VirtAddr start, std::uint64_t bytes) {
    if (range == nullptr) {
        return std::nullopt;
    }
    MappedRange part = *range;
    part.phys = PhysAddr{} + (range->phys.value() + (start - range->virt));
    part.virt = start;
    part.bytes = bytes;
    return part;
}

bool same_translation(const MappedRange& a, const MappedRange& b, bool accessed_dirty) {
    PageAttributes mine = a.attributes;
    PageAttributes other = b.attributes;
    if (!accessed_dirty) {
        mine.accessed = mine.dirty = other.accessed = other.dirty = false;
    }
    return a.phys == b.phys && a.page_size == b.page_size && a.rights == b.rights && mine == other;
}

// True when `b` goes on where `a` ends, in both halves.
bool continues(const RangeChange& a, const RangeChange& b) {
    const auto joined = [](const std::optional<MappedRange>& first, const std::optional<MappedRange>& second) {
        if (!first || !second) {
            return !first && !second;
        }
        MappedRange expected = *first;
        expected.virt = second->virt;
        expected.bytes = second->bytes;
        expected.phys = PhysAddr{} + (first->phys.value() + first->bytes);
        return expected == *second;
    };
    return a.kind == b.kind && a.virt.value() + a.bytes == b.virt.value() && joined(a.before, b.before) &&
           joined(a.after, b.after);
}

// Walks along both lists at once, cutting at every border of either.
class RangeDiff {
public:
    RangeDiff(const std::vector<MappedRange>& before, const std::vector<MappedRange>& after, const DiffOptions& options,
              std::vector<RangeChange>& changes)
        : before_{before}, after_{after}, options_{options}, changes_{changes} {}

    void run() {
        std::uint64_t at = 0;
        while (old_ < before_.size() || new_ < after_.size()) {
            at = std::max(at, next_start());
            const MappedRange* const old_range = holder(before_, old_, at);
            const MappedRange* const new_range = holder(after_, new_, at);
            const std::uint64_t last = last_of_segment(at, old_range, new_range);
            note(at, last - at + 1, old_range, new_range);
            advance(before_, old_, last);
            advance(after_, new_, last);
            at = last + 1;
        }
    }

private:
    std::uint64_t next_start() const {
        std::uint64_t start = ~std::uint64_t{0};
        if (old_ < before_.size()) {
            start = before_[old_].virt.value();
        }
        if (new_ < after_.size()) {
            start = std::min(start, after_[new_].virt.value());
        }
        return start;
    }
    static const MappedRange* holder(const std::vector<MappedRange>& list, std::size_t index, std::uint64_t at) {
        return index < list.size() && list[index].virt.value() <= at ? &list[index] : nullptr;
    }
    // The last byte before anything changes in either list.
    std::uint64_t last_of_segment(std::uint64_t at, const MappedRange* old_range, const MappedRange* new_range) const {
        std::uint64_t last = ~std::uint64_t{0};
        for (const MappedRange* range : {old_range, new_range}) {
            if (range != nullptr) {
                last = std::min(last, range->last().value());
            }
        }
        if (old_range == nullptr && old_ < before_.size() && before_[old_].virt.value() > at) {
            last = std::min(last, before_[old_].virt.value() - 1);
        }
        if (new_range == nullptr && new_ < after_.size() && after_[new_].virt.value() > at) {
            last = std::min(last, after_[new_].virt.value() - 1);
        }
        return last;
    }
    static void advance(const std::vector<MappedRange>& list, std::size_t& index, std::uint64_t last) {
        if (index < list.size() && list[index].last().value() <= last) {
            ++index;
        }
    }
    void note(std::uint64_t at, std::uint64_t bytes, const MappedRange* old_range, const MappedRange* new_range) {
        RangeChange change;
        change.virt = VirtAddr{at};
        change.bytes = bytes;
        change.before = cut(old_range, change.virt, bytes);
        change.after = cut(new_range, change.virt, bytes);
        if (change.before && change.after) {
            if (same_translation(*change.before, *change.after, options_.accessed_dirty)) {
                return;
            }
            change.kind = ChangeKind::changed;
        } else {
            change.kind = change.before ? ChangeKind::removed : ChangeKind::added;
        }
        if (!changes_.empty() && continues(changes_.back(), change)) {
            RangeChange& last = changes_.back();
            last.bytes += bytes;
            if (last.before) {
                last.before->bytes += bytes;
            }
            if (last.after) {
                last.after->bytes += bytes;
            }
            return;
        }
        changes_.push_back(std::move(change));
    }

    const std::vector<MappedRange>& before_;
    const std::vector<MappedRange>& after_;
    const DiffOptions& options_;
    std::vector<RangeChange>& changes_;
    std::size_t old_ = 0;
    std::size_t new_ = 0;
};

std::string half(const MappedRange& range) {
    const PageAttributes& attributes = range.attributes;
    std::string text = fmt::format("{} {} r{}{}{}{}", hex(range.phys.value()), short_name(range.page_size),
                                   range.rights.writable ? 'w' : '-', range.rights.executable ? 'x' : '-',
                                   range.rights.user ? " user" : "", attributes.global ? " global" : "");
    if (attributes.pat_index != 0) {
        text += fmt::format(" PAT {}", attributes.pat_index);
    }
    if (attributes.protection_key != 0) {
        text += fmt::format(" key {}", attributes.protection_key);
    }
    return text;
}

}  // namespace

std::string_view to_string(ChangeKind kind) noexcept {
    switch (kind) {
    case ChangeKind::added: return "added";
    case ChangeKind::removed: return "removed";
    case ChangeKind::changed: return "changed";
    }
    return "?";
}

SpaceDiff diff(const AddressSpace& before, const AddressSpace& after, const DiffOptions& options) {
    SpaceDiff result;
    EntryDiff{before, after, options, result}.run();
    RangeOptions range_options;
    range_options.by_accessed_dirty = options.accessed_dirty;
    const RangeList old_ranges = before.ranges(range_options);
    const RangeList new_ranges = after.ranges(range_options);
    result.complete = result.complete && old_ranges.complete && new_ranges.complete;
    RangeDiff{old_ranges.ranges, new_ranges.ranges, options, result.ranges}.run();
    return result;
}

std::string to_string(const RangeChange& change) {
    std::string text = fmt::format("{} {}-{} {}: ", to_string(change.kind), hex(change.virt.value()),
                                   hex(change.virt.value() + (change.bytes - 1)), human_bytes(change.bytes));
    if (change.before) {
        text += half(*change.before);
    }
    if (change.before && change.after) {
        text += " -> ";
    }
    if (change.after) {
        text += half(*change.after);
    }
    return text;
}

}  // namespace pgsim
