// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/memblock.hpp"

#include <fmt/format.h>
#include <cassert>
#include <utility>

#include "pgsim/base/error.hpp"

namespace pgsim::kernel {
namespace {

constexpr std::uint64_t page_size = 4096;
constexpr std::uint64_t phys_addr_max = ~std::uint64_t{0};
constexpr std::uint64_t region_bytes = 24;  // sizeof(struct memblock_region)
constexpr std::uint64_t smp_cache_bytes = 64;

constexpr std::uint64_t round_down(std::uint64_t value, std::uint64_t align) noexcept {
    return value & ~(align - 1);
}

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t align) noexcept {
    return round_down(value + align - 1, align);
}

/// memblock_cap_size: a range ends at 2^64 - 1 at the latest.
constexpr std::uint64_t cap_size(std::uint64_t base, std::uint64_t size) noexcept {
    return std::min(size, phys_addr_max - base);
}

std::optional<PhysAddr> as_result(std::uint64_t found) {
    if (found == 0) {
        return std::nullopt;
    }
    return PhysAddr{found};
}

}  // namespace

Memblock::Memblock(const Setup& setup) : setup_{setup} {
    memory.array = setup.memory_array;
    reserved.array = setup.reserved_array;
}

std::size_t Memblock::cnt(MemblockArray array) const noexcept {
    const MemblockType& type = array == MemblockArray::memory ? memory : reserved;
    return type.regions.empty() && setup_.empty_has_dummy ? 1 : type.regions.size();
}

Memblock::Iterator Memblock::first_reaching(const MemblockType& type, std::uint64_t address) noexcept {
    return std::partition_point(type.regions.begin(), type.regions.end(),
                                [address](const MemblockRegion& region) { return region.end() <= address; });
}

bool Memblock::should_skip_region(const MemblockRegion& region, int nid, std::uint32_t flags) const noexcept {
    using namespace memblock_flag;
    const auto unwanted = [&](std::uint32_t flag) { return (region.flags & flag) != 0 && (flags & flag) == 0; };
    return (numa_valid_node(nid) && nid != region.nid) || (movable_node && unwanted(hotplug)) ||
           ((flags & mirror) != 0 && (region.flags & mirror) == 0) || unwanted(nomap) || unwanted(driver_managed);
}

MemblockStatus Memblock::add(std::uint64_t base, std::uint64_t size, std::string_view by) {
    log_range("add", base, size, by);
    return add_range(memory, base, size, setup_.max_numnodes, 0);
}

MemblockStatus Memblock::reserve(std::uint64_t base, std::uint64_t size, std::string_view by) {
    log_range("reserve", base, size, by);
    return add_range(reserved, base, size, setup_.max_numnodes, 0);
}

MemblockStatus Memblock::remove(std::uint64_t base, std::uint64_t size, std::string_view by) {
    log_range("remove", base, size, by);
    return remove_range(memory, base, size);
}

MemblockStatus Memblock::phys_free(std::uint64_t base, std::uint64_t size, std::string_view by) {
    log_range("phys_free", base, size, by);
    return remove_range(reserved, base, size);
}

MemblockStatus Memblock::set_node(std::uint64_t base, std::uint64_t size, MemblockArray array, int nid) {
    MemblockType& type = type_of(array);
    const Slice slice = isolate_range(type, base, size);
    if (slice.status == MemblockStatus::ok) {
        for (std::size_t i = slice.first; i < slice.last; ++i) {
            type.regions[i].nid = nid;
        }
        merge_regions(type, slice.first, slice.last);
    }
    return slice.status;
}

MemblockStatus Memblock::mark_hotplug(std::uint64_t base, std::uint64_t size) {
    return setclr_flag(base, size, true, memblock_flag::hotplug);
}

MemblockStatus Memblock::clear_hotplug(std::uint64_t base, std::uint64_t size) {
    return setclr_flag(base, size, false, memblock_flag::hotplug);
}

MemblockStatus Memblock::mark_mirror(std::uint64_t base, std::uint64_t size) {
    has_some_mirror = true;
    return setclr_flag(base, size, true, memblock_flag::mirror);
}

MemblockStatus Memblock::mark_nomap(std::uint64_t base, std::uint64_t size) {
    return setclr_flag(base, size, true, memblock_flag::nomap);
}

MemblockStatus Memblock::setclr_flag(std::uint64_t base, std::uint64_t size, bool set, std::uint32_t flag) {
    const Slice slice = isolate_range(memory, base, size);
    if (slice.status == MemblockStatus::ok) {
        for (std::size_t i = slice.first; i < slice.last; ++i) {
            std::uint32_t& flags = memory.regions[i].flags;
            flags = set ? flags | flag : flags & ~flag;
        }
        merge_regions(memory, slice.first, slice.last);
    }
    return slice.status;
}

void Memblock::trim_memory(std::uint64_t align) {
    // A region that shrinks leaves total_size as it was; only one that goes takes its size along.
    std::vector<MemblockRegion> kept;
    kept.reserve(memory.regions.size());
    for (MemblockRegion region : memory.regions) {
        const std::uint64_t start = round_up(region.base, align);
        const std::uint64_t end = round_down(region.end(), align);
        if (start >= region.base && start < end) {  // not when rounding up leaves the address space
            region.base = start;
            region.size = end - start;
            kept.push_back(region);
        } else {
            memory.total_size -= region.size;
        }
    }
    memory.regions = std::move(kept);
}

MemblockStatus Memblock::add_range(MemblockType& type, std::uint64_t base, std::uint64_t size, int nid,
                                   std::uint32_t flags) {
    if (panic_) {
        return MemblockStatus::panic;
    }
    size = cap_size(base, size);
    if (size == 0) {
        return MemblockStatus::ok;
    }
    const std::uint64_t end = base + size;
    const bool empty = type.regions.empty();
    const auto uncovered = [&] {
        std::vector<MemblockRegion> parts;
        std::uint64_t from = base;
        for (auto r = first_reaching(type, base); r != type.regions.end() && r->base < end; ++r) {
            if (r->base > from) {
                parts.push_back({from, r->base - from, flags, nid});
            }
            from = std::min(r->end(), end);
        }
        if (from < end) {
            parts.push_back({from, end - from, flags, nid});
        }
        return parts;
    };
    std::vector<MemblockRegion> parts = uncovered();
    if (parts.empty()) {
        return MemblockStatus::ok;
    }
    const std::size_t wanted = parts.size();
    bool grown = false;
    while (!empty && type.regions.size() + wanted > type.max) {
        if (const MemblockStatus status = double_array(type, base, size); status != MemblockStatus::ok) {
            return status;
        }
        grown = true;
    }
    if (grown) {  // the new array's own reservation may have changed what is covered
        parts = uncovered();
    }
    std::size_t first = type.regions.size();
    std::size_t last = 0;
    for (const MemblockRegion& part : parts) {
        const auto at = type.regions.insert(first_reaching(type, part.base), part);
        const auto index = static_cast<std::size_t>(at - type.regions.begin());
        first = std::min(first, index);
        last = index + 1;
        type.total_size += part.size;
    }
    merge_regions(type, first, last);
    return MemblockStatus::ok;
}

Memblock::Slice Memblock::isolate_range(MemblockType& type, std::uint64_t base, std::uint64_t size) {
    if (panic_) {
        return {0, 0, MemblockStatus::panic};
    }
    size = cap_size(base, size);
    if (size == 0) {
        return {};
    }
    const std::uint64_t end = base + size;
    const MemblockArray array = &type == &memory ? MemblockArray::memory : MemblockArray::reserved;
    while (cnt(array) + 2 > type.max) {
        if (const MemblockStatus status = double_array(type, base, size); status != MemblockStatus::ok) {
            return {0, 0, status};
        }
    }
    const auto split = [&](std::uint64_t at) {
        const auto found = first_reaching(type, at);
        if (found != type.regions.end() && found->base < at) {
            MemblockRegion lower = *found;
            lower.size = at - lower.base;
            const auto upper = type.regions.insert(found, lower) + 1;
            upper->size -= lower.size;
            upper->base = at;
        }
    };
    split(base);
    split(end);
    Slice slice;
    slice.first = static_cast<std::size_t>(first_reaching(type, base) - type.regions.begin());
    slice.last = slice.first;
    while (slice.last < type.regions.size() && type.regions[slice.last].base < end) {
        ++slice.last;
    }
    return slice;
}

MemblockStatus Memblock::remove_range(MemblockType& type, std::uint64_t base, std::uint64_t size) {
    const Slice slice = isolate_range(type, base, size);
    if (slice.status == MemblockStatus::ok) {
        const auto at = [&](std::size_t i) { return type.regions.begin() + static_cast<std::ptrdiff_t>(i); };
        for (std::size_t i = slice.first; i < slice.last; ++i) {
            type.total_size -= type.regions[i].size;
        }
        type.regions.erase(at(slice.first), at(slice.last));
    }
    return slice.status;
}

MemblockStatus Memblock::double_array(MemblockType& type, std::uint64_t new_area_start, std::uint64_t new_area_size) {
    const char* name = &type == &memory ? "memory" : "reserved";
    if (!can_resize) {
        if (!setup_.fixed_array_panics) {
            return MemblockStatus::no_memory;
        }
        panic_ = fmt::format("memblock: cannot resize {} array", name);
        return MemblockStatus::panic;
    }
    const std::uint64_t old_alloc_size = round_up(type.max * region_bytes, page_size);
    const std::uint64_t new_size = 2 * type.max * region_bytes;
    const std::uint64_t new_alloc_size = round_up(new_size, page_size);
    if (&type != &reserved) {
        new_area_start = 0;
        new_area_size = 0;
    }
    auto found = find_in_range(new_area_start + new_area_size, current_limit, new_alloc_size, page_size);
    if (!found && new_area_size != 0) {
        found = find_in_range(0, std::min(new_area_start, current_limit), new_alloc_size, page_size);
    }
    if (!found) {
        return MemblockStatus::no_memory;
    }
    const std::uint64_t address = found->value();
    if (debug) {
        calls_.push_back({.op = "memblock",
                          .base = address,
                          .size = new_size,
                          .text = fmt::format("{} is doubled to {} at [{:#018x}-{:#018x}]", name, type.max * 2, address,
                                              address + new_size - 1)});
    }
    const VirtAddr old_array = type.array;
    type.max *= 2;
    type.array = setup_.page_offset_base + address;
    if (old_array != setup_.memory_array && old_array != setup_.reserved_array) {
        phys_free(old_array - setup_.page_offset_base, old_alloc_size, "memblock_double_array");
    }
    return reserve(address, new_alloc_size, "memblock_double_array");
}

void Memblock::merge_regions(MemblockType& type, std::size_t first, std::size_t last) {
    std::vector<MemblockRegion>& regions = type.regions;
    if (regions.empty()) {
        return;
    }
    const std::size_t begin = first == 0 ? 0 : first - 1;
    const std::size_t end = std::min(last, regions.size() - 1);
    std::size_t out = begin;
    for (std::size_t next = begin + 1; next <= end; ++next) {
        const MemblockRegion& region = regions[next];
        if (regions[out].end() == region.base && regions[out].nid == region.nid && regions[out].flags == region.flags) {
            regions[out].size += region.size;
        } else {
            regions[++out] = region;
        }
    }
    if (begin < end && out < end) {
        regions.erase(regions.begin() + static_cast<std::ptrdiff_t>(out) + 1,
                      regions.begin() + static_cast<std::ptrdiff_t>(end) + 1);
    }
}

std::optional<PhysAddr> Memblock::find_in_range(std::uint64_t start, std::uint64_t end, std::uint64_t size,
                                                std::uint64_t align) const {
    std::uint64_t found = 0;
    if (has_some_mirror) {
        found = find_in_range_node(size, align, start, end, numa_no_node, memblock_flag::mirror);
    }
    if (found == 0) {
        found = find_in_range_node(size, align, start, end, numa_no_node, 0);
    }
    return as_result(found);
}

std::uint64_t Memblock::find_in_range_node(std::uint64_t size, std::uint64_t align, std::uint64_t start,
                                           std::uint64_t end, int nid, std::uint32_t flags) const {
    if (end == 0) {
        end = current_limit;
    }
    start = std::max(start, page_size);  // the first page is never given: 0 means failure
    end = std::max(start, end);
    const auto clamped = [&](std::uint64_t value) { return std::clamp(value, start, end); };

    if (bottom_up) {
        for (auto m = first_reaching(memory, start); m != memory.regions.end() && m->base < end; ++m) {
            if (should_skip_region(*m, nid, flags)) {
                continue;
            }
            std::uint64_t free_start = m->base;
            for (auto r = first_reaching(reserved, std::max(m->base, start));; ++r) {
                const bool last = r == reserved.regions.end() || r->base >= m->end();
                const std::uint64_t this_start = clamped(free_start);
                const std::uint64_t this_end = clamped(last ? m->end() : std::max(r->base, free_start));
                const std::uint64_t cand = round_up(this_start, align);
                if (cand < this_end && this_end - cand >= size) {
                    return cand;
                }
                if (last || r->base >= end) {
                    break;
                }
                free_start = std::max(free_start, r->end());
            }
        }
        return 0;
    }

    for (std::size_t i = memory.regions.size(); i-- > 0;) {
        const MemblockRegion& m = memory.regions[i];
        if (m.end() <= start) {
            break;
        }
        if (m.base >= end || should_skip_region(m, nid, flags)) {
            continue;
        }
        // Gaps of this region from the highest down: above reserved region r, the upper end of a gap is free_end.
        std::uint64_t free_end = std::min(m.end(), end);
        auto r = std::partition_point(reserved.regions.begin(), reserved.regions.end(),
                                      [&](const MemblockRegion& region) { return region.base < free_end; });
        for (;;) {
            const bool none = r == reserved.regions.begin() || std::prev(r)->end() <= m.base;
            const std::uint64_t gap_start = none ? m.base : std::prev(r)->end();
            const std::uint64_t this_start = clamped(gap_start);
            const std::uint64_t this_end = clamped(free_end);
            if (gap_start < free_end && this_end >= size) {
                const std::uint64_t cand = round_down(this_end - size, align);
                if (cand >= this_start) {
                    return cand;
                }
            }
            if (none || gap_start <= start) {
                break;
            }
            --r;
            free_end = std::min(free_end, r->base);
        }
    }
    return 0;
}

std::uint64_t Memblock::alloc_range_nid(std::uint64_t size, std::uint64_t align, std::uint64_t start, std::uint64_t end,
                                        int nid, bool exact_nid) {
    if (nid == setup_.max_numnodes) {
        nid = numa_no_node;
    }
    if (align == 0) {
        align = smp_cache_bytes;
    }
    const auto take = [&](int node, std::uint32_t flags) {
        const std::uint64_t found = find_in_range_node(size, align, start, end, node, flags);
        const bool done = found != 0 && reserve(found, size, "memblock_alloc_range_nid") == MemblockStatus::ok;
        return done ? found : 0;
    };
    std::uint32_t flags = has_some_mirror ? memblock_flag::mirror : 0;
    for (;;) {
        std::uint64_t found = take(nid, flags);
        if (found == 0 && numa_valid_node(nid) && !exact_nid) {
            found = take(numa_no_node, flags);
        }
        if (found != 0 || flags == 0 || panic_) {
            return found;
        }
        flags = 0;
    }
}

std::uint64_t Memblock::alloc_internal(std::uint64_t size, std::uint64_t align, std::uint64_t min_addr,
                                       std::uint64_t max_addr, int nid, bool exact_nid) {
    max_addr = std::min(max_addr, current_limit);
    std::uint64_t found = alloc_range_nid(size, align, min_addr, max_addr, nid, exact_nid);
    if (found == 0 && min_addr != 0) {
        found = alloc_range_nid(size, align, 0, max_addr, nid, exact_nid);
    }
    return found;
}

std::optional<PhysAddr> Memblock::phys_alloc_range(std::uint64_t size, std::uint64_t align, std::uint64_t start,
                                                   std::uint64_t end, std::string_view by) {
    log_request("phys_alloc_range", size, align, std::nullopt, start, end, by);
    return as_result(alloc_range_nid(size, align, start, end, numa_no_node, false));
}

std::optional<PhysAddr> Memblock::phys_alloc_try_nid(std::uint64_t size, std::uint64_t align, int nid) {
    return as_result(alloc_range_nid(size, align, 0, 0, nid, false));
}

std::optional<PhysAddr> Memblock::alloc_try_nid(std::uint64_t size, std::uint64_t align, std::uint64_t min_addr,
                                                std::uint64_t max_addr, int nid, std::string_view by) {
    log_request("alloc_try_nid", size, align, nid, min_addr, max_addr, by);
    return as_result(alloc_internal(size, align, min_addr, max_addr, nid, false));
}

std::optional<PhysAddr> Memblock::alloc_try_nid_raw(std::uint64_t size, std::uint64_t align, std::uint64_t min_addr,
                                                    std::uint64_t max_addr, int nid, std::string_view by) {
    log_request("alloc_try_nid_raw", size, align, nid, min_addr, max_addr, by);
    return as_result(alloc_internal(size, align, min_addr, max_addr, nid, false));
}

std::optional<PhysAddr> Memblock::alloc_exact_nid_raw(std::uint64_t size, std::uint64_t align, std::uint64_t min_addr,
                                                      std::uint64_t max_addr, int nid, std::string_view by) {
    log_request("alloc_exact_nid_raw", size, align, nid, min_addr, max_addr, by);
    return as_result(alloc_internal(size, align, min_addr, max_addr, nid, true));
}

std::uint64_t Memblock::start_of_dram() const noexcept {
    return memory.regions.empty() ? 0 : memory.regions.front().base;
}

std::uint64_t Memblock::end_of_dram() const noexcept {
    return memory.regions.empty() ? 0 : memory.regions.back().end();
}

bool Memblock::is_region_memory(std::uint64_t base, std::uint64_t size) const noexcept {
    const auto found = first_reaching(memory, base);
    return found != memory.regions.end() && found->base <= base && found->end() >= base + cap_size(base, size);
}

bool Memblock::is_memory(std::uint64_t address) const noexcept {
    const auto found = first_reaching(memory, address);
    return found != memory.regions.end() && found->base <= address;
}

bool Memblock::is_reserved(std::uint64_t address) const noexcept {
    const auto found = first_reaching(reserved, address);
    return found != reserved.regions.end() && found->base <= address;
}

bool Memblock::overlaps_memory(std::uint64_t base, std::uint64_t size) const noexcept {
    const auto found = first_reaching(memory, base);
    return found != memory.regions.end() && found->base < base + cap_size(base, size);
}

std::optional<int> Memblock::search_pfn_nid(std::uint64_t pfn) const noexcept {
    const auto found = first_reaching(memory, pfn << 12);
    if (found == memory.regions.end() || found->base > pfn << 12) {
        return std::nullopt;
    }
    return found->nid;
}

std::vector<MemblockCall> Memblock::take_calls() {
    return std::exchange(calls_, {});
}

void Memblock::log_range(const char* op, std::uint64_t base, std::uint64_t size, std::string_view by) {
    if (!debug) {
        return;
    }
    calls_.push_back({.op = op, .base = base, .size = size, .by = std::string{by}});
}

void Memblock::log_request(const char* op, std::uint64_t size, std::uint64_t align, std::optional<int> nid,
                           std::uint64_t from, std::uint64_t max_addr, std::string_view by) {
    if (!debug) {
        return;
    }
    calls_.push_back({.op = op,
                      .size = size,
                      .align = align,
                      .nid = nid,
                      .from = from,
                      .max_addr = max_addr,
                      .by = std::string{by}});
}

}  // namespace pgsim::kernel
