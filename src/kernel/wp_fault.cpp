// SPDX-License-Identifier: GPL-2.0-only
// Writes to present, read-only entries. [linux-6.6 mm/memory.c do_wp_page()] [spec D.3]
#include "fault.hpp"
#include "filemap.hpp"
#include "memory.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/kernel/pgtable_generic.hpp"
#include "rmap.hpp"
#include "swapfile.hpp"

namespace pgsim::kernel {

namespace {

// [spec M-D17]
void wp_page_reuse(Mm& k, vm_fault& vmf) {
    k.pass("wp_page_reuse");
    const pte_t entry = maybe_mkwrite(pte_mkdirty(pte_mkyoung(vmf.orig_pte)), *vmf.vma);
    if (ptep_set_access_flags(k.pt, vmf.pte, entry, true)) {
        flush_tlb_range(k, *vmf.vma->vm_mm, vmf.address, vmf.address + page_size);
    }
    ++k.vmstat.pgreuse;
}

// [spec M-D15] steps 2 to 8: true when nobody else can see the page.
bool wp_can_reuse_anon_folio(Mm& k, vm_fault& vmf, std::uint64_t page) {
    const std::uint64_t folio = k.pages.compound_head(page);
    if (k.pages.refcount(folio) > 3) {
        k.pass("do_wp_page", "more than three references: copy");
        return false;
    }
    if (!k.pages.test(folio, PageFlag::lru)) {
        lru_add_drain(k);
    }
    if (k.pages.refcount(folio) > 1 + (folio_test_swapcache(k, folio) ? 1 : 0)) {
        k.pass("do_wp_page", "others hold references: copy");
        return false;
    }
    if (folio_test_swapcache(k, folio)) {
        folio_free_swap(k, folio);
    }
    if (k.pages.refcount(folio) != 1) {
        k.pass("do_wp_page", "the swap slot is still in use elsewhere: copy");
        return false;
    }
    page_move_anon_rmap(k, page, *vmf.vma);
    k.pass("do_wp_page", "the only reference: reuse");
    return true;
}

// [spec M-D18]
unsigned wp_page_copy(Mm& k, vm_fault& vmf, std::uint64_t old_page) {
    vm_area_struct& vma = *vmf.vma;
    mm_struct& mm = *vma.vm_mm;
    anon_vma_prepare(k, vma);
    if (old_page != no_page) {
        folio_get(k, k.pages.compound_head(old_page));  // it must not go while memory is looked for
    }
    const bool zero = pte_pfn(vmf.orig_pte) == k.zero_pfn || pte_special(vmf.orig_pte);
    const std::uint64_t fresh = alloc_user_page(k, zero ? no_page : old_page);
    if (fresh == no_page) {
        if (old_page != no_page) {
            folio_put(k, k.pages.compound_head(old_page));
        }
        return fault_ret::oom;
    }
    if (k.tracing()) {
        k.pass("wp_page_copy", "frame " + hex(pte_pfn(vmf.orig_pte)) + " -> " + hex(fresh));
    }
    // Making room may have taken the page away.
    if (!pte_same(ptep_get(k.pt, vmf.pte), vmf.orig_pte)) {
        folio_put(k, fresh);
        if (old_page != no_page) {
            folio_put(k, k.pages.compound_head(old_page));
        }
        return 0;
    }
    if (old_page == no_page) {
        mm.add_counter(MmCounter::anon, 1);
    } else if (!folio_test_anon(k, k.pages.compound_head(old_page))) {
        mm.add_counter(mm_counter(k, old_page), -1);
        mm.add_counter(MmCounter::anon, 1);
    }
    const pte_t entry = maybe_mkwrite(pte_mkdirty(pfn_pte(k.state, fresh, vma.vm_page_prot)), vma);
    pte_clear(k.pt, vmf.pte);
    if (k.setup.left_out != LeftOutFlush::copy_on_write) {
        flush_tlb_range(k, mm, vmf.address, vmf.address + page_size);
    }
    page_add_new_anon_rmap(k, fresh, vma, vmf.address, false);
    if (vma.has(vm::locked)) {
        mlock_folio(k, fresh);
    }
    folio_add_lru(k, fresh);
    set_pte_at(k.pt, vmf.pte, entry);
    if (old_page != no_page) {
        const std::uint64_t folio = k.pages.compound_head(old_page);
        page_remove_rmap(k, old_page, &vma, false);
        free_swap_cache(k, folio);
        folio_put(k, folio);  // the mapping's
        folio_put(k, folio);  // ours
    }
    return 0;
}

// [spec M-D14]
unsigned wp_page_shared(Mm& k, vm_fault& vmf, std::uint64_t page) {
    if (vmf.vma->vm_file != nullptr && vmf.vma->vm_file->has_page_mkwrite()) {
        if ((vmf.flags & fault_flag::vma_lock) != 0) {
            return fault_ret::retry;
        }
        k.pass("do_page_mkwrite");
    }
    wp_page_reuse(k, vmf);
    k.pages.set(k.pages.compound_head(page), PageFlag::dirty);
    return 0;
}

}  // namespace

unsigned do_wp_page(Mm& k, vm_fault& vmf) {
    const std::uint64_t page = vm_normal_page(k, vmf.orig_pte);
    if (vmf.vma->has(vm::shared | vm::mayshare)) {
        if (page == no_page) {
            wp_page_reuse(k, vmf);
            return 0;
        }
        return wp_page_shared(k, vmf, page);
    }
    if (page != no_page && folio_test_anon(k, k.pages.compound_head(page))) {
        if (page_anon_exclusive(k, page)) {
            k.pass("do_wp_page", "exclusive: reuse");
            wp_page_reuse(k, vmf);
            return 0;
        }
        if (wp_can_reuse_anon_folio(k, vmf, page)) {
            wp_page_reuse(k, vmf);
            return 0;
        }
    }
    if ((vmf.flags & fault_flag::vma_lock) != 0 && vmf.vma->anon_vma == nullptr) {
        return fault_ret::retry;
    }
    return wp_page_copy(k, vmf, page);
}

}  // namespace pgsim::kernel
