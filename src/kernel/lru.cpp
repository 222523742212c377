// SPDX-License-Identifier: GPL-2.0-only
#include "lru.hpp"

#include <algorithm>

#include "huge_memory.hpp"
#include "rmap.hpp"

namespace pgsim::kernel {

namespace {

VirtAddr lru_link(const Mm& k, std::uint64_t folio) {
    return k.pages.address(folio) + page_field::lru_next;
}

}  // namespace

VirtAddr lru_head(const Mm& k, LruList list) {
    return k.lruvec.lists + static_cast<std::uint64_t>(list) * 16;
}

bool folio_is_file_lru(const Mm& k, std::uint64_t folio) {
    return !k.pages.test(folio, PageFlag::swapbacked);
}

bool folio_evictable(const Mm& k, std::uint64_t folio) {
    return !k.pages.test(folio, PageFlag::mlocked);
}

LruList folio_lru_list(const Mm& k, std::uint64_t folio) {
    const std::uint64_t flags = k.pages.flags(folio);
    if ((flags & flag_bit(PageFlag::unevictable)) != 0) {
        return LruList::unevictable;
    }
    const unsigned base = (flags & flag_bit(PageFlag::swapbacked)) != 0 ? 0 : 2;
    return static_cast<LruList>(base + ((flags & flag_bit(PageFlag::active)) != 0 ? 1 : 0));
}

void lruvec_add_folio(Mm& k, std::uint64_t folio, bool tail) {
    const LruList list = folio_lru_list(k, folio);
    k.lruvec.nr_pages[static_cast<std::size_t>(list)] += std::uint64_t{1} << k.pages.order(folio);
    if (list == LruList::unevictable) {
        return;  // that list has no order, and its pages use the link for something else
    }
    if (tail) {
        k.buddy.list_add_tail(lru_link(k, folio), lru_head(k, list));
    } else {
        k.buddy.list_add(lru_link(k, folio), lru_head(k, list));
    }
}

void lruvec_del_folio(Mm& k, std::uint64_t folio) {
    const LruList list = folio_lru_list(k, folio);
    k.lruvec.nr_pages[static_cast<std::size_t>(list)] -= std::uint64_t{1} << k.pages.order(folio);
    if (list != LruList::unevictable) {
        k.buddy.list_del(lru_link(k, folio));
    }
}

void folio_put(Mm& k, std::uint64_t folio) {
    if (k.pages.ref_add(folio, -1) != 0) {
        return;
    }
    const std::uint64_t flags = k.pages.flags(folio);
    if ((flags & flag_bit(PageFlag::lru)) != 0) {
        lruvec_del_folio(k, folio);
        k.pages.set_flags(folio, flags & ~(flag_bit(PageFlag::lru) | flag_bit(PageFlag::active) |
                                           flag_bit(PageFlag::unevictable) | flag_bit(PageFlag::mlocked)));
    } else if ((flags & (flag_bit(PageFlag::mlocked) | flag_bit(PageFlag::active) | flag_bit(PageFlag::unevictable))) !=
               0) {
        k.pages.set_flags(folio, flags & ~(flag_bit(PageFlag::mlocked) | flag_bit(PageFlag::active) |
                                           flag_bit(PageFlag::unevictable)));
    }
    unsigned order = 0;
    if ((flags & flag_bit(PageFlag::head)) != 0) {
        order = k.pages.order(folio);
        undo_deferred_split(k, folio);
        k.pages.set_type(folio + 1, page_type::none);
    }
    ++k.vmstat.pgfree;
    k.buddy.free_unref_page(folio, order);
}

void folio_add_lru(Mm& k, std::uint64_t folio) {
    folio_get(k, folio);
    k.lru_add.folios.push_back(folio);
    if (k.lru_add.folios.size() >= pagevec_size || k.pages.is_large(folio)) {
        lru_add_drain(k);
    }
}

void lru_add_drain(Mm& k) {
    if (k.lru_add.folios.empty()) {
        return;
    }
    std::vector<std::uint64_t> batch;
    batch.swap(k.lru_add.folios);
    for (const std::uint64_t folio : batch) {
        std::uint64_t flags = k.pages.flags(folio) | flag_bit(PageFlag::lru);
        if ((flags & flag_bit(PageFlag::mlocked)) != 0) {
            flags = (flags & ~flag_bit(PageFlag::active)) | flag_bit(PageFlag::unevictable);
        } else {
            flags &= ~flag_bit(PageFlag::unevictable);
        }
        k.pages.set_flags(folio, flags);
        lruvec_add_folio(k, folio);
    }
    for (const std::uint64_t folio : batch) {
        folio_put(k, folio);
    }
    batch.clear();
    if (k.lru_add.folios.empty()) {
        k.lru_add.folios.swap(batch);  // keep its room
    }
}

void folio_mark_accessed(Mm& k, std::uint64_t folio) {
    const std::uint64_t flags = k.pages.flags(folio);
    const auto has = [&](PageFlag flag) { return (flags & flag_bit(flag)) != 0; };
    if (!has(PageFlag::referenced)) {
        k.pages.set(folio, PageFlag::referenced);
        return;
    }
    if (has(PageFlag::unevictable) || has(PageFlag::active)) {
        return;
    }
    if (has(PageFlag::lru)) {
        lruvec_del_folio(k, folio);
        k.pages.set(folio, PageFlag::active);
        lruvec_add_folio(k, folio);
        ++k.vmstat.pgactivate;
    } else {
        k.pages.set(folio, PageFlag::active);
    }
    k.pages.clear(folio, PageFlag::referenced);
    k.lruvec.nonresident_age += std::uint64_t{1} << k.pages.order(folio);
}

bool folio_isolate_lru(Mm& k, std::uint64_t folio) {
    if (!k.pages.test(folio, PageFlag::lru)) {
        return false;
    }
    folio_get(k, folio);
    lruvec_del_folio(k, folio);
    k.pages.clear(folio, PageFlag::lru);
    return true;
}

void folio_putback_lru(Mm& k, std::uint64_t folio) {
    folio_add_lru(k, folio);
    folio_put(k, folio);
}

void mlock_folio(Mm& k, std::uint64_t folio) {
    if (k.pages.test(folio, PageFlag::mlocked)) {
        return;
    }
    const bool on_list = k.pages.test(folio, PageFlag::lru);
    if (on_list) {
        lruvec_del_folio(k, folio);
    }
    std::uint64_t flags = k.pages.flags(folio) | flag_bit(PageFlag::mlocked);
    if (on_list) {
        flags = (flags | flag_bit(PageFlag::unevictable)) & ~flag_bit(PageFlag::active);
    }
    k.pages.set_flags(folio, flags);
    if (on_list) {
        lruvec_add_folio(k, folio);
    }
}

void munlock_folio(Mm& k, std::uint64_t folio, const vm_area_struct* leaving) {
    if (!k.pages.test(folio, PageFlag::mlocked)) {
        return;
    }
    // Another locked area may still map it.
    for (const PageMapping& mapping : rmap_walk(k, folio)) {
        if (mapping.vma != leaving && mapping.vma->has(vm::locked) && folio_mapped(k, folio)) {
            return;
        }
    }
    const bool on_list = k.pages.test(folio, PageFlag::lru);
    if (on_list) {
        lruvec_del_folio(k, folio);
    }
    k.pages.set_flags(folio, k.pages.flags(folio) & ~(flag_bit(PageFlag::mlocked) | flag_bit(PageFlag::unevictable)));
    if (on_list) {
        lruvec_add_folio(k, folio);
    }
}

void folio_mark_lazyfree(Mm& k, std::uint64_t folio) {
    const std::uint64_t flags = k.pages.flags(folio);
    const auto has = [&](PageFlag flag) { return (flags & flag_bit(flag)) != 0; };
    if (!has(PageFlag::swapbacked) || has(PageFlag::owner_priv_1) || has(PageFlag::unevictable)) {
        return;
    }
    if (!has(PageFlag::lru)) {
        lru_add_drain(k);
        if (!k.pages.test(folio, PageFlag::lru)) {
            return;
        }
    }
    lruvec_del_folio(k, folio);
    k.pages.set_flags(folio, k.pages.flags(folio) & ~(flag_bit(PageFlag::active) | flag_bit(PageFlag::referenced) |
                                                      flag_bit(PageFlag::swapbacked)));
    lruvec_add_folio(k, folio);
}

std::vector<std::uint64_t> lru_folios(const Mm& k, LruList list) {
    std::vector<std::uint64_t> folios;
    const VirtAddr head = lru_head(k, list);
    for (std::uint64_t link = k.memory.read64(head); link != head.value(); link = k.memory.read64(VirtAddr{link})) {
        folios.push_back(k.pages.pfn_of(VirtAddr{link - page_field::lru_next}));
    }
    return folios;
}

}  // namespace pgsim::kernel
