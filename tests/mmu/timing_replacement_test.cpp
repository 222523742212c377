// SPDX-License-Identifier: GPL-2.0-only
// Set index and replacement of TLB arrays, against what was reverse-engineered on real processors.
#include "support/catch.hpp"

#include <array>
#include <numeric>

#include "pgsim/base/error.hpp"
#include "pgsim/mmu/tag_array.hpp"

using namespace pgsim;

namespace {

/// One set whose pages are told apart by number only.
class OneSet {
public:
    explicit OneSet(const TagArrayShape& shape) : array_{"test", shape} {}

    [[nodiscard]] bool holds(std::uint64_t page) const { return slot(page) != TagArray::none; }
    /// An access: a hit touches, a miss fills. True for a hit.
    bool access(std::uint64_t page) {
        const unsigned found = slot(page);
        if (found != TagArray::none) {
            array_.touch(found, ++clock_);
            return true;
        }
        array_.put(array_.place_for(0), tag(page), ++clock_);
        return false;
    }
    /// What misses alone would evict: position 0 is evicted last, the last position next.
    [[nodiscard]] std::vector<std::uint64_t> order() const {
        OneSet copy = *this;
        std::vector<std::uint64_t> reversed;
        for (unsigned i = 0; i < array_.shape().ways; ++i) {
            const unsigned victim = copy.array_.place_for(0);
            reversed.push_back(copy.array_.tag(victim) & 0xffff);
            copy.access(0x8000 + i);
        }
        return {reversed.rbegin(), reversed.rend()};
    }

private:
    [[nodiscard]] static std::uint64_t tag(std::uint64_t page) { return Tag::make(page, TagKind::k4K, 0); }
    [[nodiscard]] unsigned slot(std::uint64_t page) const { return array_.find(0, tag(page), tag(page)); }

    TagArray array_;
    std::uint64_t clock_ = 0;
};

std::vector<unsigned> permutation(const TagArrayShape& shape, unsigned position) {
    OneSet set{shape};
    for (std::uint64_t page = 0; page < 3 * shape.ways; ++page) {
        set.access(page);
    }
    const std::vector<std::uint64_t> before = set.order();
    set.access(before[position]);
    std::vector<unsigned> result;
    for (const std::uint64_t page : set.order()) {
        const auto at = std::find(before.begin(), before.end(), page);
        result.push_back(static_cast<unsigned>(at - before.begin()));
    }
    return result;
}

}  // namespace

TEST_CASE("(MRU+1)%3 PLRU-4 has the permutation vectors that TLB;DR found on Kaby Lake", "[mmu][timing][tlbdr]") {
    const TagArrayShape stlb{1, 12, 7, Replacement::grouped_plru};
    CHECK(permutation(stlb, 0) == std::vector<unsigned>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
    CHECK(permutation(stlb, 1) == std::vector<unsigned>{1, 2, 0, 4, 5, 3, 7, 8, 6, 10, 11, 9});
    CHECK(permutation(stlb, 2) == std::vector<unsigned>{2, 0, 1, 5, 3, 4, 8, 6, 7, 11, 9, 10});
    CHECK(permutation(stlb, 3) == std::vector<unsigned>{3, 1, 2, 0, 4, 5, 9, 7, 8, 6, 10, 11});
    CHECK(permutation(stlb, 11) == std::vector<unsigned>{11, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
}

TEST_CASE("A miss in (MRU+1)%3 PLRU-4 replaces the last position and becomes the first", "[mmu][timing][tlbdr]") {
    OneSet set{{1, 12, 7, Replacement::grouped_plru}};
    for (std::uint64_t page = 0; page < 36; ++page) {
        set.access(page);
    }
    const auto before = set.order();
    CHECK_FALSE(set.access(100));
    const auto after = set.order();
    CHECK(after.front() == 100);
    CHECK(std::vector<std::uint64_t>(after.begin() + 1, after.end()) ==
          std::vector<std::uint64_t>(before.begin(), before.end() - 1));
}

TEST_CASE("Tree-PLRU points away from the touched way at every node", "[mmu][timing][tlbdr]") {
    // Four ways filled in tree order 0, 2, 1, 3 (each fill sends the next one to the other half).
    OneSet set{{1, 4, 0, Replacement::tree_plru}};
    for (std::uint64_t page = 0; page < 4; ++page) {
        set.access(page);
    }
    SECTION("without touches the first fill goes first") {
        CHECK(set.order().back() == 0);
    }
    SECTION("one touch protects the touched page and its half, not the order within it") {
        set.access(0);  // page 2 is its sibling: now the other half (1, 3) is next, and in it page 1, the older
        CHECK(set.order() == std::vector<std::uint64_t>{0, 3, 2, 1});
    }
    SECTION("tree-PLRU is not LRU: a page touched before all others may outlive them") {
        set.access(0);
        set.access(1);
        set.access(0);
        set.access(100);
        CHECK(set.holds(0));
        CHECK(set.holds(1));
    }
}

TEST_CASE("LRU evicts what was used longest ago", "[mmu][timing]") {
    OneSet set{{1, 3}};
    set.access(1);
    set.access(2);
    set.access(3);
    set.access(1);
    set.access(4);
    CHECK_FALSE(set.holds(2));
    CHECK(set.holds(1));
}

TEST_CASE("A folded index XORs the page number with itself", "[mmu][timing][tlbleed]") {
    const TagArray xor7{"STLB", {128, 12, 7}};
    CHECK(xor7.set_of(0x100) == 2);              // 1 << 8 folds down to bit 1
    CHECK(xor7.set_of(0) == xor7.set_of(0x81));  // 0x81 = 1 << 7 | 1: the two ones cancel
    const TagArray xor8{"STLB", {256, 6, 8}};
    CHECK(xor8.set_of(0x101) == 0);
    const TagArray linear{"STLB", {128, 4}};
    CHECK(linear.set_of(0x81) == 1);
}

TEST_CASE("Impossible geometries are refused with the array's name", "[mmu][timing]") {
    CHECK_THROWS_AS((TagArray{"STLB", {100, 4}}), Error);
    CHECK_THROWS_AS((TagArray{"STLB", {128, 0}}), Error);
    CHECK_THROWS_AS((TagArray{"STLB", {128, 12, 0, Replacement::tree_plru}}), Error);
    CHECK_THROWS_AS((TagArray{"STLB", {128, 6, 0, Replacement::grouped_plru}}), Error);
    CHECK_THROWS_WITH((TagArray{"STLB", {3, 4}}), Catch::Contains("STLB"));
}
