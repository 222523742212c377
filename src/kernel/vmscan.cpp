// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/vmscan.hpp"

#include <algorithm>

#include "filemap.hpp"
#include "huge_memory.hpp"
#include "lru.hpp"
#include "memory.hpp"
#include "oom.hpp"
#include "rmap.hpp"
#include "swapfile.hpp"

namespace pgsim::kernel {

namespace {

constexpr std::uint64_t swap_cluster_max = 32;
constexpr int def_priority = 12;
constexpr unsigned max_reclaim_failures = 16;

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

std::uint64_t size_of(const Mm& k, LruList list) {
    return k.lruvec.nr_pages[static_cast<std::size_t>(list)];
}

std::uint64_t folio_pages(const Mm& k, std::uint64_t folio) {
    return std::uint64_t{1} << k.pages.order(folio);
}

bool can_age_anon(const Mm& k) {
    return k.swap.total != 0;
}

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

// [spec M-E14]
std::vector<std::uint64_t> isolate_lru_folios(Mm& k, LruList list, std::uint64_t count, std::uint64_t& scanned) {
    std::vector<std::uint64_t> taken;
    const VirtAddr head = lru_head(k, list);
    scanned = 0;
    while (scanned < count) {
        const std::uint64_t link = k.memory.read64(head + 8);
        if (link == head.value()) {
            break;
        }
        const std::uint64_t folio = k.pages.pfn_of(VirtAddr{link - page_field::lru_next});
        scanned += folio_pages(k, folio);
        folio_isolate_lru(k, folio);
        taken.push_back(folio);
    }
    return taken;
}

// move_folios_to_lru(): back to where they belong, the reference of the isolation dropped.
void putback(Mm& k, const std::vector<std::uint64_t>& folios) {
    for (const std::uint64_t folio : folios) {
        if (!folio_evictable(k, folio)) {
            folio_putback_lru(k, folio);
            continue;
        }
        k.pages.set(folio, PageFlag::lru);
        lruvec_add_folio(k, folio);
        folio_put(k, folio);
    }
}

enum class References : std::uint8_t { reclaim, reclaim_clean, keep, activate };

// [spec M-E17 step 5]
References folio_check_references(Mm& k, std::uint64_t folio) {
    const FolioReferences found = folio_referenced(k, folio);
    const bool referenced = k.pages.test_and_clear(folio, PageFlag::referenced);
    if (found.locked) {
        return References::activate;
    }
    const bool file = folio_is_file_lru(k, folio);
    if (found.count != 0) {
        k.pages.set(folio, PageFlag::referenced);
        if (referenced || found.count > 1 || ((found.vm_flags & vm::exec) != 0 && file)) {
            return References::activate;
        }
        return References::keep;
    }
    return referenced && file ? References::reclaim_clean : References::reclaim;
}

// shmem_writepage(): a tmpfs page goes to the swap area.
bool shmem_writepage(Mm& k, std::uint64_t folio) {
    address_space* const file = k.file_at(k.pages.mapping(folio));
    const std::uint64_t index = k.pages.index(folio);
    if (!add_to_swap(k, folio)) {
        return false;
    }
    const swp_entry_t entry = folio_swap_entry(k, folio);
    swap_duplicate(k, entry);
    file->swapped[index] = entry;
    filemap_remove_folio(k, folio);
    return true;
}

// A shadow: the age at eviction, and whether the folio was of the working set. [spec M-E21]
std::uint64_t workingset_eviction(Mm& k, std::uint64_t folio) {
    const std::uint64_t shadow = k.lruvec.nonresident_age << 1 | (k.pages.test(folio, PageFlag::workingset) ? 1 : 0);
    k.lruvec.nonresident_age += folio_pages(k, folio);
    return shadow;
}

// __remove_mapping(): out of its cache, if nobody else holds it. [spec M-E17 step 12]
bool remove_mapping(Mm& k, std::uint64_t folio) {
    if (k.pages.refcount(folio) != 2 || k.pages.test(folio, PageFlag::dirty)) {
        return false;
    }
    if (folio_test_swapcache(k, folio)) {
        swap_cache_evict(k, folio, workingset_eviction(k, folio));
        return true;
    }
    address_space* const file = k.file_at(k.pages.mapping(folio));
    if (file == nullptr) {
        return false;
    }
    const std::uint64_t index = k.pages.index(folio);
    file->shadows[index] = workingset_eviction(k, folio);
    file->pages.erase(index);
    k.pages.set_mapping(folio, 0);
    k.pages.ref_add(folio, -1);
    return true;
}

// One call of shrink_folio_list().
struct ShrinkList {
    Mm& k;
    ScanControl& sc;
    bool ignore_references;
    std::vector<std::uint64_t> stay;     // back to the LRU
    std::vector<std::uint64_t> written;  // under writeback
    std::uint64_t reclaimed = 0;
    std::uint64_t pageout = 0;
    std::uint64_t unqueued_dirty = 0;
    std::uint64_t taken = 0;

    void keep(std::uint64_t folio) { stay.push_back(folio); }

    void activate(std::uint64_t folio) {
        if (folio_test_swapcache(k, folio) && (vm_swap_full(k) || k.pages.test(folio, PageFlag::mlocked))) {
            folio_free_swap(k, folio);
        }
        if (!k.pages.test(folio, PageFlag::mlocked)) {
            k.pages.set(folio, PageFlag::active);
            ++k.vmstat.pgactivate;
        }
        keep(folio);
    }

    void free(std::uint64_t folio) {
        reclaimed += folio_pages(k, folio);
        k.pages.test_and_clear(folio, PageFlag::active);
        folio_put(k, folio);
    }

    // Dirty: started on its way out, or not. True when the folio is clean and may go on.
    bool write_out(std::uint64_t folio, References references) {
        const bool file = folio_is_file_lru(k, folio);
        if (file) {  // left to the flushers
            ++unqueued_dirty;
            k.pages.set(folio, PageFlag::reclaim);
            activate(folio);
            return false;
        }
        if (references == References::reclaim_clean || !sc.may_writepage) {
            keep(folio);
            return false;
        }
        const bool shmem = !folio_test_anon(k, folio) && !folio_test_swapcache(k, folio);
        if (k.pages.refcount(folio) != 2) {  // the cache's and ours
            keep(folio);
            return false;
        }
        if (shmem && !shmem_writepage(k, folio)) {
            activate(folio);
            return false;
        }
        k.pages.clear(folio, PageFlag::dirty);
        k.pages.set_flags(folio, k.pages.flags(folio) | flag_bit(PageFlag::reclaim) | flag_bit(PageFlag::writeback));
        swap_write_folio(k, folio);
        ++pageout;
        written.push_back(folio);
        keep(folio);
        return false;
    }

    void shrink(std::uint64_t folio, std::vector<std::uint64_t>& more) {
        ++taken;
        if (!folio_evictable(k, folio)) {
            activate(folio);
            return;
        }
        if (!sc.may_unmap && folio_mapped(k, folio)) {
            keep(folio);
            return;
        }
        if (k.pages.test(folio, PageFlag::writeback)) {
            k.pages.set(folio, PageFlag::reclaim);
            activate(folio);
            return;
        }
        References references = References::reclaim;
        if (!ignore_references) {
            references = folio_check_references(k, folio);
        }
        if (references == References::activate) {
            activate(folio);
            return;
        }
        if (references == References::keep) {
            keep(folio);
            return;
        }
        if (folio_test_anon(k, folio) && k.pages.test(folio, PageFlag::swapbacked) && !folio_test_swapcache(k, folio)) {
            if (k.pages.is_large(folio)) {
                if (k.swap.free_slots == 0 || !split_folio(k, folio, &more)) {
                    activate(folio);
                    return;
                }
            }
            if (!add_to_swap(k, folio)) {
                activate(folio);
                return;
            }
        } else if (k.pages.is_large(folio) && !split_folio(k, folio, &more)) {
            activate(folio);
            return;
        }
        if (folio_mapped(k, folio) && !try_to_unmap(k, folio)) {
            activate(folio);
            return;
        }
        if (k.pages.test(folio, PageFlag::dirty) && !write_out(folio, references)) {
            return;
        }
        if (folio_test_anon(k, folio) && !k.pages.test(folio, PageFlag::swapbacked)) {
            if (k.pages.refcount(folio) == 1) {  // freed lazily
                free(folio);
            } else {
                keep(folio);
            }
            return;
        }
        if (remove_mapping(k, folio)) {
            free(folio);
        } else {
            keep(folio);
        }
    }

    void run(std::vector<std::uint64_t> folios) {
        for (std::size_t i = 0; i < folios.size(); ++i) {
            std::vector<std::uint64_t> more;
            shrink(folios[i], more);
            folios.insert(folios.begin() + static_cast<std::ptrdiff_t>(i) + 1, more.begin(), more.end());
        }
    }
};

// folio_end_writeback(): the device is done; what reclaim waits for goes to the tail. [spec M-E18]
void end_writeback(Mm& k, const std::vector<std::uint64_t>& written) {
    for (const std::uint64_t folio : written) {
        k.pages.clear(folio, PageFlag::writeback);
        if (k.pages.test_and_clear(folio, PageFlag::reclaim) && k.pages.test(folio, PageFlag::lru) &&
            !k.pages.test(folio, PageFlag::unevictable)) {
            lruvec_del_folio(k, folio);
            k.pages.test_and_clear(folio, PageFlag::active);
            lruvec_add_folio(k, folio, true);
            ++k.vmstat.pgrotated;
        }
    }
}

// wakeup_flusher_threads(): all dirty pages of disk files are written.
void flush_dirty_files(Mm& k, const std::vector<std::uint64_t>& folios) {
    for (const std::uint64_t folio : folios) {
        address_space* const file = folio_test_anon(k, folio) ? nullptr : k.file_at(k.pages.mapping(folio));
        if (file != nullptr && file->kind == FileKind::ext4) {
            folio_clear_dirty_for_io(k, *file, folio);
            k.pages.test_and_clear(folio, PageFlag::reclaim);
        }
    }
}

std::uint64_t shrink_inactive_list(Mm& k, std::uint64_t count, LruList list, ScanControl& sc) {
    const bool file = list == LruList::inactive_file;
    lru_add_drain(k);
    std::uint64_t scanned = 0;
    std::vector<std::uint64_t> folios = isolate_lru_folios(k, list, count, scanned);
    (sc.kswapd ? k.vmstat.pgscan_kswapd : k.vmstat.pgscan_direct) += scanned;
    sc.nr_scanned += scanned;
    if (folios.empty()) {
        return 0;
    }
    ShrinkList shrink{k, sc, sc.ignore_references, {}, {}, 0, 0, 0, 0};
    shrink.run(std::move(folios));
    putback(k, shrink.stay);
    end_writeback(k, shrink.written);
    (sc.kswapd ? k.vmstat.pgsteal_kswapd : k.vmstat.pgsteal_direct) += shrink.reclaimed;
    note_cost(k, file, shrink.pageout, scanned - std::min(scanned, shrink.reclaimed));
    if (shrink.unqueued_dirty == shrink.taken) {
        flush_dirty_files(k, shrink.stay);
    }
    return shrink.reclaimed;
}

// [spec M-E15]
void shrink_active_list(Mm& k, std::uint64_t count, LruList list, ScanControl& sc) {
    const bool file = list == LruList::active_file;
    lru_add_drain(k);
    std::uint64_t scanned = 0;
    const std::vector<std::uint64_t> folios = isolate_lru_folios(k, list, count, scanned);
    k.vmstat.pgrefill += scanned;
    sc.nr_scanned += 0;
    std::vector<std::uint64_t> rotate;
    std::vector<std::uint64_t> deactivate;
    std::uint64_t rotated = 0;
    for (const std::uint64_t folio : folios) {
        if (!folio_evictable(k, folio)) {
            folio_putback_lru(k, folio);
            continue;
        }
        const FolioReferences found = folio_referenced(k, folio);
        if (found.count != 0 && (found.vm_flags & vm::exec) != 0 && file) {
            rotated += folio_pages(k, folio);
            rotate.push_back(folio);
            continue;
        }
        k.pages.set_flags(folio, (k.pages.flags(folio) & ~flag_bit(PageFlag::active)) | flag_bit(PageFlag::workingset));
        ++k.vmstat.pgdeactivate;
        deactivate.push_back(folio);
    }
    putback(k, rotate);
    putback(k, deactivate);
    if (rotated != 0) {
        note_cost(k, file, 0, rotated);
    }
}

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
        case Balance::fract: scan = scan * (file ? fp : ap) / (ap + fp + 1 - 1); break;
        case Balance::anon: scan = file ? 0 : scan; break;
        case Balance::file: scan = file ? scan : 0; break;
        }
        nr[list] = scan;
    }
    return nr;
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

std::uint64_t reclaim_folio_list(Mm& k, std::vector<std::uint64_t> folios, ScanControl& sc) {
    ShrinkList shrink{k, sc, sc.ignore_references, {}, {}, 0, 0, 0, 0};
    shrink.run(std::move(folios));
    for (const std::uint64_t folio : shrink.stay) {
        folio_putback_lru(k, folio);
    }
    lru_add_drain(k);
    end_writeback(k, shrink.written);
    return shrink.reclaimed;
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
