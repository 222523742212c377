// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/buddy.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <utility>

#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/kernel/memmap.hpp"

namespace pgsim::kernel {

namespace {

// nr_free follows the lists of its free_area.
constexpr std::uint64_t nr_free_offset(unsigned order) {
    return free_list_offset(order, MigrateType::unmovable) + migrate_types * 16;
}
constexpr std::uint64_t list_poison1 = 0xdead'0000'0000'0100;
constexpr std::uint64_t list_poison2 = 0xdead'0000'0000'0122;
constexpr std::uint64_t pcp_bytes_per_zone = 256;

bool is_mergeable(MigrateType type) {
    return type < MigrateType::highatomic;
}

}  // namespace

Buddy::Buddy(KernelMemory& memory, VirtAddr vmemmap_base, const ZoneState& zones, BuddySetup setup)
    : memory_{&memory}, pages_{memory, vmemmap_base, setup.flags}, setup_{std::move(setup)} {
    std::uint64_t pcp_address = setup_.pcp_area.value();
    for (const Node& node : zones.nodes) {
        const auto nid = static_cast<std::size_t>(node.nid);
        if (nid >= setup_.node_data.size()) {
            throw Error{"the buddy allocator needs the address of NODE_DATA of each node with memory"};
        }
        first_deferred_pfn_.resize(std::max(first_deferred_pfn_.size(), nid + 1), no_deferred_pfn);
        first_deferred_pfn_[nid] = node.first_deferred_pfn;
        for (const Zone& span : node.zones) {
            if (span.present == 0) {
                continue;
            }
            BuddyZone zone;
            zone.span = span;
            zone.address = setup_.node_data[nid] + static_cast<std::uint64_t>(span.type) * setup_.zone_size;
            zone.pcp.lists = VirtAddr{pcp_address};
            pcp_address += pcp_bytes_per_zone;
            zones_.push_back(zone);
            const std::uint64_t last_section = (span.end_pfn() - 1) >> 15;
            if (usemaps_.size() <= last_section) {
                usemaps_.resize(last_section + 1);
            }
        }
    }
    build_zonelists();
}

VirtAddr Buddy::free_list_head(const BuddyZone& zone, unsigned order, MigrateType type) const {
    return zone.address + free_list_offset(order, type);
}

std::uint64_t Buddy::nr_free(const BuddyZone& zone, unsigned order) const {
    return memory_->read64(zone.address + nr_free_offset(order));
}

void Buddy::change_nr_free(const BuddyZone& zone, unsigned order, std::int64_t by) {
    const VirtAddr where = zone.address + nr_free_offset(order);
    memory_->write64(where, memory_->read64(where) + static_cast<std::uint64_t>(by));
}

void Buddy::init_free_lists() {
    for (BuddyZone& zone : zones_) {
        for (unsigned order = 0; order <= max_order; ++order) {
            for (unsigned type = 0; type < migrate_types; ++type) {
                list_init(free_list_head(zone, order, static_cast<MigrateType>(type)));
            }
            memory_->write64(zone.address + nr_free_offset(order), 0);
        }
        for (unsigned list = 0; setup_.pcp && list < nr_pcp_lists; ++list) {
            list_init(pcp_head(zone, list));
        }
        zone.nr_free_pages = 0;
        zone.managed_pages = 0;
    }
}

void Buddy::list_init(VirtAddr head) {
    memory_->write64(head, head.value());
    memory_->write64(head + 8, head.value());
}

void Buddy::list_add(VirtAddr entry, VirtAddr head) {
    const std::uint64_t next = memory_->read64(head);
    memory_->write64(VirtAddr{next + 8}, entry.value());
    memory_->write64(entry, next);
    memory_->write64(entry + 8, head.value());
    memory_->write64(head, entry.value());
}

void Buddy::list_add_tail(VirtAddr entry, VirtAddr head) {
    const std::uint64_t last = memory_->read64(head + 8);
    memory_->write64(head + 8, entry.value());
    memory_->write64(entry, head.value());
    memory_->write64(entry + 8, last);
    memory_->write64(VirtAddr{last}, entry.value());
}

void Buddy::list_del(VirtAddr entry) {
    const std::uint64_t next = memory_->read64(entry);
    const std::uint64_t previous = memory_->read64(entry + 8);
    memory_->write64(VirtAddr{next + 8}, previous);
    memory_->write64(VirtAddr{previous}, next);
    memory_->write64(entry, list_poison1);
    memory_->write64(entry + 8, list_poison2);
}

std::optional<std::uint64_t> Buddy::first_of(VirtAddr head) const {
    const std::uint64_t link = memory_->read64(head);
    return link == head.value() ? std::nullopt : std::optional{pfn_of_lru(link)};
}

std::vector<std::uint64_t> Buddy::free_list(const BuddyZone& zone, unsigned order, MigrateType type,
                                            std::size_t limit) const {
    std::vector<std::uint64_t> blocks;
    const VirtAddr head = free_list_head(zone, order, type);
    for (std::uint64_t link = memory_->read64(head); link != head.value() && blocks.size() < limit;
         link = memory_->read64(VirtAddr{link})) {
        blocks.push_back(pfn_of_lru(link));
    }
    return blocks;
}

MigrateType Buddy::pageblock_migratetype(std::uint64_t pfn) const {
    const auto& usemap = usemaps_[pfn >> 15];
    return usemap == nullptr ? MigrateType::movable : (*usemap)[pfn >> pageblock_order & 63];
}

void Buddy::set_pageblock_migratetype(std::uint64_t pfn, MigrateType type) {
    if (mobility_disabled_ && is_mergeable(type)) {
        type = MigrateType::unmovable;
    }
    auto& usemap = usemaps_[pfn >> 15];
    if (usemap == nullptr) {
        usemap = std::make_unique<std::array<MigrateType, 64>>();
        usemap->fill(MigrateType::movable);
    }
    (*usemap)[pfn >> pageblock_order & 63] = type;
}

BuddyZone& Buddy::page_zone(std::uint64_t pfn) {
    // Where the frame lies decides; page->flags says the same, but costs a load.
    for (BuddyZone& zone : zones_) {
        if (zone.span.contains(pfn)) {
            if (zones_.size() > 1 && setup_.node_data.size() > 1) {
                const std::uint64_t flags = pages_.flags(pfn);
                if (static_cast<int>(pages_.layout().nid_of(flags)) != zone.span.nid ||
                    pages_.layout().zone_of(flags) != zone.index()) {
                    continue;  // nodes interleave
                }
            }
            return zone;
        }
    }
    throw Error{"page frame " + hex(pfn) + " lies in no zone"};
}

void Buddy::add_to_free_list(const BuddyZone& zone, std::uint64_t pfn, unsigned order, MigrateType type, bool tail) {
    const VirtAddr head = free_list_head(zone, order, type);
    if (tail) {
        list_add_tail(lru_of(pfn), head);
    } else {
        list_add(lru_of(pfn), head);
    }
    change_nr_free(zone, order, 1);
}

void Buddy::del_page_from_free_list(const BuddyZone& zone, std::uint64_t pfn, unsigned order) {
    list_del(lru_of(pfn));
    pages_.set_type(pfn, page_type::none);
    pages_.set_private_data(pfn, 0);
    change_nr_free(zone, order, -1);
}

void Buddy::move_to_free_list(std::uint64_t pfn, const BuddyZone& zone, unsigned order, MigrateType type) {
    list_del(lru_of(pfn));
    list_add_tail(lru_of(pfn), free_list_head(zone, order, type));
}

// page_is_buddy(): free, of this order, in the same zone. [spec M-B3]
bool Buddy::is_free_buddy(const BuddyZone& zone, std::uint64_t buddy, unsigned order) {
    if (!zone.span.contains(buddy) || !pages_.is_buddy(buddy) || pages_.private_data(buddy) != order) {
        return false;
    }
    const std::uint64_t flags = pages_.flags(buddy);
    return pages_.layout().zone_of(flags) == zone.index() &&
           static_cast<int>(pages_.layout().nid_of(flags)) == zone.span.nid;
}

// [spec M-B8]
void Buddy::free_one_page(std::uint64_t pfn, BuddyZone& zone, unsigned order, MigrateType type, bool to_tail) {
    if (type != MigrateType::isolate) {
        zone.nr_free_pages += std::uint64_t{1} << order;
    }
    while (order < max_order) {
        const std::uint64_t buddy = pfn ^ (std::uint64_t{1} << order);
        if (!is_free_buddy(zone, buddy, order)) {
            break;
        }
        if (order >= pageblock_order) {
            const MigrateType buddy_type = pageblock_migratetype(buddy);
            if (type != buddy_type && (!is_mergeable(type) || !is_mergeable(buddy_type))) {
                break;
            }
        }
        del_page_from_free_list(zone, buddy, order);
        pfn &= buddy;
        ++order;
        emit(BuddyEvent::Kind::merge, zone, pfn, order, type);
    }
    pages_.set_private_data(pfn, order);
    pages_.set_type(pfn, page_type::buddy);
    if (!to_tail && order <= 8) {
        // A block whose parent's buddy is free will probably merge soon: it shall be handed out last.
        const std::uint64_t parent = pfn & (pfn ^ (std::uint64_t{1} << order));
        const std::uint64_t above = parent ^ (std::uint64_t{1} << (order + 1));
        to_tail = is_free_buddy(zone, above, order + 1);
    }
    add_to_free_list(zone, pfn, order, type, to_tail);
    emit(BuddyEvent::Kind::put, zone, pfn, order, type);
}

// [spec M-B12]
void Buddy::expand(BuddyZone& zone, std::uint64_t pfn, unsigned low, unsigned high, MigrateType type) {
    while (high > low) {
        --high;
        const std::uint64_t upper = pfn + (std::uint64_t{1} << high);
        add_to_free_list(zone, upper, high, type, false);
        pages_.set_private_data(upper, high);
        pages_.set_type(upper, page_type::buddy);
        emit(BuddyEvent::Kind::split, zone, upper, high, type);
    }
}

std::optional<std::uint64_t> Buddy::rmqueue_smallest(BuddyZone& zone, unsigned order, MigrateType type) {
    for (unsigned current = order; current <= max_order; ++current) {
        const auto pfn = first_of(free_list_head(zone, current, type));
        if (pfn) {
            del_page_from_free_list(zone, *pfn, current);
            emit(BuddyEvent::Kind::take, zone, *pfn, current, type);
            expand(zone, *pfn, order, current, type);
            return pfn;
        }
    }
    return std::nullopt;
}

// __rmqueue(): the free lists of this mobility, then those of others. [spec M-B13]
std::optional<std::uint64_t> Buddy::rmqueue(BuddyZone& zone, unsigned order, MigrateType type, unsigned flags) {
    for (;;) {
        auto pfn = rmqueue_smallest(zone, order, type);
        if (pfn || !rmqueue_fallback(zone, order, type, flags)) {
            return pfn;
        }
    }
}

void Buddy::free_pages_core(std::uint64_t pfn, unsigned order) {
    BuddyZone& zone = page_zone(pfn);
    if (pfn >= first_deferred_pfn_[static_cast<std::size_t>(zone.span.nid)]) {
        return;
    }
    const std::uint64_t pages = std::uint64_t{1} << order;
    for (std::uint64_t i = 0; i < pages; ++i) {
        const std::uint64_t flags = pages_.flags(pfn + i);
        if ((flags & flag_bit(PageFlag::reserved)) != 0) {
            pages_.set_flags(pfn + i, flags & ~flag_bit(PageFlag::reserved));
        }
        pages_.set_refcount(pfn + i, 0);
    }
    zone.managed_pages += pages;
    free_one_page(pfn, zone, order, pageblock_migratetype(pfn), true);
}

void Buddy::free_pages_memory(std::uint64_t start, std::uint64_t end) {
    while (start < end) {
        unsigned order =
            start == 0 ? max_order : std::min<unsigned>(max_order, static_cast<unsigned>(std::countr_zero(start)));
        while (start + (std::uint64_t{1} << order) > end) {
            --order;
        }
        free_pages_core(start, order);
        start += std::uint64_t{1} << order;
    }
}

void Buddy::adopt(const FreedMemory& freed) {
    init_free_lists();
    for (const FreeBlocks& blocks : freed.zones) {
        for (BuddyZone& zone : zones_) {
            if (zone.span.nid != blocks.nid || zone.span.type != blocks.type) {
                continue;
            }
            zone.managed_pages = blocks.managed_pages;
            zone.nr_free_pages = blocks.managed_pages;
            for (unsigned order = 0; order <= max_order; ++order) {
                const auto& runs = blocks.runs[order];
                if (runs.empty()) {
                    continue;
                }
                const VirtAddr head = free_list_head(zone, order, MigrateType::movable);
                memory_->write64(head, lru_of(runs.front().start_pfn).value());
                memory_->write64(head + 8, lru_of(runs.back().start_pfn + ((runs.back().count - 1) << order)).value());
                change_nr_free(zone, order, static_cast<std::int64_t>(blocks.nr_free(order)));
            }
        }
    }
    decide_mobility();
}

void Buddy::adopt_lists() {
    for (BuddyZone& zone : zones_) {
        for (unsigned list = 0; setup_.pcp && list < nr_pcp_lists; ++list) {
            list_init(pcp_head(zone, list));
        }
        zone.managed_pages = zone.span.managed;
        zone.nr_free_pages = 0;
        for (unsigned order = 0; order <= max_order; ++order) {
            zone.nr_free_pages += nr_free(zone, order) << order;
        }
    }
    decide_mobility();
}

// page_group_by_mobility_disabled. [spec M-A9]
void Buddy::decide_mobility() {
    std::uint64_t pages = 0;
    for (const BuddyZone& zone : zones_) {
        pages += zone.managed_pages;
    }
    mobility_disabled_ = pages < pageblock_nr_pages * migrate_types;
}

const BuddyZone* Buddy::find_zone(std::uint64_t pfn) const noexcept {
    const auto found =
        std::find_if(zones_.begin(), zones_.end(), [pfn](const BuddyZone& zone) { return zone.span.contains(pfn); });
    return found == zones_.end() ? nullptr : &*found;
}

void Buddy::set_watermarks(const Watermarks& watermarks) {
    for (const ZoneWatermarks& from : watermarks.zones) {
        for (BuddyZone& zone : zones_) {
            if (zone.span.nid == from.nid && zone.span.type == from.type) {
                zone.watermark = {from.min, from.low, from.high, from.promo};
                zone.lowmem_reserve = from.lowmem_reserve;
                zone.pcp.batch = from.pcp_batch;
                zone.pcp.high = from.pcp_high;
                zone.watermark_boost = 0;
            }
        }
    }
}

std::uint64_t Buddy::free_page_count() const noexcept {
    std::uint64_t pages = 0;
    for (const BuddyZone& zone : zones_) {
        pages += zone.nr_free_pages + zone.pcp.count;
    }
    return pages;
}

}  // namespace pgsim::kernel
