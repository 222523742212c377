// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/scenario/booted_kernel.hpp"

#include <algorithm>
#include <bit>

#include "pgsim/base/error.hpp"
#include "pgsim/kernel/memmap.hpp"
#include "pgsim/kernel/mm_init.hpp"

namespace pgsim {

namespace {

using namespace kernel;

constexpr std::uint64_t frame_size = 4096;
constexpr std::uint64_t lists_bytes = 2048;
constexpr std::uint64_t pcp_bytes_per_zone = 256;

// Kernels set these bits of CR4 without asking CPUID. [spec R3.6]
CpuFeatures implemented(CpuFeatures cpu) {
    cpu.enable(Feature::pge);
    cpu.enable(Feature::pse);
    return cpu;
}

BuddySetup setup_of(const Boot& boot, const Checkpoint& checkpoint) {
    const BootInputs& inputs = boot.scenario().inputs;
    BuddySetup setup;
    setup.flags = page_flags_layout(inputs.config);
    setup.zone_size = inputs.layout.zone_size;
    setup.page_offset_base = VirtAddr{checkpoint.kernel.page_offset_base};
    setup.pcp = false;
    for (const NodeData& node : checkpoint.numa.nodes) {
        const auto nid = static_cast<std::size_t>(node.nid);
        setup.node_data.resize(std::max(setup.node_data.size(), nid + 1));
        setup.node_data[nid] = setup.page_offset_base + node.pgdat.value();
    }
    setup.node_orders = build_all_zonelists(checkpoint.numa, checkpoint.zones,
                                            static_cast<unsigned>(inputs.config.number("NODES_SHIFT", 0)));
    return setup;
}

}  // namespace

BootedKernel::BootedKernel(const Boot& boot, const BootedKernelOptions& options) {
    const Checkpoint* const checkpoint = boot.find("buddy.exit");
    if (checkpoint == nullptr) {
        throw Error{"boot",
                    "it did not come to buddy.exit" +
                        (boot.halt() ? ": " + boot.halt()->message : std::string{", where free memory begins"})};
    }
    const BootInputs& inputs = boot.scenario().inputs;
    machine_ = std::make_unique<Machine>(implemented(inputs.cpu));
    machine_->restore(checkpoint->machine);
    memory_ = std::make_unique<KernelMemory>(*machine_);
    state_ = checkpoint->kernel;
    zones_ = checkpoint->zones;
    init_top_pgt_ = inputs.layout.pa("init_top_pgt");
    pg_reserved_bit_ = inputs.series.pg_reserved_bit;
    struct_page_size_ = inputs.layout.struct_page_size;
    vmemmap_blocks_.assign(boot.vmemmap_blocks().begin(), boot.vmemmap_blocks().end());
    BuddySetup setup = setup_of(boot, *checkpoint);
    if (!options.late) {
        buddy_ = std::make_unique<Buddy>(*memory_, VirtAddr{state_.vmemmap_base}, zones_, setup);
        buddy_->adopt_lists();
    } else {
        free_deferred(*checkpoint, setup);
        take_room(setup);
        setup.pcp = options.pcp;
        setup.pcp_area = pcp_area_;
        buddy_ = std::make_unique<Buddy>(*memory_, VirtAddr{state_.vmemmap_base}, zones_, setup);
        buddy_->adopt_lists();
        WatermarkInputs marks;
        marks.cpus_of_node.assign(setup.node_data.size(), 1);
        buddy_->set_watermarks(setup_watermarks(zones_, marks));
    }
    if (inputs.layout.has("empty_zero_page")) {
        zero_page_ = Pfn::of(inputs.layout.pa("empty_zero_page"));
    } else if (options.late) {
        const auto page = buddy_->alloc_pages(gfp::kernel | gfp::zero, 0);
        if (!page) {
            throw Error{"boot", "no memory is left"};
        }
        zero_page_ = Pfn{*page};
        ++own_pages_;
    }
}

// page_alloc_init_late(): struct pages that were deferred come into being, and with them all lists. [spec M-A21]
void BootedKernel::free_deferred(const Checkpoint& checkpoint, const BuddySetup& setup) {
    const bool deferred = std::any_of(zones_.nodes.begin(), zones_.nodes.end(),
                                      [](const Node& node) { return node.first_deferred_pfn != no_deferred_pfn; });
    if (!deferred) {
        return;
    }
    for (Node& node : zones_.nodes) {
        node.first_deferred_pfn = no_deferred_pfn;
    }
    const FreedMemory freed = memblock_free_all(checkpoint.memblock, zones_, state_.max_low_pfn);
    Memmap::Setup memmap_setup;
    memmap_setup.flags = setup.flags;
    memmap_setup.pg_reserved_bit = pg_reserved_bit_;
    memmap_setup.vmemmap_base = VirtAddr{state_.vmemmap_base};
    memmap_setup.node_data = setup.node_data;
    memmap_setup.zone_size = setup.zone_size;
    auto contents = std::make_shared<Memmap>(checkpoint.memblock, zones_, std::move(memmap_setup));
    contents->free_all(checkpoint.memblock, zones_, freed);
    attach_memmap(machine_->memory(), vmemmap_blocks_, VirtAddr{state_.vmemmap_base}, struct_page_size_, contents);
    Buddy lists{*memory_, VirtAddr{state_.vmemmap_base}, zones_, setup};
    lists.init_free_lists();
    lists.adopt(freed);
    for (const BuddyZone& zone : lists.zones()) {
        for (Node& node : zones_.nodes) {
            if (node.nid == zone.span.nid) {
                node.zones[zone.index()].managed = zone.managed_pages;
            }
        }
    }
    state_.totalram_pages = freed.totalram_pages;
}

// The heads of per-CPU and LRU lists lie in pages of the allocator.
void BootedKernel::take_room(const BuddySetup& setup) {
    Buddy lists{*memory_, VirtAddr{state_.vmemmap_base}, zones_, setup};
    lists.adopt_lists();
    const std::uint64_t bytes = lists_bytes + lists.zones().size() * pcp_bytes_per_zone;
    const auto order = static_cast<unsigned>(std::bit_width((bytes - 1) / frame_size));
    const auto room = lists.alloc_pages(gfp::kernel | gfp::zero, order);
    if (!room) {
        throw Error{"boot", "no memory is left"};
    }
    own_pages_ = std::uint64_t{1} << order;
    lists_ = setup.page_offset_base + *room * frame_size;
    pcp_area_ = lists_ + lists_bytes;
}

}  // namespace pgsim
