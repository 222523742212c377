// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "pgsim/base/level.hpp"

namespace pgsim {

/// Which way of a full set makes room.
enum class Replacement : std::uint8_t {
    lru,           ///< least recently used
    tree_plru,     ///< a binary tree of bits over the ways, a power of two
    grouped_plru,  ///< "(MRU+1) mod n": trees of 4 ways; after a touch in group g the next victim is in group g + 1
};

/// Geometry of a set-associative array, as data.
struct TagArrayShape {
    unsigned sets = 1;  ///< a power of two; 1: fully associative
    unsigned ways = 1;
    unsigned fold = 0;  ///< 0: set = page mod sets; n: the page number is XORed with itself shifted right by n first
    Replacement replacement = Replacement::lru;

    friend bool operator==(const TagArrayShape&, const TagArrayShape&) noexcept = default;
};

/// What a cached translation covers.
enum class TagKind : std::uint8_t {
    k4K,
    k2M,
    k4M,
    k1G,
    pde,    ///< no page: the table that a PDE names
    pdpte,  ///< … a PDPTE
    pml4e,
    pml5e,
};
inline constexpr std::size_t tag_kinds = 8;

/// log2 of the bytes of linear-address space that one tag of this kind covers.
[[nodiscard]] constexpr unsigned shift_of(TagKind kind) noexcept {
    switch (kind) {
    case TagKind::k4K: return 12;
    case TagKind::k2M: return 21;
    case TagKind::k4M: return 22;
    case TagKind::k1G: return 30;
    case TagKind::pde: return 21;
    case TagKind::pdpte: return 30;
    case TagKind::pml4e: return 39;
    case TagKind::pml5e: return 48;
    }
    return 12;
}

[[nodiscard]] constexpr TagKind tag_kind(PageSize size) noexcept {
    switch (size) {
    case PageSize::k4K: return TagKind::k4K;
    case PageSize::k2M: return TagKind::k2M;
    case PageSize::k4M: return TagKind::k4M;
    case PageSize::k1G: return TagKind::k1G;
    }
    return TagKind::k4K;
}

/// What finds a cached translation, in 64 bits: linear prefix (45 bits), kind, PCID, global, valid. 0 is an empty
/// place.
struct Tag {
    static constexpr unsigned kind_shift = 45;
    static constexpr unsigned pcid_shift = 48;
    static constexpr std::uint64_t global = std::uint64_t{1} << 60;
    static constexpr std::uint64_t valid = std::uint64_t{1} << 63;
    static constexpr std::uint64_t pcid_mask = std::uint64_t{0xfff} << pcid_shift;

    /// The linear address without the bits above bit 56 (copies of bit 56 or 47) and below the kind's span.
    [[nodiscard]] static constexpr std::uint64_t prefix(std::uint64_t linear, TagKind kind) noexcept {
        return (linear & ((std::uint64_t{1} << 57) - 1)) >> shift_of(kind);
    }
    [[nodiscard]] static constexpr std::uint64_t make(std::uint64_t prefix, TagKind kind, std::uint16_t pcid) noexcept {
        return valid | std::uint64_t{pcid} << pcid_shift | static_cast<std::uint64_t>(kind) << kind_shift | prefix;
    }
    /// Matches in every PCID.
    [[nodiscard]] static constexpr std::uint64_t make_global(std::uint64_t prefix, TagKind kind) noexcept {
        return make(prefix, kind, 0) | global;
    }
    [[nodiscard]] static constexpr bool is_global(std::uint64_t tag) noexcept { return (tag & global) != 0; }
    [[nodiscard]] static constexpr std::uint16_t pcid(std::uint64_t tag) noexcept {
        return static_cast<std::uint16_t>((tag & pcid_mask) >> pcid_shift);
    }
    [[nodiscard]] static constexpr TagKind kind(std::uint64_t tag) noexcept {
        return static_cast<TagKind>(tag >> kind_shift & 7);
    }
};

/// The tags of one set-associative array and its replacement state; who owns it keeps the contents by slot number.
class TagArray {
public:
    static constexpr unsigned none = ~0U;

    /// @throws Error  `where` names the array: sets no power of two, no ways, or ways that the policy cannot have
    TagArray(std::string_view where, const TagArrayShape& shape);

    [[nodiscard]] const TagArrayShape& shape() const noexcept { return shape_; }
    [[nodiscard]] unsigned slots() const noexcept { return static_cast<unsigned>(tags_.size()); }
    [[nodiscard]] unsigned used() const noexcept { return used_; }
    [[nodiscard]] std::uint64_t tag(unsigned slot) const noexcept { return tags_[slot]; }
    [[nodiscard]] unsigned set_of(std::uint64_t prefix) const noexcept {
        return static_cast<unsigned>((prefix ^ prefix >> fold_) & set_mask_);
    }

    /// The slot that holds `tag` or `other`; `none` when there is neither. Changes no replacement state.
    [[nodiscard]] unsigned find(std::uint64_t prefix, std::uint64_t tag, std::uint64_t other) const noexcept {
        const unsigned first = set_of(prefix) * shape_.ways;
        const std::uint64_t* const set = tags_.data() + first;
        for (unsigned way = 0; way < shape_.ways; ++way) {
            if (set[way] == tag || set[way] == other) {
                return first + way;
            }
        }
        return none;
    }

    /// `slot` was used at `now` (any clock that only grows).
    void touch(unsigned slot, std::uint64_t now) noexcept {
        if (shape_.replacement == Replacement::lru) {
            stamps_[slot] = now;
        } else {
            touch_tree(slot);
        }
    }

    /// Where the next fill of the set goes: an empty way, else the victim. Changes nothing.
    [[nodiscard]] unsigned place_for(std::uint64_t prefix) const noexcept;
    /// When the slot was last used; 0 for policies that keep no clock, and for an empty slot.
    [[nodiscard]] std::uint64_t last_use(unsigned slot) const noexcept {
        return shape_.replacement == Replacement::lru && tags_[slot] != 0 ? stamps_[slot] : 0;
    }

    /// `tag` replaces what the slot held, and is touched.
    void put(unsigned slot, std::uint64_t tag, std::uint64_t now) noexcept {
        used_ += tags_[slot] == 0 ? 1U : 0U;
        tags_[slot] = tag;
        touch(slot, now);
    }
    void drop(unsigned slot) noexcept {
        used_ -= tags_[slot] != 0 ? 1U : 0U;
        tags_[slot] = 0;
    }
    /// Drops every tag for which `predicate(tag)`.
    template <class Predicate>
    void drop_if(Predicate predicate) {
        if (used_ == 0) {
            return;
        }
        for (std::uint64_t& tag : tags_) {
            if (tag != 0 && predicate(tag)) {
                tag = 0;
                --used_;
            }
        }
    }

private:
    void touch_tree(unsigned slot) noexcept;
    [[nodiscard]] unsigned tree_victim(std::uint64_t bits) const noexcept;

    TagArrayShape shape_;
    unsigned fold_ = 63;
    std::uint64_t set_mask_ = 0;
    unsigned used_ = 0;
    std::vector<std::uint64_t> tags_;
    std::vector<std::uint64_t> stamps_;  // lru
    std::vector<std::uint64_t> trees_;   // the bits of each set; for groups, 4 bits a tree and the next group on top
};

}  // namespace pgsim
