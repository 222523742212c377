// SPDX-License-Identifier: GPL-2.0-only
// How much of each list is to be scanned. [linux-6.6 mm/vmscan.c prepare_scan_count(), get_scan_count()]
#include "vmscan_parts.hpp"

namespace pgsim::kernel {

namespace {

std::uint64_t int_sqrt(std::uint64_t value) {
    std::uint64_t root = 0;
    for (std::uint64_t bit = std::uint64_t{1} << 31; bit != 0; bit >>= 1) {
        const std::uint64_t tried = root | bit;
        if (tried * tried <= value) {
            root = tried;
        }
    }
    return root;
}

}  // namespace

// [spec M-E10]
void prepare_scan_count(const Mm& k, ScanControl& sc) {
    const LruVec& lru = k.lruvec;
    const auto size = [&](LruList list) { return size_of(k, list); };
    if (sc.force_deactivate) {
        sc.may_deactivate_anon = sc.may_deactivate_file = true;
    } else {
        sc.may_deactivate_anon = lru.refaults[0] != lru.refaults_at_end[0] ||
                                 inactive_is_low(size(LruList::inactive_anon), size(LruList::active_anon));
        sc.may_deactivate_file = lru.refaults[1] != lru.refaults_at_end[1] ||
                                 inactive_is_low(size(LruList::inactive_file), size(LruList::active_file));
    }
    const std::uint64_t file = size(LruList::inactive_file);
    sc.cache_trim_mode = (file >> sc.priority) != 0 && !sc.may_deactivate_file;
    std::uint64_t free_pages = 0;
    std::uint64_t high = 0;
    for (const BuddyZone& zone : k.buddy.zones()) {
        free_pages += zone.nr_free_pages;
        high += Buddy::wmark_pages(zone, Wmark::high);
    }
    const std::uint64_t all_file = size(LruList::inactive_file) + size(LruList::active_file);
    sc.file_is_tiny =
        all_file + free_pages <= high && !sc.may_deactivate_anon && (size(LruList::inactive_anon) >> sc.priority) != 0;
}

bool inactive_is_low(std::uint64_t inactive, std::uint64_t active) noexcept {
    const std::uint64_t gb = (inactive + active) >> 18;
    const std::uint64_t ratio = gb != 0 ? int_sqrt(10 * gb) : 1;
    return inactive * ratio < active;
}

std::array<std::uint64_t, 4> get_scan_count(const ScanCountInputs& in) noexcept {
    enum class Balance : std::uint8_t { equal, fract, anon, file };
    Balance balance = Balance::fract;
    if (!in.can_swap || (in.cgroup_reclaim && in.swappiness == 0)) {
        balance = Balance::file;
    } else if (in.priority == 0 && in.swappiness != 0) {
        balance = Balance::equal;
    } else if (in.file_is_tiny) {
        balance = Balance::anon;
    } else if (in.cache_trim_mode) {
        balance = Balance::file;
    }
    const std::uint64_t both = in.anon_cost + in.file_cost;
    const std::uint64_t anon_cost = both + in.anon_cost;
    const std::uint64_t file_cost = both + in.file_cost;
    const std::uint64_t total = anon_cost + file_cost;
    const std::uint64_t ap = in.swappiness * (total + 1) / (anon_cost + 1);
    const std::uint64_t fp = (200 - in.swappiness) * (total + 1) / (file_cost + 1);
    std::array<std::uint64_t, 4> nr{};
    for (unsigned list = 0; list < 4; ++list) {
        const bool file = list >= 2;
        std::uint64_t scan = in.sizes[list] >> in.priority;
        switch (balance) {
        case Balance::equal: break;
        case Balance::fract: scan = scan * (file ? fp : ap) / (ap + fp); break;
        case Balance::anon: scan = file ? 0 : scan; break;
        case Balance::file: scan = file ? scan : 0; break;
        }
        nr[list] = scan;
    }
    return nr;
}

}  // namespace pgsim::kernel
