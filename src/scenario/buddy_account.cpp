// SPDX-License-Identifier: GPL-2.0-only
// The free lists as text, JSON and pictures.
#include "pgsim/scenario/buddy_account.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <nlohmann/json.hpp>

#include "buddy_views.hpp"
#include "pgsim/base/units.hpp"

namespace pgsim {

namespace {

using namespace kernel;

constexpr std::uint64_t picture_columns = 64;
constexpr std::uint64_t block_pages = std::uint64_t{1} << max_order;

template <class F>
void for_each_type(F&& f) {
    for (unsigned type = 0; type < migrate_types; ++type) {
        f(static_cast<MigrateType>(type));
    }
}

// Lengths of the lists of one order. Most blocks are movable: those are what is left of nr_free.
std::array<std::uint64_t, migrate_types> lengths(const Buddy& buddy, const BuddyZone& zone, unsigned order) {
    std::array<std::uint64_t, migrate_types> counts{};
    std::uint64_t others = 0;
    for_each_type([&](MigrateType type) {
        if (type != MigrateType::movable) {
            const std::uint64_t count = buddy.free_list(zone, order, type).size();
            counts[static_cast<std::size_t>(type)] = count;
            others += count;
        }
    });
    counts[static_cast<std::size_t>(MigrateType::movable)] = buddy.nr_free(zone, order) - others;
    return counts;
}

std::string zone_title(const BuddyZone& zone) {
    return fmt::format("Node {}, zone {}", zone.span.nid, zone_name(zone.span.type));
}

char symbol(std::int8_t order) {
    if (order < 0) {
        return '.';
    }
    return order == 10 ? 'A' : static_cast<char>('0' + order);
}

std::string block_name(std::uint64_t pfn, unsigned order) {
    return fmt::format("{:#x} (order {}, {})", pfn, order, human_bytes(std::uint64_t{4096} << order));
}

std::string of_event(const BuddyEvent& event) {
    using Kind = BuddyEvent::Kind;
    const std::string block = block_name(event.pfn, event.order);
    const std::string list =
        fmt::format("{} list of zone {}", to_string(event.type), zone_name(static_cast<ZoneType>(event.zone)));
    switch (event.kind) {
    case Kind::take: return "block " + block + " leaves the head of the " + list;
    case Kind::split: return "split: the upper half " + block + " goes to the head of the " + list;
    case Kind::put: return "block " + block + " goes to the " + list;
    case Kind::merge: return "its buddy is free too: together " + block;
    case Kind::steal: return "nothing of the wanted mobility: fallback to block " + block + " of the " + list;
    case Kind::claim_block: return fmt::format("the pageblock at {:#x} becomes {}", event.pfn, to_string(event.type));
    case Kind::pcp_take: return "block " + block + " from the head of the CPU's own list";
    case Kind::pcp_put: return "block " + block + " to the head of the CPU's own list";
    case Kind::pcp_refill:
        return fmt::format("the CPU's own list of order {} was empty: {} blocks moved to it", event.order, event.pfn);
    case Kind::pcp_drain: return "the CPU's own lists are full: some blocks go back";
    case Kind::allocated: return "allocated: " + block;
    case Kind::freed: return "freed: " + block;
    }
    return {};
}

}  // namespace

std::string_view to_string(MigrateType type) noexcept {
    switch (type) {
    case MigrateType::unmovable: return "Unmovable";
    case MigrateType::movable: return "Movable";
    case MigrateType::reclaimable: return "Reclaimable";
    case MigrateType::highatomic: return "HighAtomic";
    case MigrateType::isolate: return "Isolate";
    }
    return "?";
}

std::vector<FreeListLength> free_list_lengths(const Buddy& buddy) {
    std::vector<FreeListLength> found;
    for (const BuddyZone& zone : buddy.zones()) {
        for (unsigned order = 0; order <= max_order; ++order) {
            const auto counts = lengths(buddy, zone, order);
            for_each_type([&](MigrateType type) {
                if (const std::uint64_t count = counts[static_cast<std::size_t>(type)]; count != 0) {
                    found.push_back({zone.span.nid, zone.span.type, order, type, static_cast<std::int64_t>(count)});
                }
            });
        }
    }
    return found;
}

std::string pieces_around(const Buddy& buddy, std::uint64_t pfn) {
    const std::uint64_t start = pfn & ~(block_pages - 1);
    std::string out = fmt::format("{:#x}", start);
    std::uint64_t used = 0;
    const auto tell_used = [&] {
        if (used != 0) {
            out += fmt::format(" [used {}]", used);
        }
        used = 0;
    };
    const BuddyZone* const zone = buddy.find_zone(pfn);
    for (std::uint64_t at = start; at < start + block_pages;) {
        if (zone == nullptr || !zone->span.contains(at) || !buddy.pages().is_buddy(at)) {
            ++used;
            ++at;
            continue;
        }
        tell_used();
        const auto order = static_cast<unsigned>(buddy.pages().private_data(at));
        out += fmt::format(" [{}]", order);
        at += std::uint64_t{1} << order;
    }
    tell_used();
    return out;
}

ZoneCells cells_of(const Buddy& buddy, const BuddyZone& zone, std::uint64_t most) {
    ZoneCells out;
    out.pages = std::bit_ceil(std::max<std::uint64_t>(zone.span.spanned / most, 1));
    out.first_pfn = zone.span.start_pfn & ~(out.pages - 1);
    out.cells.resize((zone.span.end_pfn() - out.first_pfn + out.pages - 1) / out.pages);
    for (unsigned order = 0; order <= max_order; ++order) {
        for_each_type([&](MigrateType type) {
            for (const std::uint64_t pfn : buddy.free_list(zone, order, type)) {
                const std::uint64_t end = pfn + (std::uint64_t{1} << order);
                for (std::uint64_t at = pfn; at < end;) {
                    const std::uint64_t number = (at - out.first_pfn) / out.pages;
                    const std::uint64_t stop = std::min(end, out.first_pfn + (number + 1) * out.pages);
                    ZoneCells::Cell& cell = out.cells[number];
                    cell.free += stop - at;
                    cell.largest = std::max(cell.largest, static_cast<std::int8_t>(order));
                    at = stop;
                }
            }
        });
    }
    return out;
}

std::string free_lists_text(const Buddy& buddy) {
    std::string out;
    for (const BuddyZone& zone : buddy.zones()) {
        out += fmt::format("{}: frames {:#x} to {:#x}, managed {}, free {} ({})", zone_title(zone), zone.span.start_pfn,
                           zone.span.end_pfn() - 1, zone.managed_pages, zone.nr_free_pages,
                           human_bytes(zone.nr_free_pages << 12));
        if (buddy.has_pcp()) {
            out += fmt::format(", on the CPU's own lists {}", zone.pcp.count);
        }
        out += fmt::format("\n  watermarks: min {}, low {}, high {}\n  order        ", zone.watermark[0],
                           zone.watermark[1], zone.watermark[2]);
        for (unsigned order = 0; order <= max_order; ++order) {
            out += fmt::format("{:>7}", order);
        }
        out += '\n';
        for_each_type([&](MigrateType type) {
            std::string row = fmt::format("  {:<13}", to_string(type));
            std::uint64_t all = 0;
            for (unsigned order = 0; order <= max_order; ++order) {
                const std::uint64_t count = lengths(buddy, zone, order)[static_cast<std::size_t>(type)];
                all += count;
                row += fmt::format("{:>7}", count);
            }
            if (all != 0 || type < MigrateType::highatomic) {
                out += row + '\n';
            }
        });
    }
    return out;
}

std::string free_lists_picture(const Buddy& buddy) {
    std::string out;
    for (const BuddyZone& zone : buddy.zones()) {
        const ZoneCells view = cells_of(buddy, zone, picture_columns * 16);
        out += fmt::format("{}: a character is {}; largest free block: 0 to 9, A order 10, . nothing free\n",
                           zone_title(zone), human_bytes(view.pages << 12));
        for (std::size_t row = 0; row < view.cells.size(); row += picture_columns) {
            out += fmt::format("  {:>10x} ", view.first_pfn + row * view.pages);
            for (std::size_t i = row; i < std::min<std::size_t>(row + picture_columns, view.cells.size()); ++i) {
                out += symbol(view.cells[i].largest);
            }
            out += '\n';
        }
    }
    return out;
}

std::string to_string(const BuddyChange& change) {
    const BuddyRequest& request = change.request;
    std::string out;
    if (request.free) {
        out += fmt::format("free {}\n", block_name(*request.pfn, request.order));
    } else {
        out += fmt::format("allocate order {}, gfp {:#x} (mobility {}, zones up to {})\n", request.order, request.gfp,
                           to_string(gfp_migratetype(request.gfp)),
                           zone_name(static_cast<ZoneType>(gfp_zone(request.gfp))));
    }
    // A refill of the CPU's own list takes dozens of blocks, each like the first.
    const auto refill = std::find_if(change.events.begin(), change.events.end(), [](const BuddyEvent& event) {
        return event.kind == BuddyEvent::Kind::pcp_refill;
    });
    constexpr std::ptrdiff_t told_of_refill = 4;
    const bool shortened = refill != change.events.end() && refill - change.events.begin() > told_of_refill;
    for (auto event = change.events.begin(); event != change.events.end(); ++event) {
        if (shortened && event - change.events.begin() == told_of_refill) {
            out += fmt::format("  … {} more such steps\n", refill - event);
            event = refill;
        }
        out += "  " + of_event(*event) + '\n';
    }
    if (!change.pfn) {
        out += "  failed: no zone has such a block above its watermark\n";
    }
    for (const FreeListLength& list : change.changed) {
        out += fmt::format("  node {} {} order {} {}: {:+} blocks\n", list.nid, zone_name(list.zone), list.order,
                           to_string(list.type), list.blocks);
    }
    for (std::size_t at = 0; at < change.picture.size();) {
        const std::size_t end = std::min(change.picture.find('\n', at), change.picture.size());
        out += "  " + change.picture.substr(at, end - at) + '\n';
        at = end + 1;
    }
    return out;
}

std::string buddy_json(const Buddy& buddy, const std::vector<BuddyChange>& changes) {
    using Json = nlohmann::ordered_json;
    const auto list_json = [](const FreeListLength& list) {
        return Json{{"nid", list.nid},
                    {"zone", zone_name(list.zone)},
                    {"order", list.order},
                    {"type", to_string(list.type)},
                    {"blocks", list.blocks}};
    };
    Json out{{"format", "pgsim-buddy/1"}, {"zones", Json::array()}, {"lists", Json::array()}};
    for (const BuddyZone& zone : buddy.zones()) {
        out["zones"].push_back({{"nid", zone.span.nid},
                                {"zone", zone_name(zone.span.type)},
                                {"start_pfn", hex(zone.span.start_pfn)},
                                {"spanned", zone.span.spanned},
                                {"managed", zone.managed_pages},
                                {"free", zone.nr_free_pages},
                                {"per_cpu", zone.pcp.count},
                                {"min", zone.watermark[0]},
                                {"low", zone.watermark[1]},
                                {"high", zone.watermark[2]}});
    }
    for (const FreeListLength& list : free_list_lengths(buddy)) {
        out["lists"].push_back(list_json(list));
    }
    for (const BuddyChange& change : changes) {
        Json one{{"op", change.request.free ? "free" : "alloc"}, {"order", change.request.order}};
        if (!change.request.free) {
            one["gfp"] = hex(change.request.gfp);
        }
        one["pfn"] = change.pfn ? Json(hex(*change.pfn)) : Json{};
        one["steps"] = Json::array();
        for (const BuddyEvent& event : change.events) {
            one["steps"].push_back(of_event(event));
        }
        one["changed"] = Json::array();
        for (const FreeListLength& list : change.changed) {
            one["changed"].push_back(list_json(list));
        }
        out["changes"].push_back(std::move(one));
    }
    return out.dump(1) + '\n';
}

}  // namespace pgsim
