// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <vector>

#include "pgsim/kernel/mm.hpp"

/// Page tables of processes: making them, taking entries out, freeing them, TLB flushes.
/// [linux-6.6 mm/memory.c, mm/mmu_gather.c, arch/x86/mm/tlb.c] [spec M-C5 to M-C8, M-D21 to M-D24]

namespace pgsim::kernel {

/// A zeroed page for a table of user space, counted in pgtables_bytes by whoever installs it. no_page when there is
/// none.
[[nodiscard]] std::uint64_t pte_alloc_one(Mm& k);
void pte_free(Mm& k, std::uint64_t table);
[[nodiscard]] inline VirtAddr table_va(const Mm& k, std::uint64_t pfn) {
    return VirtAddr{k.state.page_offset_base + (pfn << page_shift)};
}

/// pgd_alloc(): the kernel half is init's. A null pointer when memory is out.
bool pgd_alloc(Mm& k, mm_struct& mm);
void pgd_free(Mm& k, mm_struct& mm);

/// The entry of `address` at each level; tables are made on the way. Null pointers when memory is out.
[[nodiscard]] pud_ptr pud_alloc(Mm& k, mm_struct& mm, VirtAddr address);
[[nodiscard]] pmd_ptr pmd_alloc(Mm& k, mm_struct& mm, pud_ptr pud, VirtAddr address);
/// pte_alloc(): whether there is a page table below `pmd` now.
[[nodiscard]] bool pte_alloc(Mm& k, mm_struct& mm, pmd_ptr pmd);
/// pmd_install(): takes the table if the entry is still none.
bool pmd_install(Mm& k, mm_struct& mm, pmd_ptr pmd, std::uint64_t table);

/// The entries of `address` as far as tables reach; null pointers from the first level without one on.
struct TablePath {
    pud_ptr pud;
    pmd_ptr pmd;
    pte_ptr pte;
};
[[nodiscard]] TablePath find_entries(const Mm& k, const mm_struct& mm, VirtAddr address);

/// vm_normal_page(): the frame that the entry maps, no_page for the zero page and other special ones.
[[nodiscard]] std::uint64_t vm_normal_page(const Mm& k, pte_t pte);
/// mm_counter(): which counter counts the page.
[[nodiscard]] MmCounter mm_counter(const Mm& k, std::uint64_t page);

/// What was unmapped and may only be freed when no TLB holds it any more. [linux-6.6 struct mmu_gather]
class mmu_gather {
public:
    mmu_gather(Mm& k, mm_struct& mm, bool whole_mm = false);
    ~mmu_gather();
    mmu_gather(const mmu_gather&) = delete;
    mmu_gather& operator=(const mmu_gather&) = delete;

    void unmapped(std::uint64_t address, std::uint64_t size);
    /// Drops a reference of the folio once flushed.
    void remove_page(std::uint64_t folio);
    void remove_table(std::uint64_t table) { tables_.push_back(table); }
    /// Leaves out the flush that is due.
    void forget() noexcept {
        start_ = ~std::uint64_t{0};
        end_ = 0;
    }
    /// tlb_flush_mmu(): flushes, then frees.
    void flush();

    Mm& k;
    mm_struct& mm;

private:
    bool whole_mm_;
    std::uint64_t start_ = ~std::uint64_t{0};
    std::uint64_t end_ = 0;
    std::vector<std::uint64_t> pages_;
    std::vector<std::uint64_t> tables_;
};

/// unmap_page_range(): no entry of [start, end) maps anything afterwards.
void unmap_page_range(mmu_gather& tlb, vm_area_struct& vma, std::uint64_t start, std::uint64_t end);
/// zap_page_range_single().
void zap_page_range(Mm& k, vm_area_struct& vma, std::uint64_t start, std::uint64_t end);
/// free_pgd_range(): tables that only [addr, end) used. [spec M-D22]
void free_pgd_range(mmu_gather& tlb, std::uint64_t addr, std::uint64_t end, std::uint64_t floor, std::uint64_t ceiling);

/// flush_tlb_range(): INVLPG up to 33 pages, everything of the process above. Nothing when its tables are not loaded.
void flush_tlb_range(Mm& k, const mm_struct& mm, std::uint64_t start, std::uint64_t end);
void flush_tlb_mm(Mm& k, const mm_struct& mm);
/// switch_mm(): CR3 names the process's tables.
void switch_mm(Mm& k, mm_struct* mm);

}  // namespace pgsim::kernel
