// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>

#include "pgsim/kernel/vmscan.hpp"

/// What the parts of reclaim share. [linux-6.6 mm/vmscan.c, mm/workingset.c]

namespace pgsim::kernel {

inline constexpr std::uint64_t swap_cluster_max = 32;

[[nodiscard]] inline std::uint64_t size_of(const Mm& k, LruList list) {
    return k.lruvec.nr_pages[static_cast<std::size_t>(list)];
}
[[nodiscard]] inline std::uint64_t folio_pages(const Mm& k, std::uint64_t folio) {
    return std::uint64_t{1} << k.pages.order(folio);
}

/// What scanning a side cost. [spec M-E12]
void note_cost(Mm& k, bool file, std::uint64_t pages_out, std::uint64_t rotated);
/// A shadow: the age at eviction, and whether the folio was of the working set. [spec M-E21]
[[nodiscard]] std::uint64_t workingset_eviction(Mm& k, std::uint64_t folio);

/// [spec M-E10]
void prepare_scan_count(const Mm& k, ScanControl& sc);
/// Takes up to `count` pages from the tail of an inactive list; pages freed. [spec M-E14, M-E17]
std::uint64_t shrink_inactive_list(Mm& k, std::uint64_t count, LruList list, ScanControl& sc);
/// [spec M-E15]
void shrink_active_list(Mm& k, std::uint64_t count, LruList list, ScanControl& sc);

}  // namespace pgsim::kernel
