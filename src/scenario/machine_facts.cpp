// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/scenario/machine_facts.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <set>
#include <string_view>
#include <utility>

#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/inspect/address_space.hpp"
#include "pgsim/kernel/zonelists.hpp"
#include "scenario/e820_facts.hpp"

namespace pgsim {

using firmware::LogNodeRange;
using firmware::LogRange;
using firmware::MachineRecord;

namespace {

constexpr std::uint64_t page = 4096;
constexpr std::uint64_t pages_per_section = 32768;
constexpr std::string_view last_needed = "free_area_init.exit";
constexpr std::string_view last_useful = "buddy.exit";

LogRange pfn_range(std::uint64_t start, std::uint64_t end) {
    return {start * page, end * page - 1};
}

const char* page_word(unsigned mask) {
    return (mask & 8) != 0 ? "1G" : (mask & 4) != 0 ? "2M" : "4k";
}

std::vector<firmware::LogMapping> mappings_of(const kernel::KernelState& state) {
    std::vector<firmware::LogMapping> result;
    for (std::size_t i = 0; i < state.mapping_calls.size(); ++i) {
        const kernel::MappingCall& call = state.mapping_calls[i];
        firmware::LogMapping mapping{{call.start, call.end - 1}, {}};
        for (const kernel::MapRange& piece : state.mapping_pieces.at(i)) {
            mapping.chunks.push_back({{piece.start, piece.end - 1}, page_word(piece.page_size_mask)});
        }
        result.push_back(std::move(mapping));
    }
    return result;
}

/// Parts of the memmap whose backing is contiguous and lies on one node; holes in the array itself do not show.
std::vector<firmware::LogVmemmap> vmemmap_of(const Boot& boot, std::uint64_t page_offset) {
    std::vector<firmware::LogVmemmap> parts;
    for (const kernel::VmemmapBlock& block : boot.vmemmap_blocks()) {
        const std::uint64_t start = block.start.value();
        const std::uint64_t backing = block.backing.value() + page_offset;
        const char* const kind = block.size == 2 * MiB ? "PMD" : "PTE";
        if (!parts.empty() && parts.back().backing.end + 1 == backing && parts.back().node == block.nid &&
            parts.back().kind == kind) {
            parts.back().range.end = start + block.size - 1;
            parts.back().backing.end += block.size;
        } else {
            parts.push_back({{start, start + block.size - 1}, kind, {backing, backing + block.size - 1}, block.nid});
        }
    }
    return parts;
}

std::vector<firmware::LogZone> zones_of(const kernel::ZoneState& zones, const kernel::BootInputs& inputs) {
    constexpr std::array<std::uint64_t, 2> limits{0x1000, 0x100000};
    std::vector<firmware::LogZone> result;
    for (const kernel::ZoneType type : {kernel::ZoneType::dma, kernel::ZoneType::dma32, kernel::ZoneType::normal}) {
        const auto index = static_cast<std::size_t>(type);
        if ((type == kernel::ZoneType::dma && !inputs.config.enabled("ZONE_DMA")) ||
            (type == kernel::ZoneType::dma32 && !inputs.config.enabled("ZONE_DMA32"))) {
            continue;
        }
        const std::uint64_t start = zones.lowest_possible_pfn[index];
        const bool unclamped = inputs.series.zone_limits_unclamped && index < limits.size();
        const std::uint64_t end = unclamped ? limits[index] : zones.highest_possible_pfn[index];
        result.push_back(
            {std::string{kernel::zone_name(type)}, start < end ? std::optional{pfn_range(start, end)} : std::nullopt});
    }
    if (inputs.config.enabled("ZONE_DEVICE") && inputs.series.at_least(4, 3)) {
        result.push_back({"Device", std::nullopt});
    }
    return result;
}

/// Pages of struct page array that a zone's estimate is reduced by. [linux-6.6 mm/mm_init.c calc_memmap_size()]
std::uint64_t memmap_pages(const kernel::Zone& zone, std::uint64_t struct_page) {
    const bool sparse = zone.spanned > zone.present + (zone.present >> 4);
    return ((sparse ? zone.present : zone.spanned) * struct_page + page - 1) / page;
}

/// [linux-6.6 mm/page_alloc.c zone_batchsize()]
std::uint64_t zone_batch(std::uint64_t managed, unsigned limit_pages) {
    const std::uint64_t batch = std::max<std::uint64_t>(std::min<std::uint64_t>(managed / 1024, limit_pages) / 4, 1);
    return std::bit_floor(batch + batch / 2) - 1;
}

std::vector<firmware::LogNodePages> totalpages_of(const Checkpoint& checkpoint, const kernel::BootInputs& inputs) {
    std::vector<firmware::LogNodePages> result;
    for (const kernel::Node& node : checkpoint.zones.nodes) {
        firmware::LogNodePages pages{node.nid, node.present_pages, {}};
        for (const kernel::Zone& zone : node.zones) {
            if (zone.present == 0) {
                continue;
            }
            const std::uint64_t memmap = memmap_pages(zone, inputs.layout.struct_page_size);
            const std::uint64_t managed = zone.present > memmap ? zone.present - memmap : zone.present;
            firmware::LogNodePages::Parts parts{{"used_for_memmap", memmap}};
            if (managed > zone.managed) {
                parts.emplace_back("reserved",
                                   managed - zone.managed);  // of the lowest zone: memblock_find_dma_reserve
            }
            parts.emplace_back("pages", zone.present);
            parts.emplace_back("lifo_batch", zone_batch(managed, inputs.series.zone_batch_limit_pages));
            pages.zones.emplace_back(std::string{kernel::zone_name(zone.type)}, std::move(parts));
        }
        result.push_back(std::move(pages));
    }
    return result;
}

/// Counts the pages of holes whose section has a memmap, as they are marked unavailable. [spec R8.14]
class UnavailablePages {
public:
    explicit UnavailablePages(const Checkpoint& checkpoint) : checkpoint_{checkpoint} {
        checkpoint.memblock.for_each_mem_pfn_range(
            kernel::numa_no_node, [this](std::uint64_t start, std::uint64_t end, int) {
                for (std::uint64_t section = start / pages_per_section; section * pages_per_section < end; ++section) {
                    present_.insert(section);
                }
            });
    }

    std::vector<firmware::LogUnavailable> count() {
        checkpoint_.memblock.for_each_mem_pfn_range(
            kernel::numa_no_node, [this](std::uint64_t start, std::uint64_t end, int nid) {
                const kernel::Node* node = checkpoint_.zones.node(nid);
                for (std::size_t i = 0; node != nullptr && i < node->zones.size(); ++i) {
                    const kernel::Zone& zone = node->zones[i];
                    if (zone.present == 0) {
                        continue;
                    }
                    last_zone_ = &zone;
                    const std::uint64_t first = std::clamp(start, zone.start_pfn, zone.end_pfn());
                    const std::uint64_t last = std::clamp(end, zone.start_pfn, zone.end_pfn());
                    if (first < last) {
                        add_hole(first, zone);
                        hole_ = last;
                    }
                }
            });
        if (last_zone_ != nullptr) {
            add_hole((hole_ + pages_per_section - 1) / pages_per_section * pages_per_section, *last_zone_);
        }
        return std::move(result_);
    }

private:
    /// The pages from the end of the last region on.
    void add_hole(std::uint64_t end, const kernel::Zone& zone) {
        std::uint64_t pages = 0;
        if (hole_ < end) {
            const std::uint64_t first_section = hole_ / pages_per_section;
            for (auto it = present_.lower_bound(first_section); it != present_.end() && *it * pages_per_section < end;
                 ++it) {
                const std::uint64_t from = std::max(hole_, *it * pages_per_section);
                pages += std::min(end, (*it + 1) * pages_per_section) - from;
            }
        }
        if (pages != 0) {
            result_.push_back({zone.nid, std::string{kernel::zone_name(zone.type)}, pages});
        }
    }

    const Checkpoint& checkpoint_;
    std::set<std::uint64_t> present_;
    std::uint64_t hole_ = 0;
    const kernel::Zone* last_zone_ = nullptr;
    std::vector<firmware::LogUnavailable> result_;
};

void add_node_facts(const Checkpoint& checkpoint, const kernel::BootInputs& inputs, MachineRecord& record) {
    record.node_data.emplace();
    const std::uint64_t alignment = inputs.series.node_data_alignment;
    const std::uint64_t pgdat = (inputs.layout.pglist_data_size + alignment - 1) / alignment * alignment;
    for (const kernel::NodeData& node : checkpoint.numa.nodes) {
        record.node_data->push_back({node.nid, {node.pgdat.value(), node.pgdat.value() + pgdat - 1}});
    }
    std::uint64_t present = 0;
    checkpoint.memblock.for_each_mem_pfn_range(kernel::numa_no_node,
                                               [&](std::uint64_t start, std::uint64_t end, int nid) {
                                                   record.early_node_ranges.push_back({nid, pfn_range(start, end)});
                                                   present += end - start;
                                               });
    for (const kernel::Node& node : checkpoint.zones.nodes) {
        std::optional<LogRange> span;
        for (const LogNodeRange& range : record.early_node_ranges) {
            if (range.node == node.nid) {
                span = LogRange{span ? span->start : range.range.start, range.range.end};
            }
        }
        if (span && inputs.series.initmem_line_from_numa) {
            for (const kernel::NumaMemblk& block : checkpoint.numa.meminfo) {
                if (block.nid == node.nid) {
                    span->start = std::min(span->start, block.start);
                    span->end = std::max(span->end, block.end - 1);
                }
            }
        }
        if (span) {
            record.initmem_setup.push_back({node.nid, *span});
        }
    }
    firmware::LogMemory memory;
    const std::uint64_t total = inputs.series.total_counts_holes ? checkpoint.kernel.max_pfn : present;
    memory.total_k = total * 4;
    if (inputs.series.total_counts_holes) {
        memory.parts.emplace_back("absent_k", (total - present) * 4);
    }
    record.memory = memory;
}

/// mem_init_print_info, as far as it stands right after memblock_free_all: free pages without those that vmalloc's
/// top-level tables have taken in between. From 6.10 on the line comes later, after what is deferred. [spec R9.2]
void add_available(const Boot& boot, MachineRecord& record) {
    const Checkpoint* const checkpoint = boot.find(last_useful);
    const kernel::KernelSeries& series = boot.scenario().inputs.series;
    if (checkpoint == nullptr || series.at_least(6, 10)) {
        return;
    }
    std::uint64_t free = 0;
    for (const kernel::ZoneFreeArea& zone : checkpoint->free_areas) {
        free += zone.free_pages();
    }
    const std::uint64_t vmalloc_tables = !series.at_least(5, 9) ? 0 : checkpoint->levels() == 5 ? 50 : 64;
    record.memory->available_k = (free - std::min(free, vmalloc_tables)) * 4;
    record.memory->parts.emplace_back("reserved_k", record.memory->total_k - checkpoint->kernel.totalram_pages * 4);
}

void add_zone_facts(const Checkpoint& checkpoint, const kernel::BootInputs& inputs, MachineRecord& record) {
    record.zone_ranges = zones_of(checkpoint.zones, inputs);
    record.node_totalpages = totalpages_of(checkpoint, inputs);
    record.unavailable_ranges = UnavailablePages{checkpoint}.count();
    std::uint64_t managed = 0;
    for (const kernel::Node& node : checkpoint.zones.nodes) {
        for (const kernel::Zone& zone : node.zones) {
            managed += zone.managed;
        }
    }
    record.zonelists = firmware::LogZonelists{checkpoint.zones.nodes.size(), managed};
    if (inputs.series.at_least(5, 16)) {
        const auto shift = static_cast<unsigned>(inputs.config.number("NODES_SHIFT", 0));
        for (kernel::NodeOrder& order : kernel::build_all_zonelists(checkpoint.numa, checkpoint.zones, shift)) {
            record.fallback_order.push_back({order.node, std::move(order.fallback)});
        }
    }
}

/// /proc/meminfo's DirectMap lines: what the pages of the direct map add up to.
void add_direct_map(const Checkpoint& checkpoint, MachineRecord& record) {
    const AddressSpace space{checkpoint.machine.memory, RootRef{checkpoint.root(), checkpoint.levels()}};
    std::uint64_t small = 0;
    std::uint64_t medium = 0;
    std::uint64_t large = 0;
    PageFilter filter;
    filter.first = VirtAddr{checkpoint.kernel.page_offset_base};
    filter.last = VirtAddr{checkpoint.kernel.vmalloc_base - 1};
    space.for_each_page(filter, [&](const Mapping& mapping) {
        (mapping.size == PageSize::k1G ? large : mapping.size == PageSize::k2M ? medium : small) += bytes(mapping.size);
        return true;
    });
    record.direct_map = {{"DirectMap4k", small / KiB}, {"DirectMap2M", medium / KiB}};
    if (checkpoint.kernel.direct_gbpages) {
        record.direct_map.emplace_back("DirectMap1G", large / KiB);
    }
}

/// As this release prints its changes: from 6.10 on what setup_data changes is changed in one table only, and from 7.0
/// on the types have other words.
std::vector<firmware::LogE820Change> as_printed(const std::vector<firmware::LogE820Change>& changes,
                                                const kernel::KernelSeries& series) {
    std::vector<firmware::LogE820Change> result;
    for (firmware::LogE820Change change : changes) {
        const bool setup_data = change.text == "usable ==> usable";
        if (setup_data && series.at_least(6, 16)) {
            continue;
        }
        if (series.at_least(7, 0)) {
            for (const auto& [before, now] :
                 {std::pair<std::string_view, std::string_view>{"usable", "System RAM"},
                  std::pair<std::string_view, std::string_view>{"reserved", "device reserved"}}) {
                if (const std::size_t at = change.text.find(before); at != std::string::npos) {
                    change.text.replace(at, before.size(), now);
                }
            }
        }
        if (!setup_data || !series.at_least(6, 10) || result.empty() || !(result.back() == change)) {
            result.push_back(change);
        }
    }
    return result;
}

void add_e820_facts(const Checkpoint& checkpoint, const kernel::BootInputs& inputs, const MachineRecord& source,
                    MachineRecord& record) {
    record.e820_changes = scenario::parse_changes(checkpoint.e820_printed);
    const scenario::EfiChanges efi = scenario::efi_changes(source, record.e820_changes);
    const auto table = scenario::with_efi_changes(checkpoint.e820, efi);
    record.nosave = scenario::nosave_ranges(table, checkpoint.kernel.max_low_pfn, inputs.series);
    record.pci_gap = scenario::pci_gap(table, checkpoint.kernel.max_pfn);
    record.e820_changes = as_printed(record.e820_changes, inputs.series);
    for (const LogRange& range : scenario::ram_buffers(table)) {
        record.e820_changes.push_back({"reserve RAM buffer", range, ""});
    }
}

void add_mapping_facts(const Boot& boot, const Checkpoint& checkpoint, MachineRecord& record) {
    const kernel::KernelState& state = checkpoint.kernel;
    constexpr std::uint64_t four_gib_pfn = 4 * GiB / page;
    record.last_pfn = {state.max_pfn};
    if (state.max_pfn > four_gib_pfn) {
        kernel::E820 table;
        for (const firmware::E820Entry& entry : checkpoint.e820) {
            table.range_add(entry.start, entry.size, entry.type);
        }
        record.last_pfn.push_back(table.end_of_low_ram_pfn(boot.scenario().inputs.series));
    }
    record.max_arch_pfn = std::uint64_t{1} << (checkpoint.levels() == 5 ? 40 : 34);
    record.gb_pages_line = state.direct_gbpages;
    record.init_memory_mapping = mappings_of(state);
    record.brk_pgtable.emplace();
    for (const PhysAddr table : state.brk_page_tables) {
        record.brk_pgtable->push_back({table.value(), table.value() + page - 1});
    }
    record.vmemmap = vmemmap_of(boot, state.page_offset_base);
}

void add_facts(const Boot& boot, const MachineRecord& source, MachineRecord& record) {
    const Checkpoint* const checkpoint = boot.find(last_needed);
    if (checkpoint == nullptr) {
        throw Error{"boot of " + boot.scenario().name, boot.halt()
                                                           ? "the simulated kernel stopped: " + boot.halt()->message
                                                           : "ended before " + std::string{last_needed}};
    }
    const kernel::BootInputs& inputs = boot.scenario().inputs;
    add_mapping_facts(boot, *checkpoint, record);
    add_e820_facts(*checkpoint, inputs, source, record);
    add_node_facts(*checkpoint, inputs, record);
    add_available(boot, record);
    add_zone_facts(*checkpoint, inputs, record);
    add_direct_map(*checkpoint, record);
}

/// Only what firmware and boot loader gave.
MachineRecord inputs_of(const MachineRecord& record) {
    MachineRecord inputs;
    inputs.name = record.name;
    inputs.kernel = record.kernel;
    inputs.upstream = record.upstream;
    inputs.machine = record.machine;
    inputs.firmware = record.firmware;
    inputs.hypervisor = record.hypervisor;
    inputs.memory_parameters = record.memory_parameters;
    inputs.command_line = record.command_line;
    inputs.e820 = record.e820;
    inputs.ramdisk = record.ramdisk;
    inputs.srat_memory = record.srat_memory;
    inputs.srat_cpu_domains = record.srat_cpu_domains;
    inputs.nx = record.nx;
    inputs.mtrr_default = record.mtrr_default;
    inputs.mtrr = record.mtrr;
    inputs.top_mem2 = record.top_mem2;
    inputs.acpi_tables = record.acpi_tables;
    inputs.acpi_reserved = record.acpi_reserved;
    inputs.mp_table = record.mp_table;
    inputs.efi_removed = record.efi_removed;
    inputs.graphics = record.graphics;
    return inputs;
}

}  // namespace

MachineRecord facts_of(const Boot& boot) {
    MachineRecord record;
    const firmware::BootParams& params = boot.scenario().inputs.boot_params;
    record.name = boot.scenario().name;
    record.kernel = boot.scenario().inputs.series.name;
    record.command_line = params.cmdline;
    record.e820 = params.e820;
    if (params.ramdisk_size != 0) {
        record.ramdisk = LogRange{params.ramdisk_image.value(), params.ramdisk_image.value() + params.ramdisk_size - 1};
    }
    add_facts(boot, MachineRecord{}, record);
    return record;
}

MachineRecord simulate_machine(const MachineRecord& record) {
    const BootScenario scenario = scenario_from_record(record);
    BootOptions options;
    options.until = last_useful;
    const Boot boot = run(scenario, options);
    MachineRecord result = inputs_of(record);
    add_facts(boot, record, result);
    return result;
}

}  // namespace pgsim
