// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/scenario/boot_capture.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "pgsim/inspect/address_space.hpp"
#include "pgsim/kernel/boot_stages.hpp"
#include "scenario/capture_head.hpp"

namespace pgsim {

namespace {

using formats::CaptureCheckpoint;
using formats::CaptureTable;
using formats::Hex;

// Position in boot order; checkpoints are compared by it.
std::size_t order_of(std::string_view name) {
    const auto stages = kernel::boot_stages();
    return static_cast<std::size_t>(
        std::find_if(stages.begin(), stages.end(), [name](const auto& stage) { return stage.checkpoint == name; }) -
        stages.begin());
}

bool reached(const Checkpoint& checkpoint, std::string_view name) {
    return order_of(checkpoint.name) >= order_of(name);
}

CaptureTable read_table(const MemorySnapshot& memory, PhysAddr address, std::optional<unsigned> level,
                        std::string name = {}) {
    formats::TableEntries entries;
    for (unsigned i = 0; i < entries.size(); ++i) {
        entries[i] = memory.read64(address + 8 * i);
    }
    return {std::move(name), address.value(), level, formats::TableRuns::encode(entries)};
}

// FORMAT: extra roots while CR3 does not say it all.
void add_roots(const Boot& boot, const Checkpoint& checkpoint, CaptureCheckpoint& out) {
    const unsigned levels = checkpoint.levels();
    out.root = checkpoint.root().value();
    out.levels = levels;
    if (checkpoint.name == "startup_64_fixups.exit") {
        out.extra_roots.push_back({"cr3", checkpoint.cpu().cr3 & 0x000f'ffff'ffff'f000, levels});
    }
    if (reached(checkpoint, "setup_arch.entry") && !reached(checkpoint, "init_mem_mapping.exit")) {
        out.extra_roots.push_back({"init_top_pgt", boot.scenario().inputs.layout.pa("init_top_pgt").value(), levels});
    }
}

void add_tables(const Boot& boot, const Checkpoint& checkpoint, CaptureCheckpoint& out) {
    const MemorySnapshot& memory = checkpoint.machine.memory;
    const kernel::KernelLayout& layout = boot.scenario().inputs.layout;
    std::vector<RootRef> roots{{checkpoint.root(), checkpoint.levels()}};
    for (const formats::CaptureRoot& root : out.extra_roots) {
        roots.push_back({PhysAddr{root.pa}, root.levels});
    }
    std::set<std::uint64_t> listed;
    for (const TableRef& table : reachable_tables(memory, roots)) {
        out.tables.push_back(read_table(memory, table.address, number(table.level)));
        listed.insert(table.address.value());
    }
    if (!reached(checkpoint, "kernel.startup_64")) {
        return;
    }
    struct Named {
        const char* symbol;
        unsigned level;  // 0: the root's
    };
    static constexpr std::array<Named, 10> named{{{"early_top_pgt", 0},
                                                  {"init_top_pgt", 0},
                                                  {"level4_kernel_pgt", 4},
                                                  {"level3_kernel_pgt", 3},
                                                  {"level2_kernel_pgt", 2},
                                                  {"level2_fixmap_pgt", 2},
                                                  {"level1_fixmap_pgt", 1},
                                                  {"level3_ident_pgt", 3},
                                                  {"level2_ident_pgt", 2},
                                                  {"espfix_pud_page", 3}}};
    // The image's own paging mode is decided before __startup_64, by the CR4 that it finds.
    const unsigned levels = checkpoint.levels();
    out.extra_tables.emplace();
    for (const Named& table : named) {
        const bool in_bss = std::string_view{table.symbol} == "espfix_pud_page";
        if (!layout.has(table.symbol) || listed.contains(layout.pa(table.symbol).value()) ||
            (in_bss && !reached(checkpoint, "setup_arch.entry"))) {
            continue;
        }
        out.extra_tables->push_back(
            read_table(memory, layout.pa(table.symbol), table.level == 0 ? levels : table.level, table.symbol));
    }
    for (unsigned i = 0; i < 64; ++i) {
        const PhysAddr address = layout.pa("early_dynamic_pgts") + std::uint64_t{4096} * i;
        CaptureTable table = read_table(memory, address, std::nullopt, "early_dynamic_pgts[" + std::to_string(i) + "]");
        if (!listed.contains(address.value()) && !table.entries.all_zero()) {
            out.extra_tables->push_back(std::move(table));
        }
    }
}

formats::CaptureRegionInfo region_info(const kernel::MemblockType& type) {
    return {type.max, type.total_size, type.array.value()};
}

std::vector<formats::CaptureRegion> regions(const kernel::MemblockType& type) {
    std::vector<formats::CaptureRegion> list;
    for (const kernel::MemblockRegion& region : type.regions) {
        list.push_back({region.base, region.size, region.nid, region.flags});
    }
    return list;
}

void add_memblock(const Checkpoint& checkpoint, CaptureCheckpoint& out) {
    const kernel::Memblock& memblock = checkpoint.memblock;
    out.memblock.emplace();
    out.memblock->bottom_up = memblock.bottom_up;
    out.memblock->current_limit = memblock.current_limit;
    out.memblock->memory = regions(memblock.memory);
    out.memblock->reserved = regions(memblock.reserved);
    out.memblock->memory_info = region_info(memblock.memory);
    out.memblock->reserved_info = region_info(memblock.reserved);
}

void add_globals(const Boot& boot, const Checkpoint& checkpoint, CaptureCheckpoint& out) {
    const kernel::KernelState& s = checkpoint.kernel;
    const kernel::BootInputs& inputs = boot.scenario().inputs;
    auto& list = out.globals.emplace();
    const auto count = [&list](const char* name, std::uint64_t value) {
        list.emplace_back(name, static_cast<std::int64_t>(value));
    };
    const auto word = [&list](const char* name, std::uint64_t value) { list.emplace_back(name, Hex{value}); };
    if (reached(checkpoint, "setup_arch.entry")) {  // .bss has been cleared
        count("max_pfn", s.max_pfn);
        count("max_low_pfn", s.max_low_pfn);
        count("min_low_pfn", s.min_low_pfn);
        count("max_possible_pfn", s.max_possible_pfn);
        count("max_pfn_mapped", s.max_pfn_mapped);
        count("max_low_pfn_mapped", s.max_low_pfn_mapped);
        count("min_pfn_mapped", s.min_pfn_mapped);
        count("after_bootmem", s.after_bootmem ? 1 : 0);
        count("page_size_mask", s.page_size_mask);
        count("nr_pfn_mapped", s.pfn_mapped.size());
        word("high_memory", s.high_memory);
        word("mem_section", s.mem_section);
        word("real_mode_header", s.real_mode_header);
        word("trampoline_pgd_entry", s.trampoline_pgd_entry);
        word("initrd_start", s.initrd_start);
        word("initrd_end", s.initrd_end);
        count("pti_mode", s.pti_mode);
        count("movable_node_enabled", s.movable_node_enabled ? 1 : 0);
        list.emplace_back("pfn_mapped", s.pfn_mapped);
    }
    count("pgt_buf_end", s.pgt_buf_end);
    count("pgt_buf_top", s.pgt_buf_top);
    count("can_use_brk_pgt", s.can_use_brk_pgt ? 1 : 0);
    count("next_early_pgt", s.next_early_pgt);
    word("_brk_start", s.brk_start);
    word("_brk_end", s.brk_end);
    word("early_pmd_flags", s.early_pmd_flags);
    word("__supported_pte_mask", s.supported_pte_mask);
    word("__default_kernel_pte_mask", s.default_kernel_pte_mask);
    word("physical_mask", 0xf'ffff'ffff'ffff);
    word("sme_me_mask", 0);
    word("__kfence_pool", 0);  // KFENCE is not started at boot
    count("direct_gbpages", s.direct_gbpages ? 1 : 0);
    word("page_offset_base", s.page_offset_base);
    word("vmalloc_base", s.vmalloc_base);
    word("vmemmap_base", s.vmemmap_base);
    count("__pgtable_l5_enabled", s.pgtable_l5_enabled ? 1 : 0);
    count("pgdir_shift", s.pgdir_shift);
    count("ptrs_per_p4d", s.ptrs_per_p4d);
    word("phys_base", s.phys_base);
    word("mmu_cr4_features", s.mmu_cr4_features);
    count("nr_node_ids", s.nr_node_ids);
    count("_totalram_pages", s.totalram_pages);
    count("memblock_can_resize", s.memblock_can_resize ? 1 : 0);
    count("highest_memmap_pfn", s.highest_memmap_pfn);
    count("log_buf_len",
          s.log_buf_len != 0 ? s.log_buf_len : std::uint64_t{1} << inputs.config.number("LOG_BUF_SHIFT", 17));
    count("boot_cpu_data.x86_phys_bits", s.x86_phys_bits);
    count("boot_cpu_data.x86_virt_bits", s.x86_virt_bits);
    count("boot_cpu_data.x86_cache_bits", s.x86_phys_bits);
}

std::vector<std::uint64_t> free_area(const Checkpoint& checkpoint, const kernel::Zone& zone) {
    for (const kernel::ZoneFreeArea& area : checkpoint.free_areas) {
        if (area.nid == zone.nid && area.type == zone.type) {
            return {area.nr_free.begin(), area.nr_free.end()};
        }
    }
    return std::vector<std::uint64_t>(kernel::max_page_order + 1, 0);
}

void add_nodes_and_zones(const Checkpoint& checkpoint, CaptureCheckpoint& out) {
    out.nodes.emplace();
    out.zones.emplace();
    for (const kernel::Node& node : checkpoint.zones.nodes) {
        std::uint64_t pgdat = 0;
        for (const kernel::NodeData& data : checkpoint.numa.nodes) {
            if (data.nid == node.nid) {
                pgdat = data.pgdat.value();
            }
        }
        out.nodes->push_back(
            {node.nid, pgdat, node.start_pfn, node.spanned_pages, node.present_pages, node.first_deferred_pfn});
        for (const kernel::Zone& zone : node.zones) {
            if (zone.spanned != 0) {
                out.zones->push_back({zone.nid, std::string{kernel::zone_name(zone.type)},
                                      static_cast<std::uint64_t>(zone.type), zone.start_pfn, zone.spanned, zone.present,
                                      zone.managed, free_area(checkpoint, zone)});
            }
        }
    }
}

// What happened since the checkpoint before.
void add_events(const Boot& boot, const Checkpoint& checkpoint, CaptureCheckpoint& out) {
    const Checkpoint* before = nullptr;
    for (const Checkpoint& other : boot.checkpoints()) {
        if (other.name == checkpoint.name) {
            break;
        }
        before = &other;
    }
    if (reached(checkpoint, "setup_arch.entry") && order_of(checkpoint.name) <= order_of("init_mem_mapping.exit")) {
        auto& faults = out.early_faults.emplace();
        for (std::size_t i = before == nullptr ? 0 : before->kernel.early_faults.size();
             i < checkpoint.kernel.early_faults.size(); ++i) {
            faults.push_back(checkpoint.kernel.early_faults[i].value());
        }
    }
    // Calls before the command line is parsed are not printed by a real kernel.
    if (reached(checkpoint, "init_mem_mapping.entry")) {
        const std::size_t first = before == nullptr ? 0 : before->memblock.calls().size();
        out.other_json = scenario::memblock_calls_json(checkpoint.memblock.calls(), first);
    }
    if (checkpoint.name == "init_mem_mapping.exit") {
        auto& calls = out.init_memory_mapping_calls.emplace();
        for (const kernel::MappingCall& call : checkpoint.kernel.mapping_calls) {
            calls.push_back(
                {call.start, call.end, call.pgt_buf_end, call.pgt_buf_top, call.min_pfn_mapped, call.max_pfn_mapped});
        }
    }
}

}  // namespace

CaptureCheckpoint to_capture(const Boot& boot, const Checkpoint& checkpoint) {
    CaptureCheckpoint out;
    out.name = checkpoint.name;
    const CpuState& cpu = checkpoint.cpu();
    out.cpu.cr0 = cpu.cr0;
    out.cpu.cr2 = cpu.cr2;
    out.cpu.cr3 = cpu.cr3;
    out.cpu.cr4 = cpu.cr4;
    out.cpu.efer = cpu.efer;
    out.cpu.cs_long = cpu.cs_long;
    add_roots(boot, checkpoint, out);
    add_tables(boot, checkpoint, out);
    if (reached(checkpoint, "startup_64_fixups.exit")) {
        add_globals(boot, checkpoint, out);
    }
    if (reached(checkpoint, "setup_arch.entry")) {
        add_memblock(checkpoint, out);
    }
    if (reached(checkpoint, "init_mem_mapping.entry")) {
        out.e820_kernel.emplace();
        for (const firmware::E820Entry& entry : checkpoint.e820) {
            out.e820_kernel->push_back({entry.start, entry.size, static_cast<std::uint32_t>(entry.type)});
        }
    }
    if (reached(checkpoint, "free_area_init.exit")) {
        add_nodes_and_zones(checkpoint, out);
    }
    add_events(boot, checkpoint, out);
    return out;
}

formats::Capture to_capture(const Boot& boot) {
    formats::Capture capture;
    const BootScenario& scenario = boot.scenario();
    capture.name = scenario.name;
    capture.series = scenario.inputs.series.name;
    capture.release = scenario.inputs.series.name;
    capture.cmdline = scenario.inputs.boot_params.cmdline;
    capture.head_json = scenario::capture_head(scenario);
    for (const Checkpoint& checkpoint : boot.checkpoints()) {
        capture.checkpoints.push_back(to_capture(boot, checkpoint));
    }
    return capture;
}

}  // namespace pgsim
