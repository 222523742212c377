// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace pgsim {

/// The paging structure that an entry is read from. The value is the number of the level, 1 = page table.
/// [SDM-3A "Hierarchical Paging Structures: an Overview"]
enum class Level : std::uint8_t { pt = 1, pd = 2, pdpt = 3, pml4 = 4, pml5 = 5 };

/// Size of a page that an entry maps. The value is log2 of the bytes. 4-MByte pages exist in 32-bit paging only.
enum class PageSize : std::uint8_t { k4K = 12, k2M = 21, k4M = 22, k1G = 30 };

/// Bytes of one page.
[[nodiscard]] constexpr std::uint64_t bytes(PageSize size) noexcept {
    return std::uint64_t{1} << static_cast<unsigned>(size);
}

[[nodiscard]] constexpr unsigned number(Level level) noexcept {
    return static_cast<unsigned>(level);
}

/// Lowest linear-address bit of the index into a table of 512 8-byte entries.
[[nodiscard]] constexpr unsigned index_shift(Level level) noexcept {
    return 12 + 9 * (number(level) - 1);
}

/// Index into a table of 512 8-byte entries, 0 ..= 511, for a linear address.
[[nodiscard]] constexpr unsigned index_at(Level level, std::uint64_t linear) noexcept {
    return static_cast<unsigned>(linear >> index_shift(level)) & 511U;
}

/// Bytes of linear-address space that one entry of a 512-entry table covers.
[[nodiscard]] constexpr std::uint64_t span_of(Level level) noexcept {
    return std::uint64_t{1} << index_shift(level);
}

/// The next lower level; nullopt below the page table.
[[nodiscard]] constexpr std::optional<Level> below(Level level) noexcept {
    if (level == Level::pt) {
        return std::nullopt;
    }
    return static_cast<Level>(number(level) - 1);
}

/// The page that an entry of `level` can map in PAE, 4-level and 5-level paging; nullopt for PML4 and PML5,
/// whose entries only name tables.
[[nodiscard]] constexpr std::optional<PageSize> page_size_at(Level level) noexcept {
    switch (level) {
    case Level::pt: return PageSize::k4K;
    case Level::pd: return PageSize::k2M;
    case Level::pdpt: return PageSize::k1G;
    case Level::pml4:
    case Level::pml5: return std::nullopt;
    }
    return std::nullopt;
}

/// "PTE", "PDE", "PDPTE", "PML4E", "PML5E".
[[nodiscard]] constexpr std::string_view entry_name(Level level) noexcept {
    switch (level) {
    case Level::pt: return "PTE";
    case Level::pd: return "PDE";
    case Level::pdpt: return "PDPTE";
    case Level::pml4: return "PML4E";
    case Level::pml5: return "PML5E";
    }
    return "?";
}

/// "4K", "2M", "4M", "1G".
[[nodiscard]] constexpr std::string_view short_name(PageSize size) noexcept {
    switch (size) {
    case PageSize::k4K: return "4K";
    case PageSize::k2M: return "2M";
    case PageSize::k4M: return "4M";
    case PageSize::k1G: return "1G";
    }
    return "?";
}

static_assert(index_shift(Level::pml5) == 48 && page_size_at(Level::pd) == PageSize::k2M);
static_assert(index_at(Level::pml4, 0xffff'8880'0000'0000) == 273);

}  // namespace pgsim
