// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <optional>

#include "pgsim/kernel/mm.hpp"

/// The swap area, its slots and its cache. [linux-6.6 mm/swapfile.c, mm/swap_state.c] [spec M-E20, M-E21]

namespace pgsim::kernel {

/// folio_alloc_swap() and add_to_swap(): a slot, and the folio in the swap cache. False when there is no slot.
bool add_to_swap(Mm& k, std::uint64_t folio);
/// swap_duplicate(): one more reference to the slot.
void swap_duplicate(Mm& k, swp_entry_t entry);
/// swap_free(); with `and_cache` free_swap_and_cache(), which frees a cached page that nobody else wants.
void swap_free(Mm& k, swp_entry_t entry, bool and_cache = false);
/// References to the slot without the cache's.
[[nodiscard]] unsigned swap_count(const Mm& k, swp_entry_t entry);
/// The folio in the swap cache; no_page when it is not there.
[[nodiscard]] std::uint64_t swap_cache_get_folio(const Mm& k, swp_entry_t entry);
/// Reads the slot into a fresh page in the swap cache. no_page when memory is out.
[[nodiscard]] std::uint64_t swap_read_folio(Mm& k, swp_entry_t entry);
/// swap_writepage(): the folio's content goes to its slot.
void swap_write_folio(Mm& k, std::uint64_t folio);
/// folio_free_swap(): takes the folio out of the swap cache if no entry names its slot any more.
bool folio_free_swap(Mm& k, std::uint64_t folio);
/// free_swap_cache(): the same, if the folio is in the swap cache and no one maps it.
void free_swap_cache(Mm& k, std::uint64_t folio);
void delete_from_swap_cache(Mm& k, std::uint64_t folio);
/// __remove_mapping() of a folio in the swap cache: it goes, a shadow stays.
void swap_cache_evict(Mm& k, std::uint64_t folio, std::uint64_t shadow);
[[nodiscard]] bool folio_test_swapcache(const Mm& k, std::uint64_t folio);
/// The slot of a folio in the swap cache.
[[nodiscard]] swp_entry_t folio_swap_entry(const Mm& k, std::uint64_t folio);
/// vm_swap_full(): more than half of the slots are in use.
[[nodiscard]] bool vm_swap_full(const Mm& k);

}  // namespace pgsim::kernel
