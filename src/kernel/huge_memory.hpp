// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>

#include "fault.hpp"
#include "memory.hpp"

/// Transparent huge pages of anonymous memory. [linux-6.6 mm/huge_memory.c] [spec M-F18, M-D8, M-D20]

namespace pgsim::kernel {

/// Whether a fault at `address` may be served with 2 MiB.
[[nodiscard]] bool hugepage_vma_check(const Mm& k, const vm_area_struct& vma, std::uint64_t address);
unsigned do_huge_pmd_anonymous_page(Mm& k, vm_fault& vmf);
unsigned do_huge_pmd_wp_page(Mm& k, vm_fault& vmf);
void huge_pmd_set_accessed(Mm& k, vm_fault& vmf);
enum class CopyHuge : std::uint8_t { done, no_memory, no_longer_huge };
CopyHuge copy_huge_pmd(Mm& k, mm_struct& to, pmd_ptr to_pmd, pmd_ptr from_pmd);
void zap_huge_pmd(mmu_gather& tlb, vm_area_struct& vma, pmd_ptr pmd, std::uint64_t address);
/// change_huge_pmd() of mprotect. @param try_writable  MM_CP_TRY_CHANGE_WRITABLE
void change_huge_pmd(mmu_gather& tlb, vm_area_struct& vma, pmd_ptr pmd, std::uint64_t address, pgprot_t prot,
                     bool try_writable);
/// __split_huge_pmd(): the same memory by 512 entries of the deposited table.
void split_huge_pmd(Mm& k, vm_area_struct& vma, pmd_ptr pmd, std::uint64_t address);
/// split_huge_pmd() of whatever huge pmd `address` cuts through.
void split_huge_pmd_address(Mm& k, vm_area_struct& vma, std::uint64_t address);
/// move_huge_pmd() of mremap. False when the target is in use.
bool move_huge_pmd(Mm& k, mm_struct& mm, pmd_ptr from, pmd_ptr to);
/// madvise_free_huge_pmd(): the whole of it becomes clean and lazily free.
void madvise_free_huge_pmd(mmu_gather& tlb, vm_area_struct& vma, pmd_ptr pmd, std::uint64_t address);

/// The page table that waits below a huge pmd. [spec M-C6]
void pgtable_trans_huge_deposit(mm_struct& mm, std::uint64_t table);
[[nodiscard]] std::uint64_t pgtable_trans_huge_withdraw(mm_struct& mm);

void deferred_split_folio(Mm& k, std::uint64_t folio);
void undo_deferred_split(Mm& k, std::uint64_t folio);
/// split_huge_page(): 512 pages of their own; the caller holds a reference to the first. False when somebody else holds
/// references that no mapping explains.
/// @param list  not null: where the tails go, isolated; else to the LRU
bool split_folio(Mm& k, std::uint64_t folio, std::vector<std::uint64_t>* list = nullptr);
/// deferred_split_scan(): splits partly unmapped huge pages; pages freed.
std::uint64_t deferred_split_scan(Mm& k);

}  // namespace pgsim::kernel
