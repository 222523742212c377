// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "pgsim/kernel/pgtable_64.hpp"

/// Entries that name the table below. [linux-6.6 arch/x86/include/asm/pgalloc.h] [spec chapter C]

namespace pgsim::kernel {

/// @param table  physical address of a page table
inline void pmd_populate(const Pgtable& pt, pmd_ptr pmdp, PhysAddr table) {
    set_pmd(pt, pmdp, pmd_t{page_table | table.value()});
}
/// @param table  direct-map address of a page table
inline void pmd_populate_kernel(const Pgtable& pt, pmd_ptr pmdp, pte_ptr table) {
    set_pmd(pt, pmdp, pmd_t{page_table | pt.pa(table.va()).value()});
}
inline void pud_populate(const Pgtable& pt, pud_ptr pudp, pmd_ptr table) {
    set_pud(pt, pudp, pud_t{page_table | pt.pa(table.va()).value()});
}
inline void p4d_populate(const Pgtable& pt, p4d_ptr p4dp, pud_ptr table) {
    set_p4d(pt, p4dp, p4d_t{page_table | pt.pa(table.va()).value()});
}
/// Nothing to do while the level is folded. [spec M-C2]
inline void pgd_populate(const Pgtable& pt, pgd_ptr pgdp, p4d_ptr table) {
    if (pgtable_l5_enabled(pt.state)) {
        set_pgd(pt, pgdp, pgd_t{page_table | pt.pa(table.va()).value()});
    }
}

}  // namespace pgsim::kernel
