// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "pgsim/base/address.hpp"
#include "pgsim/base/level.hpp"

namespace pgsim {

/// Bits that mean the same in every entry that has them. [SDM-3A "Formats of Paging-Structure Entries"]
enum class EntryFlag : std::uint64_t {
    p = 1U << 0,                  ///< Present
    rw = 1U << 1,                 ///< Read/write: 0 = no writes through this entry
    us = 1U << 2,                 ///< User/supervisor: 0 = no user-mode accesses through this entry
    pwt = 1U << 3,                ///< Page-level write-through
    pcd = 1U << 4,                ///< Page-level cache disable
    a = 1U << 5,                  ///< Accessed
    d = 1U << 6,                  ///< Dirty; only where the entry maps a page
    g = 1U << 8,                  ///< Global; only where the entry maps a page and CR4.PGE = 1
    xd = std::uint64_t{1} << 63,  ///< Execute-disable; reserved while IA32_EFER.NXE = 0
};

/// Which of the three families of entry formats.
enum class EntryFormat : std::uint8_t {
    ia32e,   ///< 4-level and 5-level paging, 8 bytes
    pae,     ///< 8 bytes; the PDPTE is a register image
    bits32,  ///< 4 bytes, two levels, 4-MByte pages
};

/// One paging-structure entry, decoded as `level()` and `format()` decode it. A value: changing it writes no memory.
class Entry {
public:
    constexpr Entry(Level level, std::uint64_t raw, EntryFormat format = EntryFormat::ia32e) noexcept
        : raw_{raw}, level_{level}, format_{format} {}

    [[nodiscard]] constexpr std::uint64_t raw() const noexcept { return raw_; }
    [[nodiscard]] constexpr Level level() const noexcept { return level_; }
    [[nodiscard]] constexpr EntryFormat format() const noexcept { return format_; }

    [[nodiscard]] constexpr bool has(EntryFlag flag) const noexcept {
        return (raw_ & static_cast<std::uint64_t>(flag)) != 0;
    }
    [[nodiscard]] constexpr Entry with(EntryFlag flag) const noexcept {
        return {level_, raw_ | static_cast<std::uint64_t>(flag), format_};
    }
    [[nodiscard]] constexpr Entry without(EntryFlag flag) const noexcept {
        return {level_, raw_ & ~static_cast<std::uint64_t>(flag), format_};
    }
    [[nodiscard]] constexpr bool present() const noexcept { return has(EntryFlag::p); }

    /// Bit 7 of a PDE or PDPTE. nullopt elsewhere: a PTE has PAT there, a PML4E a reserved bit.
    [[nodiscard]] constexpr std::optional<bool> ps() const noexcept {
        const bool has_ps = level_ == Level::pd || (level_ == Level::pdpt && format_ == EntryFormat::ia32e);
        return has_ps ? std::optional{(raw_ >> 7 & 1) != 0} : std::nullopt;
    }
    /// The page that this entry maps when present; nullopt when it names a table. In 32-bit paging with CR4.PSE = 0
    /// bit 7 of a PDE is ignored: ask the walk there.
    [[nodiscard]] constexpr std::optional<PageSize> page_size() const noexcept {
        if (level_ == Level::pt) {
            return PageSize::k4K;
        }
        if (!ps().value_or(false)) {
            return std::nullopt;
        }
        return format_ == EntryFormat::bits32 ? PageSize::k4M : page_size_at(level_);
    }
    [[nodiscard]] constexpr bool maps_page() const noexcept { return page_size().has_value(); }

    /// Bit 7 of a PTE, bit 12 of a PDE or PDPTE that maps a page; nullopt elsewhere.
    [[nodiscard]] constexpr std::optional<bool> pat() const noexcept {
        if (!maps_page()) {
            return std::nullopt;
        }
        return (raw_ >> (level_ == Level::pt ? 7 : 12) & 1) != 0;
    }
    /// Protection key, bits 62:59 of an entry that maps a page in IA-32e paging; nullopt elsewhere.
    [[nodiscard]] constexpr std::optional<unsigned> protection_key() const noexcept {
        if (!maps_page() || format_ != EntryFormat::ia32e) {
            return std::nullopt;
        }
        return static_cast<unsigned>(raw_ >> 59) & 15;
    }
    /// Base of the page or of the next table. A 2-MByte page keeps bits 51:21 only, so PAT is never in it.
    /// Bits above MAXPHYADDR and a C-bit are still in it: the walk knows them, an entry does not.
    [[nodiscard]] constexpr PhysAddr base() const noexcept {
        const auto page = page_size();
        const std::uint64_t offset_mask = page ? bytes(*page) - 1 : 0xfff;
        if (format_ == EntryFormat::bits32) {
            const std::uint64_t high = page == PageSize::k4M ? (raw_ >> 13 & 0xff) << 32 : 0;
            return PhysAddr{} + ((raw_ & 0xffff'ffff & ~offset_mask) | high);
        }
        return PhysAddr{} + (raw_ & PhysSpace::last & ~offset_mask);
    }

    friend constexpr bool operator==(Entry, Entry) noexcept = default;

private:
    std::uint64_t raw_;
    Level level_;
    EntryFormat format_;
};
static_assert(Entry{Level::pd, 0x4020'10e7}.base() == PhysAddr{0x4020'0000});  // bit 12 is PAT, not address
static_assert(Entry{Level::pd, 0x0040'20e7, EntryFormat::bits32}.base() == PhysAddr{0x1'0040'0000});  // PSE-36
static_assert(!Entry{Level::pml4, 0x80}.ps() && Entry{Level::pt, 0x80}.pat() == true);

/// "PDE 0x402000e3 -> 0x40200000 P RW A D PS"
[[nodiscard]] std::string to_string(Entry entry);

}  // namespace pgsim
