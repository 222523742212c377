// SPDX-License-Identifier: GPL-2.0-only
// The walk that keeps no trace and knows success only: IA-32e paging, every check a mask, every level unrolled.
// Whatever is not a plain success is left to the full walk. The walker's `translate` and the MMU share it.
//
// Every entry is read. Where in host memory the next table lies is remembered by linear address (`FrameHint`), so that
// the reads need not wait for each other; one comparison of the entry with the hint then says that the entry names that
// table, is present, has no reserved bit and no PS set.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "pgsim/mmu/walker.hpp"

namespace pgsim::detail {

inline constexpr std::uint64_t lean_p = 1U << 0;
inline constexpr std::uint64_t lean_rw = 1U << 1;
inline constexpr std::uint64_t lean_us = 1U << 2;
inline constexpr std::uint64_t lean_a = 1U << 5;
inline constexpr std::uint64_t lean_d = 1U << 6;
inline constexpr std::uint64_t lean_ps = 1U << 7;
inline constexpr std::uint64_t lean_xd = std::uint64_t{1} << 63;
/// Bits that are wanted in every entry (D: in the leaf): flipped, so that OR over the path finds the ones that lack.
inline constexpr std::uint64_t lean_flipped = lean_p | lean_rw | lean_us | lean_a | lean_d;
inline constexpr std::uint64_t lean_address = 0x000f'ffff'ffff'f000;

struct LeanPath {
    std::uint64_t lacks = 0;  ///< OR of the entries, flipped; D is that of the leaf
    std::uint64_t leaf = 0;
    std::uint64_t phys = 0;  ///< what the leaf gives
};
template <Level level>
using AtLevel = std::integral_constant<Level, level>;

/// What each entry that names a table left behind, by the number of its level.
struct LeanTrace {
    std::array<std::uint64_t, 6> table;
    std::array<std::uint64_t, 6> lacks;
};
struct NoTrace {};

/// Hints for the tables that translate one linear address, by the level of the table: how many there are is a power of
/// two. The root has one of its own.
struct LeanHints {
    std::size_t first;
    std::size_t count;
};
[[nodiscard]] constexpr LeanHints lean_hints(Level level) noexcept {
    switch (level) {
    case Level::pt: return {0, 1024};
    case Level::pd: return {1024, 128};
    case Level::pdpt: return {1152, 16};
    case Level::pml4: return {1168, 4};
    case Level::pml5: return {1172, 1};
    }
    return {0, 1};
}
inline constexpr std::size_t lean_root_hint = 1173;
static_assert(lean_root_hint < PhysicalMemory::frame_hints);

/// The hint for the table of `level` that translates `linear`.
template <Level level>
[[nodiscard]] constexpr std::size_t lean_hint(std::uint64_t linear) noexcept {
    constexpr LeanHints hints = lean_hints(level);
    return hints.first + (linear >> (index_shift(level) + 9) & (hints.count - 1));
}

/// From the table of `level` at `bytes` down to the leaf: `finish(AtLevel<leaf>)` says what becomes of the path. A
/// default Result when it is not a plain success.
template <class Result, Level level, LeanTry attempt, class Trace, class Finish>
inline Result lean_step(const PhysicalMemory& memory, const LeanRules& rules, LeanPath& path, Trace& trace,
                        const std::byte* bytes, std::uint64_t linear, Finish finish) {
    constexpr std::size_t n = number(level);
    std::uint64_t raw = 0;
    std::memcpy(&raw, bytes + (linear >> (index_shift(level) - 3) & 0xff8), sizeof raw);
    const std::uint64_t flipped = raw ^ lean_flipped;
    if constexpr (level != Level::pt) {
        constexpr auto next_level = static_cast<Level>(n - 1);
        const std::size_t number_of_hint = lean_hint<next_level>(linear);
        const PhysicalMemory::FrameHint& hint = memory.frame_hint(number_of_hint);
        const std::uint64_t wanted = flipped & rules.names_table[n];
        const bool as_expected = wanted == hint.frame;
        const bool names_table =
            as_expected || (attempt == LeanTry::with_new_hints && (flipped & rules.not_a_table[n]) == 0);
        if (names_table) [[likely]] {
            const std::byte* next = hint.bytes;
            if (!as_expected) {
                next = memory.set_frame_hint(number_of_hint, PhysAddr{wanted & lean_address});
                if (next == nullptr) {
                    return {};
                }
            }
            path.lacks |= flipped;
            if constexpr (std::is_same_v<Trace, LeanTrace>) {
                trace.table[n] = wanted;
                trace.lacks[n] = path.lacks;
            }
            return lean_step<Result, next_level, attempt>(memory, rules, path, trace, next, linear, finish);
        }
        if (level == Level::pml4 || level == Level::pml5 || (raw & lean_ps) == 0) {
            return {};
        }
    }
    if constexpr (level <= Level::pdpt) {
        if ((flipped & rules.not_a_page[n]) == 0) [[likely]] {
            path.lacks = (path.lacks & ~lean_d) | flipped;
            constexpr std::uint64_t offset = span_of(level) - 1;
            path.phys = (raw & lean_address & ~offset) | (linear & offset);
            path.leaf = raw;
            return finish(AtLevel<level>{});
        }
    }
    return {};
}

/// From the table of `level` at the guest-physical address `table`, whose hint is `hinted`.
template <class Result, Level level, LeanTry attempt, class Trace, class Finish>
inline Result lean_walk_at(const PhysicalMemory& memory, const LeanRules& rules, std::uint64_t table,
                           std::size_t hinted, LeanPath& path, Trace& trace, std::uint64_t linear, Finish finish) {
    const PhysicalMemory::FrameHint& hint = memory.frame_hint(hinted);
    const std::byte* bytes = hint.bytes;
    if (hint.frame != table) [[unlikely]] {
        bytes = attempt == LeanTry::with_new_hints ? memory.set_frame_hint(hinted, PhysAddr{table}) : nullptr;
        if (bytes == nullptr) {
            return {};
        }
    }
    return lean_step<Result, level, attempt>(memory, rules, path, trace, bytes, linear, finish);
}

/// True when bits 63 ..= width - 1 of the address are equal.
[[nodiscard]] inline bool lean_canonical(const LeanRules& rules, std::uint64_t linear) noexcept {
    return static_cast<std::uint64_t>((static_cast<std::int64_t>(linear) >> rules.sign_bit) + 1) <= 1;
}

/// True when a path that lacks this is no obstacle to the access.
[[nodiscard]] inline bool lean_allows(const LeanRules& rules, Access access, std::uint64_t lacks) noexcept {
    const std::size_t index = 4 * static_cast<std::size_t>(access.kind) + (access.cpl & 3U);
    return rules.needs[index].met(lacks) && access.mode == AccessMode::by_cpl;
}

[[nodiscard]] inline AccessRights lean_rights(std::uint64_t lacks, bool nxe) noexcept {
    return {(lacks & lean_rw) == 0, (lacks & lean_us) == 0, !nxe || (lacks & lean_xd) == 0};
}

/// The rights above, as `lacks` of a path that begins there.
[[nodiscard]] inline std::uint64_t lean_lacks(AccessRights rights) noexcept {
    return (rights.writable ? 0 : lean_rw) | (rights.user ? 0 : lean_us) | (rights.executable ? 0 : lean_xd);
}

}  // namespace pgsim::detail
