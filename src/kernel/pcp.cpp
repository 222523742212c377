// SPDX-License-Identifier: GPL-2.0-only
// Per-CPU lists before the free lists. [linux-6.6 mm/page_alloc.c] [spec M-B19 to M-B21]
#include <algorithm>
#include <cassert>

#include "pgsim/kernel/buddy.hpp"

namespace pgsim::kernel {

VirtAddr Buddy::pcp_head(const BuddyZone& zone, unsigned list) const {
    return zone.pcp.lists + std::uint64_t{list} * 16;
}

unsigned Buddy::order_to_pindex(MigrateType type, unsigned order) noexcept {
    return order == pageblock_order ? nr_pcp_lists - 1 : migrate_pcptypes * order + static_cast<unsigned>(type);
}

std::vector<std::uint64_t> Buddy::pcp_list(const BuddyZone& zone, unsigned list) const {
    std::vector<std::uint64_t> pages;
    const VirtAddr head = pcp_head(zone, list);
    for (std::uint64_t link = memory_->read64(head); link != head.value(); link = memory_->read64(VirtAddr{link})) {
        pages.push_back(pfn_of_lru(link));
    }
    return pages;
}

std::optional<std::uint64_t> Buddy::rmqueue_pcplist(BuddyZone& zone, unsigned order, MigrateType type, unsigned flags) {
    PerCpuPages& pcp = zone.pcp;
    pcp.free_factor >>= 1;
    const VirtAddr head = pcp_head(zone, order_to_pindex(type, order));
    if (!first_of(head)) {
        const std::uint64_t batch = pcp.batch > 1 ? std::max<std::uint64_t>(pcp.batch >> order, 2) : 1;
        std::uint64_t taken = 0;
        for (; taken < batch; ++taken) {
            const auto pfn = rmqueue(zone, order, type, flags);
            if (!pfn) {
                break;
            }
            list_add_tail(lru_of(*pfn), head);
        }
        zone.nr_free_pages -= taken << order;
        pcp.count += taken << order;
        emit(BuddyEvent::Kind::pcp_refill, zone, taken, order, type);
        if (taken == 0) {
            return std::nullopt;
        }
    }
    const std::uint64_t pfn = *first_of(head);
    list_del(lru_of(pfn));
    pcp.count -= std::uint64_t{1} << order;
    emit(BuddyEvent::Kind::pcp_take, zone, pfn, order, type);
    return pfn;
}

// free_unref_page_commit(). [spec M-B20]
void Buddy::free_unref_page_commit(BuddyZone& zone, std::uint64_t pfn, unsigned order, MigrateType type) {
    PerCpuPages& pcp = zone.pcp;
    const unsigned pindex = order_to_pindex(type, order);
    list_add(lru_of(pfn), pcp_head(zone, pindex));
    pcp.count += std::uint64_t{1} << order;
    emit(BuddyEvent::Kind::pcp_put, zone, pfn, order, type);
    const bool free_high = pcp.free_factor != 0 && order != 0 && order <= 3;
    std::uint64_t high = pcp.high;
    if (high == 0 || free_high) {
        high = 0;
    } else if (zone.reclaim_active) {
        high = std::min(pcp.batch << 2, pcp.high);
    }
    if (pcp.count < high) {
        return;
    }
    std::uint64_t bulk = pcp.count;
    if (!free_high) {
        if (high < pcp.batch) {
            bulk = 1;
        } else {
            const std::uint64_t max_free = high - pcp.batch;
            bulk = pcp.batch << pcp.free_factor;
            if (bulk < max_free) {
                ++pcp.free_factor;
            }
            bulk = std::clamp(bulk, pcp.batch, std::max(max_free, pcp.batch));
        }
    }
    free_pcppages_bulk(zone, bulk, pindex);
}

void Buddy::free_pcppages_bulk(BuddyZone& zone, std::uint64_t count, unsigned pindex) {
    PerCpuPages& pcp = zone.pcp;
    count = std::min(pcp.count, count);
    unsigned list = pindex;
    while (count > 0) {
        while (!first_of(pcp_head(zone, list))) {
            list = (list + 1) % nr_pcp_lists;
        }
        const VirtAddr head = pcp_head(zone, list);
        const unsigned order = list == nr_pcp_lists - 1 ? pageblock_order : list / migrate_pcptypes;
        const std::uint64_t pages = std::uint64_t{1} << order;
        do {
            const std::uint64_t pfn = pfn_of_lru(memory_->read64(head + 8));
            list_del(lru_of(pfn));
            count -= std::min(count, pages);
            pcp.count -= pages;
            free_one_page(pfn, zone, order, pageblock_migratetype(pfn), false);
        } while (count > 0 && first_of(head));
        list = (list + 1) % nr_pcp_lists;
    }
    emit(BuddyEvent::Kind::pcp_drain, zone, 0, 0, MigrateType::movable);
}

void Buddy::drain_all_pages() {
    for (BuddyZone& zone : zones_) {
        free_pcppages_bulk(zone, zone.pcp.count, 0);
    }
}

}  // namespace pgsim::kernel
