// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "pgsim/kernel/mm.hpp"

/// Reclaim. [linux-6.6 mm/vmscan.c, mm/workingset.c] [spec chapter E]

namespace pgsim::kernel {

/// kswapd and direct reclaim of one Mm.
[[nodiscard]] std::unique_ptr<PageReclaimer> make_reclaim(Mm& k);

/// struct scan_control.
struct ScanControl {
    std::uint64_t nr_to_reclaim = 32;
    int priority = 12;
    unsigned reclaim_idx = 3;
    bool may_writepage = true;
    bool may_unmap = true;
    bool may_swap = true;
    bool force_deactivate = false;
    bool skipped_deactivate = false;
    bool may_deactivate_anon = false;
    bool may_deactivate_file = false;
    bool cache_trim_mode = false;
    bool file_is_tiny = false;
    bool kswapd = false;
    bool proactive = false;
    bool ignore_references = false;  ///< MADV_PAGEOUT
    unsigned order = 0;
    std::uint64_t nr_scanned = 0;
    std::uint64_t nr_reclaimed = 0;
};

/// inactive_is_low() for anon (false) or file (true). [spec M-E9]
[[nodiscard]] bool inactive_is_low(std::uint64_t inactive, std::uint64_t active) noexcept;

/// What get_scan_count() looks at. [spec M-E10, M-E11]
struct ScanCountInputs {
    std::array<std::uint64_t, 4> sizes{};  ///< pages of the four lists
    int priority = 12;
    unsigned swappiness = 60;
    bool can_swap = true;
    bool cgroup_reclaim = false;
    bool file_is_tiny = false;
    bool cache_trim_mode = false;
    std::uint64_t anon_cost = 0;
    std::uint64_t file_cost = 0;
};
[[nodiscard]] std::array<std::uint64_t, 4> get_scan_count(const ScanCountInputs& inputs) noexcept;

/// reclaim_pages(): exactly these folios, isolated by the caller; those that stay go back to their lists.
std::uint64_t reclaim_folio_list(Mm& k, std::vector<std::uint64_t> folios, ScanControl& sc);
/// shrink_lruvec(): one pass at one priority.
void shrink_lruvec(Mm& k, ScanControl& sc);
/// What kswapd does when it runs now; pages freed.
std::uint64_t balance_pgdat(Mm& k, unsigned order, unsigned highest_zoneidx);

/// [spec M-E21]
void workingset_refault(Mm& k, std::uint64_t folio, address_space& file, std::uint64_t index);
void workingset_refault_swap(Mm& k, std::uint64_t folio, swp_entry_t entry);

}  // namespace pgsim::kernel
