// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>

#include "lru.hpp"
#include "pgsim/kernel/mm.hpp"

namespace pgsim::kernel {

/// struct vm_fault: what one fault knows about itself. [linux-6.6 include/linux/mm.h]
struct vm_fault {
    vm_area_struct* vma = nullptr;
    std::uint64_t address = 0;  ///< of the page
    std::uint64_t pgoff = 0;    ///< of the page in the file or in the anonymous object
    unsigned flags = 0;
    pud_ptr pud;
    pmd_ptr pmd;
    pte_ptr pte;
    pmd_t orig_pmd;
    pte_t orig_pte;
    std::uint64_t page = no_page;          ///< what the file's fault method found, with a reference
    std::uint64_t cow_page = no_page;      ///< what a private write will map
    std::uint64_t prealloc_pte = no_page;  ///< a page table in case one is missing

    [[nodiscard]] bool write() const noexcept { return (flags & fault_flag::write) != 0; }
};

/// Resolves a fault in `vma`; counts it. The result is of fault_ret. [spec M-F9]
unsigned handle_mm_fault(Mm& k, vm_area_struct& vma, std::uint64_t address, unsigned flags);

/// One user page for private use, or no_page. Copied from `source` unless that is no_page, else zeroed.
[[nodiscard]] std::uint64_t alloc_user_page(Mm& k, std::uint64_t source);

// the parts
unsigned handle_pte_fault(Mm& k, vm_fault& vmf);
unsigned do_anonymous_page(Mm& k, vm_fault& vmf);
unsigned do_fault(Mm& k, vm_fault& vmf);
unsigned do_wp_page(Mm& k, vm_fault& vmf);
unsigned do_swap_page(Mm& k, vm_fault& vmf);
/// maybe_mkwrite().
[[nodiscard]] pte_t maybe_mkwrite(pte_t pte, const vm_area_struct& vma);

}  // namespace pgsim::kernel
