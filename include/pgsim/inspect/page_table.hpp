// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>

#include "pgsim/base/address.hpp"
#include "pgsim/base/level.hpp"
#include "pgsim/mmu/entry.hpp"

namespace pgsim {

/// One paging structure of 4-level or 5-level paging as it was at one moment: 512 entries, read as `level()` reads
/// them. A copy: later writes to memory do not show.
class PageTable {
public:
    static constexpr unsigned entry_count = 512;
    using Words = std::array<std::uint64_t, entry_count>;

    PageTable(PhysAddr address, Level level, const Words& words) noexcept
        : address_{address}, level_{level}, words_{words} {}

    [[nodiscard]] PhysAddr address() const noexcept { return address_; }
    [[nodiscard]] Level level() const noexcept { return level_; }

    /// @param index  0 ..= 511
    [[nodiscard]] Entry operator[](unsigned index) const noexcept { return {level_, words_[index]}; }
    /// Where entry `index` lies in memory.
    [[nodiscard]] PhysAddr entry_address(unsigned index) const { return address_ + std::uint64_t{index} * 8; }
    [[nodiscard]] std::span<const std::uint64_t, entry_count> raw() const noexcept { return words_; }

    /// Entries with P = 1.
    [[nodiscard]] unsigned present_count() const noexcept;
    /// Entries that are not 0.
    [[nodiscard]] unsigned used_count() const noexcept;

    /// The entries in order: `for (const Entry entry : table)`.
    class Iterator {
    public:
        using value_type = Entry;
        using difference_type = std::ptrdiff_t;
        using iterator_category = std::input_iterator_tag;
        using pointer = void;
        using reference = Entry;
        Iterator(const PageTable* table, unsigned index) noexcept : table_{table}, index_{index} {}
        Entry operator*() const noexcept { return (*table_)[index_]; }
        Iterator& operator++() noexcept {
            ++index_;
            return *this;
        }
        Iterator operator++(int) noexcept {
            Iterator old = *this;
            ++index_;
            return old;
        }
        [[nodiscard]] unsigned index() const noexcept { return index_; }
        friend bool operator==(Iterator, Iterator) noexcept = default;

    private:
        const PageTable* table_;
        unsigned index_;
    };
    [[nodiscard]] Iterator begin() const noexcept { return {this, 0}; }
    [[nodiscard]] Iterator end() const noexcept { return {this, entry_count}; }

private:
    PhysAddr address_;
    Level level_;
    Words words_;
};

}  // namespace pgsim
