// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/builtin_requests.hpp"

#include <algorithm>
#include <bit>
#include <initializer_list>
#include <string>
#include <string_view>

#include "pgsim/base/units.hpp"
#include "pgsim/kernel/e820_setup.hpp"
#include "pgsim/kernel/early_param.hpp"

namespace pgsim::kernel {

using firmware::E820Entry;
using firmware::E820Type;

namespace {

constexpr std::uint64_t cache_line = 64;
constexpr std::uint64_t page = 4096;
constexpr std::uint64_t below_4_gib = 0xffff'ffff;
constexpr std::uint64_t sizeof_resource = 64;
constexpr std::uint64_t sizeof_firmware_map_entry = 104;
constexpr std::uint64_t sizeof_nosave_region = 32;

/// The sizes that follow from a kernel's per-CPU variables; measured for the builds of the presets.
struct PerCpuSizes {
    std::uint64_t unit;  ///< bytes of the first 2 MiB that stay in use
    std::uint64_t chunk;
    std::uint64_t alloc_map;
    std::uint64_t md_blocks;
    std::uint64_t dynamic_alloc_map;
    std::uint64_t dynamic_bound_map;
    std::uint64_t dynamic_md_blocks;
    std::string_view allocator;
};

PerCpuSizes per_cpu_sizes(const KernelSeries& series) {
    const unsigned version = series.major * 100 + series.minor;
    if (version < 606) {
        return {253952, 144, 256, 64, 896, 904, 224, "pcpu_fc_alloc"};
    }
    if (version < 612) {
        return {221184, 136, 384, 96, 1024, 1032, 256, "pcpu_embed_first_chunk"};
    }
    return {270336, 200, 256, 64, 896, 904, 224, "pcpu_fc_alloc"};
}

bool has_table(const BootInputs& inputs, std::string_view signature) {
    const auto& tables = inputs.acpi_tables;
    return std::any_of(tables.begin(), tables.end(),
                       [signature](const auto& table) { return table.signature == signature; });
}

/// Makes the list and, on a copy of memblock, what it leads to: some requests depend on whether others succeeded.
class RequestBuilder {
public:
    explicit RequestBuilder(const BuiltinRequestFacts& facts) : facts_{facts}, trial_{facts.memblock} {}

    std::vector<MemblockRequest> build() {
        resources();
        command_line_copies();
        per_cpu_areas();
        cpu_masks();
        huge_pages();
        unknown_parameters();
        hash_tables();
        for (int i = 0; i < 3; ++i) {  // cpu_entry_area: a table of each level
            request(page, page, "spp_getpage");
        }
        software_iotlb();
        return std::move(list_);
    }

private:
    /// @return whether memblock has it
    bool request(std::uint64_t size, std::uint64_t align, std::string_view by, int nid = -1, std::uint64_t from = 0,
                 std::uint64_t max_addr = 0, std::string_view op = "alloc_try_nid") {
        MemblockRequest entry;
        entry.op = std::string{op};
        entry.size = size;
        entry.align = align;
        entry.nid = nid;
        entry.from = from;
        entry.max_addr = max_addr;
        entry.by = std::string{by};
        list_.push_back(std::move(entry));
        return trial_.alloc_try_nid(size, align, from, max_addr, nid, by).has_value();
    }

    void small(std::uint64_t size, std::string_view by) { request(size, cache_line, by); }

    /// Gives back `size` bytes from `offset` on of what request `of` got.
    void free(std::size_t of, std::uint64_t offset, std::uint64_t size, std::string_view by) {
        MemblockRequest entry;
        entry.op = "phys_free";
        entry.size = size;
        entry.by = std::string{by};
        entry.of = of;
        entry.offset = offset;
        list_.push_back(std::move(entry));
    }

    void resources() {
        constexpr std::uint64_t hpet_resource = sizeof_resource + 9;      // and the name "HPET 0"
        constexpr std::uint64_t io_apic_resource = sizeof_resource + 11;  // and the name "IOAPIC 0"
        if (has_table(facts_.inputs, "HPET")) {
            small(hpet_resource, "acpi_parse_hpet");
        }
        if (has_table(facts_.inputs, "APIC")) {
            small(io_apic_resource, "io_apic_init_mappings");
        }
        small(sizeof_resource * facts_.e820.size(), "e820__reserve_resources");
        E820 firmware_table;
        firmware_table.memory_setup(facts_.inputs.boot_params);
        for (std::size_t i = 0; i < firmware_table.entries().size(); ++i) {
            small(sizeof_firmware_map_entry, "firmware_map_add_early");
        }
        const auto nosave = register_nosave_regions(facts_.e820, facts_.state.max_low_pfn);
        for (std::size_t i = 0; i < nosave.size(); ++i) {
            small(sizeof_nosave_region, "register_nosave_region");
        }
    }

    void command_line_copies() {
        const std::uint64_t length = facts_.inputs.boot_params.cmdline.size() + 1;
        small(length, "start_kernel");  // saved_command_line
        small(length, "start_kernel");  // static_command_line
    }

    void per_cpu_areas() {
        constexpr std::string_view embed = "pcpu_embed_first_chunk";
        constexpr std::uint64_t area = 2 * MiB;
        const PerCpuSizes sizes = per_cpu_sizes(facts_.inputs.series);
        const std::size_t info = list_.size();
        request(page, page, "pcpu_build_alloc_info");
        request(page, cache_line, embed);
        const int node = facts_.zones.nodes.empty() ? -1 : facts_.zones.nodes.front().nid;
        request(area, area, sizes.allocator, node, 16 * MiB);
        free(info + 2, sizes.unit, area - sizes.unit, embed);
        for (const std::uint64_t size : std::initializer_list<std::uint64_t>{8, 8, 4, 8, 368}) {
            small(size, "pcpu_setup_first_chunk");
        }
        for (const std::uint64_t size :
             {sizes.chunk, sizes.alloc_map, sizes.alloc_map + 8, sizes.md_blocks, sizes.chunk, sizes.dynamic_alloc_map,
              sizes.dynamic_bound_map, sizes.dynamic_md_blocks}) {
            small(size, "pcpu_alloc_first_chunk");
        }
        free(info, 0, page, embed);
        free(info + 1, 0, page, embed);
    }

    void cpu_masks() {
        constexpr std::uint64_t most_on_stack = 512;  // above it cpumasks are allocated
        if (facts_.inputs.config.number("NR_CPUS", 64) <= most_on_stack) {
            return;
        }
        const bool after_6_11 = facts_.inputs.series.major * 100 + facts_.inputs.series.minor >= 612;
        for (std::uint64_t i = 0; i < facts_.state.nr_node_ids + (after_6_11 ? 1 : 4); ++i) {
            small(8, "alloc_bootmem_cpumask_var");
        }
    }

    /// hugepages=N after hugepagesz=1G: taken now, because the buddy system has no blocks of that size.
    void huge_pages() {
        bool gigantic = false;
        for (const CommandLineArgument& argument : split_command_line(facts_.inputs.boot_params.cmdline)) {
            if (argument.name == "hugepagesz" && argument.value) {
                gigantic = memparse(*argument.value).first == GiB && facts_.inputs.cpu.has(Feature::pdpe1gb);
            } else if (argument.name == "hugepages" && argument.value && gigantic) {
                const std::uint64_t most = facts_.memblock.phys_mem_size() / GiB + 1;
                const std::uint64_t count = std::min(memparse(*argument.value).first, most);
                const int node = facts_.zones.nodes.empty() ? -1 : facts_.zones.nodes.front().nid;
                for (std::uint64_t i = 0; i < count; ++i) {
                    request(GiB, GiB, "__alloc_bootmem_huge_page", node, 0, 0, "alloc_try_nid_raw");
                }
            }
        }
    }

    /// print_unknown_bootoptions: a copy of the words that no part of the kernel knows.
    void unknown_parameters() {
        std::uint64_t length = 1;
        for (const CommandLineArgument& argument : split_command_line(facts_.inputs.boot_params.cmdline)) {
            const bool pti = argument.name == "pti" && !facts_.inputs.series.pti_is_early_param;
            if (argument.name == "nokaslr" || pti || argument.name == "BOOT_IMAGE") {
                length += argument.name.size() + 1 + (argument.value ? argument.value->size() + 1 : 0);
            }
        }
        if (length > 1) {
            const std::size_t copy = list_.size();
            small(length, "start_kernel");
            free(copy, 0, length, "start_kernel");
        }
    }

    /// nr_kernel_pages: pages that the hash tables are sized by.
    [[nodiscard]] std::uint64_t kernel_pages() const {
        std::uint64_t pages = 0;
        if (facts_.inputs.series.managed_is_present) {  // from 6.12 on: what memblock has free
            facts_.memblock.for_each_free_mem_range(numa_no_node, 0, [&](std::uint64_t start, std::uint64_t end, int) {
                const std::uint64_t first = (start + page - 1) / page;
                pages += first < end / page ? end / page - first : 0;
            });
            return pages;
        }
        for (const Node& node : facts_.zones.nodes) {
            for (const Zone& zone : node.zones) {
                pages += zone.managed;
            }
        }
        return pages;
    }

    /// alloc_large_system_hash with buckets of 8 bytes: one for each 2^scale bytes of RAM, scale growing above 64 GiB.
    void hash_table(unsigned scale) {
        constexpr std::uint64_t bucket = 8;
        constexpr std::uint64_t pages_per_mib = MiB / page;
        const std::uint64_t all = kernel_pages();
        std::uint64_t entries = (all + pages_per_mib - 1) / pages_per_mib * pages_per_mib;
        for (std::uint64_t adapt = 64 * GiB / page; adapt < entries; adapt <<= 2) {
            ++scale;
        }
        entries >>= scale - 12;
        entries = std::bit_ceil(std::max<std::uint64_t>(entries, 1));
        const std::uint64_t most = (all * page >> 4) / bucket;
        entries = std::bit_floor(std::max<std::uint64_t>(std::min(entries, most), 1));
        small(entries * bucket, "alloc_large_system_hash");
    }

    void hash_tables() {
        std::size_t nodes_with_memory = facts_.zones.nodes.size();
        if (nodes_with_memory > 1) {
            return;  // hashdist: they are made later, spread over the nodes
        }
        hash_table(13);  // dentries
        hash_table(14);  // inodes
    }

    /// Bounce buffers when there is RAM that a 32-bit device cannot reach: 64 MiB, or half as much until it fits.
    void software_iotlb() {
        constexpr std::uint64_t slot = 2048;
        constexpr std::uint64_t slot_bookkeeping = 24;
        constexpr std::uint64_t smallest = MiB;
        constexpr std::string_view by = "swiotlb_init_remap";
        if (facts_.state.max_possible_pfn <= 4 * GiB / page) {
            return;
        }
        std::uint64_t size = 64 * MiB;
        while (!request(size, page, by, -1, 0, below_4_gib)) {
            if (size / 2 < smallest) {
                return;
            }
            size /= 2;
        }
        request(size / slot * slot_bookkeeping, page, by);
        small(16, by);
    }

    const BuiltinRequestFacts& facts_;
    Memblock trial_;
    std::vector<MemblockRequest> list_;
};

}  // namespace

std::vector<NosaveRegion> register_nosave_regions(std::span<const E820Entry> e820, std::uint64_t limit_pfn, bool merge,
                                                  std::uint64_t first_pfn) {
    std::vector<NosaveRegion> regions;
    const auto add = [&](std::uint64_t start, std::uint64_t end) {
        if (start >= end) {
            return;
        }
        if (merge && !regions.empty() && regions.back().end_pfn == start) {
            regions.back().end_pfn = end;
        } else {
            regions.push_back({start, end});
        }
    };
    std::uint64_t pfn = first_pfn;
    for (const E820Entry& entry : e820) {
        const std::uint64_t first = (entry.start + page - 1) / page;
        add(pfn, first);
        pfn = entry.end() / page;
        if (entry.type != E820Type::ram && entry.type != E820Type::reserved_kern) {
            add(first, pfn);
        }
        if (pfn >= limit_pfn) {
            break;
        }
    }
    return regions;
}

std::vector<MemblockRequest> builtin_requests(const BuiltinRequestFacts& facts) {
    return RequestBuilder{facts}.build();
}

}  // namespace pgsim::kernel
