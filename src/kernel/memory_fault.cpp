// SPDX-License-Identifier: GPL-2.0-only
// From handle_mm_fault() to the entry. [linux-6.6 mm/memory.c] [spec F.2 to F.4, D.3]
#include "fault.hpp"
#include "filemap.hpp"
#include "huge_memory.hpp"
#include "memory.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/kernel/pgtable_generic.hpp"
#include "rmap.hpp"
#include "swapfile.hpp"

namespace pgsim::kernel {

namespace {

// mm_account_fault(). [spec M-F9]
void mm_account_fault(Mm& k, unsigned flags, unsigned ret) {
    if ((ret & fault_ret::retry) != 0) {
        return;
    }
    ++k.vmstat.pgfault;
    if ((ret & fault_ret::error) != 0) {
        return;
    }
    if ((ret & fault_ret::major) != 0 || (flags & fault_flag::tried) != 0) {
        ++k.current->maj_flt;
    } else {
        ++k.current->min_flt;
    }
}

// [spec M-F10]
unsigned handle_mm_fault_inner(Mm& k, vm_area_struct& vma, std::uint64_t address, unsigned flags) {
    vm_fault vmf;
    vmf.vma = &vma;
    vmf.address = address & page_mask;
    vmf.pgoff = vma.page_index(vmf.address);
    vmf.flags = flags;
    mm_struct& mm = *vma.vm_mm;
    vmf.pud = pud_alloc(k, mm, VirtAddr{vmf.address});
    if (vmf.pud.is_null()) {
        return fault_ret::oom;
    }
    vmf.pmd = pmd_alloc(k, mm, vmf.pud, VirtAddr{vmf.address});
    if (vmf.pmd.is_null()) {
        return fault_ret::oom;
    }
    vmf.orig_pmd = pmdp_get(k.pt, vmf.pmd);
    if (pmd_none(vmf.orig_pmd)) {
        if (hugepage_vma_check(k, vma, vmf.address)) {
            const unsigned ret = do_huge_pmd_anonymous_page(k, vmf);
            if ((ret & fault_ret::fallback) == 0) {
                return ret;
            }
        }
    } else if (pmd_trans_huge(vmf.orig_pmd)) {
        if (vmf.write() && !pmd_write(vmf.orig_pmd)) {
            const unsigned ret = do_huge_pmd_wp_page(k, vmf);
            if ((ret & fault_ret::fallback) == 0) {
                return ret;
            }
        } else {
            huge_pmd_set_accessed(k, vmf);
            return 0;
        }
    }
    return handle_pte_fault(k, vmf);
}

}  // namespace

unsigned handle_mm_fault(Mm& k, vm_area_struct& vma, std::uint64_t address, unsigned flags) {
    k.pass("handle_mm_fault");
    unsigned ret = 0;
    if ((flags & fault_flag::write) != 0 && (!vma.has(vm::maywrite) || (!vma.has(vm::write) && !vma.is_cow()))) {
        ret = fault_ret::sigsegv;
    } else {
        ret = handle_mm_fault_inner(k, vma, address, flags);
    }
    mm_account_fault(k, flags, ret);
    return ret;
}

pte_t maybe_mkwrite(pte_t pte, const vm_area_struct& vma) {
    return vma.has(vm::write) ? pte_mkwrite(pte) : pte;
}

std::uint64_t alloc_user_page(Mm& k, std::uint64_t source) {
    const gfp_t gfp = gfp::highuser_movable | (source == no_page ? gfp::zero : 0U);
    const auto page = k.buddy.alloc_pages(gfp, 0);
    if (!page) {
        return no_page;
    }
    if (source != no_page) {
        k.memory.copy(table_va(k, *page), table_va(k, source), page_size);
    }
    k.pages.set(*page, PageFlag::uptodate);
    return *page;
}

// [spec M-F11]
unsigned handle_pte_fault(Mm& k, vm_fault& vmf) {
    const pmd_t pmd = pmdp_get(k.pt, vmf.pmd);
    if (pmd_none(pmd)) {
        vmf.pte = {};
    } else {
        vmf.pte = pte_offset_map(k.pt, vmf.pmd, VirtAddr{vmf.address});
        if (vmf.pte.is_null()) {
            return 0;
        }
        vmf.orig_pte = ptep_get(k.pt, vmf.pte);
        if (pte_none(vmf.orig_pte)) {
            vmf.pte = {};
        }
    }
    if (vmf.pte.is_null()) {
        k.pass("do_pte_missing", vmf.vma->is_anonymous() ? "anonymous" : "file");
        return vmf.vma->is_anonymous() ? do_anonymous_page(k, vmf) : do_fault(k, vmf);
    }
    if (!pte_present(vmf.orig_pte)) {
        return do_swap_page(k, vmf);
    }
    if (vmf.write() && !pte_write(vmf.orig_pte)) {
        return do_wp_page(k, vmf);
    }
    pte_t entry = vmf.orig_pte;
    if (vmf.write()) {
        entry = pte_mkdirty(entry);
    }
    entry = pte_mkyoung(entry);
    if (!ptep_set_access_flags(k.pt, vmf.pte, entry, vmf.write())) {
        k.pass("handle_pte_fault", "spurious: the entry allows the access already");
        if (vmf.write()) {
            flush_tlb_range(k, *vmf.vma->vm_mm, vmf.address, vmf.address + page_size);
        }
    }
    return 0;
}

// [spec M-F13]
unsigned do_anonymous_page(Mm& k, vm_fault& vmf) {
    vm_area_struct& vma = *vmf.vma;
    mm_struct& mm = *vma.vm_mm;
    if (vma.has(vm::shared)) {
        return fault_ret::sigbus;
    }
    if (!pte_alloc(k, mm, vmf.pmd)) {
        return fault_ret::oom;
    }
    if (!vmf.write()) {
        k.pass("do_anonymous_page", "read: the zero page");
        vmf.pte = pte_offset_map(k.pt, vmf.pmd, VirtAddr{vmf.address});
        set_pte_at(k.pt, vmf.pte, pte_mkspecial(pfn_pte(k.state, k.zero_pfn, vma.vm_page_prot)));
        return 0;
    }
    anon_vma_prepare(k, vma);
    const std::uint64_t page = alloc_user_page(k, no_page);
    if (page == no_page) {
        return fault_ret::oom;
    }
    if (k.tracing()) {
        k.pass("do_anonymous_page", "write: a zeroed page, frame " + hex(page));
    }
    pte_t entry = pfn_pte(k.state, page, vma.vm_page_prot);
    if (vma.has(vm::write)) {
        entry = pte_mkwrite(pte_mkdirty(entry));
    }
    vmf.pte = pte_offset_map(k.pt, vmf.pmd, VirtAddr{vmf.address});
    mm.add_counter(MmCounter::anon, 1);
    page_add_new_anon_rmap(k, page, vma, vmf.address, false);
    if (vma.has(vm::locked)) {
        mlock_folio(k, page);
    }
    folio_add_lru(k, page);
    set_pte_at(k.pt, vmf.pte, entry);
    return 0;
}

namespace {

// __do_fault(): asks the file for the page.
unsigned ask_file(Mm& k, vm_fault& vmf) {
    if (pmd_none(pmdp_get(k.pt, vmf.pmd)) && vmf.prealloc_pte == no_page) {
        vmf.prealloc_pte = pte_alloc_one(k);
        if (vmf.prealloc_pte == no_page) {
            return fault_ret::oom;
        }
    }
    return filemap_fault(k, vmf);
}

// set_pte_range() of one page.
void do_set_pte(Mm& k, vm_fault& vmf, std::uint64_t page) {
    vm_area_struct& vma = *vmf.vma;
    pte_t entry = pfn_pte(k.state, page, vma.vm_page_prot);
    if (vmf.write()) {
        entry = maybe_mkwrite(pte_mkdirty(entry), vma);
    }
    if (vmf.write() && !vma.has(vm::shared)) {
        vma.vm_mm->add_counter(MmCounter::anon, 1);
        page_add_new_anon_rmap(k, page, vma, vmf.address, false);
        if (vma.has(vm::locked)) {
            mlock_folio(k, page);
        }
        folio_add_lru(k, page);
    } else {
        vma.vm_mm->add_counter(mm_counter(k, page), 1);
        page_add_file_rmap(k, page);
        if (vma.has(vm::locked)) {
            mlock_folio(k, page);
        }
    }
    set_pte_at(k.pt, vmf.pte, entry);
}

unsigned finish_fault(Mm& k, vm_fault& vmf) {
    const bool cow = vmf.write() && !vmf.vma->has(vm::shared);
    const std::uint64_t page = cow ? vmf.cow_page : vmf.page;
    if (pmd_none(pmdp_get(k.pt, vmf.pmd))) {
        if (vmf.prealloc_pte != no_page) {
            if (pmd_install(k, *vmf.vma->vm_mm, vmf.pmd, vmf.prealloc_pte)) {
                vmf.prealloc_pte = no_page;
            }
        } else if (!pte_alloc(k, *vmf.vma->vm_mm, vmf.pmd)) {
            return fault_ret::oom;
        }
    }
    vmf.pte = pte_offset_map(k.pt, vmf.pmd, VirtAddr{vmf.address});
    if (!pte_none(ptep_get(k.pt, vmf.pte))) {
        return fault_ret::nopage;
    }
    do_set_pte(k, vmf, page);
    return 0;
}

constexpr unsigned fault_unfinished = fault_ret::error | fault_ret::nopage | fault_ret::retry;

// [spec M-F15]
unsigned do_read_fault(Mm& k, vm_fault& vmf) {
    if (k.setup.fault_around_pages > 1) {
        const unsigned ret = do_fault_around(k, vmf);
        if (ret != 0) {
            return ret;
        }
    }
    if ((vmf.flags & fault_flag::vma_lock) != 0) {
        return fault_ret::retry;
    }
    k.pass("do_read_fault");
    unsigned ret = ask_file(k, vmf);
    if ((ret & fault_unfinished) != 0) {
        return ret;
    }
    ret |= finish_fault(k, vmf);
    if ((ret & fault_unfinished) != 0) {
        folio_put(k, vmf.page);
    }
    return ret;
}

// [spec M-F16]
unsigned do_cow_fault(Mm& k, vm_fault& vmf) {
    if ((vmf.flags & fault_flag::vma_lock) != 0) {
        return fault_ret::retry;
    }
    k.pass("do_cow_fault");
    anon_vma_prepare(k, *vmf.vma);
    const auto copy = k.buddy.alloc_pages(gfp::highuser_movable, 0);
    if (!copy) {
        return fault_ret::oom;
    }
    vmf.cow_page = *copy;
    unsigned ret = ask_file(k, vmf);
    if ((ret & fault_unfinished) != 0) {
        folio_put(k, vmf.cow_page);
        return ret;
    }
    k.memory.copy(table_va(k, vmf.cow_page), table_va(k, vmf.page), page_size);
    k.pages.set(vmf.cow_page, PageFlag::uptodate);
    ret |= finish_fault(k, vmf);
    folio_put(k, vmf.page);
    if ((ret & fault_unfinished) != 0) {
        folio_put(k, vmf.cow_page);
    }
    return ret;
}

// [spec M-F17]
unsigned do_shared_fault(Mm& k, vm_fault& vmf) {
    if ((vmf.flags & fault_flag::vma_lock) != 0) {
        return fault_ret::retry;
    }
    k.pass("do_shared_fault");
    unsigned ret = ask_file(k, vmf);
    if ((ret & fault_unfinished) != 0) {
        return ret;
    }
    if (vmf.vma->vm_file->has_page_mkwrite()) {
        k.pass("do_page_mkwrite");
    }
    ret |= finish_fault(k, vmf);
    if ((ret & fault_unfinished) != 0) {
        folio_put(k, vmf.page);
        return ret;
    }
    k.pages.set(k.pages.compound_head(vmf.page), PageFlag::dirty);
    return ret;
}

}  // namespace

// [spec M-F14]
unsigned do_fault(Mm& k, vm_fault& vmf) {
    unsigned ret = 0;
    if (!vmf.write()) {
        ret = do_read_fault(k, vmf);
    } else if (!vmf.vma->has(vm::shared)) {
        ret = do_cow_fault(k, vmf);
    } else {
        ret = do_shared_fault(k, vmf);
    }
    if (vmf.prealloc_pte != no_page) {
        pte_free(k, vmf.prealloc_pte);
        vmf.prealloc_pte = no_page;
    }
    return ret;
}

}  // namespace pgsim::kernel
