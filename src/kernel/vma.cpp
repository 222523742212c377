// SPDX-License-Identifier: GPL-2.0-only
#include "vma.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

#include "rmap.hpp"

namespace pgsim::kernel {

vm_area_struct* find_vma(mm_struct& mm, std::uint64_t address) {
    if (mm.last_found != nullptr && mm.last_found->vm_start <= address && address < mm.last_found->vm_end) {
        return mm.last_found;
    }
    auto next = mm.mm_mt.upper_bound(address);
    if (next != mm.mm_mt.begin()) {
        const auto before = std::prev(next);
        if (before->second->vm_end > address) {
            return mm.last_found = before->second.get();
        }
    }
    return next == mm.mm_mt.end() ? nullptr : next->second.get();
}

vm_area_struct* vma_lookup(mm_struct& mm, std::uint64_t address) {
    vm_area_struct* const vma = find_vma(mm, address);
    return vma != nullptr && vma->vm_start <= address ? vma : nullptr;
}

vm_area_struct* vma_before(mm_struct& mm, std::uint64_t address) {
    const auto next = mm.mm_mt.lower_bound(address);
    return next == mm.mm_mt.begin() ? nullptr : std::prev(next)->second.get();
}

vm_area_struct* vma_next(vm_area_struct& vma) {
    const auto next = vma.vm_mm->mm_mt.upper_bound(vma.vm_start);
    return next == vma.vm_mm->mm_mt.end() ? nullptr : next->second.get();
}

vm_area_struct* find_vma_intersection(mm_struct& mm, std::uint64_t start, std::uint64_t end) {
    vm_area_struct* const vma = find_vma(mm, start);
    return vma != nullptr && vma->vm_start < end ? vma : nullptr;
}

vm_area_struct& vma_link(mm_struct& mm, std::unique_ptr<vm_area_struct> vma) {
    vma->vm_mm = &mm;
    if (vma->vm_file != nullptr) {
        vma->vm_file->i_mmap.push_back(vma.get());
    }
    vm_area_struct& linked = *vma;
    [[maybe_unused]] const bool fresh = mm.mm_mt.emplace(vma->vm_start, std::move(vma)).second;
    assert(fresh);
    return linked;
}

std::unique_ptr<vm_area_struct> vma_unlink(vm_area_struct& vma) {
    mm_struct& mm = *vma.vm_mm;
    if (mm.last_found == &vma) {
        mm.last_found = nullptr;
    }
    if (vma.vm_file != nullptr) {
        std::erase(vma.vm_file->i_mmap, &vma);
    }
    auto node = mm.mm_mt.extract(vma.vm_start);
    assert(!node.empty());
    return std::move(node.mapped());
}

void remove_vma(Mm& k, vm_area_struct& vma) {
    const std::unique_ptr<vm_area_struct> owned = vma_unlink(vma);
    unlink_anon_vmas(k, *owned);
}

void vma_set_start(vm_area_struct& vma, std::uint64_t start, std::uint64_t pgoff) {
    mm_struct& mm = *vma.vm_mm;
    auto node = mm.mm_mt.extract(vma.vm_start);
    node.key() = start;
    vma.vm_start = start;
    vma.vm_pgoff = pgoff;
    mm.mm_mt.insert(std::move(node));
    mm.last_found = nullptr;
}

vm_area_struct& split_vma(Mm& k, vm_area_struct& vma, std::uint64_t address) {
    k.pass("__split_vma");
    auto upper = std::make_unique<vm_area_struct>(vma);
    upper->anon_vma_chain.clear();
    upper->vm_start = address;
    upper->vm_pgoff = vma.vm_pgoff + ((address - vma.vm_start) >> page_shift);
    upper->anon_vma = vma.anon_vma;
    anon_vma_clone(k, *upper, vma);
    if (vma.anon_vma != nullptr) {
        ++vma.anon_vma->num_active_vmas;
    }
    vma.vm_end = address;
    vma.vm_mm->last_found = nullptr;
    return vma_link(*vma.vm_mm, std::move(upper));
}

namespace {

// [linux-6.6 is_mergeable_anon_vma()]
bool is_mergeable_anon_vma(const anon_vma* a, const anon_vma* b, const vm_area_struct* vma) {
    if ((a == nullptr || b == nullptr) && (vma == nullptr || vma->anon_vma_chain.size() == 1)) {
        return true;
    }
    return a == b;
}

void dup_anon_vma(Mm& k, vm_area_struct& to, const vm_area_struct& from) {
    if (from.anon_vma != nullptr && to.anon_vma == nullptr) {
        to.anon_vma = from.anon_vma;
        ++to.anon_vma->num_active_vmas;
        anon_vma_clone(k, to, from);
    }
}

}  // namespace

bool can_vma_merge_before(const vm_area_struct& vma, std::uint64_t flags, const anon_vma* anon,
                          const address_space* file, std::uint64_t pgoff) {
    return vma.vm_flags == flags && vma.vm_file.get() == file && is_mergeable_anon_vma(anon, vma.anon_vma, &vma) &&
           vma.vm_pgoff == pgoff;
}

bool can_vma_merge_after(const vm_area_struct& vma, std::uint64_t flags, const anon_vma* anon,
                         const address_space* file, std::uint64_t pgoff) {
    return vma.vm_flags == flags && vma.vm_file.get() == file && is_mergeable_anon_vma(anon, vma.anon_vma, &vma) &&
           vma.vm_pgoff + vma.pages() == pgoff;
}

// The cases are those that the kernel numbers 1 to 8. [linux-6.6 mm/mmap.c vma_merge()]
vm_area_struct* vma_merge(Mm& k, mm_struct& mm, vm_area_struct* prev, std::uint64_t address, std::uint64_t end,
                          std::uint64_t flags, anon_vma* anon, const std::shared_ptr<address_space>& file,
                          std::uint64_t pgoff) {
    const std::uint64_t pglen = (end - address) >> page_shift;
    vm_area_struct* const curr = find_vma_intersection(mm, prev != nullptr ? prev->vm_end : 0, end);
    vm_area_struct* const next = curr == nullptr || end == curr->vm_end ? vma_lookup(mm, end) : nullptr;
    const bool merge_prev =
        prev != nullptr && address == prev->vm_end && can_vma_merge_after(*prev, flags, anon, file.get(), pgoff);
    const bool merge_next =
        next != nullptr && end == next->vm_start && can_vma_merge_before(*next, flags, anon, file.get(), pgoff + pglen);
    if (!merge_prev && !merge_next) {
        return nullptr;
    }
    k.pass("vma_merge");
    mm.last_found = nullptr;
    if (merge_prev && merge_next && is_mergeable_anon_vma(prev->anon_vma, next->anon_vma, nullptr)) {  // 1, 6
        dup_anon_vma(k, *prev, *next);
        if (curr != nullptr) {
            dup_anon_vma(k, *prev, *curr);
            remove_vma(k, *curr);
        }
        const std::uint64_t new_end = next->vm_end;
        remove_vma(k, *next);
        prev->vm_end = new_end;
        return prev;
    }
    if (merge_prev) {
        if (curr != nullptr) {
            dup_anon_vma(k, *prev, *curr);
            if (end == curr->vm_end) {  // 7
                remove_vma(k, *curr);
            } else {  // 5
                vma_set_start(*curr, end, curr->vm_pgoff + ((end - curr->vm_start) >> page_shift));
            }
        }
        prev->vm_end = end;  // 2
        return prev;
    }
    if (prev != nullptr && address < prev->vm_end) {  // 4
        dup_anon_vma(k, *next, *prev);
        prev->vm_end = address;
        vma_set_start(*next, address, next->vm_pgoff - ((next->vm_start - address) >> page_shift));
        return next;
    }
    std::uint64_t start_pgoff = next->vm_pgoff - pglen;  // 3
    if (curr != nullptr) {                               // 8
        start_pgoff = curr->vm_pgoff;
        dup_anon_vma(k, *next, *curr);
        remove_vma(k, *curr);
    }
    vma_set_start(*next, address, start_pgoff);
    return next;
}

pgprot_t vm_get_page_prot(std::uint64_t flags) noexcept {
    static constexpr std::array<pgprot_t, 16> protection_map{
        page_none,          page_readonly,      page_copy,        page_copy,         // private - R W RW
        page_readonly_exec, page_readonly_exec, page_copy_exec,   page_copy_exec,    // private X …
        page_none,          page_readonly,      page_shared,      page_shared,       // shared
        page_readonly_exec, page_readonly_exec, page_shared_exec, page_shared_exec,  // shared X …
    };
    return protection_map[flags & (vm::access_flags | vm::shared)];
}

bool vma_wants_writenotify(const vm_area_struct& vma, pgprot_t prot) noexcept {
    if ((vma.vm_flags & (vm::write | vm::shared)) != (vm::write | vm::shared)) {
        return false;
    }
    if (vma.vm_file != nullptr && vma.vm_file->has_page_mkwrite()) {
        return true;
    }
    (void)prot;
    return false;  // tmpfs keeps no account of dirty pages
}

void vma_set_page_prot(vm_area_struct& vma) {
    pgprot_t prot = vm_get_page_prot(vma.vm_flags);
    if (vma_wants_writenotify(vma, prot)) {
        prot = vm_get_page_prot(vma.vm_flags & ~vm::shared);
    }
    vma.vm_page_prot = prot;
}

}  // namespace pgsim::kernel
