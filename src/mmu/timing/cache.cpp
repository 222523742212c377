// SPDX-License-Identifier: GPL-2.0-only
#include <cassert>
#include <cstring>

#include "pgsim/base/error.hpp"
#include "pgsim/mmu/timing_cache.hpp"

namespace pgsim {

namespace {

constexpr std::uint64_t line_bytes = 64;

}  // namespace

CacheHierarchy::CacheHierarchy(const CoreDescription& core) : memory_latency_{core.memory_latency} {
    if (core.caches.empty() || core.caches.size() > memory_levels - 1) {
        throw Error{"caches", "a core has one to three levels of data caches"};
    }
    for (const CoreCache& description : core.caches) {
        const std::uint64_t lines = description.bytes / line_bytes;
        if (description.ways == 0 || lines == 0 || lines % description.ways != 0 || lines > 1U << 26) {
            throw Error{description.name, "its size must be a multiple of ways x 64 bytes, at most 4 GiB"};
        }
        Cache cache;
        cache.sets = lines / description.ways;
        cache.set_mask = (cache.sets & (cache.sets - 1)) == 0 ? cache.sets - 1 : 0;
        cache.ways = description.ways;
        cache.latency = description.latency;
        cache.lines.resize(lines);
        cache.counts.name = description.name;
        caches_.push_back(std::move(cache));
    }
}

bool CacheHierarchy::Cache::hit(std::uint64_t line) {
    std::uint64_t* const set = set_of(line);
    for (unsigned way = 0; way < ways; ++way) {
        if (set[way] == line + 1) {
            std::memmove(set + 1, set, way * sizeof *set);
            set[0] = line + 1;
            ++counts.hits;
            return true;
        }
    }
    ++counts.misses;
    return false;
}

void CacheHierarchy::Cache::fill(std::uint64_t line) {
    std::uint64_t* const set = set_of(line);
    ++counts.fills;
    counts.evictions += set[ways - 1] != 0 ? 1U : 0U;
    std::memmove(set + 1, set, (ways - 1) * sizeof *set);
    set[0] = line + 1;
}

CacheHierarchy::Answer CacheHierarchy::access(PhysAddr address) {
    const std::uint64_t line = address.value() / line_bytes;
    std::size_t level = 0;
    while (level < caches_.size() && !caches_[level].hit(line)) {
        ++level;
    }
    const bool from_memory = level == caches_.size();
    const Answer answer{from_memory ? MemoryLevel::memory : static_cast<MemoryLevel>(level),
                        from_memory ? memory_latency_ : caches_[level].latency};
    for (std::size_t missed = 0; missed < level; ++missed) {
        caches_[missed].fill(line);
    }
    return answer;
}

void CacheHierarchy::report(std::vector<ArrayStatistics>& to) const {
    for (const Cache& cache : caches_) {
        to.push_back(cache.counts);
    }
}

void CacheHierarchy::reset_statistics() {
    for (Cache& cache : caches_) {
        cache.counts = {cache.counts.name};
    }
}

}  // namespace pgsim
