// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>
#include <vector>

#include "pgsim/scenario/buddy_account.hpp"

namespace pgsim {

/// The pieces of the 4-MByte block around a frame, in order of address: "0x400 [used 1] [0] [1] [2] …".
[[nodiscard]] std::string pieces_around(const kernel::Buddy& buddy, std::uint64_t pfn);

/// A zone cut into equal stretches of memory.
struct ZoneCells {
    std::uint64_t first_pfn = 0;  ///< of the first cell: a multiple of `pages`
    std::uint64_t pages = 0;      ///< of a cell: a power of two
    struct Cell {
        std::int8_t largest = -1;  ///< order of the largest free block that touches it; -1: none
        std::uint64_t free = 0;    ///< pages
    };
    std::vector<Cell> cells;
};
/// @param most  cells, about
[[nodiscard]] ZoneCells cells_of(const kernel::Buddy& buddy, const kernel::BuddyZone& zone, std::uint64_t most);

}  // namespace pgsim
