// SPDX-License-Identifier: GPL-2.0-only
#include "swapfile.hpp"

#include <algorithm>
#include <cassert>

#include "lru.hpp"
#include "memory.hpp"
#include "rmap.hpp"

namespace pgsim::kernel {

namespace {

constexpr std::uint8_t swap_has_cache = 0x40;
constexpr std::uint8_t swap_count_mask = 0x3f;

// A slot that nothing refers to becomes free.
void free_if_unused(Mm& k, std::uint64_t offset) {
    if (k.swap.swap_map[offset] == 0) {
        k.swap.slots[offset].clear();
        k.swap.shadows.erase(offset);
        ++k.swap.free_slots;
    }
}

std::optional<std::uint64_t> take_slot(Mm& k) {
    SwapInfo& swap = k.swap;
    if (swap.free_slots == 0) {
        return std::nullopt;
    }
    for (std::uint64_t tried = 1; tried < swap.swap_map.size(); ++tried) {
        if (swap.next >= swap.swap_map.size()) {
            swap.next = 1;
        }
        const std::uint64_t slot = swap.next++;
        if (swap.swap_map[slot] == 0) {
            --swap.free_slots;
            return slot;
        }
    }
    return std::nullopt;
}

}  // namespace

bool folio_test_swapcache(const Mm& k, std::uint64_t folio) {
    constexpr std::uint64_t both = flag_bit(PageFlag::swapbacked) | flag_bit(PageFlag::swapcache);
    return (k.pages.flags(folio) & both) == both;
}

swp_entry_t folio_swap_entry(const Mm& k, std::uint64_t folio) {
    return {0, k.pages.private_data(folio)};
}

bool vm_swap_full(const Mm& k) {
    return k.swap.free_slots * 2 < k.swap.total;
}

bool add_to_swap(Mm& k, std::uint64_t folio) {
    const auto slot = take_slot(k);
    if (!slot) {
        return false;
    }
    k.swap.swap_map[*slot] = swap_has_cache;
    k.swap.cache[*slot] = folio;
    k.swap.shadows.erase(*slot);
    folio_get(k, folio);
    k.pages.set_private_data(folio, *slot);
    k.pages.set_flags(folio, k.pages.flags(folio) | flag_bit(PageFlag::swapcache) | flag_bit(PageFlag::dirty));
    return true;
}

void swap_duplicate(Mm& k, swp_entry_t entry) {
    assert((k.swap.swap_map[entry.offset] & swap_count_mask) < 0x3e);
    ++k.swap.swap_map[entry.offset];
}

unsigned swap_count(const Mm& k, swp_entry_t entry) {
    return k.swap.swap_map[entry.offset] & swap_count_mask;
}

void swap_free(Mm& k, swp_entry_t entry, bool and_cache) {
    std::uint8_t& map = k.swap.swap_map[entry.offset];
    assert((map & swap_count_mask) != 0);
    --map;
    if (and_cache && map == swap_has_cache) {
        const std::uint64_t folio = swap_cache_get_folio(k, entry);
        if (!folio_mapped(k, folio)) {
            folio_free_swap(k, folio);
            return;
        }
    }
    free_if_unused(k, entry.offset);
}

std::uint64_t swap_cache_get_folio(const Mm& k, swp_entry_t entry) {
    const auto found = k.swap.cache.find(entry.offset);
    return found == k.swap.cache.end() ? no_page : found->second;
}

void delete_from_swap_cache(Mm& k, std::uint64_t folio) {
    const std::uint64_t slot = k.pages.private_data(folio);
    k.swap.cache.erase(slot);
    k.swap.swap_map[slot] &= static_cast<std::uint8_t>(~swap_has_cache);
    k.pages.set_private_data(folio, 0);
    k.pages.clear(folio, PageFlag::swapcache);
    free_if_unused(k, slot);
    folio_put(k, folio);
}

void swap_cache_evict(Mm& k, std::uint64_t folio, std::uint64_t shadow) {
    const std::uint64_t slot = k.pages.private_data(folio);
    k.swap.cache.erase(slot);
    k.swap.swap_map[slot] &= static_cast<std::uint8_t>(~swap_has_cache);
    k.pages.set_private_data(folio, 0);
    k.pages.clear(folio, PageFlag::swapcache);
    if (k.swap.swap_map[slot] != 0) {
        k.swap.shadows[slot] = shadow;
    }
    free_if_unused(k, slot);
    k.pages.ref_add(folio, -1);
}

bool folio_free_swap(Mm& k, std::uint64_t folio) {
    if (!folio_test_swapcache(k, folio) || k.pages.test(folio, PageFlag::writeback) ||
        swap_count(k, folio_swap_entry(k, folio)) != 0) {
        return false;
    }
    delete_from_swap_cache(k, folio);
    k.pages.set(folio, PageFlag::dirty);
    return true;
}

void free_swap_cache(Mm& k, std::uint64_t folio) {
    if (folio_test_swapcache(k, folio) && !folio_mapped(k, folio)) {
        folio_get(k, folio);
        folio_free_swap(k, folio);
        k.pages.ref_add(folio, -1);
    }
}

std::uint64_t swap_read_folio(Mm& k, swp_entry_t entry) {
    const auto page = k.buddy.alloc_pages(gfp::highuser_movable, 0);
    if (!page) {
        return no_page;
    }
    if (k.swap.slots[entry.offset].empty()) {
        k.memory.fill(table_va(k, *page), page_size, 0);
    } else {
        k.memory.write(table_va(k, *page), k.swap.slots[entry.offset]);
    }
    ++k.vmstat.pswpin;
    k.swap.swap_map[entry.offset] |= swap_has_cache;
    k.swap.cache[entry.offset] = *page;
    folio_get(k, *page);
    k.pages.set_private_data(*page, entry.offset);
    k.pages.set_flags(*page, k.pages.flags(*page) | flag_bit(PageFlag::swapbacked) | flag_bit(PageFlag::swapcache) |
                                 flag_bit(PageFlag::uptodate));
    return *page;
}

void swap_write_folio(Mm& k, std::uint64_t folio) {
    std::vector<std::byte> content(page_size);
    k.memory.read(table_va(k, folio), content);
    k.swap.slots[k.pages.private_data(folio)] = std::move(content);
    ++k.vmstat.pswpout;
}

}  // namespace pgsim::kernel
