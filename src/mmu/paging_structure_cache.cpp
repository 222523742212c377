// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/mmu/paging_structure_cache.hpp"

#include <cassert>

namespace pgsim {

namespace {

constexpr unsigned sets = 16;

}  // namespace

PagingStructureCache::PagingStructureCache()
    : caches_{FourWays{"PDE cache", sets}, FourWays{"PDPTE cache", sets}, FourWays{"PML4E cache", sets},
              FourWays{"PML5E cache", sets}} {}

std::optional<WalkStart> PagingStructureCache::find(VirtAddr virt, std::uint16_t pcid) noexcept {
    const auto start = [](Level table, CachedTable found) { return WalkStart{table, found.table(), found.rights()}; };
    if (const CachedTable found = find_at<Level::pd>(virt, pcid)) {
        return start(Level::pt, found);
    }
    if (const CachedTable found = find_at<Level::pdpt>(virt, pcid)) {
        return start(Level::pd, found);
    }
    if (const CachedTable found = find_at<Level::pml4>(virt, pcid)) {
        return start(Level::pdpt, found);
    }
    if (const CachedTable found = find_at<Level::pml5>(virt, pcid)) {
        return start(Level::pml4, found);
    }
    return std::nullopt;
}

void PagingStructureCache::insert(Level above, VirtAddr virt, std::uint16_t pcid, CachedTable table) noexcept {
    assert(above != Level::pt);
    FourWays& cache = caches_[number(above) - 2U];
    const TagKind kind = kind_of(above);
    const std::uint64_t prefix = Tag::prefix(virt.value(), kind);
    const std::uint64_t key = Tag::make(prefix, kind, pcid);
    cache.drop(prefix, key);
    cache.put(prefix, key, table.word());
}

void PagingStructureCache::invalidate_pcid(std::uint16_t pcid) noexcept {
    for (FourWays& cache : caches_) {
        cache.drop_if([pcid](std::uint64_t tag) { return Tag::pcid(tag) == pcid; });
    }
}

void PagingStructureCache::invalidate_all() noexcept {
    for (FourWays& cache : caches_) {
        cache.clear();
    }
}

unsigned PagingStructureCache::size() const noexcept {
    unsigned total = 0;
    for (const FourWays& cache : caches_) {
        cache.each([&](std::uint64_t, std::uint64_t) { ++total; });
    }
    return total;
}

}  // namespace pgsim
