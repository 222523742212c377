// SPDX-License-Identifier: GPL-2.0-only
// What was evicted and comes back: its distance tells whether it belongs to the working set. [linux-6.6
// mm/workingset.c, mm/swap.c lru_note_cost()] [spec M-E12, M-E21]
#include "vmscan_parts.hpp"

namespace pgsim::kernel {

// [spec M-E12]
void note_cost(Mm& k, bool file, std::uint64_t pages_out, std::uint64_t rotated) {
    std::uint64_t& cost = file ? k.lruvec.file_cost : k.lruvec.anon_cost;
    cost += pages_out * swap_cluster_max + rotated;
    std::uint64_t lru_size = 0;
    for (unsigned list = 0; list < 4; ++list) {
        lru_size += k.lruvec.nr_pages[list];
    }
    if (k.lruvec.anon_cost + k.lruvec.file_cost > lru_size / 4) {
        k.lruvec.anon_cost /= 2;
        k.lruvec.file_cost /= 2;
    }
}

// A shadow: the age at eviction, and whether the folio was of the working set. [spec M-E21]
std::uint64_t workingset_eviction(Mm& k, std::uint64_t folio) {
    const std::uint64_t shadow = k.lruvec.nonresident_age << 1 | (k.pages.test(folio, PageFlag::workingset) ? 1 : 0);
    k.lruvec.nonresident_age += folio_pages(k, folio);
    return shadow;
}

namespace {

void refault(Mm& k, std::uint64_t folio, std::uint64_t shadow, bool file) {
    ++k.vmstat.workingset_refault;
    const std::uint64_t distance = k.lruvec.nonresident_age - (shadow >> 1);
    std::uint64_t workingset = size_of(k, LruList::active_file);
    if (!file) {
        workingset += size_of(k, LruList::inactive_file);
    }
    if (k.swap.free_slots != 0) {
        workingset += size_of(k, LruList::active_anon);
        if (file) {
            workingset += size_of(k, LruList::inactive_anon);
        }
    }
    if (distance > workingset) {
        return;
    }
    k.pages.set(folio, PageFlag::active);
    k.lruvec.nonresident_age += folio_pages(k, folio);
    ++k.vmstat.workingset_activate;
    ++k.lruvec.refaults[file ? 1 : 0];
    if ((shadow & 1) != 0) {
        k.pages.set(folio, PageFlag::workingset);
        note_cost(k, file, folio_pages(k, folio), 0);
        ++k.vmstat.workingset_restore;
    }
}

}  // namespace

void workingset_refault(Mm& k, std::uint64_t folio, address_space& file, std::uint64_t index) {
    const auto shadow = file.shadows.find(index);
    if (shadow != file.shadows.end()) {
        const std::uint64_t value = shadow->second;
        file.shadows.erase(shadow);
        refault(k, folio, value, true);
    }
}

void workingset_refault_swap(Mm& k, std::uint64_t folio, swp_entry_t entry) {
    const auto shadow = k.swap.shadows.find(entry.offset);
    if (shadow != k.swap.shadows.end()) {
        const std::uint64_t value = shadow->second;
        k.swap.shadows.erase(shadow);
        refault(k, folio, value, false);
    }
}

}  // namespace pgsim::kernel
