// SPDX-License-Identifier: GPL-2.0-only
// kswapd, direct reclaim and one pass over a node. [linux-6.6 mm/vmscan.c] [spec M-E4, M-E5, M-E13]
#include "pgsim/kernel/vmscan.hpp"

#include <algorithm>

#include "huge_memory.hpp"
#include "oom.hpp"
#include "vmscan_parts.hpp"

namespace pgsim::kernel {

namespace {

constexpr int def_priority = 12;
constexpr unsigned max_reclaim_failures = 16;

bool can_age_anon(const Mm& k) {
    return k.swap.total != 0;
}

// do_shrink_slab() of the one shrinker there is: huge pages that wait for their split.
void shrink_slab(Mm& k, const ScanControl& sc) {
    const std::uint64_t freeable = k.nr_deferred_split;
    if (freeable != 0 && (freeable >> sc.priority) * 2 >= freeable) {
        deferred_split_scan(k);
    }
}

void shrink_node(Mm& k, ScanControl& sc) {
    prepare_scan_count(k, sc);
    shrink_lruvec(k, sc);
    shrink_slab(k, sc);
    k.lruvec.refaults_at_end = k.lruvec.refaults;
}

bool zone_balanced(const Mm& k, const BuddyZone& zone, unsigned order, unsigned highest) {
    return k.buddy.zone_watermark_ok(zone, order, Buddy::wmark_pages(zone, Wmark::high), highest, 0);
}

bool pgdat_balanced(const Mm& k, unsigned order, unsigned highest) {
    bool any = false;
    for (const BuddyZone& zone : k.buddy.zones()) {
        if (zone.index() <= highest && zone.managed_pages != 0) {
            any = true;
            if (zone_balanced(k, zone, order, highest)) {
                return true;
            }
        }
    }
    return !any;
}

class KernelReclaim final : public PageReclaimer {
public:
    explicit KernelReclaim(Mm& k) : k_{k} {}

    // [spec M-E4]
    void wakeup_kswapd(BuddyZone& zone, unsigned order, unsigned highest_zoneidx) override {
        (void)zone;
        if (running_ || failures_ >= max_reclaim_failures) {
            return;
        }
        bool boosted = false;
        for (const BuddyZone& other : k_.buddy.zones()) {
            boosted = boosted || (other.index() <= highest_zoneidx && other.watermark_boost != 0);
        }
        if (!boosted && pgdat_balanced(k_, order, highest_zoneidx)) {
            return;
        }
        ++k_.vmstat.kswapd_wakeups;
        k_.pass("wakeup_kswapd", boosted ? "a zone's watermark is boosted" : "no zone is above its high watermark");
        const Running scope{*this};
        if (balance_pgdat(k_, order, highest_zoneidx) == 0) {
            ++failures_;
        } else {
            failures_ = 0;
        }
    }

    // [spec M-E5]
    std::uint64_t try_to_free_pages(unsigned order, gfp_t gfp) override {
        if (running_) {
            return 0;
        }
        const Running scope{*this};
        k_.pass("try_to_free_pages");
        ScanControl sc;
        sc.order = order;
        sc.reclaim_idx = gfp_zone(gfp);
        for (;;) {
            for (sc.priority = def_priority; sc.priority >= 0; --sc.priority) {
                sc.nr_scanned = 0;
                shrink_node(k_, sc);
                if (sc.nr_reclaimed >= sc.nr_to_reclaim) {
                    break;
                }
            }
            if (sc.nr_reclaimed != 0 || !sc.skipped_deactivate || sc.force_deactivate) {
                break;
            }
            sc.force_deactivate = true;
            sc.skipped_deactivate = false;
        }
        if (sc.nr_reclaimed != 0) {
            failures_ = 0;
        }
        return sc.nr_reclaimed;
    }

    std::uint64_t zone_reclaimable_pages(const BuddyZone& zone) override {
        (void)zone;
        std::uint64_t pages = size_of(k_, LruList::inactive_file) + size_of(k_, LruList::active_file);
        if (k_.swap.free_slots != 0) {
            pages += size_of(k_, LruList::inactive_anon) + size_of(k_, LruList::active_anon);
        }
        return pages;
    }

    bool out_of_memory(gfp_t gfp, unsigned order) override { return kernel::out_of_memory(k_, gfp, order); }

    [[nodiscard]] bool is_reclaiming() const override { return running_; }

private:
    struct Running {
        explicit Running(KernelReclaim& owner) : reclaim{owner} { reclaim.running_ = true; }
        ~Running() { reclaim.running_ = false; }
        Running(const Running&) = delete;
        Running& operator=(const Running&) = delete;
        KernelReclaim& reclaim;
    };

    Mm& k_;
    bool running_ = false;
    unsigned failures_ = 0;  ///< kswapd_failures
};

}  // namespace

std::unique_ptr<PageReclaimer> make_reclaim(Mm& k) {
    return std::make_unique<KernelReclaim>(k);
}

// [spec M-E13]
void shrink_lruvec(Mm& k, ScanControl& sc) {
    ScanCountInputs in;
    std::copy_n(k.lruvec.nr_pages.begin(), 4, in.sizes.begin());
    in.priority = sc.priority;
    in.swappiness = k.setup.swappiness;
    in.can_swap = sc.may_swap && k.swap.free_slots != 0;
    in.file_is_tiny = sc.file_is_tiny;
    in.cache_trim_mode = sc.cache_trim_mode;
    in.anon_cost = k.lruvec.anon_cost;
    in.file_cost = k.lruvec.file_cost;
    std::array<std::uint64_t, 4> nr = get_scan_count(in);
    const std::array<std::uint64_t, 4> targets = nr;
    const bool proportional = !sc.kswapd && sc.priority == def_priority;
    bool scan_adjusted = proportional;
    std::uint64_t reclaimed = 0;
    if (k.tracing()) {
        k.pass("shrink_lruvec", "priority " + std::to_string(sc.priority) + ", to scan: inactive anon " +
                                    std::to_string(nr[0]) + ", active anon " + std::to_string(nr[1]) +
                                    ", inactive file " + std::to_string(nr[2]) + ", active file " +
                                    std::to_string(nr[3]));
    }
    while (nr[0] != 0 || nr[2] != 0 || nr[3] != 0) {
        for (unsigned list = 0; list < 4; ++list) {
            if (nr[list] == 0) {
                continue;
            }
            const std::uint64_t count = std::min(nr[list], swap_cluster_max);
            nr[list] -= count;
            const auto which = static_cast<LruList>(list);
            if (list % 2 == 1) {
                if (list == 1 ? sc.may_deactivate_anon : sc.may_deactivate_file) {
                    shrink_active_list(k, count, which, sc);
                } else {
                    sc.skipped_deactivate = true;
                }
            } else {
                reclaimed += shrink_inactive_list(k, count, which, sc);
            }
        }
        if (reclaimed < sc.nr_to_reclaim || scan_adjusted) {
            continue;
        }
        // Enough: the side with less left stops, the other is cut down to the same share.
        const std::uint64_t file = nr[2] + nr[3];
        const std::uint64_t anon = nr[0] + nr[1];
        if (file == 0 || anon == 0) {
            break;
        }
        const bool stop_anon = file > anon;
        const std::uint64_t target = stop_anon ? targets[0] + targets[1] + 1 : targets[2] + targets[3] + 1;
        const std::uint64_t percentage = (stop_anon ? anon : file) * 100 / target;
        const unsigned base = stop_anon ? 0 : 2;
        nr[base] = nr[base + 1] = 0;
        for (unsigned list = 2 - base; list < 4 - base; ++list) {
            const std::uint64_t scanned = targets[list] - nr[list];
            const std::uint64_t wanted = targets[list] * (100 - percentage) / 100;
            nr[list] = wanted - std::min(wanted, scanned);
        }
        scan_adjusted = true;
    }
    sc.nr_reclaimed += reclaimed;
    if (can_age_anon(k) && inactive_is_low(size_of(k, LruList::inactive_anon), size_of(k, LruList::active_anon))) {
        shrink_active_list(k, swap_cluster_max, LruList::active_anon, sc);
    }
}

// [spec M-E4]
std::uint64_t balance_pgdat(Mm& k, unsigned order, unsigned highest_zoneidx) {
    k.pass("balance_pgdat");
    ScanControl sc;
    sc.kswapd = true;
    sc.order = order;
    sc.reclaim_idx = highest_zoneidx;
    std::uint64_t boosts = 0;
    for (BuddyZone& zone : k.buddy.zones()) {
        zone.reclaim_active = true;
        boosts += zone.watermark_boost;
    }
    bool boosted = boosts != 0;
    std::uint64_t total = 0;
    for (;;) {
        sc.priority = def_priority;
        bool restart = false;
        do {
            const std::uint64_t before = sc.nr_reclaimed;
            bool raise_priority = true;
            const bool balanced = pgdat_balanced(k, sc.order, highest_zoneidx);
            if (!balanced && boosted) {
                boosted = false;
                restart = true;
                break;
            }
            if (!boosted && balanced) {
                break;
            }
            if (boosted && sc.priority == def_priority - 2) {
                raise_priority = false;
            }
            sc.may_writepage = !boosted;
            sc.may_swap = !boosted;
            sc.nr_scanned = 0;
            sc.nr_to_reclaim = 0;
            for (const BuddyZone& zone : k.buddy.zones()) {
                if (zone.index() <= highest_zoneidx) {
                    sc.nr_to_reclaim += std::max(Buddy::wmark_pages(zone, Wmark::high), swap_cluster_max);
                }
            }
            if (can_age_anon(k) &&
                inactive_is_low(size_of(k, LruList::inactive_anon), size_of(k, LruList::active_anon))) {
                shrink_active_list(k, swap_cluster_max, LruList::active_anon, sc);
            }
            shrink_node(k, sc);
            if (sc.nr_scanned >= sc.nr_to_reclaim) {
                raise_priority = false;
            }
            if (sc.order != 0 && sc.nr_reclaimed >= std::uint64_t{2} << sc.order) {
                sc.order = 0;
            }
            const std::uint64_t got = sc.nr_reclaimed - before;
            if (boosted) {
                boosts -= std::min(boosts, got);
                if (boosts == 0 || sc.priority < def_priority - 2) {
                    break;
                }
            }
            if (raise_priority || got == 0) {
                --sc.priority;
            }
        } while (sc.priority >= 1);
        total = sc.nr_reclaimed;
        if (!restart) {
            break;
        }
    }
    for (BuddyZone& zone : k.buddy.zones()) {
        zone.reclaim_active = false;
        zone.watermark_boost = 0;
    }
    return total;
}

}  // namespace pgsim::kernel
