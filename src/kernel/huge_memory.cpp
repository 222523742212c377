// SPDX-License-Identifier: GPL-2.0-only
#include "huge_memory.hpp"

#include <algorithm>

#include "pgsim/kernel/pgalloc.hpp"
#include "pgsim/kernel/pgtable_generic.hpp"
#include "rmap.hpp"
#include "swapfile.hpp"

namespace pgsim::kernel {

namespace {

constexpr unsigned hpage_pmd_order = 9;
constexpr auto hpage_pages = static_cast<std::int64_t>(hpage_pmd_nr);

// The list link of a huge page that waits for its split stands in its second tail page.
VirtAddr deferred_list(const Mm& k, std::uint64_t folio) {
    return k.pages.address(folio + 2) + page_field::lru_prev;
}
constexpr std::uint64_t not_queued = 0;

bool is_huge_zero_pmd(const Mm& k, pmd_t pmd) {
    return k.huge_zero_pfn != 0 && pmd_present(pmd) && pmd_pfn(pmd) == k.huge_zero_pfn;
}

// mm_get_huge_zero_page(): one for all, made when first wanted.
bool get_huge_zero_page(Mm& k) {
    if (k.huge_zero_pfn == 0) {
        const auto page = k.buddy.alloc_pages((gfp::transhuge | gfp::zero) & ~gfp::movable, hpage_pmd_order);
        if (!page) {
            return false;
        }
        k.huge_zero_pfn = *page;
        k.memory.write64(deferred_list(k, *page), not_queued);
    }
    ++k.huge_zero_refcount;
    return true;
}

void put_huge_zero_page(Mm& k) {
    if (--k.huge_zero_refcount == 0) {  // the shrinker's work in the kernel
        const std::uint64_t page = k.huge_zero_pfn;
        k.huge_zero_pfn = 0;
        folio_put(k, page);
    }
}

pmd_t maybe_pmd_mkwrite(pmd_t pmd, const vm_area_struct& vma) {
    return vma.has(vm::write) ? pmd_mkwrite(pmd) : pmd;
}

}  // namespace

void pgtable_trans_huge_deposit(mm_struct& mm, std::uint64_t table) {
    mm.deposits.push_back(table);
}

std::uint64_t pgtable_trans_huge_withdraw(mm_struct& mm) {
    const std::uint64_t table = mm.deposits.back();
    mm.deposits.pop_back();
    return table;
}

// [spec M-F18]
bool hugepage_vma_check(const Mm& k, const vm_area_struct& vma, std::uint64_t address) {
    if (!vma.is_anonymous() || vma.has(vm::nohugepage | vm::shared) || k.current->thp_disabled) {
        return false;
    }
    if (k.setup.thp == ThpSetting::never || (k.setup.thp == ThpSetting::madvise && !vma.has(vm::hugepage))) {
        return false;
    }
    const std::uint64_t start = address & pmd_mask;
    return vma.vm_start <= start && start + pmd_size <= vma.vm_end;
}

unsigned do_huge_pmd_anonymous_page(Mm& k, vm_fault& vmf) {
    vm_area_struct& vma = *vmf.vma;
    mm_struct& mm = *vma.vm_mm;
    const std::uint64_t start = vmf.address & pmd_mask;
    anon_vma_prepare(k, vma);
    const std::uint64_t table = pte_alloc_one(k);
    if (table == no_page) {
        return fault_ret::oom;
    }
    if (!vmf.write() && k.setup.use_zero_page) {
        if (!get_huge_zero_page(k)) {
            pte_free(k, table);
            ++k.vmstat.thp_fault_fallback;
            return fault_ret::fallback;
        }
        k.pass("do_huge_pmd_anonymous_page", "read: the huge zero page");
        const pgprot_t prot = vma.vm_page_prot;
        pmd_t entry = pmd_mkhuge(pfn_pmd(k.state, k.huge_zero_pfn, prot));
        entry = pmd_wrprotect(entry);
        pgtable_trans_huge_deposit(mm, table);
        mm.pgtables_bytes += static_cast<std::int64_t>(page_size);
        set_pmd(k.pt, vmf.pmd, entry);
        return 0;
    }
    const auto folio = k.buddy.alloc_pages(gfp::transhuge | gfp::zero, hpage_pmd_order);
    if (!folio) {
        pte_free(k, table);
        ++k.vmstat.thp_fault_fallback;
        return fault_ret::fallback;
    }
    k.pass("do_huge_pmd_anonymous_page", "2 MiB, zeroed");
    ++k.vmstat.thp_fault_alloc;
    k.memory.write64(deferred_list(k, *folio), not_queued);
    k.pages.set(*folio, PageFlag::uptodate);
    pmd_t entry = pmd_mkhuge(pfn_pmd(k.state, *folio, vma.vm_page_prot));
    entry = maybe_pmd_mkwrite(pmd_mkdirty(entry), vma);
    page_add_new_anon_rmap(k, *folio, vma, start, true);
    if (vma.has(vm::locked)) {
        mlock_folio(k, *folio);
    }
    folio_add_lru(k, *folio);
    pgtable_trans_huge_deposit(mm, table);
    mm.pgtables_bytes += static_cast<std::int64_t>(page_size);
    set_pmd(k.pt, vmf.pmd, entry);
    mm.add_counter(MmCounter::anon, hpage_pages);
    return 0;
}

void huge_pmd_set_accessed(Mm& k, vm_fault& vmf) {
    pmd_t entry = pmd_mkyoung(vmf.orig_pmd);
    if (vmf.write()) {
        entry = pmd_mkdirty(entry);
    }
    if (!pmdp_set_access_flags(k.pt, vmf.pmd, entry, vmf.write()) && vmf.write()) {
        const std::uint64_t start = vmf.address & pmd_mask;
        flush_tlb_range(k, *vmf.vma->vm_mm, start, start + page_size);
    }
}

// [spec M-D20]
unsigned do_huge_pmd_wp_page(Mm& k, vm_fault& vmf) {
    vm_area_struct& vma = *vmf.vma;
    const std::uint64_t start = vmf.address & pmd_mask;
    const auto reuse = [&] {
        const pmd_t entry = maybe_pmd_mkwrite(pmd_mkdirty(pmd_mkyoung(vmf.orig_pmd)), vma);
        if (pmdp_set_access_flags(k.pt, vmf.pmd, entry, true)) {
            flush_tlb_range(k, *vma.vm_mm, start, start + page_size);
        }
    };
    if (is_huge_zero_pmd(k, vmf.orig_pmd)) {
        k.pass("do_huge_pmd_wp_page", "the huge zero page: split");
        split_huge_pmd(k, vma, vmf.pmd, start);
        return fault_ret::fallback;
    }
    const std::uint64_t folio = pmd_pfn(vmf.orig_pmd);
    if (page_anon_exclusive(k, folio)) {
        k.pass("do_huge_pmd_wp_page", "exclusive: reuse");
        reuse();
        return 0;
    }
    if (!k.pages.test(folio, PageFlag::lru)) {
        lru_add_drain(k);
    }
    if (folio_test_swapcache(k, folio)) {
        folio_free_swap(k, folio);
    }
    if (k.pages.refcount(folio) == 1) {
        k.pass("do_huge_pmd_wp_page", "the only reference: reuse");
        page_move_anon_rmap(k, folio, vma);
        reuse();
        return 0;
    }
    k.pass("do_huge_pmd_wp_page", "others hold references: split");
    split_huge_pmd(k, vma, vmf.pmd, start);
    return fault_ret::fallback;
}

// [spec M-D8]
CopyHuge copy_huge_pmd(Mm& k, mm_struct& to, pmd_ptr to_pmd, pmd_ptr from_pmd) {
    const std::uint64_t table = pte_alloc_one(k);
    if (table == no_page) {
        return CopyHuge::no_memory;
    }
    pmd_t entry = pmdp_get(k.pt, from_pmd);
    if (!pmd_trans_huge(entry)) {  // making room split it
        pte_free(k, table);
        return CopyHuge::no_longer_huge;
    }
    if (is_huge_zero_pmd(k, entry)) {
        ++k.huge_zero_refcount;
    } else {
        const std::uint64_t folio = pmd_pfn(entry);
        folio_get(k, folio);
        page_dup_anon_rmap(k, folio, true);
        to.add_counter(MmCounter::anon, hpage_pages);
    }
    to.pgtables_bytes += static_cast<std::int64_t>(page_size);
    pgtable_trans_huge_deposit(to, table);
    pmdp_set_wrprotect(k.pt, from_pmd);
    entry = pmd_mkold(pmd_wrprotect(entry));
    set_pmd(k.pt, to_pmd, entry);
    return CopyHuge::done;
}

void zap_huge_pmd(mmu_gather& tlb, vm_area_struct& vma, pmd_ptr pmd, std::uint64_t address) {
    Mm& k = tlb.k;
    const pmd_t entry = pmdp_huge_get_and_clear(k.pt, pmd);
    tlb.unmapped(address, pmd_size);
    tlb.mm.pgtables_bytes -= static_cast<std::int64_t>(page_size);
    tlb.remove_table(pgtable_trans_huge_withdraw(tlb.mm));
    if (is_huge_zero_pmd(k, entry)) {
        put_huge_zero_page(k);
        return;
    }
    const std::uint64_t folio = pmd_pfn(entry);
    page_remove_rmap(k, folio, &vma, true);
    tlb.mm.add_counter(MmCounter::anon, -hpage_pages);
    tlb.remove_page(folio);
}

void change_huge_pmd(mmu_gather& tlb, vm_area_struct& vma, pmd_ptr pmd, std::uint64_t address, pgprot_t prot,
                     bool try_writable) {
    Mm& k = tlb.k;
    const pmd_t old = pmdp_get(k.pt, pmd);
    pmd_t entry = pmd_modify(k.state, old, prot);
    if (try_writable && !pmd_write(entry) && !is_huge_zero_pmd(k, old) && !pmd_protnone(entry) &&
        !vma.has(vm::shared) && page_anon_exclusive(k, pmd_pfn(old))) {
        entry = pmd_mkwrite(entry);
    }
    set_pmd(k.pt, pmd, entry);
    tlb.unmapped(address, pmd_size);
}

namespace {

void split_huge_zero_pmd(Mm& k, vm_area_struct& vma, pmd_ptr pmd, std::uint64_t address) {
    const std::uint64_t table = pgtable_trans_huge_withdraw(*vma.vm_mm);
    pte_ptr ptep{table_va(k, table)};
    for (std::uint64_t i = 0; i < hpage_pmd_nr; ++i, ++ptep) {
        set_pte_at(k.pt, ptep, pte_mkspecial(pfn_pte(k.state, k.zero_pfn, vma.vm_page_prot)));
    }
    pmd_populate(k.pt, pmd, PhysAddr{table << page_shift});
    flush_tlb_range(k, *vma.vm_mm, address, address + page_size);
    put_huge_zero_page(k);
}

}  // namespace

void split_huge_pmd(Mm& k, vm_area_struct& vma, pmd_ptr pmd, std::uint64_t address) {
    const pmd_t old = pmdp_get(k.pt, pmd);
    if (!pmd_trans_huge(old)) {
        return;
    }
    k.pass("__split_huge_pmd");
    ++k.vmstat.thp_split_pmd;
    address &= pmd_mask;
    if (is_huge_zero_pmd(k, old)) {
        split_huge_zero_pmd(k, vma, pmd, address);
        return;
    }
    const std::uint64_t folio = pmd_pfn(old);
    const bool exclusive = page_anon_exclusive(k, folio);
    k.pages.ref_add(folio, static_cast<std::int32_t>(hpage_pmd_nr) - 1);
    const std::uint64_t table = pgtable_trans_huge_withdraw(*vma.vm_mm);
    pte_ptr ptep{table_va(k, table)};
    // The frames one by one; the first tail's word that counts mappings is not touched by per-page mapcounts.
    std::uint32_t mapped = 0;
    for (std::uint64_t i = 0; i < hpage_pmd_nr; ++i, ++ptep) {
        pte_t entry = pfn_pte(k.state, folio + i, vma.vm_page_prot);
        if (exclusive && i != 0) {
            k.pages.set(folio + i, PageFlag::anon_exclusive);
        }
        if (pmd_write(old)) {
            entry = pte_mkwrite(entry);
        } else {
            entry = pte_wrprotect(entry);
        }
        if (!pmd_young(old)) {
            entry = pte_mkold(entry);
        }
        if (pmd_dirty(old)) {
            entry = pte_mkdirty(entry);
        }
        const std::int32_t count = k.pages.raw_mapcount(folio + i) + 1;
        k.pages.set_raw_mapcount(folio + i, count);
        mapped += count == 0 ? 1 : 0;
        set_pte_at(k.pt, ptep, entry);
    }
    k.pages.set_half(folio + 1, page_field::nr_pages_mapped,
                     k.pages.half(folio + 1, page_field::nr_pages_mapped) + mapped);
    page_remove_rmap(k, folio, &vma, true);
    pmd_populate(k.pt, pmd, PhysAddr{table << page_shift});
    flush_tlb_range(k, *vma.vm_mm, address, address + page_size);
    // A 4-KByte INVLPG inside the old 2-MByte translation takes the whole of it away.
}

void split_huge_pmd_address(Mm& k, vm_area_struct& vma, std::uint64_t address) {
    const TablePath path = find_entries(k, *vma.vm_mm, VirtAddr{address});
    if (!path.pmd.is_null() && (address & ~pmd_mask) != 0 && pmd_trans_huge(pmdp_get(k.pt, path.pmd))) {
        split_huge_pmd(k, vma, path.pmd, address);
    }
}

bool move_huge_pmd(Mm& k, mm_struct& mm, pmd_ptr from, pmd_ptr to) {
    (void)mm;
    if (!pmd_none(pmdp_get(k.pt, to))) {
        return false;
    }
    set_pmd(k.pt, to, pmdp_huge_get_and_clear(k.pt, from));
    return true;
}

void madvise_free_huge_pmd(mmu_gather& tlb, vm_area_struct& vma, pmd_ptr pmd, std::uint64_t address) {
    Mm& k = tlb.k;
    (void)vma;
    const pmd_t old = pmdp_get(k.pt, pmd);
    if (is_huge_zero_pmd(k, old)) {
        return;
    }
    const std::uint64_t folio = pmd_pfn(old);
    if (folio_mapcount(k, folio) != 1) {
        return;
    }
    k.pages.test_and_clear(folio, PageFlag::dirty);
    if (pmd_young(old) || pmd_dirty(old)) {
        set_pmd(k.pt, pmd, pmd_mkclean(pmd_mkold(old)));
        tlb.unmapped(address, pmd_size);
    }
    folio_mark_lazyfree(k, folio);
}

void deferred_split_folio(Mm& k, std::uint64_t folio) {
    if (k.pages.order(folio) < 2 || k.memory.read64(deferred_list(k, folio)) != not_queued) {
        return;
    }
    k.buddy.list_add_tail(deferred_list(k, folio), k.split_queue);
    ++k.nr_deferred_split;
}

void undo_deferred_split(Mm& k, std::uint64_t folio) {
    if (k.pages.order(folio) < 2) {
        return;
    }
    if (k.memory.read64(deferred_list(k, folio)) != not_queued) {
        k.buddy.list_del(deferred_list(k, folio));
        --k.nr_deferred_split;
    }
    k.memory.write64(deferred_list(k, folio), 0);
    k.memory.write64(deferred_list(k, folio) + 8, 0);
}

// Every tail becomes a page of its own; entries must be PTEs by now. [linux-6.6 split_huge_page_to_list()]
bool split_folio(Mm& k, std::uint64_t folio, std::vector<std::uint64_t>* list) {
    for (const PageMapping& mapping : rmap_walk(k, folio)) {
        const TablePath path = find_entries(k, *mapping.vma->vm_mm, VirtAddr{mapping.address});
        if (!path.pmd.is_null() && pmd_trans_huge(pmdp_get(k.pt, path.pmd)) &&
            pmd_pfn(pmdp_get(k.pt, path.pmd)) == folio) {
            split_huge_pmd(k, *mapping.vma, path.pmd, mapping.address);
        }
    }
    if (k.pages.refcount(folio) != folio_mapcount(k, folio) + 1 || folio_test_swapcache(k, folio)) {
        return false;
    }
    k.pass("split_huge_page");
    ++k.vmstat.thp_split_page;
    undo_deferred_split(k, folio);
    const std::uint64_t flags = k.pages.flags(folio);
    const bool on_lru = (flags & flag_bit(PageFlag::lru)) != 0;
    if (on_lru) {
        lruvec_del_folio(k, folio);
    }
    const std::uint64_t mapping = k.pages.mapping(folio);
    const std::uint64_t index = k.pages.index(folio);
    constexpr std::uint64_t inherited = flag_bit(PageFlag::referenced) | flag_bit(PageFlag::swapbacked) |
                                        flag_bit(PageFlag::mlocked) | flag_bit(PageFlag::uptodate) |
                                        flag_bit(PageFlag::active) | flag_bit(PageFlag::workingset) |
                                        flag_bit(PageFlag::unevictable) | flag_bit(PageFlag::dirty);
    for (std::uint64_t i = 1; i < hpage_pmd_nr; ++i) {
        const std::uint64_t page = folio + i;
        std::uint64_t own = k.pages.flags(page);
        if (i == 1) {
            own &= ~std::uint64_t{0x7ff};
        }
        const bool exclusive = (own & flag_bit(PageFlag::anon_exclusive)) != 0;
        own &= ~page_flags_check_at_prep;
        own |= (flags & inherited) | (exclusive ? flag_bit(PageFlag::anon_exclusive) : 0);
        k.pages.set_word(page, page_field::compound_head, 0);
        k.pages.set_flags(page, own);
        k.pages.set_mapping(page, mapping);
        k.pages.set_index(page, index + i);
        k.pages.set_private_data(page, 0);
        k.pages.set_refcount(page, k.pages.raw_mapcount(page) + 1);
    }
    k.pages.set_flags(folio, flags & ~(flag_bit(PageFlag::head) | flag_bit(PageFlag::lru)));
    k.pages.set_refcount(folio, k.pages.raw_mapcount(folio) + 2);
    if (on_lru) {
        k.pages.set(folio, PageFlag::lru);
        lruvec_add_folio(k, folio, true);
    }
    for (std::uint64_t i = 1; i < hpage_pmd_nr; ++i) {
        const std::uint64_t page = folio + i;
        if (k.pages.refcount(page) == 0) {  // nobody maps it any more
            k.pages.set_flags(page, k.pages.flags(page) & ~(flag_bit(PageFlag::active) | flag_bit(PageFlag::mlocked) |
                                                            flag_bit(PageFlag::unevictable)));
            ++k.vmstat.pgfree;
            k.buddy.free_unref_page(page, 0);
        } else if (list != nullptr) {
            folio_get(k, page);
            list->push_back(page);
        } else {
            k.pages.set(page, PageFlag::lru);
            lruvec_add_folio(k, page, true);
        }
    }
    return true;
}

std::uint64_t deferred_split_scan(Mm& k) {
    std::uint64_t split = 0;
    std::vector<std::uint64_t> queue;
    for (std::uint64_t link = k.memory.read64(k.split_queue); link != k.split_queue.value();
         link = k.memory.read64(VirtAddr{link})) {
        queue.push_back(k.pages.pfn_of(VirtAddr{link - page_field::lru_prev}) - 2);
    }
    const std::uint64_t before = k.buddy.free_page_count();
    for (const std::uint64_t folio : queue) {
        folio_get(k, folio);
        if (split_folio(k, folio)) {
            ++split;
        }
        folio_put(k, folio);
    }
    return split == 0 ? 0 : k.buddy.free_page_count() - before;
}

}  // namespace pgsim::kernel
