// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/early_ioremap.hpp"

#include "pgsim/kernel/kernel.hpp"
#include "pgsim/kernel/pgalloc.hpp"
#include "pgsim/kernel/pgtable.hpp"
#include "pgsim/kernel/pgtable_generic.hpp"

namespace pgsim::kernel {

namespace {

constexpr std::uint64_t fixmap_top = 0xffff'ffff'ff7f'f000;
constexpr std::uint64_t nr_fix_btmaps = 64;  // pages of one slot

// Slot of the level-2 fixmap table below its level-1 tables: that of FIX_BTMAP_BEGIN.
unsigned btmap_pmd_index(const Kernel& k) {
    const unsigned count = k.inputs.config.enabled("DEBUG_KMAP_LOCAL_FORCE_MAP") ? 3 : 2;
    return pmd_index(VirtAddr{fixmap_top}) - count;
}

VirtAddr btmap_begin(const Kernel& k) {
    return VirtAddr{(fixmap_top & pud_mask) + (std::uint64_t{btmap_pmd_index(k)} << pmd_shift)};
}

// The entry of bm_pte, in the kernel-image mapping.
pte_ptr early_ioremap_pte(const Kernel& k, VirtAddr va) {
    return pte_ptr{k.symbol("bm_pte")} + pte_index(va);
}

}  // namespace

void early_ioremap_init(Kernel& k) {
    const auto origin = k.origin("early_ioremap_init", "R5.23");
    const Pgtable pt = k.pgtable();
    k.memory.fill(k.symbol("bm_pte"), page_size);
    const VirtAddr va = btmap_begin(k);
    const pgd_ptr base{k.va(k.cpu().cr3 & pte_pfn_mask)};
    const p4d_ptr p4d = p4d_offset(pt, pgd_offset_pgd(pt, base, va), va);
    const pmd_ptr pmd = pmd_offset(pt, pud_offset(pt, p4d, va), va);
    pmd_populate(pt, pmd, PhysAddr{k.symbol_pa("bm_pte")});
}

VirtAddr early_memremap(Kernel& k, std::uint64_t pa, std::uint64_t bytes) {
    const auto origin = k.origin("early_memremap", "R5.23");
    const Pgtable pt = k.pgtable();
    const std::uint64_t first = pa & page_mask;
    const std::uint64_t pages = (pa + bytes - first + page_size - 1) >> page_shift;
    if (pages > nr_fix_btmaps) {
        panic("kernel BUG: early_memremap of more pages than a slot has", "early_memremap", "R5.23");
    }
    const pgprot_t prot{page_kernel.pgprot & k.state.default_kernel_pte_mask};
    for (std::uint64_t i = 0; i < pages; ++i) {
        set_pte(pt, early_ioremap_pte(k, btmap_begin(k) + i * page_size),
                pfn_pte(k.state, (first >> page_shift) + i, prot));
    }
    return btmap_begin(k) + (pa - first);
}

void early_memunmap(Kernel& k, VirtAddr va, std::uint64_t bytes) {
    const auto origin = k.origin("early_memunmap", "R5.23");
    const Pgtable pt = k.pgtable();
    const VirtAddr end = va + bytes;
    for (VirtAddr page = va.align_down(page_size); page < end; page += page_size) {
        pte_clear(pt, early_ioremap_pte(k, page));
        k.machine.invlpg(page);
    }
}

}  // namespace pgsim::kernel
