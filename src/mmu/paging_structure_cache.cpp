// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/mmu/paging_structure_cache.hpp"

#include <cassert>

namespace pgsim {

PagingStructureCache::Cache::Cache(TagKind what, std::string_view where, const TagArrayShape& shape)
    : kind{what}, tags{where, shape}, starts(tags.slots()) {}

PagingStructureCache::PagingStructureCache()
    : caches_{Cache{TagKind::pde, "PDE cache", {8, 4}}, Cache{TagKind::pdpte, "PDPTE cache", {8, 4}},
              Cache{TagKind::pml4e, "PML4E cache", {8, 4}}, Cache{TagKind::pml5e, "PML5E cache", {8, 4}}} {}

void PagingStructureCache::insert(Level above, VirtAddr virt, std::uint16_t pcid, const WalkStart& start) {
    assert(above != Level::pt);
    Cache& cache = caches_[number(above) - 2U];
    const unsigned known = cache.find(virt.value(), pcid);
    if (known == TagArray::none) {
        insert_new(above, virt, pcid, start);
        return;
    }
    cache.tags.touch(known, ++clock_);
    cache.starts[known] = start;
}

void PagingStructureCache::invalidate_pcid(std::uint16_t pcid) noexcept {
    for (Cache& cache : caches_) {
        cache.tags.drop_if([pcid](std::uint64_t tag) { return Tag::pcid(tag) == pcid; });
    }
}

void PagingStructureCache::invalidate_all() noexcept {
    for (Cache& cache : caches_) {
        cache.tags.clear();
    }
}

unsigned PagingStructureCache::size() const noexcept {
    unsigned total = 0;
    for (const Cache& cache : caches_) {
        total += cache.tags.used();
    }
    return total;
}

}  // namespace pgsim
