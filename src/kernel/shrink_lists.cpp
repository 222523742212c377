// SPDX-License-Identifier: GPL-2.0-only
// The rules of the lists: who is freed, who stays, who becomes active. [linux-6.6 mm/vmscan.c shrink_folio_list(),
// shrink_inactive_list(), shrink_active_list()] [spec M-E14 to M-E18]
#include <algorithm>
#include <string>

#include "filemap.hpp"
#include "huge_memory.hpp"
#include "lru.hpp"
#include "memory.hpp"
#include "rmap.hpp"
#include "swapfile.hpp"
#include "vmscan_parts.hpp"

namespace pgsim::kernel {

namespace {

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
    std::uint64_t activated = 0;
    std::uint64_t referenced = 0;

    // "32 from the tail: 20 freed, 12 written out, …"
    [[nodiscard]] std::string account(std::uint64_t scanned) const {
        std::string text = std::to_string(scanned) + " from the tail: " + std::to_string(reclaimed) + " freed";
        const auto add = [&text](std::uint64_t count, const char* what) {
            if (count != 0) {
                text += ", " + std::to_string(count) + what;
            }
        };
        add(pageout, " being written to the swap area");
        add(unqueued_dirty, " dirty, left to the flushers");
        add(referenced, " used since the last look: a second chance");
        add(activated, " made active");
        return text;
    }

    void keep(std::uint64_t folio) { stay.push_back(folio); }

    void activate(std::uint64_t folio) {
        if (folio_test_swapcache(k, folio) && (vm_swap_full(k) || k.pages.test(folio, PageFlag::mlocked))) {
            folio_free_swap(k, folio);
        }
        if (!k.pages.test(folio, PageFlag::mlocked)) {
            k.pages.set(folio, PageFlag::active);
            ++k.vmstat.pgactivate;
            ++activated;
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
            ++referenced;
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

}  // namespace

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
    ShrinkList shrink{k, sc, sc.ignore_references, {}, {}};
    shrink.run(std::move(folios));
    putback(k, shrink.stay);
    end_writeback(k, shrink.written);
    (sc.kswapd ? k.vmstat.pgsteal_kswapd : k.vmstat.pgsteal_direct) += shrink.reclaimed;
    note_cost(k, file, shrink.pageout, scanned - std::min(scanned, shrink.reclaimed));
    if (k.tracing()) {
        k.pass("shrink_inactive_list", std::string{file ? "file: " : "anon: "} + shrink.account(scanned));
    }
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
    if (k.tracing() && scanned != 0) {
        k.pass("shrink_active_list", std::string{file ? "file: " : "anon: "} + std::to_string(scanned) +
                                         " from the tail: " + std::to_string(deactivate.size()) +
                                         " to the inactive list, " + std::to_string(rotate.size()) + " stay");
    }
    if (rotated != 0) {
        note_cost(k, file, 0, rotated);
    }
}

std::uint64_t reclaim_folio_list(Mm& k, std::vector<std::uint64_t> folios, ScanControl& sc) {
    ShrinkList shrink{k, sc, sc.ignore_references, {}, {}};
    shrink.run(std::move(folios));
    for (const std::uint64_t folio : shrink.stay) {
        folio_putback_lru(k, folio);
    }
    lru_add_drain(k);
    end_writeback(k, shrink.written);
    return shrink.reclaimed;
}

}  // namespace pgsim::kernel
