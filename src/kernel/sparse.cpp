// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/sparse.hpp"

#include <algorithm>
#include <optional>

#include "pgsim/kernel/kernel.hpp"
#include "pgsim/kernel/pgalloc.hpp"
#include "pgsim/kernel/pgtable_generic.hpp"

namespace pgsim::kernel {

namespace {

constexpr std::uint64_t section_bytes = std::uint64_t{1} << section_size_bits;
constexpr std::uint64_t smp_cache_bytes = 64;
constexpr std::uint64_t max_dma_address = 0x100'0000;  // __pa(MAX_DMA_ADDRESS)
constexpr std::uint64_t section_marked_present = 1U << 0;
constexpr std::uint64_t section_has_mem_map = 1U << 1;
constexpr std::uint64_t section_is_online = 1U << 2;
constexpr std::uint64_t section_is_early = 1U << 3;
constexpr unsigned section_nid_shift = 6;
constexpr std::uint64_t pageblock_flags_bytes = 32;  // 64 pageblocks of 4 bits

struct PresentSection {
    std::uint64_t number = 0;
    int nid = 0;
};

class SparseInit {
public:
    explicit SparseInit(Kernel& kernel) : k_{kernel}, pt_{kernel.pgtable()} {
        mem_section_bytes_ = struct_size("struct mem_section", k_.inputs.config.enabled("PAGE_EXTENSION") ? 32 : 16);
        sections_per_root_ = page_size / mem_section_bytes_;
        map_bytes_ = pages_per_section * k_.inputs.layout.struct_page_size;
    }

    void run() {
        memblocks_present();
        for (auto first = sections_.begin(); first != sections_.end();) {
            const auto last = std::find_if(first, sections_.end(),
                                           [nid = first->nid](const PresentSection& s) { return s.nid != nid; });
            sparse_init_nid(first, last);
            first = last;
        }
    }

private:
    using Iterator = std::vector<PresentSection>::const_iterator;

    [[nodiscard]] std::uint64_t struct_size(const char* name, std::uint64_t otherwise) const {
        const auto found = k_.inputs.layout.struct_sizes.find(name);
        return found == k_.inputs.layout.struct_sizes.end() ? otherwise : found->second;
    }

    // memblock_alloc* zeroes what it gives, through the direct map.
    VirtAddr zeroed(std::optional<PhysAddr> area, std::uint64_t size, const char* what) {
        if (!area) {
            panic(std::string{what} + ": Failed to allocate " + std::to_string(size) + " bytes", what, "R8.2");
        }
        const VirtAddr va = k_.va(area->value());
        k_.memory.fill(va, size);
        return va;
    }

    // R8.1: the root array, when the first memory region is seen.
    void allocate_roots() {
        const std::uint64_t sections = std::uint64_t{1} << (max_physmem_bits(k_.state) - section_size_bits);
        const std::uint64_t roots = (sections + sections_per_root_ - 1) / sections_per_root_;
        const std::uint64_t align = k_.inputs.config.enabled("X86_VSMP") ? page_size : smp_cache_bytes;
        const auto origin = k_.origin("memory_present", "R8.1");
        k_.state.mem_section =
            zeroed(k_.memblock.alloc(8 * roots, align, "memory_present"), 8 * roots, "memory_present").value();
    }

    // The mem_section of a section whose root exists.
    [[nodiscard]] VirtAddr section_address(std::uint64_t number) {
        const std::uint64_t root = k_.memory.read64(VirtAddr{k_.state.mem_section} + 8 * (number / sections_per_root_));
        return VirtAddr{root} + mem_section_bytes_ * (number % sections_per_root_);
    }

    // R8.2.
    void memory_present(std::uint64_t start_pfn, std::uint64_t end_pfn, int nid) {
        if (k_.state.mem_section == 0) {
            allocate_roots();
        }
        for (std::uint64_t number = start_pfn / pages_per_section; number * pages_per_section < end_pfn; ++number) {
            const VirtAddr root = VirtAddr{k_.state.mem_section} + 8 * (number / sections_per_root_);
            if (k_.memory.read64(root) == 0) {
                const std::uint64_t size = sections_per_root_ * mem_section_bytes_;
                const VirtAddr index = zeroed(k_.memblock.alloc_node(size, smp_cache_bytes, nid, "sparse_index_alloc"),
                                              size, "sparse_index_alloc");
                k_.memory.write64(root, index.value());
            }
            const VirtAddr section = section_address(number);
            if (k_.memory.read64(section) == 0) {
                k_.memory.write64(section, static_cast<std::uint64_t>(nid) << section_nid_shift |
                                               section_marked_present | section_is_online);
                sections_.push_back({number, nid});
            }
        }
    }

    void memblocks_present() {
        const auto origin = k_.origin("memory_present", "R8.2");
        std::vector<std::array<std::uint64_t, 3>> ranges;
        k_.memblock.for_each_mem_pfn_range(numa_no_node, [&](std::uint64_t start, std::uint64_t end, int nid) {
            ranges.push_back({start, end, static_cast<std::uint64_t>(nid)});
        });
        for (const auto& [start, end, nid] : ranges) {
            memory_present(start, end, static_cast<int>(nid));
        }
        std::sort(sections_.begin(), sections_.end(),
                  [](const PresentSection& a, const PresentSection& b) { return a.number < b.number; });
    }

    [[nodiscard]] std::uint64_t pgdat_address(int nid) const {
        for (const NodeData& node : k_.numa.nodes) {
            if (node.nid == nid) {
                return node.pgdat.value();
            }
        }
        return 0;
    }

    // R8.4: near the node's own data, so that both can be removed together.
    VirtAddr allocate_usage(int nid, std::uint64_t size) {
        constexpr const char* name = "sparse_early_usemaps_alloc_pgdat_section";
        if (!k_.inputs.config.enabled("MEMORY_HOTREMOVE")) {
            return zeroed(k_.memblock.alloc_node(size, smp_cache_bytes, nid, name), size, name);
        }
        const std::uint64_t goal = pgdat_address(nid) & ~(section_bytes - 1);
        const int fallback = k_.numa.nodes.empty() ? 0 : k_.numa.nodes.front().nid;
        const int node = k_.memblock.search_pfn_nid(goal >> page_shift).value_or(fallback);
        auto area = k_.memblock.alloc_try_nid(size, smp_cache_bytes, goal, goal + section_bytes, node, name);
        if (!area) {
            area = k_.memblock.alloc_try_nid(size, smp_cache_bytes, goal, 0, node, name);
        }
        return zeroed(area, size, name);
    }

    // R8.5: one block for all of the run's struct pages, on its own node or not at all.
    void buffer_init(std::uint64_t size, int nid) {
        const auto area =
            k_.memblock.alloc_exact_nid_raw(size, map_bytes_, max_dma_address, 0, nid, "sparse_buffer_init");
        buffer_ = area ? area->value() : 0;
        buffer_end_ = area ? area->value() + size : 0;
    }

    // R8.7.
    std::optional<PhysAddr> buffer_alloc(std::uint64_t size) {
        if (buffer_ == 0) {
            return std::nullopt;
        }
        const std::uint64_t place = (buffer_ + size - 1) & ~(size - 1);
        if (place + size > buffer_end_) {
            return std::nullopt;
        }
        if (place > buffer_) {
            k_.memblock.phys_free(buffer_, place - buffer_, "sparse_buffer_alloc");
        }
        buffer_ = place + size;
        return PhysAddr{place};
    }

    void buffer_fini() {
        if (buffer_ != 0 && buffer_ < buffer_end_) {
            k_.memblock.phys_free(buffer_, buffer_end_ - buffer_, "sparse_buffer_fini");
        }
        buffer_ = 0;
    }

    std::optional<PhysAddr> vmemmap_alloc_block(std::uint64_t size, int nid) {
        return k_.memblock.alloc_try_nid_raw(size, size, max_dma_address, 0, nid, "vmemmap_alloc_block");
    }

    std::optional<PhysAddr> vmemmap_alloc_block_buf(std::uint64_t size, int nid) {
        const auto area = buffer_alloc(size);
        return area ? area : vmemmap_alloc_block(size, nid);
    }

    VirtAddr vmemmap_table(int nid) {
        const auto page = vmemmap_alloc_block(page_size, nid);
        if (!page) {
            panic("vmemmap: out of memory for page tables", "vmemmap_alloc_block", "R8.6");
        }
        k_.memory.fill(k_.va(page->value()), page_size);
        return k_.va(page->value());
    }

    // The level-2 slot of `va`; missing tables are linked as soon as they are taken, top first.
    pmd_ptr vmemmap_pmd(VirtAddr va, int nid) {
        const pgd_ptr pgd = pgd_offset_pgd(pt_, k_.init_top_pgt(), va);
        if (pgd_none(k_.state, pgdp_get(pt_, pgd))) {
            pgd_populate(pt_, pgd, p4d_ptr{vmemmap_table(nid)});
        }
        const p4d_ptr p4d = p4d_offset(pt_, pgd, va);
        if (p4d_none(p4dp_get(pt_, p4d))) {
            p4d_populate(pt_, p4d, pud_ptr{vmemmap_table(nid)});
        }
        const pud_ptr pud = pud_offset(pt_, p4d, va);
        if (pud_none(pudp_get(pt_, pud))) {
            pud_populate(pt_, pud, pmd_ptr{vmemmap_table(nid)});
        }
        return pmd_offset(pt_, pud, va);
    }

    void populate_base_pages(pmd_ptr pmd, VirtAddr va, int nid) {
        if (pmd_none(pmdp_get(pt_, pmd))) {
            pmd_populate_kernel(pt_, pmd, pte_ptr{vmemmap_table(nid)});
        }
        const pgprot_t prot{page_kernel.pgprot & k_.state.default_kernel_pte_mask};
        for (std::uint64_t offset = 0; offset < pmd_size; offset += page_size) {
            const pte_ptr pte = pte_offset_kernel(pt_, pmd, va + offset);
            if (!pte_none(ptep_get(pt_, pte))) {
                continue;
            }
            const auto page = vmemmap_alloc_block_buf(page_size, nid);
            if (!page) {
                panic("vmemmap: out of memory for struct pages", "vmemmap_populate", "R8.6");
            }
            set_pte(pt_, pte, pfn_pte(k_.state, page->value() >> page_shift, prot));
            k_.vmemmap_blocks.push_back({va + offset, *page, page_size, nid});
        }
    }

    // R8.6.
    void vmemmap_populate(VirtAddr start, std::uint64_t bytes, int nid) {
        for (std::uint64_t offset = 0; offset < bytes; offset += pmd_size) {
            const VirtAddr va = start + offset;
            const pmd_ptr pmd = vmemmap_pmd(va, nid);
            const pmd_t old = pmdp_get(pt_, pmd);
            if (pmd_none(old) && k_.inputs.cpu.has(Feature::pse)) {
                if (const auto block = vmemmap_alloc_block_buf(pmd_size, nid)) {
                    const pgprot_t prot{page_kernel_large.pgprot & k_.state.default_kernel_pte_mask};
                    set_pmd(pt_, pmd, pfn_pmd(k_.state, block->value() >> page_shift, prot));
                    k_.vmemmap_blocks.push_back({va, *block, pmd_size, nid});
                    continue;
                }
            } else if (pmd_large(old)) {
                continue;
            }
            populate_base_pages(pmd, va, nid);
        }
    }

    void sparse_init_nid(Iterator first, Iterator last) {
        const auto count = static_cast<std::uint64_t>(last - first);
        const int nid = first->nid;
        const std::uint64_t usage_bytes = struct_size("struct mem_section_usage", 24) + pageblock_flags_bytes;
        {
            const auto origin = k_.origin("sparse_init_nid", "R8.4");
            usage_ = allocate_usage(nid, usage_bytes * count);
        }
        buffer_init(map_bytes_ * count, nid);
        for (Iterator section = first; section != last; ++section) {
            const VirtAddr map{k_.state.vmemmap_base + section->number * map_bytes_};
            {
                const auto origin = k_.origin("vmemmap_populate", "R8.6");
                vmemmap_populate(map, map_bytes_, nid);
            }
            const auto origin = k_.origin("sparse_init_one_section", "R8.2");
            const VirtAddr entry = section_address(section->number);
            // Encoded so that adding a frame number gives the address of its struct page: for vmemmap always its base.
            k_.memory.write64(entry, k_.state.vmemmap_base | section_marked_present | section_has_mem_map |
                                         section_is_online | section_is_early);
            k_.memory.write64(entry + 8, usage_.value());
            usage_ += usage_bytes;
        }
        buffer_fini();
    }

    Kernel& k_;
    Pgtable pt_;
    std::uint64_t mem_section_bytes_ = 0;
    std::uint64_t sections_per_root_ = 0;
    std::uint64_t map_bytes_ = 0;
    std::vector<PresentSection> sections_;
    std::uint64_t buffer_ = 0;  ///< 0: no buffer
    std::uint64_t buffer_end_ = 0;
    VirtAddr usage_;
};

}  // namespace

void sparse_init(Kernel& kernel) {
    SparseInit{kernel}.run();
}

}  // namespace pgsim::kernel
