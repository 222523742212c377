// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <vector>

#include "pgsim/base/address.hpp"
#include "pgsim/mmu/timing_core.hpp"
#include "pgsim/mmu/timing_cost.hpp"

namespace pgsim {

/// Which 64-byte lines the data caches hold. Tags only, LRU, every level filled on the way; no writebacks, no prefetch.
class CacheHierarchy {
public:
    /// @throws Error  the cache's name, and what is wrong with its geometry
    explicit CacheHierarchy(const CoreDescription& core);

    struct Answer {
        MemoryLevel level = MemoryLevel::l1d;
        std::uint32_t latency = 0;
    };
    /// A load or store of the line of `address`.
    Answer access(PhysAddr address);

    /// Adds one line a cache.
    void report(std::vector<ArrayStatistics>& to) const;
    void reset_statistics();

private:
    struct Cache {
        std::uint64_t sets = 1;
        std::uint64_t set_mask = 0;  // 0: the number of sets is no power of two
        unsigned ways = 1;
        std::uint32_t latency = 0;
        std::vector<std::uint64_t> lines;  // line + 1, the most recently used of a set first; 0: empty
        ArrayStatistics counts;

        [[nodiscard]] std::uint64_t* set_of(std::uint64_t line) noexcept {
            return &lines[(set_mask != 0 ? line & set_mask : line % sets) * ways];
        }
        bool hit(std::uint64_t line);
        void fill(std::uint64_t line);
    };

    std::vector<Cache> caches_;
    std::uint32_t memory_latency_ = 0;
};

}  // namespace pgsim
