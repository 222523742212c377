// SPDX-License-Identifier: GPL-2.0-only
#include "mmap.hpp"

#include <algorithm>
#include <vector>

#include "fault.hpp"
#include "huge_memory.hpp"
#include "memory.hpp"
#include "pgsim/kernel/pgtable_generic.hpp"
#include "rmap.hpp"
#include "vma.hpp"

namespace pgsim::kernel {

namespace {

std::uint64_t calc_vm_flags(unsigned wanted, unsigned flags) {
    std::uint64_t vm_flags = wanted & 7;  // PROT_* are VM_READ, VM_WRITE, VM_EXEC
    vm_flags |= (flags & map::growsdown) != 0 ? vm::growsdown : 0;
    vm_flags |= (flags & map::locked) != 0 ? vm::locked : 0;
    return vm_flags | vm::mayread | vm::maywrite | vm::mayexec;
}

// mmap_region(): joins neighbours or makes a new area.
vm_area_struct& mmap_region(Mm& k, mm_struct& mm, std::uint64_t address, std::uint64_t length, std::uint64_t vm_flags,
                            const std::shared_ptr<address_space>& file, std::uint64_t pgoff) {
    const std::uint64_t end = address + length;
    const std::uint64_t pglen = length >> page_shift;
    if ((vm_flags & (vm::noreserve | vm::shared | vm::write)) == vm::write) {
        vm_flags |= vm::account;
    }
    mm.total_vm += pglen;
    vm_area_struct* const next = vma_lookup(mm, end);
    vm_area_struct* const before = vma_before(mm, address);
    vm_area_struct* const prev = before != nullptr && before->vm_end == address ? before : nullptr;
    const bool merge_next = next != nullptr && next->vm_start == end &&
                            can_vma_merge_before(*next, vm_flags, nullptr, file.get(), pgoff + pglen);
    const bool merge_prev =
        prev != nullptr &&
        can_vma_merge_after(*prev, vm_flags, merge_next ? next->anon_vma : nullptr, file.get(), pgoff);
    if (merge_prev || merge_next) {
        k.pass("vma_expand");
        mm.last_found = nullptr;
        if (merge_prev && merge_next) {
            if (next->anon_vma != nullptr && prev->anon_vma == nullptr) {
                prev->anon_vma = next->anon_vma;
                ++prev->anon_vma->num_active_vmas;
                anon_vma_clone(k, *prev, *next);
            }
            const std::uint64_t new_end = next->vm_end;
            remove_vma(k, *next);
            prev->vm_end = new_end;
            return *prev;
        }
        if (merge_prev) {
            prev->vm_end = end;
            return *prev;
        }
        vma_set_start(*next, address, next->vm_pgoff - pglen);
        return *next;
    }
    auto vma = std::make_unique<vm_area_struct>();
    vma->vm_start = address;
    vma->vm_end = end;
    vma->vm_flags = vm_flags;
    vma->vm_pgoff = pgoff;
    vma->vm_file = file;
    if (file == nullptr && (vm_flags & vm::shared) != 0) {
        vma->vm_file = k.new_file(FileKind::tmpfs, "dev/zero");  // shmem_zero_setup()
        vma->vm_file->i_size = length;
        vma->vm_pgoff = 0;
    }
    vma_set_page_prot(*vma);
    return vma_link(mm, std::move(vma));
}

// Whether a wish for an address can be met. [linux-6.6 arch/x86/kernel/sys_x86_64.c arch_get_unmapped_area_topdown()]
bool hint_is_free(const Mm& k, const mm_struct& mm, std::uint64_t address, std::uint64_t length) {
    constexpr std::uint64_t mmap_min_addr = 0x10000;
    constexpr std::uint64_t stack_guard_gap = 256 * page_size;
    const std::uint64_t top = task_size_max(k.state);
    if (address < mmap_min_addr || length > top || address > top - length) {
        return false;
    }
    const auto above =
        std::find_if(mm.mm_mt.begin(), mm.mm_mt.end(), [&](const auto& area) { return area.second->vm_end > address; });
    if (above == mm.mm_mt.end()) {
        return true;
    }
    const std::uint64_t gap = above->second->has(vm::growsdown) ? stack_guard_gap : 0;
    return above->second->vm_start >= gap && address + length <= above->second->vm_start - gap;
}

}  // namespace

std::uint64_t get_unmapped_area(const Mm& k, mm_struct& mm, std::uint64_t length) {
    (void)k;
    if (length > mm.mmap_base) {
        return 0;
    }
    std::uint64_t top = mm.mmap_base;
    for (auto it = mm.mm_mt.rbegin(); it != mm.mm_mt.rend(); ++it) {
        if (it->second->vm_start >= mm.mmap_base) {
            continue;
        }
        if (it->second->vm_end + length <= top) {
            return top - length;
        }
        top = std::min(top, it->second->vm_start);
    }
    return top >= length + 0x10000 ? top - length : 0;
}

long do_mmap(Mm& k, task_struct& task, std::uint64_t address, std::uint64_t length, unsigned wanted, unsigned flags,
             std::shared_ptr<address_space> file, std::uint64_t pgoff) {
    switch_to(k, task);
    k.pass("do_mmap");
    mm_struct& mm = *task.mm;
    length = page_align(length);
    const bool shared = (flags & map::shared) != 0;
    if (length == 0 || shared == ((flags & map::private_) != 0) ||
        ((flags & map::anonymous) != 0) != (file == nullptr) || (shared && (flags & map::growsdown) != 0)) {
        return -einval;
    }
    if ((flags & map::fixed) == 0) {
        address = page_align(address);
        if (!hint_is_free(k, mm, address, length)) {
            address = get_unmapped_area(k, mm, length);
        }
        if (address == 0) {
            return -enomem;
        }
    }
    if (address % page_size != 0) {
        return -einval;
    }
    if (address >= task_size_max(k.state) || length > task_size_max(k.state) - address) {
        return -enomem;
    }
    std::uint64_t vm_flags = calc_vm_flags(wanted, flags);
    vm_flags |= shared ? vm::shared | vm::mayshare : 0;
    vm_flags |= (flags & map::noreserve) != 0 ? vm::noreserve : 0;
    if (file == nullptr) {
        pgoff = shared ? 0 : address >> page_shift;
    }
    if (find_vma_intersection(mm, address, address + length) != nullptr) {
        if (const long error = unmap_area(k, mm, address, address + length); error != 0) {
            return error;
        }
    }
    vm_area_struct& vma = mmap_region(k, mm, address, length, vm_flags, file, pgoff);
    if ((vm_flags & vm::locked) != 0) {
        mm.locked_vm += length >> page_shift;
    }
    if ((flags & map::populate) != 0 || (vm_flags & vm::locked) != 0) {
        (void)vma;
        mm_populate(k, task, address, address + length);
    }
    return static_cast<long>(address);
}

// [spec M-D22]
long unmap_area(Mm& k, mm_struct& mm, std::uint64_t start, std::uint64_t end) {
    vm_area_struct* const first = find_vma_intersection(mm, start, end);
    if (first == nullptr) {
        return 0;
    }
    k.pass("do_vmi_align_munmap");
    if (first->vm_start < start) {
        split_huge_pmd_address(k, *first, start);
        split_vma(k, *first, start);
    }
    vm_area_struct* const last = vma_lookup(mm, end - 1);
    if (last != nullptr && last->vm_end > end) {
        split_huge_pmd_address(k, *last, end);
        split_vma(k, *last, end);
    }
    std::vector<vm_area_struct*> going;
    for (auto it = mm.mm_mt.lower_bound(start); it != mm.mm_mt.end() && it->second->vm_start < end; ++it) {
        going.push_back(it->second.get());
    }
    const vm_area_struct* const prev = vma_before(mm, start);
    const vm_area_struct* const next = find_vma(mm, end);
    const std::uint64_t floor = prev != nullptr ? prev->vm_end : 0;
    const std::uint64_t ceiling = next != nullptr ? next->vm_start : 0;
    lru_add_drain(k);
    {
        mmu_gather tlb{k, mm};
        for (vm_area_struct* const vma : going) {
            unmap_page_range(tlb, *vma, vma->vm_start, vma->vm_end);
            mm.total_vm -= vma->pages();
            if (vma->has(vm::locked)) {
                mm.locked_vm -= vma->pages();
            }
        }
        for (std::size_t i = 0; i < going.size();) {
            const std::uint64_t from = going[i]->vm_start;
            std::uint64_t to = going[i]->vm_end;
            for (++i; i < going.size() && going[i]->vm_start <= to + pmd_size; ++i) {
                to = going[i]->vm_end;
            }
            free_pgd_range(tlb, from, to, floor, i < going.size() ? going[i]->vm_start : ceiling);
        }
    }
    for (vm_area_struct* const vma : going) {
        remove_vma(k, *vma);
    }
    return 0;
}

long do_munmap(Mm& k, task_struct& task, std::uint64_t address, std::uint64_t length) {
    switch_to(k, task);
    length = page_align(length);
    if (address % page_size != 0 || length == 0 || address > task_size_max(k.state) ||
        length > task_size_max(k.state) - address) {
        return -einval;
    }
    return unmap_area(k, *task.mm, address, address + length);
}

vm_area_struct& change_flags(Mm& k, vm_area_struct& vma, std::uint64_t start, std::uint64_t end, std::uint64_t flags) {
    mm_struct& mm = *vma.vm_mm;
    vm_area_struct* const prev = start > vma.vm_start ? &vma : vma_before(mm, vma.vm_start);
    const std::uint64_t pgoff = vma.vm_pgoff + ((start - vma.vm_start) >> page_shift);
    vm_area_struct* changed =
        vma_merge(k, mm, prev, start, end, flags, vma.anon_vma, std::shared_ptr<address_space>{vma.vm_file}, pgoff);
    if (changed == nullptr) {
        changed = &vma;
        if (start > vma.vm_start) {
            split_huge_pmd_address(k, *changed, start);
            changed = &split_vma(k, vma, start);
        }
        if (end < changed->vm_end) {
            split_huge_pmd_address(k, *changed, end);
            split_vma(k, *changed, end);
        }
    }
    changed->vm_flags = flags;
    return *changed;
}

bool populate_range(Mm& k, vm_area_struct& vma, std::uint64_t start, std::uint64_t end, bool write) {
    mm_struct& mm = *vma.vm_mm;
    for (std::uint64_t at = start; at < end;) {
        const TablePath path = find_entries(k, mm, VirtAddr{at});
        if (!path.pmd.is_null()) {
            const pmd_t pmd = pmdp_get(k.pt, path.pmd);
            if (pmd_trans_huge(pmd) && !pmd_protnone(pmd) && (!write || pmd_write(pmd))) {
                at = (at & pmd_mask) + pmd_size;
                continue;
            }
        }
        if (!path.pte.is_null()) {
            const pte_t pte = ptep_get(k.pt, path.pte);
            if (pte_present(pte) && !pte_protnone(pte) && (!write || pte_write(pte))) {
                at += page_size;
                continue;
            }
        }
        unsigned flags = fault_flag::allow_retry | fault_flag::killable | (write ? fault_flag::write : 0);
        unsigned fault = handle_mm_fault(k, vma, at, flags);
        if ((fault & fault_ret::retry) != 0) {
            flags |= fault_flag::tried;
            fault = handle_mm_fault(k, vma, at, flags);
        }
        if ((fault & fault_ret::error) != 0) {
            return false;
        }
    }
    return true;
}

long mm_populate(Mm& k, task_struct& task, std::uint64_t start, std::uint64_t end, bool ignore_errors) {
    k.pass("__mm_populate");
    mm_struct& mm = *task.mm;
    for (std::uint64_t at = start; at < end;) {
        vm_area_struct* const vma = find_vma_intersection(mm, at, end);
        if (vma == nullptr) {
            break;
        }
        const std::uint64_t from = std::max(at, vma->vm_start);
        const std::uint64_t to = std::min(end, vma->vm_end);
        at = to;
        if (vma->has(vm::lockonfault)) {
            continue;
        }
        const bool write = (vma->vm_flags & (vm::write | vm::shared)) == vm::write;
        if ((!vma->is_accessible() || !populate_range(k, *vma, from, to, write)) && !ignore_errors) {
            return -enomem;
        }
    }
    return 0;
}

std::uint64_t do_brk(Mm& k, task_struct& task, std::uint64_t address) {
    switch_to(k, task);
    mm_struct& mm = *task.mm;
    if (address < mm.brk_start || address >= mm.mmap_base) {
        return mm.brk;
    }
    const std::uint64_t old_end = page_align(mm.brk);
    const std::uint64_t new_end = page_align(address);
    if (new_end < old_end) {
        unmap_area(k, mm, new_end, old_end);
    } else if (new_end > old_end) {
        if (find_vma_intersection(mm, old_end, new_end + page_size) != nullptr) {
            return mm.brk;
        }
        mmap_region(k, mm, old_end, new_end - old_end, calc_vm_flags(prot::read | prot::write, 0), nullptr,
                    old_end >> page_shift);
    }
    return mm.brk = address;
}

}  // namespace pgsim::kernel
