// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace pgsim::firmware {

/// What an E820 range is. Values outside the list are kept as they are and count as "not RAM". [spec R0.3]
enum class E820Type : std::uint32_t {
    ram = 1,
    reserved = 2,
    acpi = 3,
    nvs = 4,
    unusable = 5,
    pmem = 7,
    pram = 12,
    reserved_kern = 128,  ///< made by the kernel: RAM that setup_data occupies
    soft_reserved = 0xefff'ffff,
};

/// The words that Linux prints after a range: "usable", "reserved", "ACPI data", "type 20", …
[[nodiscard]] std::string linux_name(E820Type type);

/// One entry as firmware or loader wrote it: any values, not checked, size 0 and wrap-around included.
/// `start` and `size` in bytes; the range is [start, start + size).
struct E820Entry {
    std::uint64_t start = 0;
    std::uint64_t size = 0;
    E820Type type = E820Type::ram;

    /// start + size, modulo 2^64.
    [[nodiscard]] constexpr std::uint64_t end() const noexcept { return start + size; }
    friend bool operator==(const E820Entry&, const E820Entry&) = default;
};

/// Entries in the order in which they were handed over; may be unsorted and overlap.
using E820Table = std::vector<E820Entry>;

/// Entries that boot_params has room for. [spec R0.2]
inline constexpr std::size_t e820_max_entries_zeropage = 128;

}  // namespace pgsim::firmware
