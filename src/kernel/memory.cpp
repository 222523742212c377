// SPDX-License-Identifier: GPL-2.0-only
#include "memory.hpp"

#include <algorithm>

#include "huge_memory.hpp"
#include "lru.hpp"
#include "pgsim/kernel/pgalloc.hpp"
#include "pgsim/kernel/pgtable_generic.hpp"
#include "rmap.hpp"
#include "swapfile.hpp"

namespace pgsim::kernel {

namespace {

constexpr std::int64_t table_bytes = static_cast<std::int64_t>(page_size);
constexpr std::uint64_t tlb_single_page_flush_ceiling = 33;

}  // namespace

std::uint64_t pte_alloc_one(Mm& k) {
    const auto pfn = k.buddy.alloc_pages(gfp::pgtable_user, 0);
    if (!pfn) {
        return no_page;
    }
    k.pages.set_type(*pfn, page_type::table);
    return *pfn;
}

void pte_free(Mm& k, std::uint64_t table) {
    k.pages.set_type(table, page_type::none);
    k.buddy.free_pages(table, 0);
}

bool pgd_alloc(Mm& k, mm_struct& mm) {
    const unsigned order = k.state.pti_enabled ? 1 : 0;
    const auto pfn = k.buddy.alloc_pages(gfp::pgtable_user, order);
    if (!pfn) {
        return false;
    }
    mm.pgd_pfn = *pfn;
    mm.pgd = pgd_ptr{table_va(k, *pfn)};
    k.memory.copy(mm.pgd.va() + 2048, table_va(k, k.init_top_pgt.value() >> page_shift) + 2048, 2048);
    return true;
}

void pgd_free(Mm& k, mm_struct& mm) {
    k.buddy.free_pages(mm.pgd_pfn, k.state.pti_enabled ? 1 : 0);
    mm.pgd = {};
}

pud_ptr pud_alloc(Mm& k, mm_struct& mm, VirtAddr address) {
    const pgd_ptr pgd = pgd_offset_pgd(k.pt, mm.pgd, address);
    if (pgd_none(k.state, pgdp_get(k.pt, pgd))) {
        const std::uint64_t table = pte_alloc_one(k);
        if (table == no_page) {
            return {};
        }
        k.pass("__p4d_alloc");
        pgd_populate(k.pt, pgd, p4d_ptr{table_va(k, table)});
    }
    const p4d_ptr p4d = p4d_offset(k.pt, pgd, address);
    if (p4d_none(p4dp_get(k.pt, p4d))) {
        const std::uint64_t table = pte_alloc_one(k);
        if (table == no_page) {
            return {};
        }
        k.pass("__pud_alloc");
        mm.pgtables_bytes += table_bytes;
        p4d_populate(k.pt, p4d, pud_ptr{table_va(k, table)});
    }
    return pud_offset(k.pt, p4d, address);
}

pmd_ptr pmd_alloc(Mm& k, mm_struct& mm, pud_ptr pud, VirtAddr address) {
    if (pud_none(pudp_get(k.pt, pud))) {
        const std::uint64_t table = pte_alloc_one(k);
        if (table == no_page) {
            return {};
        }
        k.pass("__pmd_alloc");
        mm.pgtables_bytes += table_bytes;
        pud_populate(k.pt, pud, pmd_ptr{table_va(k, table)});
    }
    return pmd_offset(k.pt, pud, address);
}

bool pmd_install(Mm& k, mm_struct& mm, pmd_ptr pmd, std::uint64_t table) {
    if (!pmd_none(pmdp_get(k.pt, pmd))) {
        return false;
    }
    mm.pgtables_bytes += table_bytes;
    pmd_populate(k.pt, pmd, PhysAddr{table << page_shift});
    return true;
}

bool pte_alloc(Mm& k, mm_struct& mm, pmd_ptr pmd) {
    if (!pmd_none(pmdp_get(k.pt, pmd))) {
        return true;
    }
    const std::uint64_t table = pte_alloc_one(k);
    if (table == no_page) {
        return false;
    }
    k.pass("__pte_alloc");
    if (!pmd_install(k, mm, pmd, table)) {
        pte_free(k, table);
    }
    return true;
}

TablePath find_entries(const Mm& k, const mm_struct& mm, VirtAddr address) {
    TablePath path;
    const pgd_ptr pgd = pgd_offset_pgd(k.pt, mm.pgd, address);
    if (pgd_none(k.state, pgdp_get(k.pt, pgd))) {
        return path;
    }
    const p4d_ptr p4d = p4d_offset(k.pt, pgd, address);
    if (p4d_none(p4dp_get(k.pt, p4d))) {
        return path;
    }
    path.pud = pud_offset(k.pt, p4d, address);
    if (pud_none(pudp_get(k.pt, path.pud))) {
        return path;
    }
    path.pmd = pmd_offset(k.pt, path.pud, address);
    path.pte = pte_offset_map(k.pt, path.pmd, address);
    return path;
}

std::uint64_t vm_normal_page(const Mm& k, pte_t pte) {
    (void)k;
    return pte_special(pte) ? no_page : pte_pfn(pte);
}

MmCounter mm_counter(const Mm& k, std::uint64_t page) {
    const std::uint64_t folio = k.pages.compound_head(page);
    if (folio_test_anon(k, folio)) {
        return MmCounter::anon;
    }
    return k.pages.test(folio, PageFlag::swapbacked) ? MmCounter::shmem : MmCounter::file;
}

mmu_gather::mmu_gather(Mm& kernel, mm_struct& space, bool whole_mm) : k{kernel}, mm{space}, whole_mm_{whole_mm} {}

mmu_gather::~mmu_gather() {
    flush();
}

void mmu_gather::unmapped(std::uint64_t address, std::uint64_t size) {
    start_ = std::min(start_, address);
    end_ = std::max(end_, address + size);
}

void mmu_gather::remove_page(std::uint64_t folio) {
    pages_.push_back(folio);
    if (pages_.size() >= 4096) {
        flush();
    }
}

void mmu_gather::flush() {
    if (whole_mm_) {
        flush_tlb_mm(k, mm);
    } else if (start_ < end_ && k.setup.left_out != LeftOutFlush::munmap) {
        if (tables_.empty()) {
            flush_tlb_range(k, mm, start_, end_);
        } else {
            flush_tlb_mm(k, mm);  // structure caches may hold what named the tables
        }
    }
    start_ = ~std::uint64_t{0};
    end_ = 0;
    for (const std::uint64_t folio : pages_) {
        free_swap_cache(k, folio);
        folio_put(k, folio);
    }
    pages_.clear();
    for (const std::uint64_t table : tables_) {
        pte_free(k, table);
    }
    tables_.clear();
}

namespace {

// [linux-6.6 zap_pte_range()] [spec M-D21]
void zap_pte_range(mmu_gather& tlb, vm_area_struct& vma, pmd_ptr pmd, VirtAddr address, VirtAddr end) {
    Mm& k = tlb.k;
    pte_ptr ptep = pte_offset_map(k.pt, pmd, address);
    if (ptep.is_null()) {
        return;
    }
    for (; address != end; address += page_size, ++ptep) {
        const pte_t pte = ptep_get(k.pt, ptep);
        if (pte_none(pte)) {
            continue;
        }
        if (!pte_present(pte)) {
            vma.vm_mm->add_counter(MmCounter::swapents, -1);
            swap_free(k, pte_to_swp_entry(pte), true);
            pte_clear(k.pt, ptep);
            continue;
        }
        pte_clear(k.pt, ptep);
        tlb.unmapped(address.value(), page_size);
        const std::uint64_t page = vm_normal_page(k, pte);
        if (page == no_page) {
            continue;
        }
        const std::uint64_t folio = k.pages.compound_head(page);
        if (!folio_test_anon(k, folio)) {
            if (pte_dirty(pte)) {
                k.pages.set(folio, PageFlag::dirty);
            }
            if (pte_young(pte) && !vma.has(vm::seq_read | vm::rand_read)) {
                folio_mark_accessed(k, folio);
            }
        }
        vma.vm_mm->add_counter(mm_counter(k, page), -1);
        page_remove_rmap(k, page, &vma, false);
        tlb.remove_page(folio);
    }
}

template <class F>
void for_each_pmd(const Mm& k, const mm_struct& mm, VirtAddr address, VirtAddr end, F&& f) {
    while (address != end) {
        const pgd_ptr pgd = pgd_offset_pgd(k.pt, mm.pgd, address);
        const VirtAddr pgd_end = pgd_addr_end(k.state, address, end);
        if (pgd_none_or_clear_bad(k.pt, pgd)) {
            address = pgd_end;
            continue;
        }
        while (address != pgd_end) {
            const p4d_ptr p4d = p4d_offset(k.pt, pgd, address);
            const VirtAddr p4d_end = p4d_addr_end(k.state, address, pgd_end);
            if (p4d_none_or_clear_bad(k.pt, p4d)) {
                address = p4d_end;
                continue;
            }
            while (address != p4d_end) {
                const pud_ptr pud = pud_offset(k.pt, p4d, address);
                const VirtAddr pud_end = pud_addr_end(address, p4d_end);
                if (pud_none_or_clear_bad(k.pt, pud)) {
                    address = pud_end;
                    continue;
                }
                while (address != pud_end) {
                    const VirtAddr pmd_end = pmd_addr_end(address, pud_end);
                    f(pmd_offset(k.pt, pud, address), address, pmd_end);
                    address = pmd_end;
                }
            }
        }
    }
}

}  // namespace

void unmap_page_range(mmu_gather& tlb, vm_area_struct& vma, std::uint64_t start, std::uint64_t end) {
    Mm& k = tlb.k;
    for_each_pmd(k, *vma.vm_mm, VirtAddr{start}, VirtAddr{end}, [&](pmd_ptr pmd, VirtAddr from, VirtAddr to) {
        const pmd_t entry = pmdp_get(k.pt, pmd);
        if (pmd_trans_huge(entry) && pmd_present(entry)) {
            if (to - from == pmd_size) {
                zap_huge_pmd(tlb, vma, pmd, from.value());
                return;
            }
            split_huge_pmd(k, vma, pmd, from.value());
        }
        if (!pmd_none_or_clear_bad(k.pt, pmd)) {
            zap_pte_range(tlb, vma, pmd, from, to);
        }
    });
}

void zap_page_range(Mm& k, vm_area_struct& vma, std::uint64_t start, std::uint64_t end) {
    mmu_gather tlb{k, *vma.vm_mm};
    unmap_page_range(tlb, vma, start, end);
}

namespace {

// What free_pgd_range() and its helpers share: the area that is going, and what stays on both sides of it.
struct FreeRange {
    mmu_gather& tlb;
    std::uint64_t floor;
    std::uint64_t ceiling;

    // Whether the table page that covers `size` bytes around [addr, end) has no other user. [spec M-D22]
    [[nodiscard]] bool lonely(std::uint64_t addr, std::uint64_t end, std::uint64_t size) const {
        if ((addr & ~(size - 1)) < floor) {
            return false;
        }
        std::uint64_t limit = ceiling;
        if (limit != 0) {
            limit &= ~(size - 1);
            if (limit == 0) {
                return false;
            }
        }
        return end - 1 <= limit - 1;
    }
};

void free_pmd_range(const FreeRange& range, pud_ptr pud, VirtAddr addr, VirtAddr end) {
    Mm& k = range.tlb.k;
    const VirtAddr start = addr;
    pmd_ptr pmd = pmd_offset(k.pt, pud, addr);
    for (; addr != end; addr = pmd_addr_end(addr, end), ++pmd) {
        if (!pmd_none_or_clear_bad(k.pt, pmd)) {
            const std::uint64_t table = pmd_pfn(pmdp_get(k.pt, pmd));
            pmd_clear(k.pt, pmd);
            range.tlb.mm.pgtables_bytes -= table_bytes;
            range.tlb.unmapped(addr.value(), page_size);
            range.tlb.remove_table(table);
        }
    }
    if (range.lonely(start.value(), end.value(), pud_size)) {
        const std::uint64_t table = pud_pfn(pudp_get(k.pt, pud));
        pud_clear(k.pt, pud);
        range.tlb.mm.pgtables_bytes -= table_bytes;
        range.tlb.unmapped(start.value(), page_size);
        range.tlb.remove_table(table);
    }
}

void free_pud_range(const FreeRange& range, p4d_ptr p4d, VirtAddr addr, VirtAddr end) {
    Mm& k = range.tlb.k;
    const VirtAddr start = addr;
    pud_ptr pud = pud_offset(k.pt, p4d, addr);
    for (VirtAddr next; addr != end; addr = next, ++pud) {
        next = pud_addr_end(addr, end);
        if (!pud_none_or_clear_bad(k.pt, pud)) {
            free_pmd_range(range, pud, addr, next);
        }
    }
    if (range.lonely(start.value(), end.value(), p4d_size)) {
        const std::uint64_t table = p4d_pfn(p4dp_get(k.pt, p4d));
        p4d_clear(k.pt, p4d);
        range.tlb.mm.pgtables_bytes -= table_bytes;
        range.tlb.unmapped(start.value(), page_size);
        range.tlb.remove_table(table);
    }
}

void free_p4d_range(const FreeRange& range, pgd_ptr pgd, VirtAddr addr, VirtAddr end) {
    Mm& k = range.tlb.k;
    const VirtAddr start = addr;
    p4d_ptr p4d = p4d_offset(k.pt, pgd, addr);
    for (VirtAddr next; addr != end; addr = next, ++p4d) {
        next = p4d_addr_end(k.state, addr, end);
        if (!p4d_none_or_clear_bad(k.pt, p4d)) {
            free_pud_range(range, p4d, addr, next);
        }
    }
    if (pgtable_l5_enabled(k.state) && range.lonely(start.value(), end.value(), pgdir_size(k.state))) {
        const std::uint64_t table = pgd_pfn(pgdp_get(k.pt, pgd));
        pgd_clear(k.pt, pgd);  // not counted in pgtables_bytes [spec M-C6]
        range.tlb.unmapped(start.value(), page_size);
        range.tlb.remove_table(table);
    }
}

}  // namespace

void free_pgd_range(mmu_gather& tlb, std::uint64_t addr, std::uint64_t end, std::uint64_t floor,
                    std::uint64_t ceiling) {
    Mm& k = tlb.k;
    addr &= pmd_mask;
    if (addr < floor) {
        addr += pmd_size;
        if (addr == 0) {
            return;
        }
    }
    if (ceiling != 0) {
        ceiling &= pmd_mask;
        if (ceiling == 0) {
            return;
        }
    }
    if (end - 1 > ceiling - 1) {
        end -= pmd_size;
    }
    if (addr > end - 1) {
        return;
    }
    const FreeRange range{tlb, floor, ceiling};
    for (VirtAddr at{addr}, next; at != VirtAddr{end}; at = next) {
        next = pgd_addr_end(k.state, at, VirtAddr{end});
        const pgd_ptr pgd = pgd_offset_pgd(k.pt, tlb.mm.pgd, at);
        if (!pgd_none_or_clear_bad(k.pt, pgd)) {
            free_p4d_range(range, pgd, at, next);
        }
    }
}

void flush_tlb_range(Mm& k, const mm_struct& mm, std::uint64_t start, std::uint64_t end) {
    if (k.loaded_mm != &mm) {
        return;  // its tables come into use with a load of CR3, which flushes
    }
    if (end - start > tlb_single_page_flush_ceiling * page_size) {
        flush_tlb_mm(k, mm);
        return;
    }
    for (std::uint64_t at = start & page_mask; at < end; at += page_size) {
        k.machine.invlpg(VirtAddr{at});
        ++k.vmstat.tlb_flush_pages;
    }
}

void flush_tlb_mm(Mm& k, const mm_struct& mm) {
    if (k.loaded_mm == &mm) {
        k.machine.mov_cr3(k.machine.cpu().cr3);
        ++k.vmstat.tlb_flush_all;
    }
}

void switch_mm(Mm& k, mm_struct* mm) {
    if (k.loaded_mm == mm) {
        return;
    }
    k.loaded_mm = mm;
    k.machine.mov_cr3(mm != nullptr ? mm->pgd_pfn << page_shift : k.init_top_pgt.value());
}

}  // namespace pgsim::kernel
