// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/fork.hpp"

#include "huge_memory.hpp"
#include "lru.hpp"
#include "memory.hpp"
#include "pgsim/kernel/pgtable_generic.hpp"
#include "rmap.hpp"
#include "swapfile.hpp"
#include "vma.hpp"

namespace pgsim::kernel {

namespace {

// One area of the parent and its copy.
struct CopyRange {
    Mm& k;
    vm_area_struct& child;
    vm_area_struct& parent;
    mm_struct& to;
    mm_struct& from;
    bool cow;
};

// [spec M-D12]
void copy_nonpresent_pte(const CopyRange& c, pte_ptr to, pte_ptr from, pte_t pte) {
    swap_duplicate(c.k, pte_to_swp_entry(pte));
    c.to.add_counter(MmCounter::swapents, 1);
    if (pte_swp_exclusive(pte)) {
        pte = pte_swp_clear_exclusive(pte);
        set_pte_at(c.k.pt, from, pte);
    }
    set_pte_at(c.k.pt, to, pte);
}

// [spec M-D9 to M-D11]
void copy_present_pte(const CopyRange& c, pte_ptr to, pte_ptr from, pte_t pte) {
    Mm& k = c.k;
    const std::uint64_t page = vm_normal_page(k, pte);
    if (page != no_page) {
        const std::uint64_t folio = k.pages.compound_head(page);
        folio_get(k, folio);
        if (folio_test_anon(k, folio)) {
            page_dup_anon_rmap(k, page, false);
            c.to.add_counter(MmCounter::anon, 1);
        } else {
            page_add_file_rmap(k, page);
            c.to.add_counter(mm_counter(k, page), 1);
        }
    }
    if (c.cow && pte_write(pte)) {
        ptep_set_wrprotect(k.pt, from);
        pte = pte_wrprotect(pte);
    }
    if (c.child.has(vm::shared)) {
        pte = pte_mkclean(pte);
    }
    set_pte_at(k.pt, to, pte_mkold(pte));
}

bool copy_pte_range(const CopyRange& c, pmd_ptr to_pmd, pmd_ptr from_pmd, VirtAddr address, VirtAddr end) {
    Mm& k = c.k;
    if (!pte_alloc(k, c.to, to_pmd)) {
        return false;
    }
    pte_ptr to = pte_offset_map(k.pt, to_pmd, address);
    pte_ptr from = pte_offset_map(k.pt, from_pmd, address);
    for (; address != end; address += page_size, ++to, ++from) {
        const pte_t pte = ptep_get(k.pt, from);
        if (pte_none(pte)) {
            continue;
        }
        if (pte_present(pte)) {
            copy_present_pte(c, to, from, pte);
        } else {
            copy_nonpresent_pte(c, to, from, pte);
        }
    }
    return true;
}

bool copy_pmd_range(const CopyRange& c, pud_ptr to_pud, pud_ptr from_pud, VirtAddr address, VirtAddr end) {
    Mm& k = c.k;
    pmd_ptr to = pmd_alloc(k, c.to, to_pud, address);
    if (to.is_null()) {
        return false;
    }
    pmd_ptr from = pmd_offset(k.pt, from_pud, address);
    for (VirtAddr next; address != end; address = next, ++to, ++from) {
        next = pmd_addr_end(address, end);
        const pmd_t pmd = pmdp_get(k.pt, from);
        if (pmd_trans_huge(pmd)) {
            const CopyHuge copied = copy_huge_pmd(k, c.to, to, from);
            if (copied == CopyHuge::no_memory) {
                return false;
            }
            if (copied == CopyHuge::done) {
                continue;
            }
        }
        if (!pmd_none_or_clear_bad(k.pt, from) && !copy_pte_range(c, to, from, address, next)) {
            return false;
        }
    }
    return true;
}

bool copy_pud_range(const CopyRange& c, p4d_ptr from_p4d, VirtAddr address, VirtAddr end) {
    Mm& k = c.k;
    pud_ptr to = pud_alloc(k, c.to, address);
    if (to.is_null()) {
        return false;
    }
    pud_ptr from = pud_offset(k.pt, from_p4d, address);
    for (VirtAddr next; address != end; address = next, ++to, ++from) {
        next = pud_addr_end(address, end);
        if (!pud_none_or_clear_bad(k.pt, from) && !copy_pmd_range(c, to, from, address, next)) {
            return false;
        }
    }
    return true;
}

// [spec M-D7]
bool copy_page_range(Mm& k, vm_area_struct& child, vm_area_struct& parent) {
    k.pass("copy_page_range");
    const CopyRange c{k, child, parent, *child.vm_mm, *parent.vm_mm, parent.is_cow()};
    VirtAddr address{parent.vm_start};
    const VirtAddr end{parent.vm_end};
    for (VirtAddr pgd_end; address != end; address = pgd_end) {
        pgd_end = pgd_addr_end(k.state, address, end);
        const pgd_ptr pgd = pgd_offset_pgd(k.pt, c.from.pgd, address);
        if (pgd_none_or_clear_bad(k.pt, pgd)) {
            continue;
        }
        for (VirtAddr at = address, next; at != pgd_end; at = next) {
            next = p4d_addr_end(k.state, at, pgd_end);
            const p4d_ptr p4d = p4d_offset(k.pt, pgd, at);
            if (!p4d_none_or_clear_bad(k.pt, p4d) && !copy_pud_range(c, p4d, at, next)) {
                return false;
            }
        }
    }
    return true;
}

// dup_mmap(). [spec M-D2 to M-D5]
bool dup_mmap(Mm& k, mm_struct& to, mm_struct& from) {
    for (auto& [start, parent] : from.mm_mt) {
        if (parent->has(vm::dontcopy)) {
            to.total_vm -= parent->pages();
            continue;
        }
        auto copy = std::make_unique<vm_area_struct>(*parent);
        copy->anon_vma = nullptr;
        copy->anon_vma_chain.clear();
        copy->vm_flags &= ~(vm::locked | vm::lockonfault);
        const bool wipe = parent->has(vm::wipeonfork);
        if (!wipe) {
            anon_vma_fork(k, *copy, *parent);
        }
        // The chain names the area itself: link it where it will stay.
        vm_area_struct& child = vma_link(to, std::move(copy));
        if (wipe) {
            continue;
        }
        const bool needs_copy = parent->has(vm::pfnmap) || parent->anon_vma != nullptr;
        if (needs_copy && !copy_page_range(k, child, *parent)) {
            return false;
        }
    }
    return true;
}

}  // namespace

std::unique_ptr<mm_struct> mm_alloc(Mm& k) {
    auto mm = std::make_unique<mm_struct>();
    if (!pgd_alloc(k, *mm)) {
        return nullptr;
    }
    mm->mmap_base = task_size_max(k.state) & ~std::uint64_t{0xfffff} & ~((std::uint64_t{1} << 30) - 1);
    mm->brk_start = mm->brk = 0x5555'5555'0000;
    return mm;
}

std::unique_ptr<mm_struct> dup_mm(Mm& k, task_struct& parent) {
    k.pass("dup_mm");
    mm_struct& from = *parent.mm;
    auto mm = mm_alloc(k);
    if (mm == nullptr) {
        return nullptr;
    }
    mm->total_vm = from.total_vm;
    mm->brk_start = from.brk_start;
    mm->brk = from.brk;
    mm->mmap_base = from.mmap_base;
    const bool complete = dup_mmap(k, *mm, from);
    if (k.setup.left_out != LeftOutFlush::fork) {
        flush_tlb_mm(k, from);
    }
    if (!complete) {
        exit_mmap(k, *mm);
        return nullptr;
    }
    return mm;
}

// [spec M-D24]
void exit_mmap(Mm& k, mm_struct& mm) {
    k.pass("exit_mmap");
    if (!mm.mm_mt.empty()) {
        mmu_gather tlb{k, mm, true};
        for (auto& [start, vma] : mm.mm_mt) {
            unmap_page_range(tlb, *vma, vma->vm_start, vma->vm_end);
        }
        tlb.flush();
        for (auto it = mm.mm_mt.begin(); it != mm.mm_mt.end();) {
            const std::uint64_t start = it->second->vm_start;
            std::uint64_t end = it->second->vm_end;
            ++it;
            while (it != mm.mm_mt.end() && it->second->vm_start <= end + pmd_size) {
                end = it->second->vm_end;
                ++it;
            }
            free_pgd_range(tlb, start, end, 0, it == mm.mm_mt.end() ? 0 : it->second->vm_start);
        }
    }
    mm.last_found = nullptr;
    while (!mm.mm_mt.empty()) {
        remove_vma(k, *mm.mm_mt.begin()->second);
    }
    if (k.loaded_mm == &mm) {
        switch_mm(k, nullptr);
    }
    pgd_free(k, mm);
}

}  // namespace pgsim::kernel
