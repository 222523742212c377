// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>

#include "pgsim/kernel/mm.hpp"

/// From a page to the entries that map it, and how many there are. [linux-6.6 mm/rmap.c] [spec M-G5, M-G8, M-D4]

namespace pgsim::kernel {

/// folio->_nr_pages_mapped: this is added while a PMD maps the folio.
inline constexpr std::uint32_t compound_mapped = 0x80'0000;
inline constexpr std::uint64_t hpage_pmd_nr = 512;

void anon_vma_prepare(Mm& k, vm_area_struct& vma);
/// `to` is linked to every anon_vma that `from` is linked to.
void anon_vma_clone(Mm& k, vm_area_struct& to, const vm_area_struct& from);
void anon_vma_fork(Mm& k, vm_area_struct& child, const vm_area_struct& parent);
void unlink_anon_vmas(Mm& k, vm_area_struct& vma);

/// A fresh anonymous page (or huge page) gets its first mapping.
void page_add_new_anon_rmap(Mm& k, std::uint64_t page, const vm_area_struct& vma, std::uint64_t address, bool huge);
void page_add_anon_rmap(Mm& k, std::uint64_t page, const vm_area_struct& vma, std::uint64_t address, bool exclusive);
void page_add_file_rmap(Mm& k, std::uint64_t page);
/// One more mapping of an anonymous page by fork; it is not exclusive any more.
void page_dup_anon_rmap(Mm& k, std::uint64_t page, bool huge);
void page_remove_rmap(Mm& k, std::uint64_t page, const vm_area_struct* vma, bool huge);
/// page_move_anon_rmap(): the page belongs to this area's anon_vma from now on.
void page_move_anon_rmap(Mm& k, std::uint64_t page, const vm_area_struct& vma);

/// PTEs and PMDs that map the page.
[[nodiscard]] std::int32_t page_mapcount(const Mm& k, std::uint64_t page);
[[nodiscard]] std::int32_t folio_mapcount(const Mm& k, std::uint64_t folio);
[[nodiscard]] bool folio_mapped(const Mm& k, std::uint64_t folio);
[[nodiscard]] std::int32_t entire_mapcount(const Mm& k, std::uint64_t folio);
[[nodiscard]] bool folio_test_anon(const Mm& k, std::uint64_t folio);
[[nodiscard]] inline bool page_anon_exclusive(const Mm& k, std::uint64_t page) {
    return k.pages.test(page, PageFlag::anon_exclusive);
}

/// One place that maps a page: an area and the address in it.
struct PageMapping {
    vm_area_struct* vma = nullptr;
    std::uint64_t address = 0;
};
/// Areas in which a folio may be mapped, with the address of its first page in each. [spec M-G8]
[[nodiscard]] std::vector<PageMapping> rmap_walk(const Mm& k, std::uint64_t folio);

struct FolioReferences {
    unsigned count = 0;          ///< areas in which A was set
    std::uint64_t vm_flags = 0;  ///< of those areas
    bool locked = false;
};
/// folio_referenced(): tests and clears A in all mappings. [spec M-E16]
[[nodiscard]] FolioReferences folio_referenced(Mm& k, std::uint64_t folio);
/// try_to_unmap(): replaces all mappings by swap entries or nothing. True when none is left. [spec M-E19]
bool try_to_unmap(Mm& k, std::uint64_t folio);

}  // namespace pgsim::kernel
