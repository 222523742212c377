// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "pgsim/kernel/pgtable_64.hpp"

/// The folding of the fourth level while the kernel runs. The five types stay; with four levels a p4d entry *is* an
/// entry of the top table, and the pgd functions have nothing to do. [linux-6.6 include/asm-generic/pgtable-nop4d.h;
/// arch/x86/include/asm/pgtable.h p4d_offset()] [spec M-C2]

namespace pgsim::kernel {

/// Slot of `address` in a p4d table; 0 while the level is folded.
[[nodiscard]] inline unsigned p4d_index(const KernelState& state, VirtAddr address) noexcept {
    return static_cast<unsigned>((address.value() >> p4d_shift) & (ptrs_per_p4d(state) - 1));
}

/// The p4d entry of `address` below `pgdp`; the pointer itself while the level is folded.
[[nodiscard]] inline p4d_ptr p4d_offset(const Pgtable& pt, pgd_ptr pgdp, VirtAddr address) {
    if (!pgtable_l5_enabled(pt.state)) {
        return p4d_ptr{pgdp.va()};
    }
    const VirtAddr table = pt.va(PhysAddr{pgdp_get(pt, pgdp).pgd & pte_pfn_mask});
    return p4d_ptr{table} + p4d_index(pt.state, address);
}

}  // namespace pgsim::kernel
