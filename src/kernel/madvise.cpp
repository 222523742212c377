// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>

#include "fault.hpp"
#include "filemap.hpp"
#include "huge_memory.hpp"
#include "memory.hpp"
#include "mmap.hpp"
#include "pgsim/kernel/pgtable_generic.hpp"
#include "pgsim/kernel/vmscan.hpp"
#include "rmap.hpp"
#include "swapfile.hpp"
#include "vma.hpp"

namespace pgsim::kernel {

namespace {

constexpr std::uint64_t no_lru_flags = vm::locked | vm::pfnmap;

// The new flags for advice that is only a flag; nullopt for other advice, the old flags for advice that is refused.
std::optional<std::uint64_t> advised_flags(const vm_area_struct& vma, Advice advice, bool& refused) {
    const std::uint64_t flags = vma.vm_flags;
    switch (advice) {
    case Advice::normal: return flags & ~(vm::rand_read | vm::seq_read);
    case Advice::sequential: return (flags & ~vm::rand_read) | vm::seq_read;
    case Advice::random: return (flags & ~vm::seq_read) | vm::rand_read;
    case Advice::dontfork: return flags | vm::dontcopy;
    case Advice::dofork: return flags & ~vm::dontcopy;
    case Advice::wipeonfork: refused = !vma.is_anonymous() || vma.has(vm::shared); return flags | vm::wipeonfork;
    case Advice::keeponfork: return flags & ~vm::wipeonfork;
    case Advice::dontdump: return flags | vm::dontdump;
    case Advice::dodump: return flags & ~vm::dontdump;
    case Advice::hugepage: return (flags & ~vm::nohugepage) | vm::hugepage;
    case Advice::nohugepage: return (flags & ~vm::hugepage) | vm::nohugepage;
    case Advice::willneed:
    case Advice::dontneed:
    case Advice::free:
    case Advice::remove:
    case Advice::cold:
    case Advice::pageout:
    case Advice::populate_read:
    case Advice::populate_write: break;
    }
    return std::nullopt;
}

// [linux-6.6 madvise_free_pte_range()]
void free_ptes(mmu_gather& tlb, vm_area_struct& vma, pmd_ptr pmd, VirtAddr address, VirtAddr end) {
    Mm& k = tlb.k;
    pte_ptr ptep = pte_offset_map(k.pt, pmd, address);
    if (ptep.is_null()) {
        return;
    }
    for (; address != end; address += page_size, ++ptep) {
        const pte_t pte = ptep_get(k.pt, ptep);
        if (pte_none(pte)) {
            continue;
        }
        if (!pte_present(pte)) {
            vma.vm_mm->add_counter(MmCounter::swapents, -1);
            swap_free(k, pte_to_swp_entry(pte), true);
            pte_clear(k.pt, ptep);
            continue;
        }
        const std::uint64_t page = vm_normal_page(k, pte);
        if (page == no_page || !folio_test_anon(k, k.pages.compound_head(page))) {
            continue;
        }
        const std::uint64_t folio = k.pages.compound_head(page);
        if (k.pages.is_large(folio)) {
            if (folio_mapcount(k, folio) != 1) {
                continue;
            }
        }
        if (folio_test_swapcache(k, folio) || k.pages.test(folio, PageFlag::dirty)) {
            if (folio_mapcount(k, folio) != 1 || (folio_test_swapcache(k, folio) && !folio_free_swap(k, folio))) {
                continue;
            }
            k.pages.clear(folio, PageFlag::dirty);
        }
        if (pte_young(pte) || pte_dirty(pte)) {
            set_pte_at(k.pt, ptep, pte_mkclean(pte_mkold(pte)));
            tlb.unmapped(address.value(), page_size);
        }
        folio_mark_lazyfree(k, folio);
    }
}

long madvise_free(Mm& k, vm_area_struct& vma, std::uint64_t start, std::uint64_t end) {
    if (!vma.is_anonymous()) {
        return -einval;
    }
    lru_add_drain(k);
    mmu_gather tlb{k, *vma.vm_mm};
    for (VirtAddr at{start}; at < VirtAddr{end};) {
        const VirtAddr next = pmd_addr_end(at, VirtAddr{end});
        const TablePath path = find_entries(k, *vma.vm_mm, at);
        if (!path.pmd.is_null()) {
            if (pmd_trans_huge(pmdp_get(k.pt, path.pmd)) && next - at == pmd_size) {
                madvise_free_huge_pmd(tlb, vma, path.pmd, at.value());
            } else {
                split_huge_pmd(k, vma, path.pmd, at.value());
                free_ptes(tlb, vma, path.pmd, at, next);
            }
        }
        at = next;
    }
    return 0;
}

// What one page needs before it is cold or paged out: mapped once, young no more.
void cool(Mm& k, std::uint64_t folio, bool pageout, std::vector<std::uint64_t>& list) {
    k.pages.test_and_clear(folio, PageFlag::referenced);
    if (k.pages.test(folio, PageFlag::active)) {
        k.pages.set(folio, PageFlag::workingset);
    }
    if (pageout) {
        if (folio_isolate_lru(k, folio)) {
            if (k.pages.test(folio, PageFlag::unevictable)) {
                folio_putback_lru(k, folio);
            } else {
                list.push_back(folio);
            }
        }
    } else if (k.pages.test(folio, PageFlag::lru) && k.pages.test(folio, PageFlag::active)) {
        lruvec_del_folio(k, folio);
        k.pages.clear(folio, PageFlag::active);
        lruvec_add_folio(k, folio);
    }
}

// [linux-6.6 madvise_cold_or_pageout_pte_range()]
long madvise_cold_or_pageout(Mm& k, vm_area_struct& vma, std::uint64_t start, std::uint64_t end, bool pageout) {
    if (vma.has(no_lru_flags)) {
        return -einval;
    }
    lru_add_drain(k);
    for (VirtAddr at{start}; at < VirtAddr{end};) {
        const VirtAddr next = pmd_addr_end(at, VirtAddr{end});
        std::vector<std::uint64_t> list;
        {
            mmu_gather tlb{k, *vma.vm_mm};
            TablePath path = find_entries(k, *vma.vm_mm, at);
            const bool huge = !path.pmd.is_null() && pmd_trans_huge(pmdp_get(k.pt, path.pmd));
            if (huge && next - at == pmd_size) {
                const pmd_t pmd = pmdp_get(k.pt, path.pmd);
                const std::uint64_t folio = pmd_pfn(pmd);
                if (folio != k.huge_zero_pfn && folio_mapcount(k, folio) == 1) {
                    if (pmd_young(pmd)) {
                        set_pmd(k.pt, path.pmd, pmd_mkold(pmd));
                        tlb.unmapped(at.value(), pmd_size);
                    }
                    cool(k, folio, pageout, list);
                }
            } else if (!path.pmd.is_null()) {
                if (huge) {
                    split_huge_pmd(k, vma, path.pmd, at.value());
                }
                pte_ptr ptep = pte_offset_map(k.pt, path.pmd, at);
                for (VirtAddr page_at = at; !ptep.is_null() && page_at != next; page_at += page_size, ++ptep) {
                    const pte_t pte = ptep_get(k.pt, ptep);
                    const std::uint64_t page = pte_present(pte) ? vm_normal_page(k, pte) : no_page;
                    if (page == no_page) {
                        continue;
                    }
                    const std::uint64_t folio = k.pages.compound_head(page);
                    if (folio_mapcount(k, folio) != 1) {
                        continue;
                    }
                    if (pte_young(pte)) {
                        set_pte_at(k.pt, ptep, pte_mkold(pte));
                        tlb.unmapped(page_at.value(), page_size);
                    }
                    cool(k, folio, pageout, list);
                }
            }
        }
        if (!list.empty()) {
            ScanControl sc;
            sc.proactive = true;
            reclaim_folio_list(k, std::move(list), sc);
        }
        at = next;
    }
    return 0;
}

long advise_area(Mm& k, vm_area_struct& vma, std::uint64_t start, std::uint64_t end, Advice advice) {
    bool refused = false;
    if (const auto flags = advised_flags(vma, advice, refused)) {
        if (refused) {
            return -einval;
        }
        if (*flags != vma.vm_flags) {
            change_flags(k, vma, start, end, *flags);
        }
        return 0;
    }
    switch (advice) {
    case Advice::dontneed:
        if (vma.has(no_lru_flags)) {
            return -einval;
        }
        lru_add_drain(k);
        zap_page_range(k, vma, start, end);
        return 0;
    case Advice::free: return madvise_free(k, vma, start, end);
    case Advice::cold: return madvise_cold_or_pageout(k, vma, start, end, false);
    case Advice::pageout: return madvise_cold_or_pageout(k, vma, start, end, true);
    case Advice::populate_read: return vma.has(vm::read) && populate_range(k, vma, start, end, false) ? 0 : -efault;
    case Advice::populate_write: return vma.has(vm::write) && populate_range(k, vma, start, end, true) ? 0 : -efault;
    case Advice::willneed:
        if (vma.vm_file != nullptr) {
            for (std::uint64_t at = start; at < end; at += page_size) {
                if (vma.page_index(at) < vma.vm_file->size_in_pages() && vma.vm_file->kind == FileKind::ext4) {
                    (void)page_cache_page(k, *vma.vm_file, vma.page_index(at));
                }
            }
        }
        return 0;
    default: return -einval;
    }
}

}  // namespace

long do_madvise(Mm& k, task_struct& task, std::uint64_t address, std::uint64_t length, Advice advice) {
    switch_to(k, task);
    k.pass("do_madvise");
    length = page_align(length);
    if (address % page_size != 0) {
        return -einval;
    }
    const std::uint64_t end = address + length;
    long result = 0;
    for (std::uint64_t at = address; at < end;) {
        vm_area_struct* const vma = find_vma_intersection(*task.mm, at, end);
        if (vma == nullptr) {
            return -enomem;
        }
        if (vma->vm_start > at) {
            result = -enomem;  // a hole: the rest is done all the same
            at = vma->vm_start;
        }
        const std::uint64_t to = std::min(end, vma->vm_end);
        if (const long error = advise_area(k, *vma, at, to, advice); error != 0) {
            return error;
        }
        at = to;
    }
    return result;
}

}  // namespace pgsim::kernel
