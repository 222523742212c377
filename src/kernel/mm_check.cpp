// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/mm_check.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "lru.hpp"
#include "memory.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/kernel/pgtable_generic.hpp"
#include "rmap.hpp"
#include "swapfile.hpp"

namespace pgsim::kernel {

namespace {

// What the tables and lists say about one page.
struct Expected {
    std::int32_t ptes = 0;    // entries that map the page itself
    std::int32_t pmds = 0;    // entries that map the whole folio (of heads)
    std::int32_t others = 0;  // references that are no mappings (of heads)
    bool table = false;
};

class Checker {
public:
    explicit Checker(Mm& k) : k_{k} {}

    std::vector<std::string> run() {
        for (task_struct& task : k_.tasks) {
            if (task.mm != nullptr) {
                check_space(task);
            }
        }
        count_caches();
        check_pages();
        check_lru();
        check_swap();
        check_free_lists();
        check_total();
        return std::move(found_);
    }

private:
    void complain(std::string text) {
        if (found_.size() < 50) {
            found_.push_back(std::move(text));
        }
    }
    template <class A, class B>
    void want(const std::string& what, A expected, B actual) {
        if (static_cast<std::int64_t>(expected) != static_cast<std::int64_t>(actual)) {
            complain(what + ": expected " + std::to_string(expected) + ", is " + std::to_string(actual));
        }
    }
    std::uint64_t entry(std::uint64_t table, unsigned slot) const {
        return k_.memory.read64(table_va(k_, table) + slot * 8);
    }

    // --- one address space, from its top table down, without the areas' help ---
    struct Counts {
        std::array<std::int64_t, 4> rss{};
        std::int64_t tables = 0;
        std::size_t deposits = 0;
    };

    void check_space(task_struct& task) {
        mm_struct& mm = *task.mm;
        Counts counts;
        expected_[mm.pgd_pfn].table = true;
        ++table_pages_;
        const unsigned top = pgtable_l5_enabled(k_.state) ? 5 : 4;
        for (unsigned slot = 0; slot < 256; ++slot) {
            std::uint64_t value = entry(mm.pgd_pfn, slot);
            if (k_.state.pti_enabled) {  // user mode's copy lies behind; the kernel's own does not execute there
                want(task.comm + ": slot " + std::to_string(slot) + " of the user's table", entry(mm.pgd_pfn + 1, slot),
                     value & ~page_nx);
                value &= ~page_nx;
            }
            descend(task, counts, value, top - 1, std::uint64_t{slot} << (top == 5 ? 48 : 39));
        }
        for (unsigned i = 0; i < 4; ++i) {
            want(task.comm + ": rss counter " + std::to_string(i), counts.rss[i], mm.rss_stat[i]);
        }
        want(task.comm + ": pgtables_bytes", counts.tables * 4096, mm.pgtables_bytes);
        want(task.comm + ": deposited tables", counts.deposits, mm.deposits.size());
        for (const std::uint64_t table : mm.deposits) {
            expected_[table].table = true;
            ++table_pages_;
        }
        std::uint64_t last = 0;
        std::uint64_t pages = 0;
        for (const auto& [start, vma] : mm.mm_mt) {
            if (start != vma->vm_start || vma->vm_start < last || vma->vm_start >= vma->vm_end) {
                complain(task.comm + ": areas overlap or are misplaced at " + hex(start));
            }
            last = vma->vm_end;
            pages += vma->pages();
        }
        want(task.comm + ": total_vm", pages, mm.total_vm);
    }

    void descend(task_struct& task, Counts& counts, std::uint64_t value, unsigned level, std::uint64_t address) {
        if (value == 0) {
            return;
        }
        if (level == 1) {
            if ((value & page_pse) != 0) {
                leaf_pmd(task, counts, pmd_t{value}, address);
                return;
            }
        }
        const std::uint64_t table = (value & pte_pfn_mask) >> page_shift;
        if ((value & ~pte_pfn_mask) != page_table) {
            complain(task.comm + ": a table pointer is " + hex(value) + " at " + hex(address));
            return;
        }
        if (expected_[table].table) {
            complain("table page " + hex(table) + " is used twice");
        }
        expected_[table].table = true;
        ++table_pages_;
        counts.tables += level <= 3 ? 1 : 0;
        for (unsigned slot = 0; slot < 512; ++slot) {
            const std::uint64_t below = entry(table, slot);
            const std::uint64_t at = address + (std::uint64_t{slot} << (12 + 9 * (level - 1)));
            if (level == 1) {
                leaf_pte(task, counts, pte_t{below}, at);
            } else {
                descend(task, counts, below, level - 1, at);
            }
        }
    }

    void leaf_pmd(task_struct& task, Counts& counts, pmd_t pmd, std::uint64_t address) {
        const std::uint64_t folio = pmd_pfn(pmd);
        ++counts.tables;
        ++counts.deposits;
        if (folio == k_.huge_zero_pfn) {
            ++huge_zero_;
            return;
        }
        ++expected_[folio].pmds;
        counts.rss[static_cast<std::size_t>(mm_counter(k_, folio))] += 512;
        check_area(task, folio, folio, address);
    }

    void leaf_pte(task_struct& task, Counts& counts, pte_t pte, std::uint64_t address) {
        if (pte_none(pte)) {
            return;
        }
        if (!pte_present(pte)) {
            ++counts.rss[static_cast<std::size_t>(MmCounter::swapents)];
            ++swap_refs_[pte_to_swp_entry(pte).offset];
            return;
        }
        const std::uint64_t page = pte_pfn(pte);
        if (page == k_.zero_pfn) {
            return;
        }
        ++expected_[page].ptes;
        ++counts.rss[static_cast<std::size_t>(mm_counter(k_, page))];
        const std::uint64_t folio = k_.pages.compound_head(page);
        check_area(task, page, folio, address);
        if (pte_write(pte)) {
            const vm_area_struct* const vma = area(task, address);
            if (vma != nullptr && !vma->has(vm::write)) {
                complain(task.comm + ": a writable entry in a read-only area at " + hex(address));
            }
            if (folio_test_anon(k_, folio) && !page_anon_exclusive(k_, page)) {
                complain(task.comm + ": a writable entry of a page that is not exclusive at " + hex(address));
            }
        }
    }

    static const vm_area_struct* area(const task_struct& task, std::uint64_t address) {
        auto next = task.mm->mm_mt.upper_bound(address);
        if (next == task.mm->mm_mt.begin()) {
            return nullptr;
        }
        const vm_area_struct* const vma = std::prev(next)->second.get();
        return address < vma->vm_end ? vma : nullptr;
    }

    // Every mapping lies in an area, and the reverse mapping finds it.
    void check_area(const task_struct& task, std::uint64_t page, std::uint64_t folio, std::uint64_t address) {
        const vm_area_struct* const vma = area(task, address);
        if (vma == nullptr) {
            complain(task.comm + ": an entry outside all areas at " + hex(address));
            return;
        }
        const std::uint64_t first = address - ((page - folio) << page_shift);
        const auto places = rmap_walk(k_, folio);
        const bool known = std::any_of(places.begin(), places.end(), [&](const PageMapping& place) {
            return place.vma == vma && place.address == first;
        });
        if (!known) {
            complain(task.comm + ": reverse mapping does not find " + hex(address) + ", frame " + hex(page));
        }
        if (k_.pages.is_buddy(page)) {
            complain(task.comm + ": a free page is mapped at " + hex(address));
        }
    }

    // --- references that are no mappings ---
    void count_caches() {
        k_.for_each_file([&](const address_space& file) {
            for (const auto& [index, page] : file.pages) {
                ++expected_[page].others;
                want("index of cached page " + hex(page), index, k_.pages.index(page));
            }
            for (const auto& [index, slot] : file.swapped) {
                ++swap_refs_[slot.offset];
            }
        });
        for (const auto& [slot, page] : k_.swap.cache) {
            ++expected_[page].others;
            want("slot of cached page " + hex(page), slot, k_.pages.private_data(page));
        }
        for (const std::uint64_t folio : k_.lru_add.folios) {
            ++expected_[folio].others;
        }
        if (k_.huge_zero_pfn != 0) {
            ++expected_[k_.huge_zero_pfn].others;
        }
        want("mappings of the huge zero page", huge_zero_, k_.huge_zero_refcount);
    }

    void check_pages() {
        std::unordered_map<std::uint64_t, std::int32_t> refs;
        for (const auto& [page, e] : expected_) {
            if (e.table) {
                want("references of table page " + hex(page), 1, k_.pages.refcount(page));
                continue;
            }
            const std::uint64_t folio = k_.pages.compound_head(page);
            refs[folio] += e.ptes + e.pmds + e.others;
            want("mapcount of page " + hex(page), e.ptes - 1, k_.pages.raw_mapcount(page));
            if (page == folio && k_.pages.is_large(folio)) {
                want("entire mapcount of folio " + hex(page), e.pmds, entire_mapcount(k_, folio));
            }
        }
        for (const auto& [folio, count] : refs) {
            want("references of folio " + hex(folio), count, k_.pages.refcount(folio));
            used_pages_ += std::uint64_t{1} << k_.pages.order(folio);
            in_use_.insert(folio);
        }
    }

    void check_lru() {
        for (unsigned list = 0; list < 4; ++list) {
            std::uint64_t pages = 0;
            for (const std::uint64_t folio : lru_folios(k_, static_cast<LruList>(list))) {
                pages += std::uint64_t{1} << k_.pages.order(folio);
                if (!k_.pages.test(folio, PageFlag::lru) || folio_lru_list(k_, folio) != static_cast<LruList>(list)) {
                    complain("folio " + hex(folio) + " is on the wrong LRU list");
                }
                if (in_use_.count(folio) == 0) {
                    complain("folio " + hex(folio) + " is on an LRU list and nobody uses it");
                }
            }
            want("pages on LRU list " + std::to_string(list), pages, k_.lruvec.nr_pages[list]);
        }
    }

    void check_swap() {
        std::uint64_t free_slots = 0;
        for (std::size_t slot = 1; slot < k_.swap.swap_map.size(); ++slot) {
            const std::uint8_t map = k_.swap.swap_map[slot];
            const auto refs = swap_refs_.find(slot);
            want("references of swap slot " + std::to_string(slot), refs == swap_refs_.end() ? 0 : refs->second,
                 map & 0x3f);
            if (((map & 0x40) != 0) != (k_.swap.cache.count(slot) != 0)) {
                complain("swap slot " + std::to_string(slot) + ": the cache flag is wrong");
            }
            free_slots += map == 0 ? 1 : 0;
        }
        want("free swap slots", free_slots, k_.swap.free_slots);
    }

    // [spec B, invariants]
    void check_free_lists() {
        Buddy& buddy = k_.buddy;
        for (const BuddyZone& zone : buddy.zones()) {
            std::uint64_t pages = 0;
            for (unsigned order = 0; order <= max_order; ++order) {
                std::uint64_t blocks = 0;
                for (unsigned type = 0; type < migrate_types; ++type) {
                    for (const std::uint64_t pfn : buddy.free_list(zone, order, static_cast<MigrateType>(type))) {
                        ++blocks;
                        if (!buddy.pages().is_buddy(pfn) || buddy.pages().private_data(pfn) != order ||
                            buddy.pages().refcount(pfn) != 0) {
                            complain("free block " + hex(pfn) + " does not look free");
                        }
                    }
                }
                want("nr_free of order " + std::to_string(order), blocks, buddy.nr_free(zone, order));
                pages += blocks << order;
            }
            want("NR_FREE_PAGES", pages, zone.nr_free_pages);
            std::uint64_t on_cpu = 0;
            for (unsigned list = 0; buddy.has_pcp() && list < nr_pcp_lists; ++list) {
                const unsigned order = list == nr_pcp_lists - 1 ? 9 : list / 3;
                on_cpu += buddy.pcp_list(zone, list).size() << order;
            }
            want("pages on per-CPU lists", on_cpu, zone.pcp.count);
        }
        want("bad pages", 0, buddy.bad_pages());
    }

    void check_total() {
        std::uint64_t managed = 0;
        for (const BuddyZone& zone : k_.buddy.zones()) {
            managed += zone.managed_pages;
        }
        const std::uint64_t pgd_extra = k_.state.pti_enabled ? k_.tasks.size() : 0;
        want("pages in use and free", managed,
             k_.buddy.free_page_count() + used_pages_ + table_pages_ + pgd_extra + k_.kernel_pages);
    }

    Mm& k_;
    std::unordered_map<std::uint64_t, Expected> expected_;
    std::unordered_map<std::uint64_t, std::int32_t> swap_refs_;
    std::unordered_set<std::uint64_t> in_use_;
    std::uint64_t huge_zero_ = 0;
    std::uint64_t table_pages_ = 0;
    std::uint64_t used_pages_ = 0;
    std::vector<std::string> found_;
};

}  // namespace

std::vector<std::string> check_invariants(Mm& k) {
    return Checker{k}.run();
}

}  // namespace pgsim::kernel
