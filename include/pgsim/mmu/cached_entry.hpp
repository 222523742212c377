// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>

#include "pgsim/base/address.hpp"
#include "pgsim/base/level.hpp"
#include "pgsim/mmu/walk_result.hpp"

namespace pgsim {

/// A cached translation of a page in one word, laid out as its PTE would be, but with what the path LACKS: R/W (bit 1),
/// U/S (bit 2) and D (bit 6) are set where they are missing, XD (bit 63) where execution is disabled. Bits 10:9 are the
/// page size, bit 11 marks a shadow-stack page; G counts, PAT is bit 7 for pages of all sizes. P is set: a word of 0 is
/// no translation.
class CachedPage {
public:
    static constexpr std::uint64_t present_bit = 1U << 0;
    static constexpr std::uint64_t lacks_rw = 1U << 1;
    static constexpr std::uint64_t lacks_us = 1U << 2;
    static constexpr std::uint64_t lacks_d = 1U << 6;
    static constexpr std::uint64_t lacks_execute = std::uint64_t{1} << 63;
    static constexpr std::uint64_t lacks_mask = lacks_rw | lacks_us | lacks_d | lacks_execute;
    static constexpr std::uint64_t cache_bits = 3U << 3;  ///< PWT, PCD
    static constexpr unsigned pat_shift = 7;
    static constexpr std::uint64_t global_bit = 1U << 8;
    static constexpr unsigned size_shift = 9;
    static constexpr std::uint64_t shadow_stack_bit = 1U << 11;
    static constexpr std::uint64_t address_mask = 0x000f'ffff'ffff'f000;
    static constexpr unsigned key_shift = 59;
    static constexpr std::uint64_t key_mask = std::uint64_t{15} << key_shift;

    constexpr CachedPage() noexcept = default;
    constexpr explicit CachedPage(std::uint64_t word) noexcept : word_{word} {}
    /// What a walk found. `base` is that of the page.
    [[nodiscard]] static constexpr CachedPage make(PhysAddr base, const Translation& page, bool shadow_stack) noexcept {
        const auto bit = [](bool set, std::uint64_t mask) { return set ? mask : 0; };
        return CachedPage{present_bit | base.value() | size_code(page.page_size) << size_shift |
                          bit(!page.rights.writable, lacks_rw) | bit(!page.rights.user, lacks_us) |
                          bit(!page.rights.executable, lacks_execute) | bit(!page.dirty, lacks_d) |
                          bit(page.global, global_bit) | bit(shadow_stack, shadow_stack_bit) |
                          (page.pat_index & std::uint64_t{3}) << 3 | (page.pat_index >> 2 & std::uint64_t{1}) << 7 |
                          std::uint64_t{page.protection_key} << key_shift};
    }
    [[nodiscard]] static constexpr std::uint64_t size_code(PageSize size) noexcept {
        switch (size) {
        case PageSize::k4K: return 0;
        case PageSize::k2M: return 1;
        case PageSize::k4M: return 2;
        case PageSize::k1G: return 3;
        }
        return 0;
    }

    [[nodiscard]] constexpr explicit operator bool() const noexcept { return word_ != 0; }
    [[nodiscard]] constexpr std::uint64_t word() const noexcept { return word_; }
    [[nodiscard]] constexpr PhysAddr base() const { return PhysAddr{word_ & address_mask}; }
    [[nodiscard]] constexpr PageSize size() const noexcept {
        switch (word_ >> size_shift & 3) {
        case 0: return PageSize::k4K;
        case 1: return PageSize::k2M;
        case 2: return PageSize::k4M;
        default: return PageSize::k1G;
        }
    }
    /// The address bits below the page's base.
    [[nodiscard]] constexpr std::uint64_t offset_mask() const noexcept {
        // 12, 21, 22 and 30 ones, from one word: a table would be a load more.
        constexpr std::uint64_t shifts = 12 | 21 << 8 | 22 << 16 | 30 << 24;
        return ~(~std::uint64_t{0} << (shifts >> (8 * (word_ >> size_shift & 3)) & 0xff));
    }
    [[nodiscard]] constexpr AccessRights rights() const noexcept {
        return {(word_ & lacks_rw) == 0, (word_ & lacks_us) == 0, (word_ & lacks_execute) == 0};
    }
    [[nodiscard]] constexpr bool global() const noexcept { return (word_ & global_bit) != 0; }
    [[nodiscard]] constexpr bool dirty() const noexcept { return (word_ & lacks_d) == 0; }
    [[nodiscard]] constexpr bool shadow_stack() const noexcept { return (word_ & shadow_stack_bit) != 0; }
    [[nodiscard]] constexpr std::uint8_t protection_key() const noexcept {
        return static_cast<std::uint8_t>(word_ >> key_shift & 15);
    }
    [[nodiscard]] constexpr std::uint8_t pat_index() const noexcept {
        return static_cast<std::uint8_t>((word_ >> pat_shift & 1) << 2 | (word_ >> 3 & 3));
    }
    /// Where `linear`, which lies in the page, is.
    [[nodiscard]] constexpr PhysAddr at(VirtAddr linear) const {
        const std::uint64_t offset = offset_mask();
        return PhysAddr{((word_ & ~offset) | (linear.value() & offset)) & PhysSpace::last};
    }
    [[nodiscard]] constexpr Translation translation(VirtAddr linear, TranslationSource source) const {
        return {at(linear), size(), rights(), source, global(), dirty(), protection_key(), pat_index()};
    }

    friend constexpr bool operator==(CachedPage, CachedPage) noexcept = default;

private:
    std::uint64_t word_ = 0;
};

/// A cached entry that names a table, in one word: the table's address, and what the entries above and this one lack
/// together (bits as in `CachedPage`). P is set.
class CachedTable {
public:
    static constexpr std::uint64_t lacks_mask = CachedPage::lacks_rw | CachedPage::lacks_us | CachedPage::lacks_execute;

    constexpr CachedTable() noexcept = default;
    constexpr explicit CachedTable(std::uint64_t word) noexcept : word_{word} {}
    [[nodiscard]] static constexpr CachedTable make(PhysAddr table, AccessRights rights) noexcept {
        return CachedTable{CachedPage::present_bit | table.value() | (rights.writable ? 0 : CachedPage::lacks_rw) |
                           (rights.user ? 0 : CachedPage::lacks_us) |
                           (rights.executable ? 0 : CachedPage::lacks_execute)};
    }

    [[nodiscard]] constexpr explicit operator bool() const noexcept { return word_ != 0; }
    [[nodiscard]] constexpr std::uint64_t word() const noexcept { return word_; }
    [[nodiscard]] constexpr std::uint64_t lacks() const noexcept { return word_ & lacks_mask; }
    [[nodiscard]] constexpr PhysAddr table() const { return PhysAddr{word_ & CachedPage::address_mask}; }
    [[nodiscard]] constexpr AccessRights rights() const noexcept { return CachedPage{word_}.rights(); }

private:
    std::uint64_t word_ = 0;
};

}  // namespace pgsim
