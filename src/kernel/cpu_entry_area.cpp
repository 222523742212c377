// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/cpu_entry_area.hpp"

#include "pgsim/kernel/fixmap.hpp"
#include "pgsim/kernel/kernel.hpp"
#include "pgsim/kernel/pgtable.hpp"

namespace pgsim::kernel {

namespace {

// struct cpu_entry_area in pages: the GDT, the entry stack, the TSS with its I/O bitmap, then each exception stack
// behind a guard page. Without the debug store, which only Intel processors have.
constexpr std::uint64_t tss_pages = 5;
constexpr std::uint64_t exception_stack_pages = 2;
constexpr std::uint64_t mapped_exception_stacks = 4;     // DF, NMI, DB, MCE
constexpr std::uint64_t debug_store_pages = 1 + 16 * 2;  // the store and its PEBS and BTS buffers

class EntryArea {
public:
    EntryArea(Kernel& kernel, PhysAddr per_cpu) : k_{kernel}, per_cpu_{per_cpu} {
        // The page-aligned per-CPU variables follow each other: TSS, GDT, exception stacks, entry stack.
        gdt_ = k_.inputs.layout.symbols().at("gdt_page").value();
        tss_ = gdt_ - tss_pages * page_size;
        exception_stacks_ = gdt_ + page_size;
        entry_stack_ = exception_stacks_ + stored_stacks() * exception_stack_pages * page_size;
        base_ = VirtAddr{cpu_entry_area_base} + page_size + k_.inputs.cpu_entry_area_slot * area_bytes();
    }

    void map() {
        const pgprot_t read_only =
            k_.inputs.series.kernel_ro_keeps_dirty ? pgprot_t{page_kernel_ro.pgprot | page_dirty} : page_kernel_ro;
        std::uint64_t page = 0;
        map_pages(page, gdt_, 1, read_only);
        map_pages(page += 1, entry_stack_, 1, page_kernel);
        map_pages(page += 1, tss_, tss_pages, read_only);
        page += tss_pages;
        for (std::uint64_t stack = 0; stack < mapped_exception_stacks; ++stack) {
            ++page;  // the guard
            map_pages(page, exception_stacks_ + stack * exception_stack_pages * page_size, exception_stack_pages,
                      page_kernel);
            page += exception_stack_pages;
        }
    }

    [[nodiscard]] static constexpr std::uint64_t area_bytes() {
        // Room for all six stacks is left in the area, whatever the configuration, each behind a guard page.
        constexpr std::uint64_t stacks = 6 * (exception_stack_pages + 1) + 1;
        return (2 + tss_pages + stacks + debug_store_pages) * page_size;
    }

private:
    // Stacks for #VC exist when the kernel can be an encrypted guest.
    [[nodiscard]] std::uint64_t stored_stacks() const {
        return mapped_exception_stacks + (k_.inputs.config.enabled("AMD_MEM_ENCRYPT") ? 2 : 0);
    }

    void map_pages(std::uint64_t page, std::uint64_t offset, std::uint64_t count, pgprot_t prot) {
        for (std::uint64_t i = 0; i < count; ++i) {
            const std::uint64_t frame = (per_cpu_.value() + offset) / page_size + i;
            pte_t entry = pfn_pte(k_.state, frame, pgprot_t{prot.pgprot & k_.state.default_kernel_pte_mask});
            // Global even with page-table isolation: both address spaces share it.
            if (k_.inputs.cpu.has(Feature::pge)) {
                entry = pte_t{entry.pte | page_global};
            }
            set_pte_vaddr(k_, base_ + (page + i) * page_size, entry);
        }
    }

    Kernel& k_;
    PhysAddr per_cpu_;
    std::uint64_t gdt_ = 0;
    std::uint64_t tss_ = 0;
    std::uint64_t exception_stacks_ = 0;
    std::uint64_t entry_stack_ = 0;
    VirtAddr base_;
};

}  // namespace

std::uint64_t cpu_entry_area_slot_of(VirtAddr first_page) {
    return (first_page.value() - cpu_entry_area_base - page_size) / EntryArea::area_bytes();
}

void setup_cpu_entry_areas(Kernel& k, PhysAddr per_cpu) {
    const auto origin = k.origin("setup_cpu_entry_areas", "R9.1");
    EntryArea{k, per_cpu}.map();
}

}  // namespace pgsim::kernel
