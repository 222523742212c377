// SPDX-License-Identifier: GPL-2.0-only
// Faults on swap entries. [linux-6.6 mm/memory.c do_swap_page()] [spec M-F20, M-F21]
#include "fault.hpp"
#include "memory.hpp"
#include "pgsim/kernel/pgtable_generic.hpp"
#include "pgsim/kernel/vmscan.hpp"
#include "rmap.hpp"
#include "swapfile.hpp"

namespace pgsim::kernel {

unsigned do_swap_page(Mm& k, vm_fault& vmf) {
    vm_area_struct& vma = *vmf.vma;
    const swp_entry_t entry = pte_to_swp_entry(vmf.orig_pte);
    if (entry.type != 0 || entry.offset >= k.swap.swap_map.size()) {
        return fault_ret::sigbus;
    }
    unsigned ret = 0;
    std::uint64_t page = swap_cache_get_folio(k, entry);
    if (page != no_page) {
        k.pass("do_swap_page", "in the swap cache");
        folio_get(k, page);
    } else {
        k.pass("do_swap_page", "read from the swap area");
        ++k.vmstat.pgmajfault;
        ret = fault_ret::major;
        page = swap_read_folio(k, entry);
        if (page == no_page) {
            return fault_ret::oom;
        }
        workingset_refault_swap(k, page, entry);
        folio_add_lru(k, page);
        if (!pte_same(ptep_get(k.pt, vmf.pte), vmf.orig_pte)) {
            folio_put(k, page);
            return ret;
        }
    }
    if (vmf.write() && !k.pages.test(page, PageFlag::lru)) {
        lru_add_drain(k);  // this CPU's batch would look like somebody else's reference
    }
    bool exclusive = pte_swp_exclusive(vmf.orig_pte);
    mm_struct& mm = *vma.vm_mm;
    swap_free(k, entry);
    const bool try_to_free = vm_swap_full(k) || vma.has(vm::locked) || k.pages.test(page, PageFlag::mlocked) ||
                             (vmf.write() && k.pages.refcount(page) == 2);
    if (folio_test_swapcache(k, page) && try_to_free) {
        folio_free_swap(k, page);
    }
    mm.add_counter(MmCounter::anon, 1);
    mm.add_counter(MmCounter::swapents, -1);
    pte_t pte = pfn_pte(k.state, page, vma.vm_page_prot);
    unsigned flags = vmf.flags;
    if (exclusive || k.pages.refcount(page) == 1) {
        if ((flags & fault_flag::write) != 0) {
            pte = maybe_mkwrite(pte_mkdirty(pte), vma);
            flags &= ~fault_flag::write;
        }
        exclusive = true;
    }
    if (vma.anon_vma == nullptr) {
        anon_vma_prepare(k, vma);
    }
    page_add_anon_rmap(k, page, vma, vmf.address, exclusive);
    if (vma.has(vm::locked)) {
        mlock_folio(k, page);
    }
    set_pte_at(k.pt, vmf.pte, pte);
    if ((flags & fault_flag::write) != 0) {
        vmf.orig_pte = pte;
        ret |= do_wp_page(k, vmf);
        if ((ret & fault_ret::error) != 0) {
            ret &= fault_ret::error;
        }
    }
    return ret;
}

}  // namespace pgsim::kernel
