// SPDX-License-Identifier: GPL-2.0-only
#include "filemap.hpp"

#include <algorithm>

#include "memory.hpp"
#include "pgsim/kernel/pgtable_generic.hpp"
#include "pgsim/kernel/vmscan.hpp"
#include "rmap.hpp"
#include "swapfile.hpp"

namespace pgsim::kernel {

namespace {

constexpr std::uint64_t ra_pages = 32;  // read_ahead_kb 128

std::uint64_t find_page(const address_space& file, std::uint64_t index) {
    const auto found = file.pages.find(index);
    return found == file.pages.end() ? no_page : found->second;
}

// One page from the disk into the cache.
std::uint64_t read_page(Mm& k, address_space& file, std::uint64_t index) {
    const auto page = k.buddy.alloc_pages(gfp::highuser_movable, 0);
    if (!page) {
        return no_page;
    }
    const auto stored = file.disk.find(index);
    if (stored == file.disk.end()) {
        k.memory.fill(table_va(k, *page), page_size, 0);
    } else {
        k.memory.write(table_va(k, *page), stored->second);
    }
    k.pages.set(*page, PageFlag::uptodate);
    filemap_add_folio(k, file, index, *page);
    workingset_refault(k, *page, file, index);
    folio_add_lru(k, *page);
    k.pages.ref_add(*page, -1);  // the cache's and the batch's stay
    return *page;
}

// do_sync_mmap_readahead(): reads around the fault. [linux-6.6 mm/filemap.c]
std::uint64_t read_around(Mm& k, const vm_fault& vmf, address_space& file) {
    std::uint64_t start = vmf.pgoff;
    std::uint64_t count = 1;
    if (!vmf.vma->has(vm::rand_read)) {
        start = vmf.pgoff > ra_pages / 2 ? vmf.pgoff - ra_pages / 2 : 0;
        count = ra_pages;
    }
    const std::uint64_t end = std::min(start + count, file.size_in_pages());
    for (std::uint64_t index = start; index < end; ++index) {
        if (find_page(file, index) != no_page) {
            continue;
        }
        const std::uint64_t page = read_page(k, file, index);
        if (page != no_page && count > 1 && index == start + count - ra_pages / 4) {
            k.pages.set(page, PageFlag::readahead);  // who comes here wants the next window
        }
    }
    return find_page(file, vmf.pgoff);
}

}  // namespace

void filemap_add_folio(Mm& k, address_space& file, std::uint64_t index, std::uint64_t folio) {
    folio_get(k, folio);
    k.pages.set_mapping(folio, file.address);
    k.pages.set_index(folio, index);
    file.pages[index] = folio;
}

void filemap_remove_folio(Mm& k, std::uint64_t folio) {
    address_space* const file = k.file_at(k.pages.mapping(folio));
    file->pages.erase(k.pages.index(folio));
    k.pages.set_mapping(folio, 0);
    folio_put(k, folio);
}

std::uint64_t shmem_get_folio(Mm& k, address_space& file, std::uint64_t index, bool* major) {
    if (const std::uint64_t page = find_page(file, index); page != no_page) {
        return page;
    }
    const auto swapped = file.swapped.find(index);
    if (swapped != file.swapped.end()) {
        const swp_entry_t entry = swapped->second;
        std::uint64_t page = swap_cache_get_folio(k, entry);
        if (page == no_page) {
            page = swap_read_folio(k, entry);
            if (page == no_page) {
                return no_page;
            }
            *major = true;
            folio_add_lru(k, page);
            k.pages.ref_add(page, -1);
        }
        folio_get(k, page);
        file.swapped.erase(index);
        swap_free(k, entry);
        delete_from_swap_cache(k, page);
        k.pages.set(page, PageFlag::dirty);
        filemap_add_folio(k, file, index, page);
        k.pages.ref_add(page, -1);
        return page;
    }
    const auto page = k.buddy.alloc_pages(gfp::highuser_movable | gfp::zero, 0);
    if (!page) {
        return no_page;
    }
    k.pages.set_flags(*page, k.pages.flags(*page) | flag_bit(PageFlag::swapbacked) | flag_bit(PageFlag::uptodate));
    filemap_add_folio(k, file, index, *page);
    folio_add_lru(k, *page);
    k.pages.ref_add(*page, -1);
    return *page;
}

std::uint64_t page_cache_page(Mm& k, address_space& file, std::uint64_t index) {
    if (file.kind == FileKind::tmpfs) {
        bool major = false;
        return shmem_get_folio(k, file, index, &major);
    }
    const std::uint64_t page = find_page(file, index);
    return page != no_page ? page : read_page(k, file, index);
}

unsigned filemap_fault(Mm& k, vm_fault& vmf) {
    address_space& file = *vmf.vma->vm_file;
    if (vmf.pgoff >= file.size_in_pages()) {
        k.pass("filemap_fault", "beyond the end of the file: SIGBUS");
        return fault_ret::sigbus;
    }
    unsigned ret = 0;
    if (file.kind == FileKind::tmpfs) {
        bool major = false;
        vmf.page = shmem_get_folio(k, file, vmf.pgoff, &major);
        k.pass("shmem_fault");
        ret = major ? fault_ret::major : 0;
    } else {
        vmf.page = find_page(file, vmf.pgoff);
        if (vmf.page == no_page) {
            k.pass("filemap_fault", "not cached: read from the disk");
            ++k.vmstat.pgmajfault;
            vmf.page = read_around(k, vmf, file);
            if (vmf.page == no_page) {
                vmf.page = read_page(k, file, vmf.pgoff);
            }
            if (vmf.page != no_page &&
                (vmf.flags & (fault_flag::allow_retry | fault_flag::tried)) == fault_flag::allow_retry) {
                return fault_ret::major | fault_ret::retry;  // the lock was dropped while the disk worked
            }
            ret = fault_ret::major;
        } else {
            k.pages.test_and_clear(vmf.page, PageFlag::readahead);
        }
    }
    if (vmf.page == no_page) {
        return fault_ret::oom;
    }
    folio_get(k, k.pages.compound_head(vmf.page));
    return ret;
}

// [spec M-F15]
unsigned do_fault_around(Mm& k, vm_fault& vmf) {
    vm_area_struct& vma = *vmf.vma;
    address_space& file = *vma.vm_file;
    const std::uint64_t window = k.setup.fault_around_pages;
    const std::uint64_t pte_off = pte_index(VirtAddr{vmf.address});
    const std::uint64_t vma_off = vmf.pgoff - vma.vm_pgoff;
    const std::uint64_t from = std::max(pte_off - pte_off % window, pte_off - std::min(pte_off, vma_off));
    const std::uint64_t to = std::min({from + window, std::uint64_t{ptrs_per_pte}, pte_off + vma.pages() - vma_off});
    unsigned ret = 0;
    pte_ptr table;
    unsigned mapped = 0;
    for (std::uint64_t slot = from; slot < to; ++slot) {
        const std::uint64_t index = vmf.pgoff + slot - pte_off;
        const std::uint64_t page = find_page(file, index);
        if (page == no_page || index >= file.size_in_pages()) {
            continue;
        }
        constexpr std::uint64_t unfit = flag_bit(PageFlag::locked) | flag_bit(PageFlag::readahead);
        const std::uint64_t flags = k.pages.flags(page);
        if ((flags & unfit) != 0 || (flags & flag_bit(PageFlag::uptodate)) == 0) {
            continue;
        }
        if (table.is_null()) {  // the table is wanted from the first page on that can be mapped
            if (!pte_alloc(k, *vma.vm_mm, vmf.pmd)) {
                return fault_ret::oom;
            }
            table = pte_offset_map(k.pt, vmf.pmd, VirtAddr{vmf.address & pmd_mask});
            if (find_page(file, index) != page) {  // making room took it out of the cache
                continue;
            }
        }
        const pte_ptr ptep = table + slot;
        if (!pte_none(ptep_get(k.pt, ptep))) {
            continue;
        }
        folio_get(k, page);
        page_add_file_rmap(k, page);
        vma.vm_mm->add_counter(mm_counter(k, page), 1);
        set_pte_at(k.pt, ptep, pfn_pte(k.state, page, vma.vm_page_prot));
        if (vma.has(vm::locked)) {
            mlock_folio(k, page);
        }
        ++mapped;
        if (slot == pte_off) {
            ret = fault_ret::nopage;
        }
    }
    if (k.tracing()) {
        k.pass("do_fault_around",
               std::to_string(mapped) + " cached pages mapped in a window of " + std::to_string(to - from));
    }
    return ret;
}

void truncate_pages(Mm& k, address_space& file, std::uint64_t first) {
    for (vm_area_struct* const vma : std::vector<vm_area_struct*>{file.i_mmap}) {
        const std::uint64_t last = vma->vm_pgoff + vma->pages();
        if (first < last) {
            const std::uint64_t from = std::max(first, vma->vm_pgoff);
            zap_page_range(k, *vma, vma->vm_start + ((from - vma->vm_pgoff) << page_shift), vma->vm_end);
        }
    }
    std::vector<std::uint64_t> gone;
    for (const auto& [index, page] : file.pages) {
        if (index >= first) {
            gone.push_back(index);
        }
    }
    std::sort(gone.begin(), gone.end());
    for (const std::uint64_t index : gone) {
        k.pages.test_and_clear(file.pages[index], PageFlag::dirty);
        filemap_remove_folio(k, file.pages[index]);
    }
    for (auto it = file.swapped.begin(); it != file.swapped.end();) {
        if (it->first >= first) {
            const swp_entry_t entry = it->second;
            it = file.swapped.erase(it);
            swap_free(k, entry, true);
        } else {
            ++it;
        }
    }
}

void folio_clear_dirty_for_io(Mm& k, address_space& file, std::uint64_t folio) {
    bool dirty = k.pages.test_and_clear(folio, PageFlag::dirty);
    for (const PageMapping& mapping : rmap_walk(k, folio)) {  // page_mkclean()
        if (!mapping.vma->has(vm::shared)) {
            continue;
        }
        const TablePath path = find_entries(k, *mapping.vma->vm_mm, VirtAddr{mapping.address});
        if (path.pte.is_null()) {
            continue;
        }
        const pte_t pte = ptep_get(k.pt, path.pte);
        if (pte_present(pte) && pte_pfn(pte) == folio && (pte_dirty(pte) || pte_write(pte))) {
            dirty = true;
            set_pte_at(k.pt, path.pte, pte_mkclean(pte_wrprotect(pte)));
            flush_tlb_range(k, *mapping.vma->vm_mm, mapping.address, mapping.address + page_size);
        }
    }
    if (dirty) {
        std::vector<std::byte> content(page_size);
        k.memory.read(table_va(k, folio), content);
        file.disk[k.pages.index(folio)] = std::move(content);
    }
}

void evict_inode(Mm& k, address_space& file) {
    truncate_pages(k, file, 0);
}

}  // namespace pgsim::kernel
