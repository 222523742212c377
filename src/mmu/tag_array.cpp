// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/mmu/tag_array.hpp"

#include <algorithm>

#include "pgsim/base/error.hpp"

namespace pgsim {

namespace {

constexpr bool power_of_two(unsigned value) noexcept {
    return value != 0 && (value & (value - 1)) == 0;
}

constexpr unsigned group_ways = 4;
constexpr unsigned group_shift = 56;  // of the number of the next group, above the trees

// A tree over `ways` leaves: node 1 is the root, node n has the children 2n and 2n + 1; its bit says which half holds
// the next victim.
std::uint64_t tree_touched(std::uint64_t bits, unsigned ways, unsigned way) noexcept {
    for (unsigned node = way + ways; node > 1; node /= 2) {
        const std::uint64_t parent = std::uint64_t{1} << (node / 2);
        bits = (node & 1) != 0 ? bits & ~parent : bits | parent;
    }
    return bits;
}

unsigned tree_next(std::uint64_t bits, unsigned ways) noexcept {
    unsigned node = 1;
    while (node < ways) {
        node = 2 * node + static_cast<unsigned>(bits >> node & 1);
    }
    return node - ways;
}

}  // namespace

TagArray::TagArray(std::string_view where, const TagArrayShape& shape) : shape_{shape} {
    if (!power_of_two(shape.sets)) {
        throw Error{where, "the number of sets must be a power of two"};
    }
    if (shape.ways == 0 || shape.ways > 4096 || shape.sets > 1U << 20) {
        throw Error{where, "an array has 1 to 4096 ways and at most 1048576 sets"};
    }
    if (shape.fold > 44) {
        throw Error{where, "page numbers have 45 bits: they cannot be folded further"};
    }
    if (shape.replacement == Replacement::tree_plru && (!power_of_two(shape.ways) || shape.ways > 64)) {
        throw Error{where, "tree-PLRU needs 1, 2, 4, … 64 ways"};
    }
    if (shape.replacement == Replacement::grouped_plru && (shape.ways % group_ways != 0 || shape.ways > 56)) {
        throw Error{where, "PLRU in groups needs a multiple of 4 ways, at most 56"};
    }
    fold_ = shape.fold == 0 ? 63 : shape.fold;
    set_mask_ = shape.sets - 1;
    tags_.resize(std::size_t{shape.sets} * shape.ways);
    key_stride_ = (shape.ways + 3) / 4 * 4;
    keys_.resize(std::size_t{shape.sets} * key_stride_);
    if (shape.replacement == Replacement::lru) {
        stamps_.resize(tags_.size());
    } else {
        trees_.resize(shape.sets);
    }
}

void TagArray::touch_tree(unsigned slot) noexcept {
    const unsigned way = slot % shape_.ways;
    std::uint64_t& bits = trees_[slot / shape_.ways];
    if (shape_.replacement == Replacement::tree_plru) {
        bits = tree_touched(bits, shape_.ways, way);
        return;
    }
    const unsigned groups = shape_.ways / group_ways;
    const unsigned group = way / group_ways;
    const unsigned shift = group * group_ways;
    const std::uint64_t tree = tree_touched(bits >> shift & 15, group_ways, way % group_ways);
    bits = (bits & ~(std::uint64_t{15} << shift)) | tree << shift;
    bits = (bits & ((std::uint64_t{1} << group_shift) - 1)) | std::uint64_t{(group + 1) % groups} << group_shift;
}

unsigned TagArray::tree_victim(std::uint64_t bits) const noexcept {
    if (shape_.replacement == Replacement::tree_plru) {
        return tree_next(bits, shape_.ways);
    }
    const auto group = static_cast<unsigned>(bits >> group_shift);
    return group * group_ways + tree_next(bits >> (group * group_ways) & 15, group_ways);
}

unsigned TagArray::place_in_tree(std::uint64_t prefix) const noexcept {
    const unsigned set = set_of(prefix);
    const unsigned first = set * shape_.ways;
    const unsigned victim = first + tree_victim(trees_[set]);
    if (tags_[victim] != 0 && used_ != tags_.size()) {
        for (unsigned way = 0; way < shape_.ways; ++way) {
            if (tags_[first + way] == 0) {
                return first + way;
            }
        }
    }
    return victim;
}

void TagArray::clear() noexcept {
    if (used_ != 0) {
        std::fill(tags_.begin(), tags_.end(), 0);
        std::fill(keys_.begin(), keys_.end(), 0);
        std::fill(stamps_.begin(), stamps_.end(), 0);
        used_ = 0;
    }
}

}  // namespace pgsim
