// SPDX-License-Identifier: GPL-2.0-only
// The walk that keeps no trace and knows success only: IA-32e paging, every check a mask, every level unrolled, frames
// that are at hand. Whatever is not a plain success is left to the full walk.
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
/// Bits that are wanted in every entry: flipped, so that OR over the path finds the ones that lack.
inline constexpr std::uint64_t lean_flipped = lean_p | lean_rw | lean_us | lean_a;
inline constexpr std::uint64_t lean_address = 0x000f'ffff'ffff'f000;

struct LeanPath {
    std::uint64_t table = 0;  ///< of the next entry; in the end, of the leaf
    std::uint64_t lacks = 0;  ///< OR of the entries, flipped
    std::uint64_t leaf = 0;
    std::uint64_t phys = 0;   ///< what the leaf gives
    Level level = Level::pt;  ///< of the leaf
};

/// What each entry that names a table left behind, by the number of its level.
struct LeanTrace {
    std::array<std::uint64_t, 6> table;
    std::array<std::uint64_t, 6> lacks;
};
struct NoTrace {};

template <Level level, class Trace>
inline bool lean_step(const PhysicalMemory& memory, const LeanRules& rules, LeanPath& path, Trace& trace,
                      std::uint64_t linear) {
    constexpr std::size_t n = number(level);
    const std::byte* const frame = memory.frame_at_hand(PhysAddr{path.table & lean_address});
    if (frame == nullptr) [[unlikely]] {
        return false;
    }
    std::uint64_t raw = 0;
    std::memcpy(&raw, frame + (linear >> (index_shift(level) - 3) & 0xff8), sizeof raw);
    const std::uint64_t flipped = raw ^ lean_flipped;
    if constexpr (level != Level::pt) {
        if ((flipped & rules.not_a_table[n]) == 0) [[likely]] {
            path.lacks |= flipped;
            path.table = raw;
            if constexpr (std::is_same_v<Trace, LeanTrace>) {
                trace.table[n] = raw;
                trace.lacks[n] = path.lacks;
            }
            return lean_step<static_cast<Level>(n - 1)>(memory, rules, path, trace, linear);
        }
        if (level == Level::pml4 || level == Level::pml5 || (raw & lean_ps) == 0) {
            return false;
        }
    }
    if ((flipped & rules.not_a_page[n]) != 0) {
        return false;
    }
    // D counts in the leaf alone.
    path.lacks = ((path.lacks | flipped) & ~lean_d) | (~raw & lean_d);
    constexpr std::uint64_t offset = span_of(level) - 1;
    path.phys = (raw & lean_address & ~offset) | (linear & offset);
    path.leaf = raw;
    path.level = level;
    return true;
}

/// From the table of `path`, which is one of `from`, down to the leaf. False: not a plain success.
template <class Trace>
inline bool lean_walk(const PhysicalMemory& memory, const LeanRules& rules, Level from, LeanPath& path, Trace& trace,
                      std::uint64_t linear) {
    if (from == Level::pml4) [[likely]] {
        return lean_step<Level::pml4>(memory, rules, path, trace, linear);
    }
    switch (from) {
    case Level::pml5: return lean_step<Level::pml5>(memory, rules, path, trace, linear);
    case Level::pml4: return false;
    case Level::pdpt: return lean_step<Level::pdpt>(memory, rules, path, trace, linear);
    case Level::pd: return lean_step<Level::pd>(memory, rules, path, trace, linear);
    case Level::pt: return lean_step<Level::pt>(memory, rules, path, trace, linear);
    }
    return false;
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
