// SPDX-License-Identifier: GPL-2.0-only
// What reclaim does with the entries that map a page. [linux-6.6 mm/rmap.c] [spec M-E16, M-E19]
#include "huge_memory.hpp"
#include "lru.hpp"
#include "memory.hpp"
#include "pgsim/kernel/pgtable_generic.hpp"
#include "rmap.hpp"
#include "swapfile.hpp"

namespace pgsim::kernel {

namespace {

// Calls f(mapping, path, address) for each PTE or huge PMD that maps a page of the folio, until f returns false.
template <class F>
void page_vma_mapped_walk(Mm& k, std::uint64_t folio, F&& f) {
    const std::uint64_t pages = std::uint64_t{1} << k.pages.order(folio);
    for (const PageMapping& mapping : rmap_walk(k, folio)) {
        for (std::uint64_t i = 0; i < pages; ++i) {
            const std::uint64_t address = mapping.address + i * page_size;
            if (address < mapping.vma->vm_start || address >= mapping.vma->vm_end) {
                continue;
            }
            const TablePath path = find_entries(k, *mapping.vma->vm_mm, VirtAddr{address});
            if (path.pmd.is_null()) {
                continue;
            }
            const pmd_t pmd = pmdp_get(k.pt, path.pmd);
            if (pmd_trans_huge(pmd)) {
                if (pmd_pfn(pmd) == folio && !f(*mapping.vma, path, address, true)) {
                    return;
                }
                break;
            }
            if (path.pte.is_null()) {
                continue;
            }
            const pte_t pte = ptep_get(k.pt, path.pte);
            if (pte_present(pte) && pte_pfn(pte) == folio + i && !pte_special(pte) &&
                !f(*mapping.vma, path, address, false)) {
                return;
            }
        }
    }
}

}  // namespace

FolioReferences folio_referenced(Mm& k, std::uint64_t folio) {
    FolioReferences references;
    if (!folio_mapped(k, folio)) {
        return references;
    }
    const vm_area_struct* counted = nullptr;
    page_vma_mapped_walk(k, folio, [&](vm_area_struct& vma, const TablePath& path, std::uint64_t, bool huge) {
        if (vma.has(vm::locked)) {
            mlock_folio(k, folio);
            references.locked = true;
            return false;
        }
        const bool young = huge ? pmdp_test_and_clear_young(k.pt, path.pmd) : ptep_test_and_clear_young(k.pt, path.pte);
        if (young) {
            references.vm_flags |= vma.vm_flags & ~vm::locked;
            if (counted != &vma) {
                ++references.count;
                counted = &vma;
            }
        }
        return true;
    });
    return references;
}

bool try_to_unmap(Mm& k, std::uint64_t folio) {
    const bool anon = folio_test_anon(k, folio);
    page_vma_mapped_walk(k, folio, [&](vm_area_struct& vma, const TablePath& path, std::uint64_t address, bool huge) {
        if (vma.has(vm::locked) || huge) {
            return false;
        }
        mm_struct& mm = *vma.vm_mm;
        const pte_t pte = ptep_get_and_clear(k.pt, path.pte);
        flush_tlb_range(k, mm, address, address + page_size);
        const std::uint64_t page = pte_pfn(pte);
        if (pte_dirty(pte)) {
            k.pages.set(folio, PageFlag::dirty);
        }
        if (!anon) {
            mm.add_counter(mm_counter(k, page), -1);
        } else if (!k.pages.test(folio, PageFlag::swapbacked)) {
            // Freed lazily: gone if nobody wrote to it since.
            const bool only_mapped = k.pages.refcount(folio) == 1 + folio_mapcount(k, folio);
            if (!only_mapped || k.pages.test(folio, PageFlag::dirty)) {
                set_pte_at(k.pt, path.pte, pte);
                k.pages.set(folio, PageFlag::swapbacked);
                return false;
            }
            mm.add_counter(MmCounter::anon, -1);
        } else if (!folio_test_swapcache(k, folio)) {
            set_pte_at(k.pt, path.pte, pte);
            return false;
        } else {
            const swp_entry_t entry = folio_swap_entry(k, folio);
            swap_duplicate(k, entry);
            pte_t swap_pte = swp_entry_to_pte(entry);
            if (k.pages.test_and_clear(page, PageFlag::anon_exclusive)) {
                swap_pte = pte_swp_mkexclusive(swap_pte);
            }
            mm.add_counter(MmCounter::anon, -1);
            mm.add_counter(MmCounter::swapents, 1);
            set_pte_at(k.pt, path.pte, swap_pte);
        }
        page_remove_rmap(k, page, &vma, false);
        folio_put(k, folio);
        return true;
    });
    return !folio_mapped(k, folio);
}

}  // namespace pgsim::kernel
