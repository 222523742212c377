// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/inspect/space_statistics.hpp"

#include <algorithm>
#include <set>
#include <vector>

#include "inspect/space_walk.hpp"
#include "pgsim/inspect/address_space.hpp"

namespace pgsim {

namespace {

void count_tables(const AddressSpace& space, SpaceStatistics& result) {
    std::vector<std::uint64_t> frames;
    for (const TableRef& table : space.tables()) {
        ++result.tables[number(table.level)];
        frames.push_back(table.address.value());
        for (const Entry entry : space.table(table.address, table.level)) {
            switch (kind_of(entry, space.controls())) {
            case EntryKind::not_present: result.not_present_not_zero += entry.raw() != 0 ? 1 : 0; break;
            case EntryKind::reserved: ++result.reserved_entries; [[fallthrough]];
            case EntryKind::table:
            case EntryKind::page: ++result.present[number(table.level)]; break;
            }
        }
    }
    std::sort(frames.begin(), frames.end());
    result.table_frames = static_cast<std::uint64_t>(std::unique(frames.begin(), frames.end()) - frames.begin());
}

// Entries that name a table on the way to them: at most one look at each distinct (table, way of tables above it).
struct LoopCounter {
    static constexpr bool wants_absent = false;
    SpaceStatistics& result;
    const detail::SpaceWalk<LoopCounter>* walk = nullptr;
    std::uint64_t address_mask = 0;
    std::set<std::pair<std::uint64_t, std::uint64_t>> seen{};  // (entry address, table named)

    VisitNext operator()(unsigned level, std::uint64_t, std::uint64_t raw, EntryKind kind, AccessRights,
                         std::uint64_t table, unsigned index) {
        if (kind != EntryKind::table) {
            return VisitNext::skip;
        }
        const std::uint64_t named = raw & address_mask;
        const auto& path = walk->path();
        if (std::find(path.begin() + level, path.begin() + walk->levels() + 1, named) !=
                path.begin() + walk->levels() + 1 &&
            seen.emplace(table + std::uint64_t{index} * 8, named).second) {
            ++result.loops;
        }
        // Page tables name pages, not tables: nothing to see there.
        return level > 2 ? VisitNext::descend : VisitNext::skip;
    }
};

void count_pages(const RangeList& list, SpaceStatistics& result) {
    for (const MappedRange& range : list.ranges) {
        const std::uint64_t pages = range.bytes / bytes(range.page_size);
        switch (range.page_size) {
        case PageSize::k4K: result.pages_4k += pages; break;
        case PageSize::k2M: result.pages_2m += pages; break;
        case PageSize::k1G: result.pages_1g += pages; break;
        case PageSize::k4M: break;
        }
        result.mapped_bytes += range.bytes;
        result.user_bytes += range.rights.user ? range.bytes : 0;
        result.writable_bytes += range.rights.writable ? range.bytes : 0;
        result.executable_bytes += range.rights.executable ? range.bytes : 0;
        result.writable_executable_bytes += range.rights.writable && range.rights.executable ? range.bytes : 0;
        result.global_bytes += range.attributes.global ? range.bytes : 0;
    }
}

// Sweeps over physical addresses: how many ranges, and how many of each memory type, hold each byte.
void count_aliases(const RangeList& list, std::uint64_t pat, SpaceStatistics& result) {
    struct Edge {
        std::uint64_t at;
        int step;
        unsigned type;
    };
    std::vector<Edge> edges;
    edges.reserve(list.ranges.size() * 2);
    for (const MappedRange& range : list.ranges) {
        const unsigned type = static_cast<unsigned>(pat >> (8 * range.attributes.pat_index)) & 7;
        edges.push_back({range.phys.value(), 1, type});
        edges.push_back({range.phys.value() + range.bytes, -1, type});
    }
    std::sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) { return a.at < b.at; });
    std::array<std::int64_t, 8> holders{};
    std::uint64_t from = 0;
    for (const Edge& edge : edges) {
        std::int64_t all = 0;
        std::int64_t types = 0;
        for (const std::int64_t count : holders) {
            all += count;
            types += count > 0 ? 1 : 0;
        }
        result.aliased_bytes += all > 1 ? edge.at - from : 0;
        result.type_conflict_bytes += types > 1 ? edge.at - from : 0;
        holders[edge.type] += edge.step;
        from = edge.at;
    }
}

}  // namespace

SpaceStatistics statistics(const AddressSpace& space, std::uint64_t pat) {
    SpaceStatistics result;
    count_tables(space, result);
    LoopCounter counter{result};
    detail::SpaceWalk<LoopCounter> walk{space, counter, VirtAddr{0}, VirtAddr{~std::uint64_t{0}}};
    counter.walk = &walk;
    counter.address_mask = detail::KindMasks{space.controls()}.address_mask;
    result.complete = walk.run(space.root());
    const RangeList list = space.ranges();
    result.complete = result.complete && list.complete;
    count_pages(list, result);
    count_aliases(list, pat, result);
    return result;
}

}  // namespace pgsim
