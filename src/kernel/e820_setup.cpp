// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/e820_setup.hpp"

#include <fmt/format.h>
#include <algorithm>

namespace pgsim::kernel {
namespace {

using firmware::E820Entry;
using firmware::E820Type;

constexpr std::uint64_t all_bytes = ~std::uint64_t{0};
constexpr std::uint64_t page_size = 4096;

/// Types whose ranges stay apart even when they touch. [spec R5.4]
constexpr bool nomerge(std::uint32_t type) noexcept {
    return type == static_cast<std::uint32_t>(E820Type::pram) ||
           type == static_cast<std::uint32_t>(E820Type::soft_reserved);
}

/// Where an entry begins or ends.
struct ChangePoint {
    std::uint64_t address = 0;
    bool is_end = false;
    std::uint32_t type = 0;
};

std::vector<ChangePoint> change_points(const std::vector<E820Entry>& entries) {
    std::vector<ChangePoint> points;
    points.reserve(2 * entries.size());
    for (const E820Entry& entry : entries) {
        if (entry.size != 0) {
            const auto type = static_cast<std::uint32_t>(entry.type);
            points.push_back({entry.start, false, type});
            points.push_back({entry.end(), true, type});
        }
    }
    std::stable_sort(points.begin(), points.end(), [](const ChangePoint& a, const ChangePoint& b) {
        return a.address != b.address ? a.address < b.address : a.is_end < b.is_end;
    });
    return points;
}

std::string mem_range(std::uint64_t start, std::uint64_t end) {
    return fmt::format("[mem {:#010x}-{:#010x}]", start, end - 1);
}

}  // namespace

void E820::memory_setup(const firmware::BootParams& params) {
    entries_.clear();
    bool usable = params.e820.size() >= 2;
    for (const E820Entry& entry : params.e820) {
        usable = usable && (entry.size == 0 || entry.start <= entry.end() - 1);
        if (!usable) {
            break;
        }
        range_add(entry.start, entry.size, entry.type);
    }
    if (!usable) {
        const std::uint64_t mem_k = std::max(params.alt_mem_k, params.ext_mem_k);
        entries_.clear();
        range_add(0, 0x9f000, E820Type::ram);
        range_add(0x10'0000, mem_k << 10, E820Type::ram);
    }
    update_table();
}

void E820::range_add(std::uint64_t start, std::uint64_t size, E820Type type) {
    if (entries_.size() < capacity_) {
        entries_.push_back({start, size, type});
    }
}

std::uint64_t E820::range_update(std::uint64_t start, std::uint64_t size, E820Type old_type, E820Type new_type) {
    size = std::min(size, all_bytes - start);
    const std::uint64_t end = start + size;
    printed_.push_back(
        fmt::format("e820: update {} {} ==> {}", mem_range(start, end), linux_name(old_type), linux_name(new_type)));
    std::uint64_t updated = 0;
    for (std::size_t i = 0; i < entries_.size(); ++i) {  // what is appended on the way is walked too
        const E820Entry entry = entries_[i];
        if (entry.type != old_type) {
            continue;
        }
        if (entry.start >= start && entry.end() <= end) {
            entries_[i].type = new_type;
            updated += entry.size;
            continue;
        }
        if (entry.start < start && entry.end() > end) {
            range_add(start, size, new_type);
            range_add(end, entry.end() - end, entry.type);
            entries_[i].size = start - entry.start;
            updated += size;
            continue;
        }
        const std::uint64_t final_start = std::max(start, entry.start);
        const std::uint64_t final_end = std::min(end, entry.end());
        if (final_start >= final_end) {
            continue;
        }
        range_add(final_start, final_end - final_start, new_type);
        updated += final_end - final_start;
        entries_[i].size -= final_end - final_start;
        if (entry.start >= final_start) {
            entries_[i].start = final_end;
        }
    }
    return updated;
}

std::uint64_t E820::range_remove(std::uint64_t start, std::uint64_t size, E820Type old_type, CheckType check) {
    size = std::min(size, all_bytes - start);
    const std::uint64_t end = start + size;
    const bool checked = check == CheckType::yes;
    printed_.push_back(
        fmt::format("e820: remove {} {}", mem_range(start, end), checked ? linux_name(old_type) : std::string{}));
    std::uint64_t removed = 0;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
        const E820Entry entry = entries_[i];
        if (checked && entry.type != old_type) {
            continue;
        }
        if (entry.start >= start && entry.end() <= end) {
            entries_[i] = {0, 0, E820Type{0}};
            removed += entry.size;
            continue;
        }
        if (entry.start < start && entry.end() > end) {
            range_add(end, entry.end() - end, entry.type);
            entries_[i].size = start - entry.start;
            removed += size;
            continue;
        }
        const std::uint64_t final_start = std::max(start, entry.start);
        const std::uint64_t final_end = std::min(end, entry.end());
        if (final_start >= final_end) {
            continue;
        }
        removed += final_end - final_start;
        entries_[i].size -= final_end - final_start;
        if (entry.start >= final_start) {
            entries_[i].start = final_end;
        }
    }
    return removed;
}

bool E820::update_table() {
    const bool wraps =
        std::any_of(entries_.begin(), entries_.end(), [](const E820Entry& entry) { return entry.end() < entry.start; });
    if (entries_.size() < 2 || wraps) {
        return false;
    }
    std::vector<E820Entry> result;
    std::vector<std::uint32_t> open;  // types of the entries that cover the present point
    std::uint32_t last_type = 0;
    std::uint64_t last_addr = 0;
    for (const ChangePoint& point : change_points(entries_)) {
        if (point.is_end) {
            open.erase(std::find(open.begin(), open.end(), point.type));
        } else {
            open.push_back(point.type);
        }
        const std::uint32_t current_type = open.empty() ? 0 : *std::max_element(open.begin(), open.end());
        if (current_type == last_type && !nomerge(current_type)) {
            continue;
        }
        if (last_type != 0 && point.address != last_addr) {
            result.push_back({last_addr, point.address - last_addr, static_cast<E820Type>(last_type)});
            if (result.size() >= capacity_) {
                break;
            }
        }
        if (current_type != 0) {
            last_addr = point.address;
        }
        last_type = current_type;
    }
    entries_ = std::move(result);
    return true;
}

bool E820::finish_early_params(bool userdef) {
    return !userdef || update_table();
}

bool E820::mapped_any(std::uint64_t start, std::uint64_t end, E820Type type) const noexcept {
    return std::any_of(entries_.begin(), entries_.end(), [&](const E820Entry& entry) {
        return entry.type == type && entry.start < end && entry.end() > start;
    });
}

bool E820::mapped_all(std::uint64_t start, std::uint64_t end, E820Type type) const noexcept {
    for (const E820Entry& entry : entries_) {
        if (entry.type != type || entry.start >= end || entry.end() <= start) {
            continue;
        }
        if (entry.start <= start) {
            start = entry.end();
        }
        if (start >= end) {
            return true;
        }
    }
    return false;
}

void E820::add_setup_data_entries(std::span<const E820Entry> more) {
    for (const E820Entry& entry : more) {
        if (entry.size != 0 && entry.start > entry.end() - 1) {
            break;
        }
        range_add(entry.start, entry.size, entry.type);
    }
    update_table();
}

void E820::reserve_setup_data(std::span<const firmware::SetupData> list, const KernelSeries& series) {
    constexpr std::uint64_t header_bytes = 16;
    constexpr std::uint32_t setup_efi = 4;
    constexpr std::uint32_t setup_ima = 8;
    constexpr std::uint32_t setup_rng_seed = 9;
    // The kexec table is changed in the same way, with the same line.
    const auto reserve = [&](std::uint64_t start, std::uint64_t size, bool also_kexec) {
        range_update(start, size, E820Type::ram, E820Type::reserved_kern);
        if (series.setup_data_in_kexec_table && also_kexec) {
            printed_.push_back(printed_.back());
        }
    };
    for (const firmware::SetupData& node : list) {
        reserve(node.address.value(), header_bytes + node.length,
                node.type != setup_efi && node.type != setup_ima && node.type != setup_rng_seed);
        if (const PhysRange target = indirect_target(node); !target.empty()) {
            reserve(target.start().value(), target.size(), true);
        }
    }
    if (!list.empty()) {
        update_table();
    }
}

void E820::add_kernel_range(PhysAddr text, PhysAddr end) {
    if (!mapped_all(text.value(), end.value(), E820Type::ram)) {
        range_remove(text.value(), end - text, E820Type::ram, CheckType::no);
        range_add(text.value(), end - text, E820Type::ram);
    }
}

void E820::trim_bios_range() {
    range_update(0, page_size, E820Type::ram, E820Type::reserved);
    range_remove(0xa'0000, 0x6'0000, E820Type::ram, CheckType::yes);
    update_table();
}

std::uint64_t E820::end_of_ram_pfn(unsigned levels, const KernelSeries& series) const {
    const std::uint64_t max_arch_pfn = std::uint64_t{1} << ((levels == 5 ? 52U : 46U) - 12U);
    return end_pfn(max_arch_pfn, series);
}

std::uint64_t E820::end_of_low_ram_pfn(const KernelSeries& series) const {
    return end_pfn(0x10'0000, series);
}

std::uint64_t E820::end_pfn(std::uint64_t limit_pfn, const KernelSeries& series) const {
    std::uint64_t last_pfn = 0;
    for (const E820Entry& entry : entries_) {
        const bool counts = entry.type == E820Type::ram || (series.max_pfn_counts_acpi && entry.type == E820Type::acpi);
        if (!counts || (entry.start >> 12) >= limit_pfn) {
            continue;
        }
        if ((entry.end() >> 12) > limit_pfn) {
            return limit_pfn;
        }
        last_pfn = std::max(last_pfn, entry.end() >> 12);
    }
    return last_pfn;
}

MemblockStatus e820_memblock_setup(const E820& table, Memblock& memblock) {
    memblock.can_resize = true;
    MemblockStatus status = MemblockStatus::ok;
    for (const E820Entry& entry : table.entries()) {
        if (entry.type == E820Type::soft_reserved) {
            status = std::max(status, memblock.reserve(entry.start, entry.size, "e820__memblock_setup"));
        }
        if (entry.type == E820Type::ram || entry.type == E820Type::reserved_kern) {
            status = std::max(status, memblock.add(entry.start, entry.size, "e820__memblock_setup"));
        }
    }
    memblock.trim_memory(page_size);
    return status;
}

std::uint64_t bios_region_start(std::uint16_t base_memory_kb, std::uint16_t ebda_segment) noexcept {
    constexpr std::uint64_t lowest = 0x2'0000;
    constexpr std::uint64_t highest = 0x9'f000;
    std::uint64_t bios = std::uint64_t{base_memory_kb} << 10;
    const std::uint64_t ebda = std::uint64_t{ebda_segment} << 4;
    if (bios < lowest || bios > highest) {
        bios = highest;
    }
    return ebda >= lowest && ebda < bios ? ebda : bios;
}

void early_reserve_memory(const firmware::BootParams& params, const EarlyReservations& what, Memblock& memblock) {
    memblock.reserve(what.kernel.start().value(), what.kernel.size(), "early_reserve_memory");
    memblock.reserve(0, 0x1'0000, "early_reserve_memory");
    if (params.type_of_loader != 0 && params.ramdisk_image.value() != 0 && params.ramdisk_size != 0) {
        const std::uint64_t image = params.ramdisk_image.value();
        const std::uint64_t end = (image + params.ramdisk_size + page_size - 1) & ~(page_size - 1);
        memblock.reserve(image, end - image, "early_reserve_initrd");
    }
    for (const firmware::SetupData& node : params.setup_data) {
        memblock.reserve(node.address.value(), 16 + std::uint64_t{node.length},
                         "memblock_x86_reserve_range_setup_data");
        if (const PhysRange target = indirect_target(node); !target.empty()) {
            memblock.reserve(target.start().value(), target.size(), "memblock_x86_reserve_range_setup_data");
        }
    }
    for (const PhysRange& range : what.ibft) {
        memblock.reserve(range.start().value(), range.size(), "reserve_ibft_region");
    }
    if (what.legacy_bios_regions) {
        const std::uint64_t bios = bios_region_start(params.base_memory_kb, params.ebda_segment);
        memblock.reserve(bios, 0x10'0000 - bios, "reserve_bios_regions");
    }
    if (what.sandybridge_graphics) {
        for (const std::uint64_t page : {0x2005'0000U, 0x2011'0000U, 0x2013'0000U, 0x2013'8000U, 0x4000'4000U}) {
            memblock.reserve(page, page_size, "trim_snb_memory");
        }
    }
}

}  // namespace pgsim::kernel
