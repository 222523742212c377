// SPDX-License-Identifier: GPL-2.0-only
// Taking blocks of another mobility. [linux-6.6 mm/page_alloc.c __rmqueue_fallback()] [spec M-B14 to M-B16]
#include <algorithm>
#include <array>

#include "pgsim/kernel/buddy.hpp"

namespace pgsim::kernel {

namespace {

constexpr std::array<std::array<MigrateType, 2>, migrate_pcptypes> fallbacks{{
    {MigrateType::reclaimable, MigrateType::movable},    // of UNMOVABLE
    {MigrateType::reclaimable, MigrateType::unmovable},  // of MOVABLE
    {MigrateType::unmovable, MigrateType::movable},      // of RECLAIMABLE
}};

}  // namespace

bool Buddy::rmqueue_fallback(BuddyZone& zone, unsigned order, MigrateType start_type, unsigned flags) {
    const bool nofragment = (flags & alloc_flag::nofragment) != 0;
    const unsigned min_order = nofragment && order < pageblock_order ? pageblock_order : order;
    const auto& types = fallbacks[static_cast<std::size_t>(start_type)];
    const auto candidate = [&](unsigned at) -> std::optional<MigrateType> {
        for (const MigrateType type : types) {
            if (first_of(free_list_head(zone, at, type))) {
                return type;
            }
        }
        return std::nullopt;
    };
    const auto can_steal = [&](unsigned at) {
        return at >= pageblock_order / 2 || start_type == MigrateType::reclaimable ||
               start_type == MigrateType::unmovable || mobility_disabled_;
    };
    const auto take = [&](unsigned at, MigrateType type) {
        const std::uint64_t pfn = *first_of(free_list_head(zone, at, type));
        emit(BuddyEvent::Kind::steal, zone, pfn, at, type);
        steal_suitable_fallback(zone, pfn, at, start_type, can_steal(at), flags);
        return true;
    };
    for (unsigned current = max_order + 1; current-- > min_order;) {
        const auto type = candidate(current);
        if (!type) {
            continue;
        }
        if (can_steal(current) || start_type != MigrateType::movable || current <= order) {
            return take(current, *type);
        }
        // A movable request spoils the fewest blocks when it takes the smallest one that will do.
        for (unsigned small = order; small <= max_order; ++small) {
            if (const auto other = candidate(small)) {
                return take(small, *other);
            }
        }
    }
    return false;
}

bool Buddy::boost_watermark(BuddyZone& zone) {
    if (zone.managed_pages < pageblock_nr_pages * 4) {
        return false;
    }
    std::uint64_t max_boost = zone.watermark[static_cast<std::size_t>(Wmark::high)] * 15000 / 10000;
    if (max_boost == 0) {
        return false;
    }
    max_boost = std::max(pageblock_nr_pages, max_boost);
    zone.watermark_boost = std::min(zone.watermark_boost + pageblock_nr_pages, max_boost);
    return true;
}

void Buddy::steal_suitable_fallback(BuddyZone& zone, std::uint64_t pfn, unsigned order, MigrateType start_type,
                                    bool can_steal, unsigned flags) {
    const MigrateType old_type = pageblock_migratetype(pfn);
    if (old_type == MigrateType::highatomic) {
        move_to_free_list(pfn, zone, order, start_type);
        return;
    }
    if (order >= pageblock_order) {
        for (std::uint64_t block = 0; block < std::uint64_t{1} << order; block += pageblock_nr_pages) {
            set_pageblock_migratetype(pfn + block, start_type);
            emit(BuddyEvent::Kind::claim_block, zone, pfn + block, pageblock_order, start_type);
        }
        move_to_free_list(pfn, zone, order, start_type);
        return;
    }
    if (boost_watermark(zone) && (flags & alloc_flag::kswapd) != 0) {
        zone.boosted_watermark = true;
    }
    if (!can_steal) {
        move_to_free_list(pfn, zone, order, start_type);
        return;
    }
    unsigned movable = 0;
    const unsigned free_pages = move_freepages_block(zone, pfn, start_type, &movable);
    if (free_pages == 0) {  // the zone does not span the pageblock
        move_to_free_list(pfn, zone, order, start_type);
        return;
    }
    unsigned alike = 0;
    if (start_type == MigrateType::movable) {
        alike = movable;
    } else if (old_type == MigrateType::movable) {
        alike = static_cast<unsigned>(pageblock_nr_pages) - (free_pages + movable);
    }
    if (free_pages + alike >= pageblock_nr_pages / 2 || mobility_disabled_) {
        set_pageblock_migratetype(pfn, start_type);
        emit(BuddyEvent::Kind::claim_block, zone, pfn & ~(pageblock_nr_pages - 1), pageblock_order, start_type);
    }
}

unsigned Buddy::move_freepages_block(BuddyZone& zone, std::uint64_t pfn, MigrateType type, unsigned* movable) {
    const std::uint64_t start = pfn & ~(pageblock_nr_pages - 1);
    const std::uint64_t end = start + pageblock_nr_pages;
    if (!zone.span.contains(start) || !zone.span.contains(end - 1)) {
        return 0;
    }
    unsigned moved = 0;
    for (std::uint64_t at = start; at < end;) {
        if (!pages_.is_buddy(at)) {
            const bool lru = pages_.test(at, PageFlag::lru);
            if (movable != nullptr && (lru || (pages_.mapping(at) & 3) == page_mapping_movable)) {
                ++*movable;
            }
            ++at;
            continue;
        }
        const auto order = static_cast<unsigned>(pages_.private_data(at));
        move_to_free_list(at, zone, order, type);
        at += std::uint64_t{1} << order;
        moved += 1U << order;
    }
    return moved;
}

}  // namespace pgsim::kernel
