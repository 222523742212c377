// SPDX-License-Identifier: GPL-2.0-only
// Allocation and freeing: zonelists, watermarks, the slow path. [linux-6.6 mm/page_alloc.c] [spec M-B4 to M-B11, M-E1]
#include <algorithm>

#include "pgsim/base/error.hpp"
#include "pgsim/kernel/buddy.hpp"

namespace pgsim::kernel {

namespace {

constexpr unsigned page_alloc_costly_order = 3;
constexpr unsigned max_reclaim_retries = 16;
// Bits of a compound page's first tail that describe the folio: its order and three flags. [spec M-G2]
constexpr std::uint64_t page_flags_second = 0x7ff;

}  // namespace

void Buddy::build_zonelists() {
    zonelists_.resize(setup_.node_data.size());
    if (setup_.node_orders.empty()) {
        setup_.node_orders = {{0, {0}}};
    }
    for (const NodeOrder& order : setup_.node_orders) {
        for (const int node : order.fallback) {
            for (auto zone = zones_.rbegin(); zone != zones_.rend(); ++zone) {
                if (zone->span.nid == node) {
                    zonelists_.at(static_cast<std::size_t>(order.node)).push_back(&*zone);
                }
            }
        }
    }
}

const std::vector<BuddyZone*>& Buddy::zonelist(int nid) const {
    return zonelists_[static_cast<std::size_t>(nid)];
}

// [spec M-B7]
bool Buddy::zone_watermark_ok(const BuddyZone& zone, unsigned order, std::uint64_t mark, unsigned highest_zoneidx,
                              unsigned flags) const {
    auto min = static_cast<std::int64_t>(mark);
    auto free_pages = static_cast<std::int64_t>(zone.nr_free_pages) - ((std::int64_t{1} << order) - 1);
    if ((flags & alloc_flag::reserves) == 0) {
        free_pages -= static_cast<std::int64_t>(zone.nr_reserved_highatomic);
    }
    if ((flags & alloc_flag::reserves) != 0) {
        if ((flags & alloc_flag::min_reserve) != 0) {
            min -= min / 2;
            if ((flags & alloc_flag::non_block) != 0) {
                min -= min / 4;
            }
        }
        if ((flags & alloc_flag::oom) != 0) {
            min -= min / 2;
        }
    }
    if (free_pages <= min + static_cast<std::int64_t>(zone.lowmem_reserve[highest_zoneidx])) {
        return false;
    }
    if (order == 0) {
        return true;
    }
    for (unsigned o = order; o <= max_order; ++o) {
        if (nr_free(zone, o) == 0) {
            continue;
        }
        for (unsigned type = 0; type < migrate_pcptypes; ++type) {
            if (first_of(free_list_head(zone, o, static_cast<MigrateType>(type)))) {
                return true;
            }
        }
        if ((flags & (alloc_flag::highatomic | alloc_flag::oom)) != 0 &&
            first_of(free_list_head(zone, o, MigrateType::highatomic))) {
            return true;
        }
    }
    return false;
}

bool Buddy::zone_watermark_fast(const BuddyZone& zone, const AllocContext& context, std::uint64_t mark,
                                unsigned flags) const {
    if (context.order == 0) {
        const std::uint64_t reserved =
            (flags & alloc_flag::reserves) == 0 ? std::min(zone.nr_free_pages, zone.nr_reserved_highatomic) : 0;
        if (zone.nr_free_pages - reserved > mark + zone.lowmem_reserve[context.highest_zoneidx]) {
            return true;
        }
    }
    if (zone_watermark_ok(zone, context.order, mark, context.highest_zoneidx, flags)) {
        return true;
    }
    if (context.order == 0 && (flags & alloc_flag::min_reserve) != 0 && zone.watermark_boost != 0 &&
        (flags & alloc_flag::wmark_mask) == static_cast<unsigned>(Wmark::min)) {
        return zone_watermark_ok(zone, 0, zone.watermark[0], context.highest_zoneidx, flags);
    }
    return false;
}

std::optional<std::uint64_t> Buddy::rmqueue_any(BuddyZone& preferred, BuddyZone& zone, const AllocContext& context,
                                                unsigned flags) {
    std::optional<std::uint64_t> pfn;
    if (setup_.pcp && pcp_allowed_order(context.order)) {
        pfn = rmqueue_pcplist(zone, context.order, context.type, flags);
    }
    if (!pfn) {
        if ((flags & alloc_flag::highatomic) != 0) {
            pfn = rmqueue_smallest(zone, context.order, MigrateType::highatomic);
        }
        if (!pfn) {
            pfn = rmqueue(zone, context.order, context.type, flags);
        }
        if (!pfn && (flags & alloc_flag::oom) != 0) {
            pfn = rmqueue_smallest(zone, context.order, MigrateType::highatomic);
        }
        if (pfn) {
            zone.nr_free_pages -= std::uint64_t{1} << context.order;
        }
    }
    if ((flags & alloc_flag::kswapd) != 0 && preferred.boosted_watermark) {
        preferred.boosted_watermark = false;
        if (reclaimer_ != nullptr) {
            reclaimer_->wakeup_kswapd(preferred, 0, preferred.index());
        }
    }
    return pfn;
}

// [spec M-B6]
std::optional<std::uint64_t> Buddy::get_page_from_freelist(const AllocContext& context, unsigned flags) {
    const auto& list = zonelist(context.nid);
    const bool this_node = (context.gfp & gfp::thisnode) != 0;
    for (;;) {
        bool restart = false;
        BuddyZone* preferred = nullptr;
        for (BuddyZone* zone : list) {
            if (zone->index() > context.highest_zoneidx || (this_node && zone->span.nid != context.nid)) {
                continue;
            }
            if (preferred == nullptr) {
                preferred = zone;
            }
            if ((flags & alloc_flag::nofragment) != 0 && setup_.node_data.size() > 1 && zone != preferred &&
                zone->span.nid != preferred->span.nid) {
                flags &= ~alloc_flag::nofragment;
                restart = true;
                break;
            }
            const std::uint64_t mark = wmark_pages(*zone, static_cast<Wmark>(flags & alloc_flag::wmark_mask));
            if ((flags & alloc_flag::no_watermarks) == 0 && !zone_watermark_fast(*zone, context, mark, flags)) {
                continue;
            }
            if (const auto pfn = rmqueue_any(*preferred, *zone, context, flags)) {
                prep_new_page(*pfn, context);
                emit(BuddyEvent::Kind::allocated, *zone, *pfn, context.order, context.type);
                if (context.order != 0 && (flags & alloc_flag::highatomic) != 0) {
                    reserve_highatomic_pageblock(*pfn, *zone);
                }
                return pfn;
            }
        }
        if (!restart) {
            if ((flags & alloc_flag::nofragment) == 0) {
                return std::nullopt;
            }
            flags &= ~alloc_flag::nofragment;
        }
    }
}

std::optional<std::uint64_t> Buddy::alloc_pages(gfp_t gfp, unsigned order, int nid) {
    if (order > max_order) {
        return std::nullopt;
    }
    AllocContext context{gfp, order, gfp_zone(gfp), gfp_migratetype(gfp), nid};
    if (mobility_disabled_) {
        context.type = MigrateType::unmovable;
    }
    unsigned flags = static_cast<unsigned>(Wmark::low);
    if ((gfp & gfp::kswapd_reclaim) != 0) {
        flags |= alloc_flag::kswapd;
    }
    const auto& list = zonelist(nid);
    const auto preferred = std::find_if(
        list.begin(), list.end(), [&](const BuddyZone* zone) { return zone->index() <= context.highest_zoneidx; });
    if (preferred == list.end()) {
        return std::nullopt;
    }
    if ((*preferred)->span.type == ZoneType::normal) {
        const bool dma32 = std::any_of(list.begin(), list.end(), [&](const BuddyZone* zone) {
            return zone->span.nid == (*preferred)->span.nid && zone->span.type == ZoneType::dma32;
        });
        if (setup_.node_data.size() == 1 || dma32) {
            flags |= alloc_flag::nofragment;
        }
    }
    const auto pfn = get_page_from_freelist(context, flags);
    return pfn ? pfn : alloc_pages_slowpath(context);
}

void Buddy::wake_all_kswapds(const AllocContext& context) {
    if (reclaimer_ == nullptr) {
        return;
    }
    int last = -1;
    for (BuddyZone* zone : zonelist(context.nid)) {
        if (zone->index() <= context.highest_zoneidx && zone->span.nid != last) {
            reclaimer_->wakeup_kswapd(*zone, context.order, context.highest_zoneidx);
            last = zone->span.nid;
        }
    }
}

// [spec M-E2]
bool Buddy::should_reclaim_retry(const AllocContext& context, unsigned flags) const {
    return std::any_of(zonelist(context.nid).begin(), zonelist(context.nid).end(), [&](const BuddyZone* zone) {
        if (zone->index() > context.highest_zoneidx) {
            return false;
        }
        BuddyZone hopeful = *zone;
        hopeful.nr_free_pages += reclaimer_->zone_reclaimable_pages(*zone);
        return zone_watermark_ok(hopeful, context.order, wmark_pages(*zone, Wmark::min), context.highest_zoneidx,
                                 flags);
    });
}

// [spec M-E1]; there is no compaction, which a request without movable memory in the way does not need.
std::optional<std::uint64_t> Buddy::alloc_pages_slowpath(const AllocContext& context) {
    const gfp_t gfp = context.gfp;
    unsigned flags = static_cast<unsigned>(Wmark::min) | alloc_flag::cpuset;
    if ((gfp & gfp::high) != 0) {
        flags |= alloc_flag::min_reserve;
    }
    if ((gfp & gfp::kswapd_reclaim) != 0) {
        flags |= alloc_flag::kswapd;
        wake_all_kswapds(context);
    }
    const bool may_reclaim = (gfp & gfp::direct_reclaim) != 0 && reclaimer_ != nullptr;
    if ((gfp & gfp::direct_reclaim) == 0 && (gfp & gfp::nomemalloc) == 0) {
        flags |= alloc_flag::non_block;
        if (context.order > 0) {
            flags |= alloc_flag::highatomic;
        }
    }
    if (const auto pfn = get_page_from_freelist(context, flags)) {
        return pfn;
    }
    unsigned no_progress_loops = 0;
    for (;;) {
        const bool memalloc = (gfp & gfp::nomemalloc) == 0 &&
                              ((gfp & gfp::memalloc) != 0 || (reclaimer_ != nullptr && reclaimer_->is_reclaiming()));
        if (memalloc) {
            flags = alloc_flag::no_watermarks | (flags & alloc_flag::kswapd);
        }
        if (const auto pfn = get_page_from_freelist(context, flags)) {
            return pfn;
        }
        if (!may_reclaim || memalloc) {
            return std::nullopt;
        }
        const std::uint64_t progress = reclaimer_->try_to_free_pages(context.order, gfp);
        if (const auto pfn = get_page_from_freelist(context, flags)) {
            return pfn;
        }
        unreserve_highatomic_pageblock(context);
        drain_all_pages();
        if (const auto pfn = get_page_from_freelist(context, flags)) {
            return pfn;
        }
        const bool costly = context.order > page_alloc_costly_order;
        if ((gfp & gfp::noretry) != 0 || (costly && (gfp & gfp::retry_mayfail) == 0)) {
            return std::nullopt;
        }
        no_progress_loops = progress != 0 && !costly ? 0 : no_progress_loops + 1;
        if (no_progress_loops <= max_reclaim_retries && should_reclaim_retry(context, flags)) {
            continue;
        }
        if (costly || (gfp & (gfp::retry_mayfail | gfp::thisnode)) != 0 || context.highest_zoneidx < 2) {
            return std::nullopt;
        }
        const unsigned high = static_cast<unsigned>(Wmark::high) | alloc_flag::cpuset;
        if (const auto pfn = get_page_from_freelist(context, high)) {
            return pfn;
        }
        if (!reclaimer_->out_of_memory(gfp, context.order)) {
            return std::nullopt;
        }
        no_progress_loops = 0;
    }
}

// [spec M-B18]
void Buddy::reserve_highatomic_pageblock(std::uint64_t pfn, BuddyZone& zone) {
    const std::uint64_t most = zone.managed_pages / 100 + pageblock_nr_pages;
    const MigrateType type = pageblock_migratetype(pfn);
    if (zone.nr_reserved_highatomic >= most || type >= MigrateType::highatomic) {
        return;
    }
    zone.nr_reserved_highatomic += pageblock_nr_pages;
    set_pageblock_migratetype(pfn, MigrateType::highatomic);
    move_freepages_block(zone, pfn, MigrateType::highatomic, nullptr);
}

bool Buddy::unreserve_highatomic_pageblock(const AllocContext& context) {
    for (BuddyZone* zone : zonelist(context.nid)) {
        if (zone->nr_reserved_highatomic <= pageblock_nr_pages) {
            continue;
        }
        for (unsigned order = 0; order <= max_order; ++order) {
            if (const auto pfn = first_of(free_list_head(*zone, order, MigrateType::highatomic))) {
                zone->nr_reserved_highatomic -= std::min(pageblock_nr_pages, zone->nr_reserved_highatomic);
                set_pageblock_migratetype(*pfn, context.type);
                move_freepages_block(*zone, *pfn, context.type, nullptr);
                return true;
            }
        }
    }
    return false;
}

// [spec M-B22]
void Buddy::prep_compound_page(std::uint64_t pfn, unsigned order) {
    pages_.set(pfn, PageFlag::head);
    const std::uint64_t head = pages_.address(pfn).value() | 1;
    const std::uint64_t count = std::uint64_t{1} << order;
    for (std::uint64_t i = 1; i < count; ++i) {
        pages_.set_mapping(pfn + i, tail_mapping);
        pages_.set_word(pfn + i, page_field::compound_head, head);
        pages_.set_private_data(pfn + i, 0);
    }
    pages_.set_flags(pfn + 1, (pages_.flags(pfn + 1) & ~std::uint64_t{0xff}) | order);
    pages_.set_half(pfn + 1, page_field::entire_mapcount, 0xffff'ffff);
    pages_.set_half(pfn + 1, page_field::nr_pages_mapped, 0);
    pages_.set_half(pfn + 1, page_field::pincount, 0);
    pages_.set_half(pfn + 1, page_field::folio_nr_pages, static_cast<std::uint32_t>(count));
}

// [spec M-B23]
void Buddy::prep_new_page(std::uint64_t pfn, const AllocContext& context) {
    pages_.set_private_data(pfn, 0);
    pages_.set_refcount(pfn, 1);
    if ((context.gfp & gfp::zero) != 0) {
        memory_->fill(setup_.page_offset_base + (pfn << 12), std::uint64_t{4096} << context.order, 0);
    }
    if (context.order != 0 && (context.gfp & gfp::comp) != 0) {
        prep_compound_page(pfn, context.order);
    }
}

// free_pages_prepare(): false when the page is bad and must stay away. [spec M-B10]
bool Buddy::free_pages_prepare(std::uint64_t pfn, unsigned order) {
    const std::uint64_t flags = pages_.flags(pfn);
    if ((flags & page_flags_check_at_free) != 0 || pages_.refcount(pfn) != 0 || pages_.type(pfn) != page_type::none) {
        ++bad_pages_;
        return false;
    }
    const std::uint64_t mapping = pages_.mapping(pfn);
    if ((mapping & 3) != 0) {
        pages_.set_mapping(pfn, 0);
    } else if (mapping != 0) {
        ++bad_pages_;
        return false;
    }
    if (order != 0) {
        const bool compound = (flags & flag_bit(PageFlag::head)) != 0;
        if (compound) {
            pages_.set_flags(pfn + 1, pages_.flags(pfn + 1) & ~page_flags_second);
        }
        for (std::uint64_t i = 1; i < std::uint64_t{1} << order; ++i) {
            if (compound) {
                pages_.set_mapping(pfn + i, 0);
                pages_.set_word(pfn + i, page_field::compound_head, 0);
            }
            const std::uint64_t tail = pages_.flags(pfn + i);
            if ((tail & page_flags_check_at_prep) != 0) {
                pages_.set_flags(pfn + i, tail & ~page_flags_check_at_prep);
            }
        }
        if (compound) {  // pincount and the number of pages shared these words with index
            pages_.set_index(pfn + 1, 0);
        }
    }
    if ((flags & page_flags_check_at_prep) != 0) {
        pages_.set_flags(pfn, flags & ~page_flags_check_at_prep);
    }
    return true;
}

void Buddy::free_unref_page(std::uint64_t pfn, unsigned order) {
    if (!free_pages_prepare(pfn, order)) {
        return;
    }
    BuddyZone& zone = page_zone(pfn);
    MigrateType type = pageblock_migratetype(pfn);
    emit(BuddyEvent::Kind::freed, zone, pfn, order, type);
    if (!setup_.pcp || !pcp_allowed_order(order) || type == MigrateType::isolate) {
        free_one_page(pfn, zone, order, type, false);
        return;
    }
    if (type >= MigrateType::highatomic) {
        type = MigrateType::movable;
    }
    free_unref_page_commit(zone, pfn, order, type);
}

// [spec M-B9]
void Buddy::free_pages(std::uint64_t pfn, unsigned order) {
    const bool head = pages_.test(pfn, PageFlag::head);
    if (pages_.ref_add(pfn, -1) == 0) {
        free_unref_page(pfn, order);
    } else if (!head) {
        while (order-- > 0) {
            free_unref_page(pfn + (std::uint64_t{1} << order), order);
        }
    }
}

}  // namespace pgsim::kernel
