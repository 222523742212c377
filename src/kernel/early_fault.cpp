// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/early_fault.hpp"

#include "pgsim/kernel/head64.hpp"
#include "pgsim/kernel/kernel.hpp"

namespace pgsim::kernel {

namespace {

constexpr unsigned early_dynamic_page_tables = 64;  // [R3.1]
constexpr std::uint64_t table_mask = 0x000f'ffff'ffff'f000;

// The table that `entry` names, in the kernel-image mapping; when there is none, a page of early_dynamic_pgts is put
// there. nullopt when those are used up.
std::optional<VirtAddr> descend(Kernel& k, VirtAddr entry) {
    const std::uint64_t value = k.memory.read64(entry);
    if (value != 0) {
        return VirtAddr{(value & table_mask) + start_kernel_map - k.state.phys_base};
    }
    if (k.state.next_early_pgt >= early_dynamic_page_tables) {
        return std::nullopt;
    }
    const std::uint64_t offset = std::uint64_t{4096} * k.state.next_early_pgt++;
    const VirtAddr table = k.symbol("early_dynamic_pgts") + offset;
    k.memory.fill(table, 4096);
    k.memory.write64(entry, k.symbol_pa("early_dynamic_pgts") + offset + kernpg_table);
    return table;
}

// The level-2 table for `address`, built as far as needed.
std::optional<VirtAddr> early_pmd_table(Kernel& k, std::uint64_t address) {
    VirtAddr table = k.symbol("early_top_pgt");
    for (unsigned level = k.state.pgtable_l5_enabled ? 5 : 4; level > 2; --level) {
        const std::optional<VirtAddr> next = descend(k, table + 8 * index_at(static_cast<Level>(level), address));
        if (!next) {
            return std::nullopt;
        }
        table = *next;
    }
    return table;
}

}  // namespace

bool early_make_pgtable(Kernel& k, std::uint64_t address) {
    const std::uint64_t maxmem = std::uint64_t{1} << (k.state.pgtable_l5_enabled ? 52 : 46);
    const std::uint64_t offset = address - k.state.page_offset_base;
    if (offset >= maxmem || (k.cpu().cr3 & table_mask) != k.symbol_pa("early_top_pgt")) {
        return false;
    }
    const auto origin = k.origin("__early_make_pgtable", "R4.5");
    std::optional<VirtAddr> pmd_table = early_pmd_table(k, address);
    while (!pmd_table) {
        reset_early_page_tables(k);
        pmd_table = early_pmd_table(k, address);
    }
    k.memory.write64(*pmd_table + 8 * index_at(Level::pd, address),
                     (offset & ~std::uint64_t{0x1f'ffff}) + k.state.early_pmd_flags);
    k.state.early_faults.push_back(VirtAddr{address});
    return true;
}

void idt_setup_early_handler(Kernel& k) {
    k.on_page_fault([&k](std::uint64_t address, std::uint32_t) { return early_make_pgtable(k, address); });
}

void idt_setup_early_pf(Kernel& k) {
    k.on_page_fault([](std::uint64_t, std::uint32_t) { return false; });
}

}  // namespace pgsim::kernel
