// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pgsim/base/units.hpp"

namespace pgsim {

/// Who answered a memory reference.
enum class MemoryLevel : std::uint8_t { l1d, l2, l3, memory };
inline constexpr std::size_t memory_levels = 4;
/// "L1D", "L2", "L3", "memory".
[[nodiscard]] std::string_view to_string(MemoryLevel level) noexcept;

/// Where an access found its translation.
enum class TranslationPlace : std::uint8_t {
    none,  ///< no paging, or an address that is refused
    l1_tlb,
    l2_tlb,
    walk,       ///< walked from the root
    walk_tail,  ///< walked from a cached entry on
};
[[nodiscard]] std::string_view to_string(TranslationPlace place) noexcept;

/// What one access cost in cycles, and for what. Latency: as if nothing else ran beside it. [spec timing 10.2]
struct AccessCost {
    std::uint32_t l1_tlb = 0;
    std::uint32_t l2_tlb = 0;       ///< second-level lookup
    std::uint32_t walk_start = 0;   ///< walker start
    std::uint32_t walk_steps = 0;   ///< the walker's own time for its references
    std::uint32_t references = 0;   ///< latency of the table entries
    std::uint32_t flag_assist = 0;  ///< setting accessed and dirty flags
    std::uint32_t data = 0;         ///< latency of the data itself; 0 for a fetch and for a fault

    TranslationPlace place = TranslationPlace::none;
    std::array<std::uint8_t, memory_levels> references_by_level{};  ///< table entries read, by who answered
    bool has_data = false;
    MemoryLevel data_level = MemoryLevel::l1d;  ///< who answered the data access, if there was one

    [[nodiscard]] constexpr std::uint32_t translation() const noexcept {
        return l1_tlb + l2_tlb + walk_start + walk_steps + references + flag_assist;
    }
    [[nodiscard]] constexpr Cycles total() const noexcept { return Cycles{std::uint64_t{translation()} + data}; }
    /// How long one page walker was busy: what bounds independent accesses.
    [[nodiscard]] constexpr std::uint32_t walker_busy() const noexcept { return walk_start + walk_steps + references; }
};

/// "24 cycles: 7 second-level TLB, 6 walk start, 3 walk steps, 4 table entries (1 x L1D), 4 data (L1D)"
[[nodiscard]] std::string to_string(const AccessCost& cost);

/// Counts of one TLB array, paging-structure cache or data cache.
struct ArrayStatistics {
    std::string name;
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;  ///< lookups in which no array of its group had the translation
    std::uint64_t fills = 0;
    std::uint64_t evictions = 0;  ///< valid entries that had to make room
};

/// Counts since the start or the last reset.
struct TimingStatistics {
    std::uint64_t accesses = 0;
    std::uint64_t cycles = 0;       ///< sum of the access latencies and the events
    std::uint64_t walker_busy = 0;  ///< sum over the walks; divided by the number of walkers: bound of a busy stream
    std::uint64_t event_cycles = 0;
    std::array<std::uint64_t, 7> cycles_for{};        ///< in the order of AccessCost's fields: l1_tlb … data
    std::array<std::uint64_t, 25> walks_by_length{};  ///< index: table entries read
    std::array<std::uint64_t, memory_levels> references{};
    std::array<std::uint64_t, memory_levels> data{};
    std::uint64_t flag_assists = 0;
    std::vector<ArrayStatistics> arrays;  ///< TLBs, structure caches, data caches, in that order
};

/// Operations that cost time of their own.
enum class TimedEvent : std::uint8_t {
    invlpg,
    mov_cr3_flush,
    mov_cr3_keep,
    invpcid_address,
    invpcid_single_context,
    invpcid_all_with_global,
    invpcid_all_but_global,
    cr4_pge,
    page_fault,
    iret,
};

}  // namespace pgsim
