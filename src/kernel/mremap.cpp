// SPDX-License-Identifier: GPL-2.0-only
// mremap: moving entries. [linux-6.6 mm/mremap.c] [spec M-D26]
#include <algorithm>

#include "huge_memory.hpp"
#include "memory.hpp"
#include "mmap.hpp"
#include "pgsim/kernel/pgalloc.hpp"
#include "pgsim/kernel/pgtable_generic.hpp"
#include "rmap.hpp"
#include "vma.hpp"

namespace pgsim::kernel {

namespace {

// Bytes that an entry covering `size` can move at once.
std::uint64_t get_extent(std::uint64_t size, std::uint64_t old_address, std::uint64_t old_end,
                         std::uint64_t new_address) {
    std::uint64_t extent = ((old_address + size) & ~(size - 1)) - old_address;
    extent = std::min(extent, old_end - old_address);
    return std::min(extent, ((new_address + size) & ~(size - 1)) - new_address);
}

pud_ptr old_pud(const Mm& k, const mm_struct& mm, std::uint64_t address) {
    return find_entries(k, mm, VirtAddr{address}).pud;
}

// move_ptes() of one page table.
bool move_ptes(Mm& k, mm_struct& mm, pmd_ptr from_pmd, pmd_ptr to_pmd, std::uint64_t from, std::uint64_t to,
               std::uint64_t extent) {
    if (!pte_alloc(k, mm, to_pmd)) {
        return false;
    }
    pte_ptr source = pte_offset_map(k.pt, from_pmd, VirtAddr{from});
    pte_ptr target = pte_offset_map(k.pt, to_pmd, VirtAddr{to});
    if (source.is_null() || target.is_null()) {
        return true;
    }
    for (std::uint64_t done = 0; done < extent; done += page_size, ++source, ++target) {
        if (!pte_none(ptep_get(k.pt, source))) {
            set_pte_at(k.pt, target, ptep_get_and_clear(k.pt, source));
        }
    }
    return true;
}

// move_page_tables(): bytes moved.
std::uint64_t move_page_tables(Mm& k, vm_area_struct& vma, std::uint64_t from, std::uint64_t to, std::uint64_t length) {
    mm_struct& mm = *vma.vm_mm;
    const std::uint64_t start = from;
    const std::uint64_t end = from + length;
    while (from < end) {
        std::uint64_t extent = get_extent(pud_size, from, end, to);
        const pud_ptr source_pud = old_pud(k, mm, from);
        if (source_pud.is_null() || pud_none(pudp_get(k.pt, source_pud))) {
            from += extent;
            to += extent;
            continue;
        }
        const pud_ptr target_pud = pud_alloc(k, mm, VirtAddr{to});
        if (target_pud.is_null()) {
            break;
        }
        if (extent == pud_size && pud_none(pudp_get(k.pt, target_pud))) {
            k.pass("move_normal_pud");
            const pud_t pud = pudp_get(k.pt, source_pud);
            pud_clear(k.pt, source_pud);
            set_pud(k.pt, target_pud, pud);
            from += extent;
            to += extent;
            continue;
        }
        extent = get_extent(pmd_size, from, end, to);
        const TablePath path = find_entries(k, mm, VirtAddr{from});
        if (path.pmd.is_null() || pmd_none(pmdp_get(k.pt, path.pmd))) {
            from += extent;
            to += extent;
            continue;
        }
        const pmd_ptr target = pmd_alloc(k, mm, target_pud, VirtAddr{to});
        if (target.is_null()) {
            break;
        }
        const pmd_t pmd = pmdp_get(k.pt, path.pmd);
        if (pmd_trans_huge(pmd)) {
            if (extent == pmd_size && move_huge_pmd(k, mm, path.pmd, target)) {
                from += extent;
                to += extent;
                continue;
            }
            split_huge_pmd(k, vma, path.pmd, from);
        } else if (extent == pmd_size && pmd_none(pmdp_get(k.pt, target))) {
            k.pass("move_normal_pmd");
            pmd_clear(k.pt, path.pmd);
            set_pmd(k.pt, target, pmd);
            from += extent;
            to += extent;
            continue;
        }
        if (!move_ptes(k, mm, path.pmd, target, from, to, extent)) {
            break;
        }
        from += extent;
        to += extent;
    }
    flush_tlb_mm(k, mm);
    return from - start;
}

// copy_vma(): the area at its new place.
vm_area_struct& copy_vma(Mm& k, vm_area_struct& vma, std::uint64_t address, std::uint64_t old_address,
                         std::uint64_t length) {
    mm_struct& mm = *vma.vm_mm;
    std::uint64_t pgoff = vma.vm_pgoff + ((old_address - vma.vm_start) >> page_shift);
    if (vma.is_anonymous() && vma.anon_vma == nullptr) {
        pgoff = address >> page_shift;
    }
    if (vm_area_struct* const merged = vma_merge(k, mm, vma_before(mm, address), address, address + length,
                                                 vma.vm_flags, vma.anon_vma, vma.vm_file, pgoff)) {
        return *merged;
    }
    auto copy = std::make_unique<vm_area_struct>(vma);
    copy->anon_vma_chain.clear();
    copy->vm_start = address;
    copy->vm_end = address + length;
    copy->vm_pgoff = pgoff;
    anon_vma_clone(k, *copy, vma);
    if (copy->anon_vma != nullptr) {
        ++copy->anon_vma->num_active_vmas;
    }
    return vma_link(mm, std::move(copy));
}

long move_vma(Mm& k, task_struct& task, vm_area_struct& vma, std::uint64_t old_address, std::uint64_t old_length,
              std::uint64_t new_length, std::uint64_t new_address) {
    mm_struct& mm = *vma.vm_mm;
    const std::uint64_t flags = vma.vm_flags;
    if (vma.vm_start != old_address) {
        split_huge_pmd_address(k, vma, old_address);
    }
    vm_area_struct& target = copy_vma(k, vma, new_address, old_address, new_length);
    const std::uint64_t moved = move_page_tables(k, vma, old_address, new_address, old_length);
    if (moved < old_length) {
        move_page_tables(k, target, new_address, old_address, moved);
        unmap_area(k, mm, new_address, new_address + new_length);
        return -enomem;
    }
    mm.total_vm += new_length >> page_shift;
    if ((flags & vm::locked) != 0) {
        mm.locked_vm += new_length >> page_shift;
    }
    unmap_area(k, mm, old_address, old_address + old_length);
    if ((flags & vm::locked) != 0 && new_length > old_length) {
        mm_populate(k, task, new_address + old_length, new_address + new_length);
    }
    return static_cast<long>(new_address);
}

// Whether the area can grow where it is. [linux-6.6 vma_expandable()]
bool vma_expandable(const Mm& k, vm_area_struct& vma, std::uint64_t delta) {
    const std::uint64_t end = vma.vm_end + delta;
    return end >= vma.vm_end && end <= task_size_max(k.state) &&
           find_vma_intersection(*vma.vm_mm, vma.vm_end, end) == nullptr;
}

}  // namespace

long do_mremap(Mm& k, task_struct& task, std::uint64_t address, std::uint64_t old_length, std::uint64_t new_length,
               unsigned flags, std::uint64_t new_address) {
    switch_to(k, task);
    k.pass("mremap");
    mm_struct& mm = *task.mm;
    old_length = page_align(old_length);
    new_length = page_align(new_length);
    const bool fixed = (flags & mremap_flag::fixed) != 0;
    const bool may_move = (flags & mremap_flag::maymove) != 0;
    if (address % page_size != 0 || new_length == 0 || old_length == 0 || (fixed && !may_move) ||
        (flags & ~(mremap_flag::maymove | mremap_flag::fixed)) != 0) {
        return -einval;
    }
    vm_area_struct* vma = vma_lookup(mm, address);
    if (vma == nullptr) {
        return -efault;
    }
    if (fixed) {
        if (new_address % page_size != 0 || new_length > task_size_max(k.state) ||
            new_address > task_size_max(k.state) - new_length ||
            (address + old_length > new_address && new_address + new_length > address)) {
            return -einval;
        }
        unmap_area(k, mm, new_address, new_address + new_length);
        if (old_length > new_length) {
            unmap_area(k, mm, address + new_length, address + old_length);
            old_length = new_length;
        }
        vma = vma_lookup(mm, address);
        if (vma == nullptr || old_length > vma->vm_end - address) {
            return -efault;
        }
        return move_vma(k, task, *vma, address, old_length, new_length, new_address);
    }
    if (old_length >= new_length) {
        if (old_length > new_length) {
            unmap_area(k, mm, address + new_length, address + old_length);
        }
        return static_cast<long>(address);
    }
    if (old_length > vma->vm_end - address) {
        return -efault;
    }
    if (old_length == vma->vm_end - address && vma_expandable(k, *vma, new_length - old_length)) {
        const std::uint64_t start = address + old_length;
        const std::uint64_t end = address + new_length;
        const std::uint64_t pgoff = vma->vm_pgoff + ((start - vma->vm_start) >> page_shift);
        const bool locked = vma->has(vm::locked);
        vm_area_struct* const grown = vma_merge(k, mm, vma, start, end, vma->vm_flags, vma->anon_vma,
                                                std::shared_ptr<address_space>{vma->vm_file}, pgoff);
        if (grown == nullptr) {
            return -enomem;
        }
        mm.total_vm += (end - start) >> page_shift;
        if (locked) {
            mm.locked_vm += (end - start) >> page_shift;
            mm_populate(k, task, start, end);
        }
        return static_cast<long>(address);
    }
    if (!may_move) {
        return -enomem;
    }
    new_address = get_unmapped_area(k, mm, new_length);
    return new_address == 0 ? -enomem : move_vma(k, task, *vma, address, old_length, new_length, new_address);
}

}  // namespace pgsim::kernel
