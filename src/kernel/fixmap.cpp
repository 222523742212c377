// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/fixmap.hpp"

#include "pgsim/kernel/kernel.hpp"
#include "pgsim/kernel/pgalloc.hpp"
#include "pgsim/kernel/pgtable_generic.hpp"

namespace pgsim::kernel {

namespace {

constexpr std::uint64_t fixaddr_top = 0xffff'ffff'ff7f'f000;
constexpr std::uint64_t vsyscall_page_index = 511;

// A zeroed table page of the boot-time allocator.
VirtAddr spp_getpage(Kernel& k) {
    const auto page = k.memblock.alloc(page_size, page_size, "spp_getpage");
    if (!page) {
        panic("set_pte_phys: cannot allocate page data", "spp_getpage", "R9.1");
    }
    const VirtAddr va = k.va(page->value());
    k.memory.fill(va, page_size);
    return va;
}

}  // namespace

VirtAddr fix_to_virt(const Kernel& k, FixedAddress index) {
    // VSYSCALL_PAGE, then FIX_DBGP_BASE, FIX_EARLYCON_MEM_BASE and, if configured, FIX_OHCI1394_BASE come first.
    const std::uint64_t apic = vsyscall_page_index + 3 + (k.inputs.config.enabled("PROVIDE_OHCI1394_DMA_INIT") ? 1 : 0);
    return VirtAddr{fixaddr_top - (apic + static_cast<std::uint64_t>(index)) * page_size};
}

void set_fixmap(Kernel& k, FixedAddress index, PhysAddr phys, pgprot_t flags) {
    const pgprot_t prot{flags.pgprot & k.state.default_kernel_pte_mask};
    set_pte_vaddr(k, fix_to_virt(k, index), pfn_pte(k.state, phys.value() >> page_shift, prot));
}

void set_pte_vaddr(Kernel& k, VirtAddr va, pte_t entry) {
    const Pgtable pt = k.pgtable();
    const pgd_ptr pgd = pgd_offset_pgd(pt, k.init_top_pgt(), va);
    if (pgd_none(k.state, pgdp_get(pt, pgd))) {
        pgd_populate(pt, pgd, p4d_ptr{spp_getpage(k)});
    }
    const p4d_ptr p4d = p4d_offset(pt, pgd, va);
    if (p4d_none(p4dp_get(pt, p4d))) {
        p4d_populate(pt, p4d, pud_ptr{spp_getpage(k)});
    }
    const pud_ptr pud = pud_offset(pt, p4d, va);
    if (pud_none(pudp_get(pt, pud))) {
        pud_populate(pt, pud, pmd_ptr{spp_getpage(k)});
    }
    const pmd_ptr pmd = pmd_offset(pt, pud, va);
    if (pmd_none(pmdp_get(pt, pmd))) {
        pmd_populate_kernel(pt, pmd, pte_ptr{spp_getpage(k)});
    }
    set_pte(pt, pte_offset_kernel(pt, pmd, va), entry);
    k.machine.invlpg(va);
}

}  // namespace pgsim::kernel
