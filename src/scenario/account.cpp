// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/scenario/account.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "pgsim/inspect/address_space.hpp"
#include "pgsim/inspect/space_diff.hpp"
#include "pgsim/kernel/kernel_layout.hpp"

namespace pgsim {

namespace {

using Lines = fmt::memory_buffer;

template <class... Args>
void line(Lines& out, fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
    out.push_back('\n');
}

struct StageText {
    std::string_view checkpoint;
    std::string_view text;
};

// What a student should know of the stretch that ends here.
constexpr std::array<StageText, 14> stage_texts{{
    {"decompressor.startup_64",
     "startup_32 ran in 32-bit protected mode without paging. It wrote six tables that map the first 4 GiB one to one\n"
     "with 2-MByte pages, and switched to long mode."},
    {"kernel.startup_64",
     "The decompressor switched to 5-level paging if the CPU has it, copied itself out of the way, mapped on demand "
     "what\n"
     "its first 4 GiB do not reach, and unpacked and relocated the kernel. The kernel's own tables are as linked."},
    {"startup_64_fixups.exit",
     "__startup_64 added the distance between link address and load address to the linked tables, and built a second,\n"
     "one-to-one map of the kernel image in early_dynamic_pgts, for the moment when CR3 changes."},
    {"x86_64_start_kernel.entry",
     "CR3 now holds early_top_pgt. The CPU runs at the kernel's link addresses, above 0xffffffff80000000."},
    {"reset_early_page_tables.exit",
     "The one-to-one map has done its work: all of early_top_pgt but its last entry is cleared, and CR3 is written "
     "again\n"
     "so that no translation of it stays cached."},
    {"setup_arch.entry",
     ".bss is cleared. Reading boot_params through the direct map, where nothing was mapped yet, raised a page fault; "
     "the\n"
     "early handler mapped 2 MiB there. init_top_pgt got its first entry: the kernel image."},
    {"init_mem_mapping.entry",
     "setup_arch cleaned up the E820 map, told memblock what is RAM and what is taken, set pages of brk aside for "
     "tables,\n"
     "and cut the kernel-image mapping back to the image."},
    {"init_mem_mapping.exit",
     "All RAM is mapped at page_offset_base (the direct map), in init_top_pgt, from the top down in growing steps. "
     "Only\n"
     "then CR3 moved from early_top_pgt to init_top_pgt."},
    {"initmem_init.exit",
     "NUMA: memblock's regions know their nodes, and each node has its pg_data_t. Addresses were taken from memblock, "
     "top\n"
     "down."},
    {"sparse_init.entry", "The crash kernel's memory, if asked for, is set aside."},
    {"sparse_init.exit",
     "Every 128-MByte section of RAM got its 32768 struct pages, and they are mapped at vmemmap_base: page frame N's\n"
     "struct page lies at vmemmap_base + 64 * N."},
    {"free_area_init.exit",
     "Zones are counted and struct pages have their first contents. Here they come into being when you look at them."},
    {"buddy.entry",
     "Subsystems took their boot memory from memblock; the APIC is mapped in the fixmap, the CPU entry area has "
     "tables."},
    {"buddy.exit", "What memblock has not reserved went to the buddy system, in the largest aligned blocks."},
}};

std::string_view text_of(std::string_view checkpoint) {
    for (const StageText& stage : stage_texts) {
        if (stage.checkpoint == checkpoint) {
            return stage.text;
        }
    }
    return {};
}

// "PE ET PG": names of the bits that are set.
std::string bit_names(std::uint64_t value, std::initializer_list<std::pair<std::uint64_t, const char*>> names) {
    std::string text;
    for (const auto& [bit, name] : names) {
        if ((value & bit) != 0) {
            text += text.empty() ? "" : " ";
            text += name;
        }
    }
    return text;
}

void registers(Lines& out, const CpuState& cpu) {
    line(out, "  CR0 {:#x} ({})", cpu.cr0, bit_names(cpu.cr0, {{Cr0::pe, "PE"}, {Cr0::wp, "WP"}, {Cr0::pg, "PG"}}));
    line(out, "  CR4 {:#x} ({})", cpu.cr4,
         bit_names(cpu.cr4, {{Cr4::pse, "PSE"},
                             {Cr4::pae, "PAE"},
                             {Cr4::mce, "MCE"},
                             {Cr4::pge, "PGE"},
                             {Cr4::la57, "LA57"},
                             {Cr4::fsgsbase, "FSGSBASE"},
                             {Cr4::pcide, "PCIDE"}}));
    line(out, "  EFER {:#x} ({})", cpu.efer,
         bit_names(cpu.efer, {{Efer::sce, "SCE"}, {Efer::lme, "LME"}, {Efer::lma, "LMA"}, {Efer::nxe, "NXE"}}));
}

// Physical address -> the name that the kernel's source or the decompressor has for the table there.
std::map<std::uint64_t, std::string> table_names(const Boot& boot) {
    std::map<std::uint64_t, std::string> names;
    const kernel::KernelLayout& layout = boot.scenario().inputs.layout;
    for (const char* symbol : {"early_top_pgt", "init_top_pgt", "level4_kernel_pgt", "level3_kernel_pgt",
                               "level2_kernel_pgt", "level2_fixmap_pgt", "level1_fixmap_pgt", "level3_ident_pgt",
                               "level2_ident_pgt", "bm_pte", "espfix_pud_page"}) {
        if (layout.has(symbol)) {
            names.emplace(layout.pa(symbol).value(), symbol);
        }
    }
    for (std::uint64_t i = 0; i < 64; ++i) {
        names.emplace(layout.pa("early_dynamic_pgts").value() + 4096 * i, fmt::format("early_dynamic_pgts[{}]", i));
    }
    if (const Checkpoint* first = boot.find("decompressor.startup_64")) {
        for (std::uint64_t i = 0; i < 32; ++i) {
            names.emplace(first->root().value() + 4096 * i,
                          i == 0 ? std::string{"pgtable"} : fmt::format("pgtable+{:#x}", 4096 * i));
        }
        names.emplace(first->root().value() + 32 * 4096, "top_pgtable");
    }
    return names;
}

std::string named(const std::map<std::uint64_t, std::string>& names, PhysAddr address) {
    const auto found = names.find(address.value());
    return found == names.end() ? to_string(address) : fmt::format("{} ({})", to_string(address), found->second);
}

AddressSpace space_of(const Checkpoint& checkpoint) {
    return AddressSpace{checkpoint.machine.memory, RootRef{checkpoint.root(), checkpoint.levels()}};
}

void tables(Lines& out, const AddressSpace& space, const AddressSpace* before) {
    std::array<unsigned, 6> count{};
    unsigned fresh = 0;
    const auto old = before == nullptr ? std::vector<TableRef>{} : before->tables();
    for (const TableRef& table : space.tables()) {
        ++count[number(table.level)];
        fresh += std::none_of(old.begin(), old.end(),
                              [&](const TableRef& other) {
                                  return other.address == table.address && other.level == table.level;
                              })
                     ? 1
                     : 0;
    }
    std::string text;
    for (unsigned level = 5; level >= 1; --level) {
        if (count[level] != 0) {
            static constexpr std::array<const char*, 6> names{"", "PT", "PD", "PDPT", "PML4", "PML5"};
            text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count[level], names[level]);
        }
    }
    line(out, "  tables: {} below CR3's root; {} of them new here", text, fresh);
}

std::string rights_text(AccessRights rights) {
    return fmt::format("{}{}{} {}", 'r', rights.writable ? 'w' : '-', rights.executable ? 'x' : '-',
                       rights.user ? "user" : "kernel");
}

void mappings(Lines& out, const AddressSpace& space, std::size_t limit) {
    const RangeList list = space.ranges();
    line(out, "  mapped ranges: {}", list.ranges.size());
    std::size_t shown = 0;
    for (const MappedRange& range : list.ranges) {
        if (limit != 0 && shown == limit) {
            line(out, "    … {} more", list.ranges.size() - shown);
            return;
        }
        line(out, "    {:#018x}-{:#018x} -> {:<12} {:>9} in {} pages  {}{}", range.virt.value(), range.last().value(),
             to_string(range.phys), human_bytes(range.bytes), short_name(range.page_size), rights_text(range.rights),
             range.attributes.global ? " G" : "");
        ++shown;
    }
}

void changes(Lines& out, const AddressSpace& before, const AddressSpace& after, std::size_t limit) {
    const SpaceDiff difference = diff(before, after);
    if (difference.empty()) {
        line(out, "  mapping unchanged since the checkpoint before");
        return;
    }
    line(out, "  changed since the checkpoint before: {} entries, {} ranges of addresses", difference.entries.size(),
         difference.ranges.size());
    std::size_t shown = 0;
    for (const RangeChange& change : difference.ranges) {
        if (limit != 0 && shown == limit) {
            line(out, "    … {} more", difference.ranges.size() - shown);
            break;
        }
        line(out, "    {}", to_string(change));
        ++shown;
    }
}

void region_list(Lines& out, const char* title, const kernel::MemblockType& type, std::size_t limit) {
    line(out, "  memblock.{}: {} regions, {}", title, type.regions.size(), human_bytes(type.total_size));
    std::size_t shown = 0;
    for (const kernel::MemblockRegion& region : type.regions) {
        if (limit != 0 && shown == limit) {
            line(out, "    … {} more", type.regions.size() - shown);
            return;
        }
        line(out, "    [{:#014x}, {:#014x}) {:>10}  nid {}{}", region.base, region.end(), human_bytes(region.size),
             region.nid, region.flags == 0 ? std::string{} : fmt::format("  flags {:#x}", region.flags));
        ++shown;
    }
}

void kernel_state(Lines& out, const Checkpoint& checkpoint, const Checkpoint* before) {
    const kernel::KernelState& s = checkpoint.kernel;
    const std::size_t faults_before = before == nullptr ? 0 : before->kernel.early_faults.size();
    for (std::size_t i = faults_before; i < s.early_faults.size(); ++i) {
        line(out, "  early page fault at {:#x}: mapped by the early handler", s.early_faults[i].value());
    }
    const std::size_t calls_before = before == nullptr ? 0 : before->kernel.mapping_calls.size();
    for (std::size_t i = calls_before; i < s.mapping_calls.size(); ++i) {
        line(out, "  init_memory_mapping: [mem {:#010x}-{:#010x}]", s.mapping_calls[i].start,
             s.mapping_calls[i].end - 1);
        for (const kernel::MapRange& piece : s.mapping_pieces[i]) {
            line(out, "    [mem {:#010x}-{:#010x}] page {}", piece.start, piece.end - 1,
                 (piece.page_size_mask & 8) != 0   ? "1G"
                 : (piece.page_size_mask & 4) != 0 ? "2M"
                                                   : "4k");
        }
    }
    if (s.max_pfn != 0 && (before == nullptr || before->kernel.max_pfn == 0)) {
        line(out, "  max_pfn {:#x}, max_low_pfn {:#x}; page-table buffer in brk: frames {:#x}-{:#x}", s.max_pfn,
             s.max_low_pfn, s.pgt_buf_start, s.pgt_buf_top);
    }
    if (s.page_offset_base != (before == nullptr ? 0 : before->kernel.page_offset_base) && s.phys_base != 0) {
        line(out, "  page_offset_base {:#x}, vmalloc_base {:#x}, vmemmap_base {:#x}", s.page_offset_base,
             s.vmalloc_base, s.vmemmap_base);
    }
}

void zone_table(Lines& out, const Checkpoint& checkpoint) {
    for (const kernel::Node& node : checkpoint.zones.nodes) {
        line(out, "  node {}: frames [{:#x}, {:#x}), {} present", node.nid, node.start_pfn, node.end_pfn(),
             node.present_pages);
        for (const kernel::Zone& zone : node.zones) {
            if (zone.spanned == 0) {
                continue;
            }
            line(out, "    zone {:<8} start {:#9x}  spanned {:>9}  present {:>9}  managed {:>9}",
                 kernel::zone_name(zone.type), zone.start_pfn, zone.spanned, zone.present, zone.managed);
        }
    }
    for (const kernel::ZoneFreeArea& area : checkpoint.free_areas) {
        line(out, "    free blocks of orders 0-10, node {} zone {:<8} {}", area.nid, kernel::zone_name(area.type),
             fmt::join(area.nr_free, " "));
    }
}

}  // namespace

std::string account(const Boot& boot, const Checkpoint& checkpoint, const AccountOptions& options) {
    Lines out;
    const auto checkpoints = boot.checkpoints();
    const auto position = std::find_if(checkpoints.begin(), checkpoints.end(),
                                       [&](const Checkpoint& c) { return c.name == checkpoint.name; });
    const Checkpoint* before = position == checkpoints.begin() ? nullptr : &*std::prev(position);
    line(out, "== {}  (after {})", checkpoint.name, checkpoint.function);
    line(out, "{}", text_of(checkpoint.name));
    const auto names = table_names(boot);
    registers(out, checkpoint.cpu());
    line(out, "  CR3 {}, {}-level paging", named(names, PhysAddr{checkpoint.cpu().cr3 & 0x000f'ffff'ffff'f000}),
         checkpoint.levels());
    if ((checkpoint.cpu().cr3 & 0x000f'ffff'ffff'f000) != checkpoint.root().value()) {
        line(out, "  shown below: {}, which CR3 will hold next", named(names, checkpoint.root()));
    }
    const AddressSpace space = space_of(checkpoint);
    std::optional<AddressSpace> space_before;
    if (before != nullptr) {
        space_before.emplace(space_of(*before));
    }
    tables(out, space, space_before ? &*space_before : nullptr);
    kernel_state(out, checkpoint, before);
    if (options.mappings) {
        mappings(out, space, options.max_lines);
    }
    if (space_before) {
        changes(out, *space_before, space, options.max_lines);
    }
    if (!checkpoint.memblock.memory.regions.empty() || !checkpoint.memblock.reserved.regions.empty()) {
        const bool same = before != nullptr && before->memblock.memory == checkpoint.memblock.memory &&
                          before->memblock.reserved == checkpoint.memblock.reserved;
        if (same) {
            line(out, "  memblock unchanged");
        } else {
            region_list(out, "memory", checkpoint.memblock.memory, options.max_lines);
            region_list(out, "reserved", checkpoint.memblock.reserved, options.max_lines);
        }
    }
    zone_table(out, checkpoint);
    return fmt::to_string(out);
}

std::string account_of_inputs(const Boot& boot) {
    Lines out;
    const BootScenario& scenario = boot.scenario();
    const kernel::BootInputs& inputs = scenario.inputs;
    std::uint64_t ram = 0;
    for (const firmware::E820Entry& entry : inputs.boot_params.e820) {
        ram += entry.type == firmware::E820Type::ram ? entry.size : 0;
    }
    line(out, "{}: Linux {} on {} of RAM in {} E820 entries, MAXPHYADDR {}", scenario.name, inputs.series.name,
         human_bytes(ram), inputs.boot_params.e820.size(), inputs.cpu.maxphyaddr());
    for (const firmware::E820Entry& entry : inputs.boot_params.e820) {
        line(out, "  [mem {:#018x}-{:#018x}] {}", entry.start, entry.end() - 1, firmware::linux_name(entry.type));
    }
    line(out, "  command line: {}", inputs.boot_params.cmdline);
    line(out, "  kernel at {}, virtual shift {:#x}", to_string(inputs.layout.text_pa), inputs.layout.kaslr_offset);
    for (const std::string& assumption : scenario.assumptions) {
        line(out, "  assumed: {}", assumption);
    }
    return fmt::to_string(out);
}

std::string account_of_end(const Boot& boot) {
    Lines out;
    if (const auto& halt = boot.halt()) {
        const std::string_view how = halt->kind == kernel::Halt::Kind::panic          ? "Kernel panic"
                                     : halt->kind == kernel::Halt::Kind::endless_loop ? "The kernel loops for ever"
                                                                                      : "The processor stopped";
        line(out, "{} in {}{}: {}", how, halt->function, halt->rule.empty() ? "" : " (" + halt->rule + ")",
             halt->message);
    } else if (!boot.checkpoints().empty()) {
        line(out, "Reached {} at simulated cycle {}.", boot.last().name, boot.last().machine.now.count());
    }
    if (!boot.stray_accesses().empty()) {
        line(out, "{} accesses where no RAM answers; the first at {}.", boot.stray_accesses().size(),
             to_string(boot.stray_accesses().front().address));
    }
    return fmt::to_string(out);
}

}  // namespace pgsim
