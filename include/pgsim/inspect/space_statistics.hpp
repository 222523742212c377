// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>

#include "pgsim/base/level.hpp"
#include "pgsim/cpu/mtrr.hpp"

namespace pgsim {

class AddressSpace;

/// Counts over an address space. Pages are counted once a linear address, tables once an address and level.
struct SpaceStatistics {
    std::array<std::uint64_t, 6> tables{};   ///< [number(level)]: distinct tables
    std::uint64_t table_frames = 0;          ///< distinct 4-KByte frames that hold a table
    std::array<std::uint64_t, 6> present{};  ///< [number(level)]: present entries of distinct tables
    std::uint64_t not_present_not_zero = 0;  ///< entries that hold something for software
    std::uint64_t reserved_entries = 0;      ///< present entries with a reserved bit set

    std::uint64_t pages_4k = 0;
    std::uint64_t pages_2m = 0;
    std::uint64_t pages_1g = 0;
    std::uint64_t mapped_bytes = 0;
    std::uint64_t user_bytes = 0;
    std::uint64_t writable_bytes = 0;
    std::uint64_t executable_bytes = 0;
    std::uint64_t writable_executable_bytes = 0;  ///< W+X
    std::uint64_t global_bytes = 0;

    std::uint64_t loops = 0;                ///< entries that name a table on their own path
    std::uint64_t aliased_bytes = 0;        ///< physical bytes that are mapped more than once
    std::uint64_t type_conflict_bytes = 0;  ///< of these: with different memory types
    bool complete = true;                   ///< false when a limit ended the counting

    [[nodiscard]] std::uint64_t table_bytes() const noexcept { return table_frames * 4096; }
};

/// @param pat  IA32_PAT, which says what memory type a PAT index means
[[nodiscard]] SpaceStatistics statistics(const AddressSpace& space, std::uint64_t pat = pat_at_reset);

}  // namespace pgsim
