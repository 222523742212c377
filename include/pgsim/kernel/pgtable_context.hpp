// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>

#include "pgsim/base/address.hpp"
#include "pgsim/base/level.hpp"
#include "pgsim/kernel/kernel_memory.hpp"
#include "pgsim/kernel/kernel_state.hpp"
#include "pgsim/kernel/pgtable_types.hpp"

namespace pgsim::kernel {

/// Told of each entry that the page-table functions store, before they do.
class EntryWatch {
public:
    virtual ~EntryWatch() = default;
    virtual void on_store(Level level, VirtAddr entry, std::uint64_t old_value, std::uint64_t new_value) = 0;
};

/// What the page-table functions need besides their arguments: the door to memory, and the kernel's variables that
/// say how many levels there are, where the direct map begins and which bits are supported.
struct Pgtable {
    KernelMemory& memory;
    const KernelState& state;
    EntryWatch* watch = nullptr;

    /// WRITE_ONCE() of an entry of a table of `level`.
    void store(Level level, VirtAddr entry, std::uint64_t value) const {
        if (watch != nullptr) [[unlikely]] {
            watch->on_store(level, entry, memory.read64(entry), value);
        }
        memory.write64(entry, value);
    }

    /// __va(): where the direct map shows a physical address.
    [[nodiscard]] VirtAddr va(PhysAddr pa) const noexcept { return VirtAddr{state.page_offset_base + pa.value()}; }
    /// __pa() of a direct-map address. @throws Error  when `va` lies outside the direct map's 52-bit reach
    [[nodiscard]] PhysAddr pa(VirtAddr va) const { return PhysAddr{va.value() - state.page_offset_base}; }
    /// pfn_to_page(): the struct page of a frame.
    [[nodiscard]] VirtAddr pfn_to_page(std::uint64_t pfn) const noexcept {
        return VirtAddr{state.vmemmap_base + pfn * 64};
    }
    /// page_to_pfn().
    [[nodiscard]] std::uint64_t page_to_pfn(VirtAddr page) const noexcept {
        return (page.value() - state.vmemmap_base) / 64;
    }
};

/// READ_ONCE() of an entry.
[[nodiscard]] inline pte_t ptep_get(const Pgtable& pt, pte_ptr ptep) {
    return {pt.memory.read64(ptep.va())};
}
[[nodiscard]] inline pmd_t pmdp_get(const Pgtable& pt, pmd_ptr pmdp) {
    return {pt.memory.read64(pmdp.va())};
}
[[nodiscard]] inline pud_t pudp_get(const Pgtable& pt, pud_ptr pudp) {
    return {pt.memory.read64(pudp.va())};
}
[[nodiscard]] inline p4d_t p4dp_get(const Pgtable& pt, p4d_ptr p4dp) {
    return {pt.memory.read64(p4dp.va())};
}
[[nodiscard]] inline pgd_t pgdp_get(const Pgtable& pt, pgd_ptr pgdp) {
    return {pt.memory.read64(pgdp.va())};
}

}  // namespace pgsim::kernel
