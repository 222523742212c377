// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>

#include "pgsim/kernel/mm.hpp"

/// References to folios, and the lists on which they wait for reclaim. [linux-6.6 mm/swap.c, include/linux/mm_inline.h]
/// [spec E.4]

namespace pgsim::kernel {

/// What stands for the kernel's NULL struct page.
inline constexpr std::uint64_t no_page = ~std::uint64_t{0};

inline void folio_get(const Mm& k, std::uint64_t folio) {
    k.pages.ref_add(folio, 1);
}
/// Drops a reference; the last one frees the folio.
void folio_put(Mm& k, std::uint64_t folio);

/// Into the per-CPU batch; 15 make it full.
void folio_add_lru(Mm& k, std::uint64_t folio);
/// lru_add_drain().
void lru_add_drain(Mm& k);
/// [spec M-E8]
void folio_mark_accessed(Mm& k, std::uint64_t folio);

[[nodiscard]] LruList folio_lru_list(const Mm& k, std::uint64_t folio);
[[nodiscard]] bool folio_evictable(const Mm& k, std::uint64_t folio);
[[nodiscard]] bool folio_is_file_lru(const Mm& k, std::uint64_t folio);
void lruvec_add_folio(Mm& k, std::uint64_t folio, bool tail = false);
void lruvec_del_folio(Mm& k, std::uint64_t folio);
/// folio_isolate_lru(): takes it off its list, with a reference. False when it is on none.
bool folio_isolate_lru(Mm& k, std::uint64_t folio);
void folio_putback_lru(Mm& k, std::uint64_t folio);
[[nodiscard]] VirtAddr lru_head(const Mm& k, LruList list);
/// Frames on one list, head first.
[[nodiscard]] std::vector<std::uint64_t> lru_folios(const Mm& k, LruList list);

void mlock_folio(Mm& k, std::uint64_t folio);
/// @param leaving  an area that does not count any more as one that locks it
void munlock_folio(Mm& k, std::uint64_t folio, const vm_area_struct* leaving = nullptr);
/// folio_mark_lazyfree(): MADV_FREE. [spec M-E6]
void folio_mark_lazyfree(Mm& k, std::uint64_t folio);

}  // namespace pgsim::kernel
