// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/decompressor.hpp"

#include <algorithm>

#include "pgsim/kernel/head64.hpp"
#include "pgsim/kernel/kernel.hpp"

namespace pgsim::kernel {

namespace {

constexpr std::uint64_t page = 4096;
constexpr std::uint64_t large_page = 0x20'0000;
constexpr std::uint64_t pgtable_bytes = 0x2'0000;     // 32 pages [R0.4]
constexpr std::uint64_t boot_init_pgt_size = 0x6000;  // [R1.5]
constexpr std::uint64_t table_mask = 0x000f'ffff'ffff'f000;

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t to) {
    return (value + to - 1) & ~(to - 1);
}

constexpr std::uint64_t round_down(std::uint64_t value, std::uint64_t to) {
    return value & ~(to - 1);
}

// Linear addresses equal physical ones in all of this file.
VirtAddr identity(std::uint64_t address) {
    return VirtAddr{address};
}

// The program touches each 2 MiB block of [start, end); which bytes of it does not matter to the tables.
template <class F>
void for_each_block(std::uint64_t start, std::uint64_t end, F&& touch) {
    for (std::uint64_t at = start; at < end; at = round_down(at, large_page) + large_page) {
        touch(identity(at));
    }
}

// The stack ends below the image's .pgtable. Without the image's size its place is not known. [R1.1, R1.7]
void push_on_stack(Kernel& k, std::uint64_t image) {
    if (!k.inputs.decompressor_base) {
        return;
    }
    const std::uint64_t stack_end = image + (k.decompressor.pgtable - k.decompressor.target);
    k.memory.write32(identity(stack_end - 4), 0);
}

// R1.2: what the kernel cannot run without; verify_cpu then halts for ever.
void verify_cpu(Kernel& k) {
    for (const Feature required :
         {Feature::lm, Feature::pae, Feature::pse, Feature::msr, Feature::cx8, Feature::pge, Feature::fxsr}) {
        // PGE is in the required mask of the source, but kernels boot without it on the processors measured.
        if (required != Feature::pge && !k.inputs.cpu.has(required)) {
            endless_loop("the CPU lacks a feature that a 64-bit kernel requires", "verify_cpu", "R1.2");
        }
    }
}

// R1.4. startup_32 computes with 32 bits, startup_64 redoes it with 64: the same below 4 GiB.
void compute_target(Kernel& k) {
    DecompressorState& d = k.decompressor;
    const std::uint64_t boot_params = k.inputs.boot_params.address.value();
    const std::uint64_t align = k.memory.read32(identity(boot_params + firmware::zero_page::kernel_alignment));
    const std::uint64_t init_size = k.memory.read32(identity(boot_params + firmware::zero_page::init_size));
    const std::uint64_t load_physical_addr = k.inputs.config.load_physical_addr();
    d.base = load_physical_addr;
    if (k.inputs.config.enabled("RELOCATABLE")) {
        d.base = std::max(round_up(d.load, align), load_physical_addr);
    }
    d.pgtable = d.base + init_size - pgtable_bytes - page;
    d.top_pgtable = d.base + init_size - page;
    // rva(_end) follows from where the loader's image ends up, when that is known; else the tables alone are placed.
    d.target = k.inputs.decompressor_base.value_or(PhysAddr{d.pgtable}).value();
}

// R1.5, in the order in which startup_32 writes: 32-bit stores, level 4 first.
void build_initial_tables(Kernel& k) {
    const std::uint64_t pgtable = k.decompressor.pgtable;
    k.memory.fill(identity(pgtable), boot_init_pgt_size);
    k.memory.write32(identity(pgtable), static_cast<std::uint32_t>(pgtable + 0x1000 + 0x7));
    for (std::uint64_t i = 0; i < 4; ++i) {
        k.memory.write32(identity(pgtable + 0x1000 + 8 * i),
                         static_cast<std::uint32_t>(pgtable + 0x2000 + page * i + 0x7));
    }
    for (std::uint64_t i = 0; i < 2048; ++i) {
        k.memory.write32(identity(pgtable + 0x2000 + 8 * i), static_cast<std::uint32_t>(i * large_page + 0x183));
    }
}

// R1.9: two pages of low memory that no one uses: below the EBDA, inside RAM.
std::uint64_t find_trampoline_placement(Kernel& k) {
    constexpr std::uint64_t trampoline_size = 0x2000;
    std::uint64_t bios_start = 0;
    std::uint64_t ebda_start = 0;
    if (!k.inputs.boot_params.efi) {
        ebda_start = std::uint64_t{k.memory.read16(identity(0x40e))} << 4;
        bios_start = std::uint64_t{k.memory.read16(identity(0x413))} << 10;
    }
    if (bios_start < 0x2'0000 || bios_start > 0x9'f000) {
        bios_start = 0x9'f000;
    }
    if (ebda_start > 0x2'0000 && ebda_start < bios_start) {
        bios_start = ebda_start;
    }
    bios_start = round_down(bios_start, page);
    const firmware::E820Table& table = k.inputs.boot_params.e820;
    for (auto entry = table.rbegin(); entry != table.rend(); ++entry) {
        if (entry->start >= bios_start || entry->type != firmware::E820Type::ram) {
            continue;
        }
        const std::uint64_t candidate = round_down(std::min(bios_start, entry->end()), page);
        if (candidate - trampoline_size > bios_start) {  // underflow: keep what we have
            break;
        }
        if (candidate - trampoline_size < entry->start) {
            continue;
        }
        bios_start = candidate;
        break;
    }
    return bios_start - trampoline_size;
}

// R1.8, R1.10, R1.11: LA57 can change only while paging is off, so the switch runs below 4 GiB in compatibility mode,
// on a temporary top-level table.
void configure_5level_paging(Kernel& k) {
    const bool want = k.inputs.config.enabled("X86_5LEVEL") && !k.params.no5lvl && k.inputs.cpu.has(Feature::la57);
    const bool have = k.levels() == 5;
    if (want == have) {
        return;
    }
    const auto origin = k.origin("configure_5level_paging", want ? "R1.10" : "R1.11");
    const std::uint64_t trampoline = find_trampoline_placement(k);
    std::vector<std::byte> saved(2 * page);
    k.memory.read(identity(trampoline), saved);
    const std::uint64_t cr3 = k.cpu().cr3 & table_mask;
    k.memory.fill(identity(trampoline), page);
    if (want) {
        k.memory.write64(identity(trampoline), cr3 | 0x67);
    } else {
        const std::uint64_t level4 = k.memory.read64(identity(cr3)) & table_mask;
        k.memory.copy(identity(trampoline), identity(level4), page);
    }
    k.switch_paging_levels(trampoline);
    k.memory.copy(identity(k.decompressor.top_pgtable), identity(trampoline), page);
    k.write_cr3(k.decompressor.top_pgtable);
    k.memory.write(identity(trampoline), saved);
}

// R1.12: backwards, quadword by quadword; then .bss of the copy is cleared, which reaches up to .pgtable.
void copy_image(Kernel& k) {
    const DecompressorState& d = k.decompressor;
    const firmware::BootParams& params = k.inputs.boot_params;
    const std::uint64_t bytes = std::min(params.payload_offset + params.payload_length, d.pgtable - d.target);
    const auto read = [&k](VirtAddr at) { static_cast<void>(k.memory.read8(at)); };
    for_each_block(d.load, d.load + bytes, read);
    for_each_block(d.target, d.pgtable, [&k](VirtAddr at) { k.memory.write8(at, 0); });
    push_on_stack(k, d.target);
}

std::uint64_t alloc_pgt_page(Kernel& k) {
    DecompressorState& d = k.decompressor;
    if (d.pgt_buf_offset >= d.pgt_buf_size) {
        endless_loop("the decompressor ran out of pages for its identity map", "alloc_pgt_page", "R2.1");
    }
    const std::uint64_t table = d.pgt_buf + d.pgt_buf_offset;
    d.pgt_buf_offset += page;
    return table;
}

// One level of R2.3: fills [address, end) in `table`. The page for a missing table is filled before it is linked.
void ident_map_level(Kernel& k, std::uint64_t table, unsigned level, std::uint64_t address, std::uint64_t end) {
    const std::uint64_t span = std::uint64_t{1} << (12 + 9 * (level - 1));
    for (std::uint64_t next = 0; address < end; address = next) {
        next = std::min(round_down(address, span) + span, end);
        const VirtAddr entry = identity(table + 8 * index_at(static_cast<Level>(level), address));
        const std::uint64_t value = k.memory.read64(entry);
        if (level == 2) {
            if ((value & 1) == 0) {
                k.memory.write64(entry, round_down(address, large_page) | 0x1e3);
            }
            continue;
        }
        if ((value & 1) != 0) {
            ident_map_level(k, value & table_mask, level - 1, address, next);
            continue;
        }
        const std::uint64_t below = alloc_pgt_page(k);
        ident_map_level(k, below, level - 1, address, next);
        const std::uint64_t shadow = level >= 4 && k.inputs.series.ident_map_noptishadow ? std::uint64_t{1} << 58 : 0;
        k.memory.write64(entry, below | 0x63 | shadow);
    }
}

// R2.2: extends the tables of startup_32 when it finds them, else starts its own.
void initialize_identity_maps(Kernel& k) {
    DecompressorState& d = k.decompressor;
    std::uint64_t top = k.cpu().cr3 & table_mask;
    const std::uint64_t level4 = k.levels() == 5 ? k.memory.read64(identity(top)) & table_mask : top;
    if (level4 == d.pgtable) {
        d.pgt_buf = d.pgtable + boot_init_pgt_size;
        d.pgt_buf_size = pgtable_bytes - boot_init_pgt_size;
        k.memory.fill(identity(d.pgt_buf), d.pgt_buf_size);
    } else {
        d.pgt_buf = d.pgtable;
        d.pgt_buf_size = pgtable_bytes;
        k.memory.fill(identity(d.pgt_buf), d.pgt_buf_size);
        top = alloc_pgt_page(k);
    }
    d.top_level_pgt = top;
    // R2.4, in this order.
    kernel_add_identity_map(k, d.target, d.top_pgtable + page);
    const std::uint64_t boot_params = k.inputs.boot_params.address.value();
    kernel_add_identity_map(k, boot_params, boot_params + page);
    const std::uint64_t cmdline = k.inputs.boot_params.cmd_line_ptr.value();
    kernel_add_identity_map(k, cmdline, cmdline + 2048);
    for (const firmware::SetupData& node : k.inputs.boot_params.setup_data) {
        kernel_add_identity_map(k, node.address.value(), node.address.value() + 16 + node.length);
    }
    k.write_cr3(top);
}

// R2.6: the early handler adds the 2 MiB around the address; protection and reserved-bit faults are fatal.
bool do_boot_page_fault(Kernel& k, std::uint64_t address, std::uint32_t error_code) {
    constexpr std::uint32_t present = 1U << 0;
    constexpr std::uint32_t user = 1U << 2;
    constexpr std::uint32_t reserved = 1U << 3;
    if ((error_code & (present | user | reserved)) != 0) {
        return false;
    }
    const auto origin = k.origin("do_boot_page_fault", "R2.6");
    const std::uint64_t start = round_down(address, large_page);
    kernel_add_identity_map(k, start, start + large_page);
    return true;
}

// R2.12: the choice of a physical address minds immovable memory, so the ACPI tables' headers are read on the way to
// the SRAT. (The FADT's own tables are not in the root table.)
void look_for_srat(Kernel& k) {
    for (const firmware::AcpiTable& table : k.inputs.acpi_tables) {
        if (table.signature != "DSDT" && table.signature != "FACS") {
            static_cast<void>(k.memory.read32(identity(table.address.value())));
        }
    }
}

// Bytes that decompression writes from `output` on: the kernel's ELF file with its relocations. The image's header
// places the payload so that it ends (bytes >> 8) + 64 KiB above the output's end; solved for bytes.
std::uint64_t output_bytes(const Kernel& k) {
    const firmware::BootParams& params = k.inputs.boot_params;
    if (params.payload_length == 0 || !k.inputs.decompressor_base) {
        return params.init_size;
    }
    const std::uint64_t payload_end = k.inputs.decompressor_base->value() - k.decompressor.base + params.payload_length;
    constexpr std::uint64_t margin = 0x1'0000;
    return payload_end > margin ? (payload_end - margin) / 257 * 256 : params.init_size;
}

}  // namespace

void startup_32(Kernel& k) {
    const auto origin = k.origin("startup_32", "R1.5");
    DecompressorState& d = k.decompressor;
    d.load = k.inputs.boot_params.load_address.value();
    if (k.inputs.boot_params.protocol == firmware::BootProtocol::bits64) {
        return;  // R0.1: the loader enters behind this function
    }
    verify_cpu(k);
    compute_target(k);
    push_on_stack(k, d.load);
    k.write_cr4(k.cpu().cr4 | Cr4::pae);
    build_initial_tables(k);
    k.write_cr3(d.pgtable);
    k.write_efer(k.cpu().efer | Efer::lme);
    k.write_cr0(0x8005'0033);
    k.far_jump_to_64bit();
}

void decompressor_startup_64(Kernel& k) {
    const auto origin = k.origin("startup_64", "R1.7");
    compute_target(k);
    if (k.inputs.series.startup_64_masks_cr4) {
        k.write_cr4(k.cpu().cr4 & (Cr4::pae | Cr4::mce | Cr4::la57));
    }
    push_on_stack(k, k.decompressor.load);
    configure_5level_paging(k);
    copy_image(k);
    k.on_page_fault(
        [&k](std::uint64_t address, std::uint32_t error_code) { return do_boot_page_fault(k, address, error_code); });
    initialize_identity_maps(k);
}

void kernel_add_identity_map(Kernel& k, std::uint64_t start, std::uint64_t end) {
    const auto origin = k.origin("kernel_add_identity_map", "R2.3");
    ident_map_level(k, k.decompressor.top_level_pgt, k.levels(), round_down(start, large_page),
                    round_up(end, large_page));
}

void extract_kernel(Kernel& k) {
    const auto origin = k.origin("extract_kernel", "R2.7");
    DecompressorState& d = k.decompressor;
    d.output = k.inputs.layout.text_pa.value();
    const bool kaslr = !k.params.nokaslr && k.inputs.config.enabled("RANDOMIZE_BASE");
    if (kaslr) {
        look_for_srat(k);
    }
    // Decompression writes upwards from the output; one store a large page touches them in the same order.
    for_each_block(d.output, d.output + output_bytes(k), [&k](VirtAddr at) { k.memory.write8(at, 0); });
    link_static_tables(k);
    const std::uint64_t flags = k.inputs.boot_params.address.value() + firmware::zero_page::loadflags;
    const std::uint8_t loadflags = k.memory.read8(identity(flags));
    k.memory.write8(identity(flags), static_cast<std::uint8_t>(kaslr ? loadflags | 2U : loadflags & ~2U));
}

}  // namespace pgsim::kernel
