// SPDX-License-Identifier: GPL-2.0-only
#include "support/catch.hpp"

#include <array>
#include <random>

#include "pgsim/kernel/direct_map.hpp"
#include "support/boot_kernel.hpp"

using namespace pgsim;
using namespace pgsim::kernel;

namespace {

constexpr std::uint64_t page_4k = 4096;
constexpr std::uint64_t page_2m = 0x20'0000;
constexpr std::uint64_t page_1g = 0x4000'0000;

bool aligned(std::uint64_t address, std::uint64_t to) {
    return address % to == 0;
}

// R6.5 the slow way: page by page, each asks how large a page it may be part of; R6.10 in words.
class NaiveSplit {
public:
    NaiveSplit(const Memblock& memblock, unsigned psm, std::uint64_t start, std::uint64_t end)
        : memblock_{memblock}, psm_{psm}, start_{start}, end_{end} {}

    std::vector<MapRange> split() const {
        std::vector<MapRange> pieces;
        for (std::uint64_t at = start_; at < end_; at += page_4k) {
            const unsigned mask = own_mask(at);
            // The part before the first 1-GByte border is a piece of its own when it has 2-MByte pages.
            const bool border = aligned(at, page_1g) && !seen_whole_gib_before(at) && at == first_gib_border();
            if (!pieces.empty() && pieces.back().page_size_mask == mask && !(border && mask == (psm_ & 4))) {
                pieces.back().end = at + page_4k;
            } else {
                pieces.push_back({at, at + page_4k, mask});
            }
        }
        for (MapRange& piece : pieces) {
            widen(piece, page_2m, 4);
            widen(piece, page_1g, 8);
        }
        std::vector<MapRange> merged;
        for (const MapRange& piece : pieces) {
            if (!merged.empty() && merged.back().page_size_mask == piece.page_size_mask) {
                merged.back().end = piece.end;
            } else {
                merged.push_back(piece);
            }
        }
        return merged;
    }

private:
    bool whole(std::uint64_t at, std::uint64_t size) const {
        const std::uint64_t block = at / size * size;
        return block >= start_ && block + size <= end_;
    }
    unsigned own_mask(std::uint64_t at) const {
        if (whole(at, page_1g)) {
            return psm_ & 12;
        }
        return whole(at, page_2m) ? psm_ & 4 : 0;
    }
    std::uint64_t first_gib_border() const { return (start_ + page_1g - 1) / page_1g * page_1g; }
    bool seen_whole_gib_before(std::uint64_t at) const { return at >= page_1g && whole(at - page_1g, page_1g); }
    void widen(MapRange& piece, std::uint64_t size, unsigned bit) const {
        const std::uint64_t from = piece.start / size * size;
        const std::uint64_t to = (piece.end + size - 1) / size * size;
        if ((psm_ & bit) == 0 || (piece.page_size_mask & bit) != 0) {
            return;
        }
        for (const MemblockRegion& region : memblock_.memory.regions) {
            if (region.base <= from && to <= region.end()) {
                piece.page_size_mask |= bit;
            }
        }
    }

    const Memblock& memblock_;
    unsigned psm_;
    std::uint64_t start_;
    std::uint64_t end_;
};

}  // namespace

TEST_CASE("split_mem_range agrees with asking each page", "[kernel][R6.5][property]") {
    test::BootKernel boot;
    Kernel& k = boot.kernel;
    std::mt19937_64 random{6};
    for (int round = 0; round < 400; ++round) {
        k.memblock = Memblock{};
        k.memblock.can_resize = true;
        for (int i = 0; i < 6; ++i) {
            const std::uint64_t unit = random() % 2 == 0 ? page_2m : page_4k;
            k.memblock.add(random() % (8 * page_1g / unit) * unit, (1 + random() % 1500) * unit);
        }
        k.memblock.trim_memory(page_4k);
        k.state.page_size_mask = std::array<unsigned, 3>{0, 4, 12}[random() % 3];
        const std::uint64_t unit = std::array<std::uint64_t, 3>{page_4k, page_2m, page_1g}[random() % 3];
        const std::uint64_t start = random() % (6 * page_1g / unit) * unit;
        const std::uint64_t end = start + (1 + random() % (3 * page_1g / page_4k)) * page_4k;
        const auto expected = NaiveSplit{k.memblock, k.state.page_size_mask, start, end}.split();
        const auto got = split_mem_range(k, start, end);
        INFO(std::hex << start << " " << end << " psm " << k.state.page_size_mask);
        REQUIRE(got == expected);
    }
}

TEST_CASE("The pieces of a split follow each other and cover the range", "[kernel][R6.5]") {
    test::BootKernel boot;
    boot.kernel.state.page_size_mask = 12;
    const auto pieces = split_mem_range(boot.kernel, 0x1ff000, 3 * page_1g + 0x201000);
    REQUIRE(pieces.size() == 5);
    CHECK(pieces[0] == MapRange{0x1ff000, 0x200000, 0});
    CHECK(pieces[1] == MapRange{0x200000, page_1g, 4});
    CHECK(pieces[2] == MapRange{page_1g, 3 * page_1g, 12});
    CHECK(pieces[3] == MapRange{3 * page_1g, 3 * page_1g + page_2m, 4});
    CHECK(pieces[4] == MapRange{3 * page_1g + page_2m, 3 * page_1g + page_2m + page_4k, 0});
}
