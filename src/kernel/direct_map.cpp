// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/direct_map.hpp"

#include <algorithm>

#include "pgsim/kernel/brk.hpp"
#include "pgsim/kernel/cpu_setup.hpp"
#include "pgsim/kernel/kernel.hpp"
#include "pgsim/kernel/pgalloc.hpp"
#include "pgsim/kernel/pgtable_generic.hpp"

namespace pgsim::kernel {

namespace {

constexpr unsigned mask_2m = 1U << 2;
constexpr unsigned mask_1g = 1U << 3;
constexpr std::uint64_t isa_end_address = 0x10'0000;

// PAGE_KERNEL and PAGE_KERNEL_LARGE mean what the processor supports. [R6.4]
pgprot_t masked(const Kernel& k, pgprot_t prot) {
    return pgprot_t{prot.pgprot & k.state.default_kernel_pte_mask};
}

// R6.9: a slot beyond the range is cleared unless some RAM lies in it.
bool slot_is_empty(const Kernel& k, std::uint64_t start, std::uint64_t end) {
    using firmware::E820Type;
    return !k.e820.mapped_any(start, end, E820Type::ram) && !k.e820.mapped_any(start, end, E820Type::reserved_kern) &&
           !(k.inputs.series.clear_slot_minds_acpi && k.e820.mapped_any(start, end, E820Type::acpi));
}

std::uint64_t phys_pte_init(Kernel& k, pte_ptr table, std::uint64_t paddr, std::uint64_t end, pgprot_t prot) {
    const Pgtable pt = k.pgtable();
    std::uint64_t last = end;
    for (unsigned i = pte_index(VirtAddr{paddr}); i < ptrs_per_pte; ++i) {
        const pte_ptr pte = table + i;
        const std::uint64_t next = (paddr & page_mask) + page_size;
        if (paddr >= end) {
            if (slot_is_empty(k, paddr & page_mask, next)) {
                set_pte(pt, pte, pte_t{});
            }
        } else if (pte_none(ptep_get(pt, pte))) {
            set_pte(pt, pte, pfn_pte(k.state, paddr >> page_shift, prot));
            last = next;
        }
        paddr = next;
    }
    return last;
}

std::uint64_t phys_pmd_init(Kernel& k, pmd_ptr table, std::uint64_t paddr, std::uint64_t end, unsigned mask,
                            pgprot_t prot) {
    const Pgtable pt = k.pgtable();
    std::uint64_t last = end;
    std::uint64_t next = 0;
    for (unsigned i = pmd_index(VirtAddr{paddr}); i < ptrs_per_pmd; ++i, paddr = next) {
        const pmd_ptr pmd = table + i;
        next = (paddr & pmd_mask) + pmd_size;
        if (paddr >= end) {
            if (slot_is_empty(k, paddr & pmd_mask, next)) {
                set_pmd(pt, pmd, pmd_t{});
            }
            continue;
        }
        const pmd_t old = pmdp_get(pt, pmd);
        pgprot_t small = prot;
        if (!pmd_none(old)) {
            if (!pmd_large(old)) {
                last = phys_pte_init(k, pte_ptr{pmd_page_vaddr(pt, old)}, paddr, end, prot);
                continue;
            }
            if ((mask & mask_2m) != 0) {
                last = next;
                continue;
            }
            small = pgprot_t{pmd_flags(old) & ~page_pse};
        }
        if ((mask & mask_2m) != 0) {
            const pgprot_t large{prot.pgprot | page_pse};
            set_pmd(pt, pmd, pfn_pmd(k.state, (paddr & pmd_mask) >> page_shift, large));
            last = next;
            continue;
        }
        const PhysAddr page = alloc_low_page(k);
        last = phys_pte_init(k, pte_ptr{pt.va(page)}, paddr, end, small);
        pmd_populate_kernel(pt, pmd, pte_ptr{pt.va(page)});
    }
    return last;
}

std::uint64_t phys_pud_init(Kernel& k, pud_ptr table, std::uint64_t paddr, std::uint64_t end, unsigned mask) {
    const Pgtable pt = k.pgtable();
    std::uint64_t last = end;
    std::uint64_t next = 0;
    pgprot_t prot = masked(k, page_kernel);
    // The slot follows from the linear address: the direct map may begin anywhere in a level-3 table. [R6.11]
    for (unsigned i = pud_index(k.va(paddr)); i < ptrs_per_pud; ++i, paddr = next) {
        const pud_ptr pud = table + i;
        next = (paddr & pud_mask) + pud_size;
        if (paddr >= end) {
            if (slot_is_empty(k, paddr & pud_mask, next)) {
                set_pud(pt, pud, pud_t{});
            }
            continue;
        }
        const pud_t old = pudp_get(pt, pud);
        if (!pud_none(old)) {
            if (!pud_large(old)) {
                last = phys_pmd_init(k, pud_pgtable(pt, old), paddr, end, mask, prot);
                continue;
            }
            if ((mask & mask_1g) != 0) {
                last = next;
                continue;
            }
            prot = pgprot_t{pud_flags(old) & ~page_pse};
        }
        if ((mask & mask_1g) != 0) {
            const pgprot_t large{prot.pgprot | page_pse};
            set_pud(pt, pud, pfn_pud(k.state, (paddr & pud_mask) >> page_shift, large));
            last = next;
            continue;
        }
        const PhysAddr page = alloc_low_page(k);
        last = phys_pmd_init(k, pmd_ptr{pt.va(page)}, paddr, end, mask, prot);
        pud_populate(pt, pud, pmd_ptr{pt.va(page)});
    }
    return last;
}

std::uint64_t phys_p4d_init(Kernel& k, p4d_ptr table, std::uint64_t paddr, std::uint64_t paddr_end, unsigned mask) {
    const Pgtable pt = k.pgtable();
    if (!pgtable_l5_enabled(k.state)) {
        return phys_pud_init(k, pud_ptr{table.va()}, paddr, paddr_end, mask);
    }
    std::uint64_t last = paddr_end;
    const VirtAddr end = k.va(paddr_end);
    for (VirtAddr va = k.va(paddr), next; va < end; va = next) {
        next = p4d_addr_end(k.state, va, end);
        const p4d_ptr p4d = table + p4d_index(k.state, va);
        const std::uint64_t from = va - k.va(0);
        const std::uint64_t to = next - k.va(0);
        const p4d_t old = p4dp_get(pt, p4d);
        if (!p4d_none(old)) {
            last = phys_pud_init(k, p4d_pgtable(pt, old), from, to, mask);
            continue;
        }
        const PhysAddr page = alloc_low_page(k);
        last = phys_pud_init(k, pud_ptr{pt.va(page)}, from, to, mask);
        p4d_populate(pt, p4d, pud_ptr{pt.va(page)});
    }
    return last;
}

// R6.5's five candidate pieces, without page sizes of their surroundings.
class Splitter {
public:
    Splitter(std::uint64_t start, std::uint64_t end, unsigned psm) : pfn_{start >> 12}, limit_{end >> 12}, psm_{psm} {}

    std::vector<MapRange> split() {
        constexpr std::uint64_t k2m = 512;
        constexpr std::uint64_t k1g = 512 * 512;
        save(pfn_, std::min(up(pfn_, k2m), limit_), 0);
        save(up(pfn_, k2m), std::min(up(pfn_, k1g), down(limit_, k2m)), psm_ & mask_2m);
        save(up(pfn_, k1g), down(limit_, k1g), psm_ & (mask_2m | mask_1g));
        save(up(pfn_, k2m), down(limit_, k2m), psm_ & mask_2m);
        save(pfn_, limit_, 0);
        return pieces_;
    }

private:
    static std::uint64_t up(std::uint64_t pfn, std::uint64_t to) { return (pfn + to - 1) & ~(to - 1); }
    static std::uint64_t down(std::uint64_t pfn, std::uint64_t to) { return pfn & ~(to - 1); }
    void save(std::uint64_t from, std::uint64_t to, unsigned mask) {
        if (from < to) {
            pieces_.push_back({from << 12, to << 12, mask});
            pfn_ = to;
        }
    }

    std::uint64_t pfn_;
    std::uint64_t limit_;
    unsigned psm_;
    std::vector<MapRange> pieces_;
};

// A larger page may cover more than the piece when all that it covers is memory of one region.
void adjust_range_page_size_mask(const Kernel& k, std::vector<MapRange>& pieces) {
    const auto whole = [&k](const MapRange& piece, std::uint64_t size) {
        const std::uint64_t start = piece.start & ~(size - 1);
        const std::uint64_t end = (piece.end + size - 1) & ~(size - 1);
        return k.memblock.is_region_memory(start, end - start);
    };
    const unsigned psm = k.state.page_size_mask;
    for (MapRange& piece : pieces) {
        if ((psm & mask_2m) != 0 && (piece.page_size_mask & mask_2m) == 0 && whole(piece, pmd_size)) {
            piece.page_size_mask |= mask_2m;
        }
        if ((psm & mask_1g) != 0 && (piece.page_size_mask & mask_1g) == 0 && whole(piece, pud_size)) {
            piece.page_size_mask |= mask_1g;
        }
    }
}

// pfn_mapped[]: sorted, touching ranges joined.
void add_pfn_range_mapped(Kernel& k, std::uint64_t start, std::uint64_t end) {
    auto& ranges = k.state.pfn_mapped;
    for (auto it = ranges.begin(); it != ranges.end();) {
        if (std::max(it->first, start) <= std::min(it->second, end)) {
            start = std::min(start, it->first);
            end = std::max(end, it->second);
            it = ranges.erase(it);
        } else {
            ++it;
        }
    }
    ranges.insert(std::upper_bound(ranges.begin(), ranges.end(), std::pair{start, end}), {start, end});
}

// R6.12. Returns the RAM mapped, in bytes.
std::uint64_t init_range_memory_mapping(Kernel& k, std::uint64_t r_start, std::uint64_t r_end) {
    std::uint64_t mapped = 0;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> regions;
    k.memblock.for_each_mem_pfn_range(numa_no_node, [&](std::uint64_t start_pfn, std::uint64_t end_pfn, int) {
        regions.emplace_back(std::clamp(start_pfn << 12, r_start, r_end), std::clamp(end_pfn << 12, r_start, r_end));
    });
    for (const auto& [start, end] : regions) {
        if (start >= end) {
            continue;
        }
        k.state.can_use_brk_pgt =
            std::max(start, k.state.pgt_buf_end << 12) >= std::min(end, k.state.pgt_buf_top << 12);
        init_memory_mapping(k, start, end);
        mapped += end - start;
        k.state.can_use_brk_pgt = true;
    }
    return mapped;
}

constexpr unsigned step_size_shift = pmd_shift - page_shift - 1;  // each step 256 times the last one

// R6.13.
void memory_map_top_down(Kernel& k, std::uint64_t map_start, std::uint64_t map_end) {
    KernelState& s = k.state;
    const auto found = k.memblock.phys_alloc_range(pmd_size, pmd_size, map_start, map_end, "init_mem_mapping");
    std::uint64_t real_end = 0;
    if (!found && k.inputs.series.top_down_survives_failure) {
        real_end = std::max(map_start, map_end & pmd_mask);
    } else {
        // Without the check, 6.6 frees [0, 2 MiB) when nothing was found.
        const std::uint64_t address = found ? found->value() : 0;
        k.memblock.phys_free(address, pmd_size, "init_mem_mapping");
        real_end = address + pmd_size;
    }
    std::uint64_t step = pmd_size;
    std::uint64_t mapped = 0;
    s.max_pfn_mapped = 0;
    s.min_pfn_mapped = real_end >> page_shift;
    std::uint64_t last = real_end;
    while (last > map_start) {
        const std::uint64_t start = last > step ? std::max((last - 1) & ~(step - 1), map_start) : map_start;
        const std::uint64_t now = init_range_memory_mapping(k, start, last);
        last = start;
        s.min_pfn_mapped = last >> page_shift;
        if (k.inputs.series.step_size_grows_by_32) {
            step <<= now > mapped ? 5 : 0;
        } else if (mapped + now >= step) {
            step <<= step_size_shift;
        }
        mapped += now;
    }
    if (real_end < map_end) {
        init_range_memory_mapping(k, real_end, map_end);
    }
}

// R6.14.
void memory_map_bottom_up(Kernel& k, std::uint64_t map_start, std::uint64_t map_end) {
    std::uint64_t start = map_start;
    std::uint64_t step = pmd_size;
    std::uint64_t mapped = 0;
    k.state.min_pfn_mapped = start >> page_shift;
    while (start < map_end) {
        std::uint64_t next = map_end;
        if (step != 0 && map_end - start > step) {
            next = std::min((start + step) & ~(step - 1), map_end);
        }
        mapped += init_range_memory_mapping(k, start, next);
        start = next;
        if (mapped >= step) {
            step <<= step_size_shift;
        }
    }
}

bool kaslr_memory_enabled(Kernel& k) {
    const std::uint8_t loadflags = k.memory.read8(k.symbol("boot_params") + firmware::zero_page::loadflags);
    return k.inputs.config.enabled("RANDOMIZE_MEMORY") && (loadflags & 2) != 0 && !k.inputs.config.enabled("KASAN");
}

// R6.15: the table entry with which processors start that wake up in real mode.
void init_trampoline(Kernel& k) {
    const Pgtable pt = k.pgtable();
    const auto origin = k.origin("init_trampoline", "R6.15");
    const VirtAddr zero = k.va(0);
    const pgd_ptr pgd = pgd_offset_pgd(pt, k.init_top_pgt(), zero);
    if (!kaslr_memory_enabled(k)) {
        k.state.trampoline_pgd_entry = pgd_val(pgdp_get(pt, pgd));
        return;
    }
    PhysAddr tramp = alloc_low_page(k);
    const pud_ptr pud = pud_offset(pt, p4d_offset(pt, pgd, zero), zero);
    set_pud(pt, pud_ptr{pt.va(tramp)}, pudp_get(pt, pud));
    if (pgtable_l5_enabled(k.state)) {
        const PhysAddr p4d_tramp = alloc_low_page(k);
        set_p4d(pt, p4d_ptr{pt.va(p4d_tramp)}, make_p4d(kernpg_table | tramp.value()));
        tramp = p4d_tramp;
    }
    k.state.trampoline_pgd_entry = kernpg_table | tramp.value();
}

}  // namespace

PhysAddr alloc_low_page(Kernel& k) {
    KernelState& s = k.state;
    std::optional<PhysAddr> page;
    if (s.pgt_buf_end + 1 > s.pgt_buf_top || !s.can_use_brk_pgt) {
        if (s.min_pfn_mapped < s.max_pfn_mapped) {
            page = k.memblock.phys_alloc_range(page_size, page_size, s.min_pfn_mapped << page_shift,
                                               s.max_pfn_mapped << page_shift, "alloc_low_pages");
        }
        if (!page && s.can_use_brk_pgt) {
            const VirtAddr area = extend_brk(k, page_size, page_size);
            page = PhysAddr{k.symbol_pa("_text") + (area - k.symbol("_text"))};
        }
        if (!page) {
            panic("alloc_low_pages: can not alloc memory", "alloc_low_pages", "R6.7");
        }
    } else {
        page = PhysAddr{s.pgt_buf_end << page_shift};
        ++s.pgt_buf_end;
        s.brk_page_tables.push_back(*page);
    }
    k.memory.fill(k.va(page->value()), page_size);
    return *page;
}

std::uint64_t kernel_physical_mapping_init(Kernel& k, std::uint64_t start, std::uint64_t end, unsigned mask) {
    const Pgtable pt = k.pgtable();
    std::uint64_t last = end;
    const VirtAddr va_end = k.va(end);
    for (VirtAddr va = k.va(start), next; va < va_end; va = next) {
        next = pgd_addr_end(k.state, va, va_end);
        const pgd_ptr pgd = pgd_offset_pgd(pt, k.init_top_pgt(), va);
        const std::uint64_t from = va - k.va(0);
        const std::uint64_t to = next - k.va(0);
        const pgd_t old = pgdp_get(pt, pgd);
        if (pgd_val(old) != 0) {
            last = phys_p4d_init(k, p4d_ptr{pt.va(PhysAddr{pgd_val(old) & pte_pfn_mask})}, from, to, mask);
            continue;
        }
        const PhysAddr page = alloc_low_page(k);
        last = phys_p4d_init(k, p4d_ptr{pt.va(page)}, from, to, mask);
        if (pgtable_l5_enabled(k.state)) {
            pgd_populate(pt, pgd, p4d_ptr{pt.va(page)});
        } else {
            p4d_populate(pt, p4d_offset(pt, pgd, va), pud_ptr{pt.va(page)});
        }
    }
    return last;
}

std::vector<MapRange> split_mem_range(const Kernel& k, std::uint64_t start, std::uint64_t end) {
    std::vector<MapRange> pieces = Splitter{start, end, k.state.page_size_mask}.split();
    adjust_range_page_size_mask(k, pieces);
    std::vector<MapRange> merged;
    for (const MapRange& piece : pieces) {
        if (!merged.empty() && merged.back().end == piece.start &&
            merged.back().page_size_mask == piece.page_size_mask) {
            merged.back().end = piece.end;
        } else {
            merged.push_back(piece);
        }
    }
    return merged;
}

std::uint64_t init_memory_mapping(Kernel& k, std::uint64_t start, std::uint64_t end) {
    const auto origin = k.origin("init_memory_mapping", "R6.6");
    KernelState& s = k.state;
    s.mapping_calls.push_back({start, end, s.pgt_buf_end, s.pgt_buf_top, s.min_pfn_mapped, s.max_pfn_mapped});
    s.mapping_pieces.push_back(split_mem_range(k, start, end));
    std::uint64_t last = end;
    for (const MapRange& piece : std::vector<MapRange>{s.mapping_pieces.back()}) {
        last = kernel_physical_mapping_init(k, piece.start, piece.end, piece.page_size_mask);
    }
    const std::uint64_t start_pfn = start >> page_shift;
    const std::uint64_t end_pfn = last >> page_shift;
    constexpr std::uint64_t four_gib = std::uint64_t{1} << (32 - page_shift);
    add_pfn_range_mapped(k, start_pfn, end_pfn);
    s.max_pfn_mapped = std::max(s.max_pfn_mapped, end_pfn);
    if (start_pfn < four_gib) {
        s.max_low_pfn_mapped = std::max(s.max_low_pfn_mapped, std::min(end_pfn, four_gib));
    }
    return last;
}

void init_mem_mapping(Kernel& k) {
    KernelState& s = k.state;
    pti_check_boottime_disable(k);
    probe_page_size_mask(k);
    setup_pcid(k);
    const std::uint64_t end = s.max_pfn << page_shift;
    init_memory_mapping(k, 0, isa_end_address);
    init_trampoline(k);
    if (k.memblock.bottom_up) {
        const std::uint64_t kernel_end = k.symbol_pa("_end");
        memory_map_bottom_up(k, kernel_end, end);
        memory_map_bottom_up(k, isa_end_address, kernel_end);
    } else {
        memory_map_top_down(k, isa_end_address, end);
    }
    s.max_low_pfn = std::max(s.max_low_pfn, s.max_pfn);
    k.write_cr3(k.symbol_pa("init_top_pgt"));
    flush_tlb_all(k);
}

}  // namespace pgsim::kernel
