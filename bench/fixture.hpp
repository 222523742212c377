// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "c_walker.h"
#include "pgsim/mmu/timing_replay.hpp"

namespace pgsim::bench {

/// One of the four address streams, its tables in simulated memory, and a copy of them in host memory for the C
/// walkers.
struct Stream {
    const char* name;
    std::unique_ptr<Replay> replay;   ///< owns the tables
    std::vector<VirtAddr> addresses;  ///< a power of two of them
    std::vector<unsigned char> copy;
    c_tables tables{};
    PagingControls controls;
};

inline constexpr unsigned stream_count = 4;
/// a: 4 KiB stride over 64 MiB; b: uniform over 1 GiB of 4 KiB pages; c: uniform over 64 GiB of 2 MiB pages; d: Zipf
/// over 1 GiB. Made on first use.
Stream& stream(unsigned number);

}  // namespace pgsim::bench
