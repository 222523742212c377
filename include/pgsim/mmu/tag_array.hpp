// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

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
    constexpr std::array<std::uint8_t, tag_kinds> shifts{12, 21, 22, 30, 21, 30, 39, 48};
    return shifts[static_cast<std::size_t>(kind)];
}
static_assert(shift_of(TagKind::k4M) == 22 && shift_of(TagKind::pde) == 21 && shift_of(TagKind::pml5e) == 48);

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
    static constexpr std::uint64_t prefix_mask = (std::uint64_t{1} << kind_shift) - 1;
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
        const unsigned set = set_of(prefix);
        const std::uint32_t* const keys = keys_.data() + std::size_t{set} * key_stride_;
        const std::uint32_t wanted = key_of(tag);
        for (unsigned way = 0; way < key_stride_; way += 4) {
            // Which way it is cannot be predicted: four are compared at once, by a part of the tag.
            for (unsigned found = equal_of_four(keys + way, wanted); found != 0; found &= found - 1) {
                const unsigned slot = set * shape_.ways + way + static_cast<unsigned>(std::countr_zero(found));
                if (tags_[slot] == tag || tags_[slot] == other) [[likely]] {
                    return slot;
                }
            }
        }
        return none;
    }

    /// `slot` was used at `now` (a clock that begins at 1 and only grows).
    void touch(unsigned slot, std::uint64_t now) noexcept {
        if (shape_.replacement == Replacement::lru) {
            stamps_[slot] = now;
        } else {
            touch_tree(slot);
        }
    }

    /// Where the next fill of the set goes: an empty way, else the victim. Changes nothing.
    [[nodiscard]] unsigned place_for(std::uint64_t prefix) const noexcept {
        if (shape_.replacement != Replacement::lru) {
            return place_in_tree(prefix);
        }
        const unsigned first = set_of(prefix) * shape_.ways;
        unsigned oldest = first;
        for (unsigned slot = first + 1; slot < first + shape_.ways; ++slot) {
            oldest = stamps_[slot] < stamps_[oldest] ? slot : oldest;
        }
        return oldest;
    }
    /// When the slot was last used; 0 for policies that keep no clock, and for an empty slot.
    [[nodiscard]] std::uint64_t last_use(unsigned slot) const noexcept {
        return shape_.replacement == Replacement::lru && tags_[slot] != 0 ? stamps_[slot] : 0;
    }

    /// `tag` replaces what the slot held, and is touched.
    void put(unsigned slot, std::uint64_t tag, std::uint64_t now) noexcept {
        used_ += tags_[slot] == 0 ? 1U : 0U;
        set_tag(slot, tag);
        touch(slot, now);
    }
    void drop(unsigned slot) noexcept {
        used_ -= tags_[slot] != 0 ? 1U : 0U;
        set_tag(slot, 0);
        forget(slot);
    }
    /// Drops every tag for which `predicate(tag)`.
    template <class Predicate>
    void drop_if(Predicate predicate) {
        if (used_ == 0) {
            return;
        }
        for (unsigned slot = 0; slot < tags_.size(); ++slot) {
            if (tags_[slot] != 0 && predicate(tags_[slot])) {
                drop(slot);
            }
        }
    }
    /// Empty, as when it was made; replacement bits of trees stay.
    void clear() noexcept;

private:
    /// The same for a tag and its global twin; 0 for an empty place only.
    [[nodiscard]] static std::uint32_t key_of(std::uint64_t tag) noexcept {
        const std::uint64_t part = tag & (Tag::prefix_mask | std::uint64_t{7} << Tag::kind_shift);
        return tag == 0 ? 0 : static_cast<std::uint32_t>(part ^ part >> 31) | 0x8000'0000;
    }
    [[nodiscard]] static unsigned equal_of_four(const std::uint32_t* keys, std::uint32_t wanted) noexcept {
#if defined(__SSE2__)
        const __m128i four = _mm_loadu_si128(reinterpret_cast<const __m128i*>(keys));
        const __m128i equal = _mm_cmpeq_epi32(four, _mm_set1_epi32(static_cast<int>(wanted)));
        return static_cast<unsigned>(_mm_movemask_ps(_mm_castsi128_ps(equal)));
#else
        unsigned found = 0;
        for (unsigned way = 0; way < 4; ++way) {
            found |= (keys[way] == wanted ? 1U : 0U) << way;
        }
        return found;
#endif
    }
    void set_tag(unsigned slot, std::uint64_t tag) noexcept {
        tags_[slot] = tag;
        keys_[std::size_t{slot / shape_.ways} * key_stride_ + slot % shape_.ways] = key_of(tag);
    }
    // An empty place is the oldest of its set.
    void forget(unsigned slot) noexcept {
        if (shape_.replacement == Replacement::lru) {
            stamps_[slot] = 0;
        }
    }
    void touch_tree(unsigned slot) noexcept;
    [[nodiscard]] unsigned place_in_tree(std::uint64_t prefix) const noexcept;
    [[nodiscard]] unsigned tree_victim(std::uint64_t bits) const noexcept;

    TagArrayShape shape_;
    unsigned fold_ = 63;
    std::uint64_t set_mask_ = 0;
    unsigned used_ = 0;
    unsigned key_stride_ = 4;  // ways, rounded up to a multiple of 4
    std::vector<std::uint64_t> tags_;
    std::vector<std::uint32_t> keys_;    // a part of each tag, what a lookup compares first
    std::vector<std::uint64_t> stamps_;  // lru
    std::vector<std::uint64_t> trees_;   // the bits of each set; for groups, 4 bits a tree and the next group on top
};

}  // namespace pgsim
