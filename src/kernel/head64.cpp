// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/head64.hpp"

#include <array>

#include "pgsim/kernel/early_fault.hpp"
#include "pgsim/kernel/kernel.hpp"

namespace pgsim::kernel {

namespace {

constexpr std::uint64_t large_page = 0x20'0000;
constexpr std::uint64_t large_exec = 0x1e3;  // __PAGE_KERNEL_LARGE_EXEC
constexpr std::uint64_t global = 0x100;
constexpr std::uint64_t maxmem_4level_bits = 46;
constexpr std::uint64_t maxmem_5level_bits = 52;
constexpr unsigned fixmap_pmd_top = 507;

// P(x) of R3.2: a link-time pointer that relocation has moved by the virtual shift.
std::uint64_t linked(const Kernel& k, std::string_view symbol) {
    return k.symbol(symbol).value() - start_kernel_map;
}

unsigned fixmap_pmd_num(const Kernel& k) {
    return k.inputs.config.enabled("DEBUG_KMAP_LOCAL_FORCE_MAP") ? 3 : 2;
}

std::uint64_t kernel_image_pmds(const Kernel& k) {
    return k.inputs.config.enabled("RANDOMIZE_BASE") ? 512 : 256;
}

// A table of the image while the CPU runs on an identity map.
class ImageTable {
public:
    ImageTable(Kernel& k, std::string_view symbol, unsigned page = 0)
        : k_{k}, base_{k.symbol_pa(symbol) + std::uint64_t{4096} * page} {}

    [[nodiscard]] std::uint64_t get(unsigned index) const { return k_.memory.read64(VirtAddr{base_ + 8 * index}); }
    void set(unsigned index, std::uint64_t value) { k_.memory.write64(VirtAddr{base_ + 8 * index}, value); }
    void add(unsigned index, std::uint64_t delta) { set(index, get(index) + delta); }
    void clear() { k_.memory.fill(VirtAddr{base_}, 4096); }
    [[nodiscard]] std::uint64_t pa() const { return base_; }

private:
    Kernel& k_;
    std::uint64_t base_;
};

void link_fixmap_tables(Kernel& k) {
    ImageTable level2{k, "level2_fixmap_pgt"};
    level2.clear();
    const unsigned count = fixmap_pmd_num(k);
    for (unsigned i = 0; i < count; ++i) {
        level2.set(fixmap_pmd_top + 1 - count + i, linked(k, "level1_fixmap_pgt") + 0x1000 * i + page_table);
        ImageTable{k, "level1_fixmap_pgt", i}.clear();
    }
}

void link_ident_tables(Kernel& k) {
    ImageTable top{k, "init_top_pgt"};
    top.clear();
    if (!k.inputs.config.enabled("XEN_PV") && !k.inputs.config.enabled("PVH")) {
        return;
    }
    top.set(0, linked(k, "level3_ident_pgt") + kernpg_table);
    top.set(273, linked(k, "level3_ident_pgt") + kernpg_table);
    top.set(511, linked(k, "level3_kernel_pgt") + page_table);
    ImageTable level3{k, "level3_ident_pgt"};
    level3.clear();
    level3.set(0, linked(k, "level2_ident_pgt") + kernpg_table);
    ImageTable level2{k, "level2_ident_pgt"};
    for (unsigned i = 0; i < 512; ++i) {
        level2.set(i, i * large_page + large_exec);
    }
}

// R3.4 step 8: maps the image one to one, so that the switch of CR3 does not pull the ground from under the code. Each
// pointer is written twice, into the slot and the next one: the image may cross a slot border.
void map_identity_for_switch(Kernel& k, std::uint64_t phys_text, bool la57) {
    ImageTable top{k, "early_top_pgt"};
    ImageTable pud{k, "early_dynamic_pgts", k.state.next_early_pgt++};
    ImageTable pmd{k, "early_dynamic_pgts", k.state.next_early_pgt++};
    const auto twice = [](ImageTable& table, std::uint64_t slot, std::uint64_t value) {
        table.set(slot % 512, value);
        table.set((slot + 1) % 512, value);
    };
    if (la57) {
        ImageTable p4d{k, "early_dynamic_pgts", k.state.next_early_pgt++};
        const unsigned slot = index_at(Level::pml5, phys_text);
        top.set(slot, p4d.pa() + kernpg_table);
        top.set(slot + 1, p4d.pa() + kernpg_table);
        twice(p4d, phys_text >> 39, pud.pa() + kernpg_table);
    } else {
        const unsigned slot = index_at(Level::pml4, phys_text);
        top.set(slot, pud.pa() + kernpg_table);
        top.set(slot + 1, pud.pa() + kernpg_table);
    }
    twice(pud, phys_text >> 30, pmd.pa() + kernpg_table);
    const std::uint64_t leaf = (large_exec & ~global & k.state.supported_pte_mask) + phys_text;
    const std::uint64_t bytes = k.symbol("_end") - k.symbol("_text");
    const std::uint64_t count = (bytes + large_page - 1) / large_page;
    for (std::uint64_t i = 0; i < count; ++i) {
        pmd.set((i + (phys_text >> 21)) % 512, leaf + i * large_page);
    }
}

// R3.4 step 9: entries of the image move to where it is, all others lose Present.
void fix_kernel_image_map(Kernel& k, std::uint64_t load_delta) {
    ImageTable level2{k, "level2_kernel_pgt"};
    const unsigned first = index_at(Level::pd, k.symbol("_text").value());
    const unsigned last = index_at(Level::pd, k.symbol("_end").value());
    for (unsigned i = 0; i < 512; ++i) {
        const std::uint64_t entry = level2.get(i);
        if (i < first || i > last) {
            level2.set(i, entry & ~std::uint64_t{1});
        } else if ((entry & 1) != 0) {
            level2.set(i, entry + load_delta);
        }
    }
}

void set_paging_mode(Kernel& k, bool la57) {
    KernelState& s = k.state;
    if (!la57) {
        s.page_offset_base = k.inputs.series.page_offset_base;
        return;
    }
    s.pgtable_l5_enabled = true;
    s.pgdir_shift = 48;
    s.ptrs_per_p4d = 512;
    s.page_offset_base = 0xff11'0000'0000'0000;
    s.vmalloc_base = 0xffa0'0000'0000'0000;
    s.vmemmap_base = 0xffd4'0000'0000'0000;
}

// Drops global translations as well.
void toggle_pge(Kernel& k) {
    const std::uint64_t cr4 = k.cpu().cr4;
    k.write_cr4(cr4 ^ Cr4::pge);
    k.write_cr4(cr4);
}

}  // namespace

void link_static_tables(Kernel& k) {
    const auto origin = k.origin("extract_kernel", "R3.2");
    ImageTable early_top{k, "early_top_pgt"};
    early_top.clear();
    if (k.inputs.series.early_top_pgt_linked) {
        early_top.set(511, linked(k, "level3_kernel_pgt") + page_table);
    }
    k.memory.fill(VirtAddr{k.symbol_pa("early_dynamic_pgts")}, 64 * 4096);
    link_ident_tables(k);
    if (k.inputs.config.enabled("X86_5LEVEL")) {
        ImageTable level4{k, "level4_kernel_pgt"};
        level4.clear();
        level4.set(511, linked(k, "level3_kernel_pgt") + page_table);
    }
    ImageTable level3{k, "level3_kernel_pgt"};
    level3.clear();
    level3.set(510, linked(k, "level2_kernel_pgt") + kernpg_table);
    level3.set(511, linked(k, "level2_fixmap_pgt") + page_table);
    ImageTable level2{k, "level2_kernel_pgt"};
    level2.clear();
    for (unsigned i = 0; i < kernel_image_pmds(k); ++i) {
        level2.set(i, i * large_page + large_exec);
    }
    link_fixmap_tables(k);
}

void startup_64_fixups(Kernel& k) {
    const auto origin = k.origin("__startup_64", "R3.4");
    const std::uint64_t phys_text = k.inputs.layout.text_pa.value();
    const bool la57 = (k.cpu().cr4 & Cr4::la57) != 0;
    set_paging_mode(k, la57);
    k.state.brk_start = k.state.brk_end = k.symbol("__brk_base").value();
    if (phys_text >> (la57 ? maxmem_5level_bits : maxmem_4level_bits) != 0) {
        endless_loop("the kernel lies above the direct map's reach", "__startup_64", "R3.4");
    }
    const std::uint64_t load_delta = phys_text - linked(k, "_text");
    if (load_delta % large_page != 0) {
        endless_loop("the kernel's address is not aligned to 2 MiB", "__startup_64", "R3.4");
    }
    ImageTable early_top{k, "early_top_pgt"};
    early_top.set(511, linked(k, la57 ? "level4_kernel_pgt" : "level3_kernel_pgt") + page_table + load_delta);
    if (la57) {
        ImageTable{k, "level4_kernel_pgt"}.add(511, load_delta);
    }
    ImageTable level3{k, "level3_kernel_pgt"};
    level3.add(510, load_delta);
    level3.add(511, load_delta);
    ImageTable fixmap{k, "level2_fixmap_pgt"};
    for (unsigned i = fixmap_pmd_top; i > fixmap_pmd_top - fixmap_pmd_num(k); --i) {
        fixmap.add(i, load_delta);
    }
    map_identity_for_switch(k, phys_text, la57);
    fix_kernel_image_map(k, load_delta);
    k.state.phys_base = load_delta;
}

void secondary_startup_64(Kernel& k) {
    const auto origin = k.origin("secondary_startup_64", "R3.5");
    const std::uint64_t early_top = k.symbol_pa("early_top_pgt");
    if (k.inputs.series.common_startup_64) {
        k.write_cr3(early_top);
        const std::uint64_t cr4 = (k.cpu().cr4 & (Cr4::pae | Cr4::la57 | Cr4::mce)) | Cr4::pse;
        k.write_cr4(cr4);
        k.write_cr4(cr4 | Cr4::pge);
    } else {
        const std::uint64_t la57 = k.state.pgtable_l5_enabled ? Cr4::la57 : 0;
        k.write_cr4((k.cpu().cr4 & Cr4::mce) | Cr4::pae | Cr4::pge | la57);
        k.write_cr3(early_top);
        toggle_pge(k);
    }
    std::uint64_t efer = k.cpu().efer | Efer::sce;
    if (k.inputs.cpu.has(Feature::nx)) {
        efer |= Efer::nxe;
        k.state.early_pmd_flags |= std::uint64_t{1} << 63;
    }
    if (efer != k.cpu().efer) {
        k.write_efer(efer);
    }
    k.write_cr0(0x8005'0033);
    k.no_page_fault_handler();
    k.jump_to(k.symbol("x86_64_start_kernel"));
}

void reset_early_page_tables(Kernel& k) {
    const auto origin = k.origin("reset_early_page_tables", "R4.2");
    k.memory.fill(k.symbol("early_top_pgt"), 511 * 8);
    k.state.next_early_pgt = 0;
    k.write_cr3(k.symbol_pa("early_top_pgt"));
}

namespace {

// R4.6: everything but the ranges that a loader of the boot protocol may fill in.
void sanitize_boot_params(Kernel& k, VirtAddr boot_params) {
    struct Kept {
        std::uint64_t offset, end;
    };
    // screen_info … edd_mbr_sig_buffer, e820_table, eddbuf as the boot protocol document lists them.
    static constexpr std::array<Kept, 10> kept{{{0x000, 0x04c},
                                                {0x058, 0x060},
                                                {0x070, 0x0a0},
                                                {0x0a0, 0x0b0},
                                                {0x140, 0x1c0},
                                                {0x1c0, 0x1e8},
                                                {0x1e8, 0x1ec},
                                                {0x1ec, 0x1ed},
                                                {0x1f1, 0x2d0},
                                                {0x2d0, 0xcd0}}};
    std::uint64_t at = 0;
    for (const Kept& range : kept) {
        if (at < range.offset) {
            k.memory.fill(boot_params + at, range.offset - at);
        }
        at = range.end;
    }
    k.memory.fill(boot_params + at, firmware::zero_page::size - at);
}

void copy_bootdata(Kernel& k) {
    const auto origin = k.origin("copy_bootdata", "R4.6");
    const VirtAddr boot_params = k.symbol("boot_params");
    k.memory.copy(boot_params, k.va(k.inputs.boot_params.address.value()), firmware::zero_page::size);
    if (k.memory.read8(boot_params + firmware::zero_page::sentinel) != 0) {
        sanitize_boot_params(k, boot_params);
    }
    const std::uint64_t cmd_line_ptr =
        k.memory.read32(boot_params + firmware::zero_page::cmd_line_ptr) |
        std::uint64_t{k.memory.read32(boot_params + firmware::zero_page::ext_cmd_line_ptr)} << 32;
    if (cmd_line_ptr != 0) {
        std::array<std::byte, 2048> command_line;
        k.memory.read(k.va(cmd_line_ptr), command_line);
    }
}

}  // namespace

void x86_64_start_kernel(Kernel& k) {
    const auto origin = k.origin("x86_64_start_kernel", "R4.1");
    k.memory.fill(k.symbol("__bss_start"), k.symbol("__bss_stop") - k.symbol("__bss_start"));
    k.memory.fill(k.symbol("__brk_base"), k.symbol("__brk_limit") - k.symbol("__brk_base"));
    k.memory.fill(k.symbol("init_top_pgt"), 4096);
    toggle_pge(k);
    idt_setup_early_handler(k);
    copy_bootdata(k);
    k.memory.write64(k.symbol("init_top_pgt") + 511 * 8, k.memory.read64(k.symbol("early_top_pgt") + 511 * 8));
    k.jump_to(k.symbol("setup_arch"));
}

}  // namespace pgsim::kernel
