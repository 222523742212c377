// SPDX-License-Identifier: GPL-2.0-only
// mprotect, mlock. [linux-6.6 mm/mprotect.c, mm/mlock.c] [spec M-D25, M-D27]
#include <algorithm>

#include "huge_memory.hpp"
#include "memory.hpp"
#include "mmap.hpp"
#include "pgsim/kernel/pgtable_generic.hpp"
#include "rmap.hpp"
#include "vma.hpp"

namespace pgsim::kernel {

namespace {

// can_change_pte_writable(): a write needs no fault any more.
bool can_change_pte_writable(const Mm& k, const vm_area_struct& vma, pte_t pte) {
    if (pte_protnone(pte)) {
        return false;
    }
    if (vma.has(vm::shared)) {
        return pte_dirty(pte);
    }
    const std::uint64_t page = vm_normal_page(k, pte);
    return page != no_page && folio_test_anon(k, k.pages.compound_head(page)) && page_anon_exclusive(k, page);
}

void change_pte_range(mmu_gather& tlb, vm_area_struct& vma, pmd_ptr pmd, VirtAddr address, VirtAddr end, pgprot_t prot,
                      bool try_writable) {
    Mm& k = tlb.k;
    pte_ptr ptep = pte_offset_map(k.pt, pmd, address);
    if (ptep.is_null()) {
        return;
    }
    for (; address != end; address += page_size, ++ptep) {
        const pte_t old = ptep_get(k.pt, ptep);
        if (pte_none(old) || !pte_present(old)) {
            continue;
        }
        pte_t pte = pte_modify(k.state, old, prot);
        if (try_writable && !pte_write(pte) && can_change_pte_writable(k, vma, pte)) {
            pte = pte_mkwrite(pte);
        }
        set_pte_at(k.pt, ptep, pte);
        if (pte.pte != old.pte) {
            tlb.unmapped(address.value(), page_size);
        }
    }
}

// change_protection().
void change_protection(Mm& k, vm_area_struct& vma, std::uint64_t start, std::uint64_t end, bool try_writable) {
    k.pass("change_protection");
    mm_struct& mm = *vma.vm_mm;
    mmu_gather tlb{k, mm};
    for (VirtAddr at{start}; at < VirtAddr{end};) {
        const VirtAddr next = pmd_addr_end(at, VirtAddr{end});
        const TablePath path = find_entries(k, mm, at);
        if (!path.pmd.is_null()) {
            const pmd_t pmd = pmdp_get(k.pt, path.pmd);
            if (pmd_trans_huge(pmd) && next - at == pmd_size) {
                change_huge_pmd(tlb, vma, path.pmd, at.value(), vma.vm_page_prot, try_writable);
            } else {
                if (pmd_trans_huge(pmd)) {
                    split_huge_pmd(k, vma, path.pmd, at.value());
                }
                change_pte_range(tlb, vma, path.pmd, at, next, vma.vm_page_prot, try_writable);
            }
        }
        at = next;
    }
    if (k.setup.left_out == LeftOutFlush::mprotect) {
        tlb.forget();
    }
}

bool wants_manual_write_upgrade(const vm_area_struct& vma) {
    return vma.has(vm::shared) ? vma_wants_writenotify(vma, vma.vm_page_prot) : vma.has(vm::write);
}

}  // namespace

long do_mprotect(Mm& k, task_struct& task, std::uint64_t address, std::uint64_t length, unsigned wanted) {
    switch_to(k, task);
    k.pass("do_mprotect_pkey");
    mm_struct& mm = *task.mm;
    length = page_align(length);
    if (address % page_size != 0) {
        return -einval;
    }
    const std::uint64_t end = address + length;
    if (length == 0) {
        return 0;
    }
    if (end <= address) {
        return -enomem;
    }
    vm_area_struct* vma = find_vma(mm, address);
    if (vma == nullptr || vma->vm_start > address) {
        return -enomem;
    }
    for (std::uint64_t at = address; at < end;) {
        vma = vma_lookup(mm, at);
        if (vma == nullptr) {
            return -enomem;
        }
        const std::uint64_t to = std::min(end, vma->vm_end);
        const std::uint64_t old_flags = vma->vm_flags;
        std::uint64_t flags = (old_flags & ~vm::access_flags) | (wanted & 7);
        if ((flags & ~(flags >> 4) & vm::access_flags) != 0) {
            return -eacces;
        }
        if (flags != old_flags) {
            if ((flags & vm::write) != 0 && (old_flags & (vm::account | vm::write | vm::shared | vm::noreserve)) == 0) {
                flags |= vm::account;
            }
            vm_area_struct& changed = change_flags(k, *vma, at, to, flags);
            vma_set_page_prot(changed);
            change_protection(k, changed, at, to, wants_manual_write_upgrade(changed));
            if ((old_flags & (vm::write | vm::shared | vm::locked)) == vm::locked && (flags & vm::write) != 0) {
                populate_range(k, changed, at, to, true);
            }
        }
        at = to;
    }
    return 0;
}

namespace {

// mlock_vma_pages_range(): what is mapped already becomes (un)evictable.
void mark_mapped_pages(Mm& k, vm_area_struct& vma, std::uint64_t start, std::uint64_t end, bool lock) {
    for (std::uint64_t at = start; at < end;) {
        const TablePath path = find_entries(k, *vma.vm_mm, VirtAddr{at});
        std::uint64_t page = no_page;
        std::uint64_t step = page_size;
        if (!path.pmd.is_null() && pmd_trans_huge(pmdp_get(k.pt, path.pmd))) {
            page = pmd_pfn(pmdp_get(k.pt, path.pmd));
            page = page == k.huge_zero_pfn ? no_page : page;
            step = (at & pmd_mask) + pmd_size - at;
        } else if (!path.pte.is_null()) {
            const pte_t pte = ptep_get(k.pt, path.pte);
            page = pte_present(pte) ? vm_normal_page(k, pte) : no_page;
        }
        if (page != no_page) {
            const std::uint64_t folio = k.pages.compound_head(page);
            lock ? mlock_folio(k, folio) : munlock_folio(k, folio);
        }
        at += step;
    }
}

long apply_mlock(Mm& k, task_struct& task, std::uint64_t address, std::uint64_t length, bool lock) {
    switch_to(k, task);
    mm_struct& mm = *task.mm;
    const std::uint64_t end = page_align(address + length);
    address &= page_mask;
    for (std::uint64_t at = address; at < end;) {
        vm_area_struct* const vma = vma_lookup(mm, at);
        if (vma == nullptr) {
            return -enomem;
        }
        const std::uint64_t to = std::min(end, vma->vm_end);
        const std::uint64_t flags = lock ? vma->vm_flags | vm::locked : vma->vm_flags & ~(vm::locked | vm::lockonfault);
        if (flags != vma->vm_flags) {
            vm_area_struct& changed = change_flags(k, *vma, at, to, flags);
            const std::uint64_t pages = (to - at) >> page_shift;
            mm.locked_vm = lock ? mm.locked_vm + pages : mm.locked_vm - pages;
            lru_add_drain(k);
            mark_mapped_pages(k, changed, at, to, lock);
        }
        at = to;
    }
    return lock ? mm_populate(k, task, address, end, false) : 0;
}

}  // namespace

long do_mlock(Mm& k, task_struct& task, std::uint64_t address, std::uint64_t length) {
    k.pass("do_mlock");
    return apply_mlock(k, task, address, length, true);
}

long do_munlock(Mm& k, task_struct& task, std::uint64_t address, std::uint64_t length) {
    k.pass("do_munlock");
    return apply_mlock(k, task, address, length, false);
}

}  // namespace pgsim::kernel
