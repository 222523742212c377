// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/setup_arch.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "pgsim/kernel/brk.hpp"
#include "pgsim/kernel/cpu_setup.hpp"
#include "pgsim/kernel/crashkernel.hpp"
#include "pgsim/kernel/early_fault.hpp"
#include "pgsim/kernel/early_ioremap.hpp"
#include "pgsim/kernel/fixmap.hpp"
#include "pgsim/kernel/kernel.hpp"
#include "pgsim/kernel/mtrr_cleanup.hpp"
#include "pgsim/kernel/setup_data.hpp"

namespace pgsim::kernel {

namespace {

constexpr std::uint64_t real_mode_blob_bytes = 28672;      // Debian's blob [R5.24]
constexpr std::uint64_t old_real_mode_blob_bytes = 24576;  // as logged by kernels before 5.13

// boot_params as the simulated kernel has it: what steers set-up is read back from simulated memory.
firmware::BootParams read_boot_params(Kernel& k) {
    firmware::BootParams params = k.inputs.boot_params;
    const VirtAddr base = k.symbol("boot_params");
    std::array<std::byte, firmware::zero_page::size> bytes;
    k.memory.read(base, bytes);
    const auto count = std::to_integer<std::size_t>(bytes[firmware::zero_page::e820_entries]);
    params.e820.clear();
    for (std::size_t i = 0; i < count && i < firmware::e820_max_entries_zeropage; ++i) {
        const std::byte* const at = bytes.data() + firmware::zero_page::e820_table + 20 * i;
        firmware::E820Entry entry;
        std::uint32_t type = 0;
        std::memcpy(&entry.start, at, 8);
        std::memcpy(&entry.size, at + 8, 8);
        std::memcpy(&type, at + 16, 4);
        entry.type = static_cast<firmware::E820Type>(type);
        params.e820.push_back(entry);
    }
    params.setup_data = read_setup_data(k);
    params.base_memory_kb = k.memory.read16(k.va(0x413));
    params.ebda_segment = k.memory.read16(k.va(0x40e));
    return params;
}

void early_cpu_init(Kernel& k) {
    k.state.x86_phys_bits = k.inputs.cpu.maxphyaddr();
    k.state.x86_virt_bits = k.inputs.cpu.has(Feature::la57) ? 57 : 48;
}

// R5.25: the bases are an input.
void kernel_randomize_memory(Kernel& k) {
    const KernelLayout& layout = k.inputs.layout;
    KernelState& s = k.state;
    const std::uint8_t loadflags = k.memory.read8(k.symbol("boot_params") + firmware::zero_page::loadflags);
    if (!k.inputs.config.enabled("RANDOMIZE_MEMORY") || (loadflags & 2) == 0) {
        return;
    }
    s.page_offset_base = layout.page_offset_base.value_or(VirtAddr{s.page_offset_base}).value();
    s.vmalloc_base = layout.vmalloc_base.value_or(VirtAddr{s.vmalloc_base}).value();
    s.vmemmap_base = layout.vmemmap_base.value_or(VirtAddr{s.vmemmap_base}).value();
}

void find_ranges_of_ram(Kernel& k) {
    KernelState& s = k.state;
    s.max_pfn = k.e820.end_of_ram_pfn(s.pgtable_l5_enabled ? 5 : 4, k.inputs.series);
    const CpuState& cpu = k.machine.cpu();
    if (!k.params.disable_mtrr_trim &&
        mtrr_trim_uncached_memory(cpu.mtrrs, k.inputs.cpu.maxphyaddr(), s.max_pfn, k.e820) != 0) {
        s.max_pfn = k.e820.end_of_ram_pfn(s.pgtable_l5_enabled ? 5 : 4, k.inputs.series);
    }
    s.max_possible_pfn = s.max_pfn;
    kernel_randomize_memory(k);
    k.memblock.set_page_offset_base(VirtAddr{s.page_offset_base});
    s.max_low_pfn = s.max_pfn > 0x10'0000 ? k.e820.end_of_low_ram_pfn(k.inputs.series) : s.max_pfn;
    s.high_memory = s.page_offset_base + (s.max_pfn << 12);
}

void e820_setup(Kernel& k, const firmware::BootParams& params) {
    k.e820.memory_setup(params);
    for (const firmware::SetupData& node : params.setup_data) {
        if (node.type == firmware::setup_e820_ext) {
            k.e820.add_setup_data_entries(node.e820_ext);
        }
    }
    if (!k.inputs.cpu.has(Feature::nx)) {
        k.state.supported_pte_mask &= ~(std::uint64_t{1} << 63);
    }
    k.params = parse_early_param(params.cmdline, k.inputs.config, k.e820);
    if (k.inputs.series.pti_is_early_param) {
        set_pti_mode(k);
    }
    k.state.direct_gbpages = k.params.gbpages.value_or(k.state.direct_gbpages);
    k.state.movable_node_enabled = k.params.movable_node;
    if (k.params.movable_node) {
        k.memblock.bottom_up = true;
        k.memblock.movable_node = true;
    }
    k.e820.reserve_setup_data(params.setup_data, k.inputs.series);
    if (!k.e820.finish_early_params(k.params.e820_userdef)) {
        panic("Invalid user supplied memory map", "e820__finish_early_params", "R5.8");
    }
}

// The local APIC's registers, as the MADT says where they are. [R9.1]
void early_acpi_boot_init(Kernel& k) {
    const auto& tables = k.inputs.acpi_tables;
    if (std::any_of(tables.begin(), tables.end(), [](const auto& table) { return table.signature == "APIC"; })) {
        const auto origin = k.origin("register_lapic_address", "R9.1");
        set_fixmap(k, FixedAddress::apic_base, PhysAddr{0xfee0'0000}, page_kernel_io_nocache);
    }
}

}  // namespace

void reserve_real_mode(Kernel& k) {
    std::uint64_t size = k.inputs.series.reserves_first_mib ? real_mode_blob_bytes : old_real_mode_blob_bytes;
    if (k.inputs.layout.has("real_mode_blob") && k.inputs.layout.has("real_mode_blob_end")) {
        size = (k.symbol("real_mode_blob_end") - k.symbol("real_mode_blob") + 4095) & ~std::uint64_t{4095};
    }
    const auto area = k.memblock.phys_alloc_range(size, 4096, 0, 0x10'0000, "reserve_real_mode");
    if (area) {
        k.state.real_mode_header = k.va(area->value()).value();
    }
    if (k.inputs.series.reserves_first_mib) {
        k.memblock.reserve(0, 0x10'0000, "reserve_real_mode");
    } else if (area) {
        k.memblock.reserve(area->value(), size, "reserve_real_mode");
    }
}

void setup_arch_before_direct_map(Kernel& k) {
    early_cpu_init(k);
    early_ioremap_init(k);
    const firmware::BootParams params = read_boot_params(k);
    EarlyReservations early;
    early.kernel = PhysRange{PhysAddr{k.symbol_pa("_text")}, PhysAddr{k.symbol_pa("__end_of_kernel_reserve")}};
    if (k.inputs.series.ibft_in_early_reserve_memory) {
        early.ibft = find_ibft_region(k);
    }
    early_reserve_memory(params, early, k.memblock);
    e820_setup(k, params);
    if (!k.inputs.series.ibft_in_early_reserve_memory) {
        for (const PhysRange& range : find_ibft_region(k)) {
            k.memblock.reserve(range.start().value(), range.size(), "reserve_ibft_region");
        }
    }
    k.state.brk_end += k.inputs.brk_early_bytes;  // dmi_setup
    k.e820.add_kernel_range(PhysAddr{k.symbol_pa("_text")}, PhysAddr{k.symbol_pa("_end")});
    k.e820.trim_bios_range();
    find_ranges_of_ram(k);
    for (const PhysRange& range : k.inputs.mp_table) {
        k.memblock.reserve(range.start().value(), range.size(), "smp_scan_config");
    }
    early_alloc_pgt_buf(k);
    reserve_brk(k);
    cleanup_highmap(k);
    k.memblock.current_limit = 0x10'0000;
    e820_memblock_setup(k.e820, k.memblock);
    k.state.memblock_can_resize = k.memblock.can_resize;
    reserve_real_mode(k);
}

void reserve_initrd(Kernel& k) {
    const firmware::BootParams& params = k.inputs.boot_params;
    if (params.type_of_loader == 0 || params.ramdisk_image == PhysAddr{} || params.ramdisk_size == 0) {
        return;
    }
    const std::uint64_t image = params.ramdisk_image.value();
    const std::uint64_t end = (image + params.ramdisk_size + 4095) & ~std::uint64_t{4095};
    std::uint64_t place = image;
    const auto& mapped = k.state.pfn_mapped;
    const bool reachable = std::any_of(mapped.begin(), mapped.end(), [&](const auto& range) {
        return range.first <= image >> 12 && end >> 12 <= range.second;
    });
    if (!reachable) {
        const auto area = k.memblock.phys_alloc_range((params.ramdisk_size + 4095) & ~std::uint64_t{4095}, 4096, 0,
                                                      k.state.max_pfn_mapped << 12, "reserve_initrd");
        if (!area) {
            panic("Cannot find place for new RAMDISK of size " + std::to_string(params.ramdisk_size), "relocate_initrd",
                  "R7.1");
        }
        place = area->value();
        k.memblock.phys_free(image, end - image, "reserve_initrd");
    }
    k.state.initrd_start = k.va(place).value();
    k.state.initrd_end = k.state.initrd_start + params.ramdisk_size;
}

void setup_arch_numa(Kernel& k) {
    idt_setup_early_pf(k);
    k.state.mmu_cr4_features = k.cpu().cr4 & ~Cr4::pcide;
    k.memblock.current_limit = k.state.max_pfn_mapped << 12;
    setup_log_buf(k.params, k.memblock);
    reserve_initrd(k);
    for (const PhysRange& table : k.inputs.acpi_reserved) {
        k.memblock.reserve(table.start().value(), table.size(), "acpi_reserve_initial_tables");
    }
    early_acpi_boot_init(k);
    NumaInputs inputs;
    inputs.description = k.inputs.numa;
    inputs.max_pfn = k.state.max_pfn;
    inputs.pglist_data_size = k.inputs.layout.pglist_data_size;
    inputs.max_numnodes = static_cast<int>(k.inputs.config.max_numnodes());
    inputs.acpi_numa = k.inputs.config.enabled("ACPI_NUMA");
    inputs.numa_emu = k.inputs.config.enabled("NUMA_EMU");
    inputs.params = k.params;
    inputs.series = k.inputs.series;
    k.numa = initmem_init(inputs, k.memblock);
    if (k.numa.panic) {
        panic(*k.numa.panic, "initmem_init", "R7.5");
    }
    for (const firmware::SratMemory& block : k.inputs.numa.memory) {
        if (k.numa.source == NumaSource::srat) {
            k.state.max_possible_pfn = std::max(k.state.max_possible_pfn, block.range.end().value() >> 12);
        }
    }
}

void setup_arch_before_paging_init(Kernel& k) {
    reserve_crashkernel(k.inputs.boot_params.cmdline, k.inputs.series, k.memblock);
    k.dma_reserve = find_dma_reserve(k.memblock);
}

}  // namespace pgsim::kernel
