// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "pgsim/mmu/tag_array.hpp"

namespace pgsim {

/// A set-associative array of four ways, least recently used replaced, that is made for speed: a set is one line of the
/// host's cache, and a lookup has no branch for each way. Keys are `Tag`s of one kind; each finds a word, which is not
/// 0.
class FourWays {
public:
    static constexpr unsigned ways = 4;

    /// @throws Error  `where` names the array: sets no power of two, or more than 65536
    FourWays(std::string_view where, unsigned sets);

    /// False: certainly empty.
    [[nodiscard]] bool in_use() const noexcept { return in_use_; }

    /// The word of `key`, which is used; 0 when it is not there. `prefix` is that of the key.
    [[nodiscard]] std::uint64_t find(std::uint64_t prefix, std::uint64_t key) noexcept {
        const std::size_t number = set_of(prefix);
        const Set& set = sets_[number];
        const unsigned found = matches(set, key);
        if (found == 0) {
            return 0;
        }
        const auto way = static_cast<unsigned>(std::countr_zero(found));
        touch(number, way);
        const std::uint64_t word = set.words[way];
        if (word == 0) {
            __builtin_unreachable();  // callers need not test twice
        }
        return word;
    }

    /// For a key that `find` has just missed.
    void put(std::uint64_t prefix, std::uint64_t key, std::uint64_t word) noexcept {
        const std::size_t number = set_of(prefix);
        const unsigned younger = younger_[number];
        const unsigned oldest = (younger - 0x1111U) & ~younger & 0x8888U;
        const auto way = static_cast<unsigned>(std::countr_zero(oldest)) / ways;
        in_use_ = true;
        touch(number, way);
        Set& set = sets_[number];
        set.keys[way] = key;
        set.words[way] = word;
    }

    void drop(std::uint64_t prefix, std::uint64_t key) noexcept;
    /// Drops every key for which `predicate(key)`.
    template <class Predicate>
    void drop_if(Predicate predicate) {
        if (!in_use_) {
            return;
        }
        in_use_ = false;
        for (std::size_t number = 0; number < sets_.size(); ++number) {
            for (unsigned way = 0; way < ways; ++way) {
                const std::uint64_t key = sets_[number].keys[way];
                if (key != empty && predicate(key)) {
                    forget(number, way);
                } else if (key != empty) {
                    in_use_ = true;
                }
            }
        }
    }
    void clear() noexcept;

    /// `function(key, word)` for each key.
    template <class Function>
    void each(Function function) const {
        for (const Set& set : sets_) {
            for (unsigned way = 0; way < ways; ++way) {
                if (set.keys[way] != empty) {
                    function(set.keys[way], set.words[way]);
                }
            }
        }
    }

private:
    static constexpr std::uint64_t empty = ~std::uint64_t{0};  // no Tag
    static constexpr std::array<std::uint16_t, ways> row_of{0x000f, 0x00f0, 0x0f00, 0xf000};
    static constexpr std::array<std::uint16_t, ways> all_but_column{0xeeee, 0xdddd, 0xbbbb, 0x7777};

    struct alignas(64) Set {
        std::array<std::uint64_t, ways> keys{empty, empty, empty, empty};
        std::array<std::uint64_t, ways> words{};
    };

    // High bits are folded in: neither neighbouring pages nor pages at large powers of two meet in one set.
    [[nodiscard]] std::size_t set_of(std::uint64_t prefix) const noexcept {
        return static_cast<std::size_t>((prefix ^ prefix >> fold_) & set_mask_);
    }
    // Arithmetic, so that no compiler makes branches of it: which way it is cannot be predicted. Bit 63 is set in every
    // key: the difference is below 2^63, and one less than it is not only if it is 0.
    [[nodiscard]] static unsigned matches(const Set& set, std::uint64_t key) noexcept {
        const std::uint64_t first = (set.keys[0] ^ key) - 1;
        const std::uint64_t second = (set.keys[1] ^ key) - 1;
        const std::uint64_t third = (set.keys[2] ^ key) - 1;
        const std::uint64_t fourth = (set.keys[3] ^ key) - 1;
        return static_cast<unsigned>(first >> 63 | (second >> 63) << 1 | (third >> 63) << 2 | (fourth >> 63) << 3);
    }
    // Four rows of four bits: bit j of row i says that way i is younger than way j. The oldest way's row is 0; rows of
    // empty ways are 0 too, and bits for empty ways are set in the rows of the others.
    void touch(std::size_t number, unsigned way) noexcept {
        younger_[number] = static_cast<std::uint16_t>((younger_[number] | row_of[way]) & all_but_column[way]);
    }
    void forget(std::size_t number, unsigned way) noexcept;

    unsigned fold_ = 0;
    std::uint64_t set_mask_ = 0;
    bool in_use_ = false;
    std::vector<Set> sets_;
    std::vector<std::uint16_t> younger_;  // by set
};

}  // namespace pgsim
