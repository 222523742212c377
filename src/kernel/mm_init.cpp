// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/mm_init.hpp"

#include <algorithm>
#include <bit>

#include "pgsim/kernel/free_all.hpp"
#include "pgsim/kernel/kernel.hpp"
#include "pgsim/kernel/memmap.hpp"

namespace pgsim::kernel {

namespace {

std::vector<VirtAddr> node_data(const Kernel& k) {
    std::vector<VirtAddr> addresses;
    for (const NodeData& node : k.numa.nodes) {
        addresses.resize(std::max(addresses.size(), static_cast<std::size_t>(node.nid) + 1));
        addresses[static_cast<std::size_t>(node.nid)] = k.va(node.pgdat.value());
    }
    return addresses;
}

// Blocks of the memmap that follow each other both in vmemmap and in physical memory.
std::vector<VmemmapBlock> joined(std::span<const VmemmapBlock> blocks) {
    std::vector<VmemmapBlock> list;
    for (const VmemmapBlock& block : blocks) {
        if (!list.empty() && list.back().start + list.back().size == block.start &&
            list.back().backing + list.back().size == block.backing) {
            list.back().size += block.size;
        } else {
            list.push_back(block);
        }
    }
    return list;
}

}  // namespace

PageFlagsLayout page_flags_layout(const KernelConfig& config) {
    PageFlagsLayout layout;
    layout.nodes_shift = static_cast<unsigned>(config.number("NODES_SHIFT", 0));
    layout.zones_width = config.enabled("ZONE_DEVICE") ? 3 : 2;
    const std::uint64_t cpus = config.number("NR_CPUS", 1);
    layout.last_cpupid_width =
        config.enabled("NUMA_BALANCING") ? 8 + static_cast<unsigned>(std::bit_width(cpus - 1)) : 0;
    return layout;
}

void attach_memmap(PhysicalMemory& memory, std::span<const VmemmapBlock> blocks, VirtAddr vmemmap_base,
                   std::uint64_t struct_page_size, const std::shared_ptr<const Memmap>& contents) {
    for (const VmemmapBlock& block : joined(blocks)) {
        const std::uint64_t first_pfn = (block.start.value() - vmemmap_base.value()) / struct_page_size;
        Memmap::attach(memory, {Pfn::of(block.backing), Pfn::of(block.backing + (block.size - 1)) + 1}, first_pfn,
                       contents);
    }
}

namespace {

void attach_memmap(Kernel& k) {
    attach_memmap(k.machine.memory(), k.vmemmap_blocks, VirtAddr{k.state.vmemmap_base},
                  k.inputs.layout.struct_page_size, k.memmap);
}

}  // namespace

void zone_sizes_init(Kernel& k) {
    ZoneInputs inputs;
    inputs.max_low_pfn = k.state.max_low_pfn;
    inputs.dma_reserve = k.dma_reserve;
    inputs.zone_dma = k.inputs.config.enabled("ZONE_DMA");
    inputs.zone_dma32 = k.inputs.config.enabled("ZONE_DMA32");
    inputs.deferred_struct_page_init = k.inputs.config.enabled("DEFERRED_STRUCT_PAGE_INIT");
    inputs.struct_page_size = k.inputs.layout.struct_page_size;
    inputs.params = k.params;
    inputs.series = k.inputs.series;
    k.zones = free_area_init(k.memblock, inputs);
    const auto& possible = k.numa.possible_nodes;
    k.state.nr_node_ids =
        possible.empty() ? 1 : static_cast<std::uint64_t>(*std::max_element(possible.begin(), possible.end())) + 1;
    k.memblock.for_each_mem_pfn_range(numa_no_node, [&k](std::uint64_t, std::uint64_t end, int) {
        k.state.highest_memmap_pfn = std::max(k.state.highest_memmap_pfn, end - 1);
    });
    Memmap::Setup setup;
    setup.flags = page_flags_layout(k.inputs.config);
    setup.pg_reserved_bit = k.inputs.series.pg_reserved_bit;
    setup.vmemmap_base = VirtAddr{k.state.vmemmap_base};
    setup.node_data = node_data(k);
    setup.zone_size = k.inputs.layout.zone_size;
    k.memmap = std::make_shared<const Memmap>(k.memblock, k.zones, std::move(setup));
    attach_memmap(k);
}

void mem_init(Kernel& k) {
    const FreedMemory freed = memblock_free_all(k.memblock, k.zones, k.state.max_low_pfn);
    auto contents = std::make_shared<Memmap>(*k.memmap);
    contents->free_all(k.memblock, k.zones, freed);
    k.memmap = std::move(contents);
    attach_memmap(k);
    BuddySetup setup;
    setup.flags = page_flags_layout(k.inputs.config);
    setup.zone_size = k.inputs.layout.zone_size;
    setup.page_offset_base = VirtAddr{k.state.page_offset_base};
    setup.node_data = node_data(k);
    setup.pcp = false;  // the boot pagesets hold nothing
    setup.node_orders =
        build_all_zonelists(k.numa, k.zones, static_cast<unsigned>(k.inputs.config.number("NODES_SHIFT", 0)));
    k.buddy = std::make_unique<Buddy>(k.memory, VirtAddr{k.state.vmemmap_base}, k.zones, std::move(setup));
    k.buddy->init_free_lists();
    k.buddy->adopt(freed);
    memblock_free_all(k.memblock, k.zones, FreeAllInputs{k.state.max_low_pfn, k.inputs.series});
    k.state.totalram_pages = freed.totalram_pages;
    for (const BuddyZone& zone : k.buddy->zones()) {
        ZoneFreeArea area;
        area.nid = zone.span.nid;
        area.type = zone.span.type;
        for (unsigned order = 0; order <= max_page_order; ++order) {
            area.nr_free[order] = k.buddy->nr_free(zone, order);
        }
        k.free_areas.push_back(area);
    }
}

}  // namespace pgsim::kernel
