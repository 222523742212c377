// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "pgsim/base/range.hpp"
#include "pgsim/firmware/boot_params.hpp"
#include "pgsim/firmware/e820_table.hpp"
#include "pgsim/kernel/kernel_series.hpp"
#include "pgsim/kernel/memblock.hpp"

namespace pgsim::kernel {

/// The kernel's own E820 table (e820_table) and its operations, in the kernel's names without `e820__`.
/// Addresses and sizes in bytes, any 64-bit value. A value: a copy is a snapshot.
/// [linux-6.6 arch/x86/kernel/e820.c, spec R5.2-R5.11]
class E820 {
public:
    /// @param capacity  entries; appending beyond is ignored. 128 + 3 * MAX_NUMNODES in the kernel [spec R5.2]
    explicit E820(std::size_t capacity = 3200) : capacity_{capacity} {}

    [[nodiscard]] const std::vector<firmware::E820Entry>& entries() const noexcept { return entries_; }
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

    /// e820__memory_setup_default: the zero page's table, or without a usable one the map of alt_mem_k and ext_mem_k;
    /// then update_table. [spec R5.2, R5.3]
    void memory_setup(const firmware::BootParams& params);

    void range_add(std::uint64_t start, std::uint64_t size, firmware::E820Type type);
    /// @return the bytes whose type changed
    std::uint64_t range_update(std::uint64_t start, std::uint64_t size, firmware::E820Type old_type,
                               firmware::E820Type new_type);
    enum class CheckType : std::uint8_t { no, yes };
    /// @param check  no: entries of every type are cut
    /// @return the bytes taken away
    std::uint64_t range_remove(std::uint64_t start, std::uint64_t size, firmware::E820Type old_type, CheckType check);
    /// Sorts, lets the highest type win where entries overlap, merges neighbours.
    /// @return false when nothing was done: fewer than two entries, or one that wraps around [spec R5.4]
    bool update_table();
    /// e820__finish_early_params. @return false: "Invalid user supplied memory map", the kernel panics
    [[nodiscard]] bool finish_early_params(bool userdef);
    void clear() noexcept { entries_.clear(); }  ///< memmap=exactmap

    /// True iff an entry of this type overlaps [start, end). [spec R6.9]
    [[nodiscard]] bool mapped_any(std::uint64_t start, std::uint64_t end, firmware::E820Type type) const noexcept;
    /// True iff entries of this type, taken in table order, cover all of [start, end).
    [[nodiscard]] bool mapped_all(std::uint64_t start, std::uint64_t end, firmware::E820Type type) const noexcept;

    /// SETUP_E820_EXT: more entries, then update_table. [spec R5.5]
    void add_setup_data_entries(std::span<const firmware::E820Entry> more);
    /// Every node of the list becomes RESERVED_KERN, then update_table; nothing when the list is empty. [spec R5.6]
    void reserve_setup_data(std::span<const firmware::SetupData> list, const KernelSeries& series);
    /// [text, end) of the kernel is RAM afterwards. [spec R5.9]
    void add_kernel_range(PhysAddr text, PhysAddr end);
    /// The first page is reserved, [0xa0000, 0x100000) is not RAM; then update_table. [spec R5.10]
    void trim_bios_range();

    /// Highest end of RAM in pages. @param levels  4 or 5: bounds it to 2^46 or 2^52 bytes [spec R5.11]
    [[nodiscard]] std::uint64_t end_of_ram_pfn(unsigned levels, const KernelSeries& series) const;
    /// The same below 4 GiB.
    [[nodiscard]] std::uint64_t end_of_low_ram_pfn(const KernelSeries& series) const;

    /// What range_update and range_remove print, in order: "e820: update [mem 0x00000000-0x00000fff] usable ==>
    /// reserved". Without line ends.
    [[nodiscard]] const std::vector<std::string>& printed() const noexcept { return printed_; }

private:
    [[nodiscard]] std::uint64_t end_pfn(std::uint64_t limit_pfn, const KernelSeries& series) const;

    std::size_t capacity_;
    std::vector<firmware::E820Entry> entries_;
    std::vector<std::string> printed_;
};

/// e820__memblock_setup: resizing is allowed, RAM and RESERVED_KERN become memory (whole pages), SOFT_RESERVED is
/// reserved. [spec R5.16]
MemblockStatus e820_memblock_setup(const E820& table, Memblock& memblock);

/// What early_reserve_memory reserves, besides what boot_params says.
struct EarlyReservations {
    PhysRange kernel;                 ///< [_text, __end_of_kernel_reserve)
    bool legacy_bios_regions = true;  ///< x86_platform.legacy.reserve_bios_regions
    bool sandybridge_graphics = false;
    std::vector<PhysRange> ibft;  ///< 6.1 looks for iBFT here; else empty
};
/// [spec R5.17]
void early_reserve_memory(const firmware::BootParams& params, const EarlyReservations& what, Memblock& memblock);

/// Start of the BIOS area that early_reserve_memory reserves up to 1 MiB. [spec R5.17 (5)]
[[nodiscard]] std::uint64_t bios_region_start(std::uint16_t base_memory_kb, std::uint16_t ebda_segment) noexcept;

}  // namespace pgsim::kernel
