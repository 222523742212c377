// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/bare_kernel.hpp"

#include <algorithm>

#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/kernel/pgtable_types.hpp"

namespace pgsim::kernel {

namespace {

constexpr std::uint64_t section_bytes = std::uint64_t{1} << section_size_bits;

CpuFeatures bare_cpu(bool five_levels) {
    CpuFeatures cpu;
    cpu.set_maxphyaddr(46);
    for (const Feature feature : {Feature::pae, Feature::pse, Feature::pge, Feature::nx, Feature::lm, Feature::pat,
                                  Feature::smep, Feature::smap, Feature::pdpe1gb, Feature::msr, Feature::syscall}) {
        cpu.enable(feature);
    }
    if (five_levels) {
        cpu.enable(Feature::la57);
    }
    return cpu;
}

// Zones of one node with RAM from frame 1 on. [spec M-A2 to M-A6]
ZoneState one_node(std::uint64_t end_pfn) {
    ZoneState zones;
    Node& node = zones.nodes.emplace_back();
    node.start_pfn = 1;
    node.spanned_pages = node.present_pages = end_pfn - 1;
    std::uint64_t start = 1;
    const std::array<std::uint64_t, 3> limits{0x1000, 0x10'0000, end_pfn};
    for (unsigned i = 0; i < max_nr_zones; ++i) {
        Zone& zone = node.zones[i];
        zone.type = static_cast<ZoneType>(i);
        const std::uint64_t end = i < 3 ? std::max(start, std::min(limits[i], end_pfn)) : start;
        if (end > start) {
            zone.start_pfn = start;
            zone.spanned = zone.present = end - start;
        }
        start = end;
    }
    return zones;
}

}  // namespace

BareKernel::BareKernel(const BareKernelSetup& setup)
    : machine_{std::make_unique<Machine>(bare_cpu(setup.five_levels))},
      memory_{std::make_unique<KernelMemory>(*machine_)} {
    if (setup.memory_bytes % (2 * MiB) != 0 || setup.memory_bytes < 16 * MiB || setup.memory_bytes > 16 * TiB) {
        throw Error{"memory size", "16 MiB to 16 TiB, a multiple of 2 MiB"};
    }
    lay_out(setup);
    build_tables(setup.memory_bytes);
    start_cpu(setup.five_levels);
    if (setup.free_bytes != 0) {
        // Everything above what shall be free stays reserved, from the lowest free range on.
        std::uint64_t left = setup.free_bytes;
        std::vector<std::pair<std::uint64_t, std::uint64_t>> taken;
        memblock_.for_each_free_mem_range(numa_no_node, 0, [&](std::uint64_t start, std::uint64_t end, int) {
            const std::uint64_t keep = std::min(left, end - start);
            left -= keep;
            if (start + keep < end) {
                taken.emplace_back(start + keep, end - start - keep);
            }
        });
        for (const auto& [base, size] : taken) {
            memblock_.reserve(base, size, "BareKernel");
        }
    }
    const FreedMemory freed = memblock_free_all(memblock_, zones_, state_.max_low_pfn);
    Memmap::Setup memmap_setup;
    memmap_setup.vmemmap_base = VirtAddr{state_.vmemmap_base};
    memmap_setup.node_data = {VirtAddr{state_.page_offset_base + node_data_.value()}};
    const auto memmap = std::make_shared<Memmap>(memblock_, zones_, memmap_setup);
    memmap->free_all(memblock_, zones_, freed);
    const std::uint64_t sections = (setup.memory_bytes + section_bytes - 1) / section_bytes;
    Memmap::attach(machine_->memory(), PfnRange::sized(Pfn::of(memmap_), sections * 512), 0, memmap);

    BuddySetup buddy_setup;
    buddy_setup.pcp = setup.pcp;
    buddy_setup.cpus = setup.cpus;
    buddy_setup.page_offset_base = VirtAddr{state_.page_offset_base};
    buddy_setup.node_data = memmap_setup.node_data;
    buddy_setup.pcp_area = lists_ + 2048;
    buddy_ = std::make_unique<Buddy>(*memory_, memmap_setup.vmemmap_base, zones_, buddy_setup);
    buddy_->adopt(freed);
    state_.totalram_pages = freed.totalram_pages;
    for (const BuddyZone& zone : buddy_->zones()) {
        zones_.nodes[0].zones[zone.index()].managed = zone.managed_pages;
    }
    WatermarkInputs inputs;
    inputs.cpus_of_node = {setup.cpus};
    buddy_->set_watermarks(setup_watermarks(zones_, inputs));
}

PhysAddr BareKernel::alloc(std::uint64_t size, std::uint64_t align) {
    const auto found = memblock_.phys_alloc_range(size, align, 1 * MiB, 0, "BareKernel");
    if (!found) {
        throw Error{"memory size", "too small for the kernel's own tables"};
    }
    return *found;
}

void BareKernel::lay_out(const BareKernelSetup& setup) {
    machine_->memory().map_region(PhysRange{PhysAddr{}, PhysAddr{setup.memory_bytes}}, RegionKind::ram);
    state_.pgtable_l5_enabled = setup.five_levels;
    state_.pgdir_shift = setup.five_levels ? 48 : 39;
    state_.ptrs_per_p4d = setup.five_levels ? 512 : 1;
    const RegionBases& bases = setup.five_levels ? region_bases_l5 : region_bases_l4;
    state_.page_offset_base = bases.page_offset;
    state_.vmalloc_base = bases.vmalloc;
    state_.vmemmap_base = bases.vmemmap;
    state_.max_pfn = state_.max_low_pfn = setup.memory_bytes >> page_shift;
    state_.after_bootmem = true;
    memblock_.add(page_size, setup.memory_bytes - page_size, "BareKernel");
    memblock_.set_node(0, setup.memory_bytes, MemblockArray::memory, 0);
    memblock_.reserve(0, 1 * MiB, "BareKernel");
    zones_ = one_node(state_.max_pfn);
    init_top_pgt_ = alloc(page_size, page_size);
    zero_page_ = Pfn::of(alloc(page_size, page_size));
    node_data_ = alloc(4 * page_size, page_size);
    lists_ = VirtAddr{state_.page_offset_base + alloc(page_size, page_size).value()};
    const std::uint64_t sections = (setup.memory_bytes + section_bytes - 1) / section_bytes;
    memmap_ = alloc(sections * pmd_size, pmd_size);
}

// One 2-MByte page; tables are made on the way. Written as a loader does: nothing is mapped yet.
void BareKernel::map_large(VirtAddr va, PhysAddr pa) {
    PhysicalMemory& memory = machine_->memory();
    PhysAddr table = init_top_pgt_;
    for (unsigned shift = state_.pgdir_shift; shift > pmd_shift; shift -= 9) {
        const PhysAddr at = table + (va.value() >> shift & 511) * 8;
        std::uint64_t entry = memory.read64(at);
        if (entry == 0) {
            const PhysAddr fresh = alloc(page_size, page_size);
            memory.fill(fresh, page_size, std::byte{0});
            entry = fresh.value() | page_table;
            memory.write64(at, entry);
        }
        table = PhysAddr{entry & pte_pfn_mask};
    }
    memory.write64(table + (va.value() >> pmd_shift & 511) * 8, pa.value() | page_kernel_large.pgprot);
}

void BareKernel::build_tables(std::uint64_t memory_bytes) {
    for (std::uint64_t pa = 0; pa < memory_bytes; pa += pmd_size) {
        map_large(VirtAddr{state_.page_offset_base + pa}, PhysAddr{pa});
    }
    const std::uint64_t sections = (memory_bytes + section_bytes - 1) / section_bytes;
    for (std::uint64_t i = 0; i < sections; ++i) {
        map_large(VirtAddr{state_.vmemmap_base + i * pmd_size}, memmap_ + i * pmd_size);
    }
}

void BareKernel::start_cpu(bool five_levels) {
    CpuState cpu;
    cpu.cr0 = Cr0::pe | Cr0::et | Cr0::ne | Cr0::wp | Cr0::am | Cr0::pg;
    cpu.cr3 = init_top_pgt_.value();
    cpu.cr4 = Cr4::pse | Cr4::pae | Cr4::pge | Cr4::smep | Cr4::smap | (five_levels ? Cr4::la57 : 0);
    cpu.efer = Efer::sce | Efer::lme | Efer::lma | Efer::nxe;
    cpu.pat = 0x0407'0506'0007'0106;  // as Linux sets it: WB WC UC- UC WB WP UC- WT
    cpu.cs_long = true;
    machine_->set_cpu_state(cpu);
}

}  // namespace pgsim::kernel
