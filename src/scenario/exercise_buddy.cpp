// SPDX-License-Identifier: GPL-2.0-only
// Exercises on the buddy allocator: the real one, in simulated struct pages.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "pgsim/base/units.hpp"
#include "pgsim/kernel/bare_kernel.hpp"
#include "scenario/exercise_parts.hpp"

namespace pgsim::exercises {

namespace {

struct Block {
    std::uint64_t pfn = 0;
    unsigned order = 0;
};

// A kernel in which exactly the order-10 block at `pfn` is free.
class OneBlock {
public:
    explicit OneBlock(std::uint64_t pfn) : kernel_{{.memory_bytes = 32 * MiB, .pcp = false}} {
        kernel::Buddy& buddy = kernel_.buddy();
        buddy.init_free_lists();
        // What was free before must not look like a buddy.
        for (std::uint64_t page = 0; page < 32 * MiB / 4096; ++page) {
            if (buddy.pages().is_buddy(page) || (page >= pfn && page < pfn + 1024)) {
                buddy.pages().set_type(page, kernel::page_type::none);
            }
        }
        buddy.free_pages_core(pfn, 10);
    }
    [[nodiscard]] kernel::Buddy& buddy() { return kernel_.buddy(); }

    [[nodiscard]] std::vector<Block> free_blocks() {
        std::vector<Block> blocks;
        for (const kernel::BuddyZone& zone : buddy().zones()) {
            for (unsigned order = 0; order <= kernel::max_order; ++order) {
                for (unsigned type = 0; type < kernel::migrate_types; ++type) {
                    for (const std::uint64_t pfn :
                         buddy().free_list(zone, order, static_cast<kernel::MigrateType>(type))) {
                        blocks.push_back({pfn, order});
                    }
                }
            }
        }
        std::sort(blocks.begin(), blocks.end(), [](const Block& a, const Block& b) { return a.pfn < b.pfn; });
        return blocks;
    }

private:
    kernel::BareKernel kernel_;
};

std::vector<std::string> items(const std::vector<Block>& blocks) {
    std::vector<std::string> result;
    for (const Block& block : blocks) {
        result.push_back(fmt::format("{}:{}", hex(block.pfn), block.order));
    }
    return result;
}

std::string told(const std::vector<Block>& blocks) {
    std::string text;
    for (const std::string& item : items(blocks)) {
        text += ' ' + item;
    }
    return text.empty() ? " none" : text;
}

void buddy_split(SplitMix64& random, Exercise& exercise) {
    const std::uint64_t pfn = 1024 * random.between(5, 7);
    OneBlock world{pfn};
    const std::uint64_t count = random.between(1, 3);
    exercise.text = fmt::format(
        "A zone has one free block, of order 10 (1024 pages), at frame {}. Per-CPU lists are off. The kernel "
        "allocates, one after the other,\n\n",
        hex(pfn));
    for (std::uint64_t i = 1; i <= count; ++i) {
        const auto order = static_cast<unsigned>(random.below(9));
        const auto got = world.buddy().alloc_pages(kernel::gfp::highuser_movable, order);
        exercise.text += fmt::format("  {}. a block of order {}\n", i, order);
        exercise.fields.push_back(
            address(fmt::format("b{}", i), fmt::format("first frame of block {}", i), got.value_or(0),
                    "The smallest free block that is large enough is taken; it is halved until it fits. "
                    "Which half is handed out?"));
        exercise.solution += fmt::format("  {}. order {}: frame {}; free then:{}\n", i, order, hex(got.value_or(0)),
                                         told(world.free_blocks()));
    }
    exercise.text += "\nWhich frames does it get, and which blocks are free in the end?\n";
    exercise.fields.push_back(
        list("free", "the free blocks as FRAME:ORDER, commas between them", items(world.free_blocks()),
             "Each halving leaves one block of each order that is passed. Free and given blocks together "
             "must be 1024 pages."));
    exercise.solution = "Blocks as FRAME:ORDER.\n\n" + exercise.solution;
}

void buddy_merge(SplitMix64& random, Exercise& exercise) {
    const std::uint64_t pfn = 1024 * random.between(5, 7);
    OneBlock world{pfn};
    std::vector<Block> given;
    const std::uint64_t count = random.between(3, 5);
    const auto small = static_cast<unsigned>(random.between(0, 6));
    for (std::uint64_t i = 0; i < count; ++i) {
        const unsigned order = small + static_cast<unsigned>(random.below(2));
        given.push_back({world.buddy().alloc_pages(kernel::gfp::highuser_movable, order).value_or(0), order});
    }
    const std::vector<Block> before = world.free_blocks();
    exercise.text = fmt::format(
        "In the 1024 pages from frame {} on, these blocks (FRAME:ORDER) are in use:\n\n {}\n\nand these are "
        "free:\n\n {}\n\nPer-CPU lists are off. The kernel frees, one after the other,\n\n",
        hex(pfn), told(given), told(before));
    const std::uint64_t frees = random.between(2, count);
    for (std::uint64_t i = 1; i <= frees; ++i) {
        const auto at = static_cast<std::ptrdiff_t>(random.below(given.size()));
        const Block block = given[static_cast<std::size_t>(at)];
        given.erase(given.begin() + at);
        world.buddy().free_pages(block.pfn, block.order);
        exercise.text += fmt::format("  {}. {}:{}\n", i, hex(block.pfn), block.order);
        exercise.solution +=
            fmt::format("  {}. {}:{} (its buddy is at {}); free then:{}\n", i, hex(block.pfn), block.order,
                        hex(block.pfn ^ (std::uint64_t{1} << block.order)), told(world.free_blocks()));
    }
    const std::vector<Block> after = world.free_blocks();
    exercise.text += "\nWhich blocks are free then?\n";
    exercise.fields.push_back(
        list("free", "the free blocks as FRAME:ORDER, commas between them", items(after),
             "A block's buddy is at its frame with the bit of its order flipped. If that is free and of the same "
             "order, the two become one, and the same is asked again."));
    unsigned largest = 0;
    for (const Block& block : after) {
        largest = std::max(largest, block.order);
    }
    exercise.fields.push_back(number("largest", "order of the largest free block", largest,
                                     "The largest block that can still be allocated."));
    exercise.solution = "Blocks as FRAME:ORDER.\n\n" + exercise.solution;
}

constexpr std::array exercises_here{
    ExerciseEntry{{"buddy-split", "Which block an allocation gets, and what stays free"}, buddy_split},
    ExerciseEntry{{"buddy-merge", "Which free blocks grow together"}, buddy_merge}};

}  // namespace

std::span<const ExerciseEntry> buddy_exercises() {
    return exercises_here;
}

}  // namespace pgsim::exercises
