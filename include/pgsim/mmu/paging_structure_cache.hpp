// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "pgsim/base/address.hpp"
#include "pgsim/base/level.hpp"
#include "pgsim/mmu/tag_array.hpp"
#include "pgsim/mmu/walker.hpp"

namespace pgsim {

/// The PML5E, PML4E, PDPTE and PDE caches of one processor: for a range of linear addresses, the table that the entries
/// above led to and the rights that they left. [SDM-3A "Paging-Structure Caches"]
///
/// An entry exists only for a path of present entries without reserved bits whose accessed flags are set; entries that
/// map pages are never in it.
class PagingStructureCache {
public:
    PagingStructureCache();

    /// Where a walk for `virt` in `pcid` may begin: below the deepest cached entry. Null: at the root.
    [[nodiscard]] const WalkStart* find(VirtAddr virt, std::uint16_t pcid) noexcept {
        for (Cache& cache : caches_) {
            if (cache.tags.used() == 0) {
                continue;
            }
            const unsigned slot = cache.find(virt.value(), pcid);
            if (slot != TagArray::none) {
                cache.tags.touch(slot, ++clock_);
                return &cache.starts[slot];
            }
        }
        return nullptr;
    }

    /// Remembers that for `virt` in `pcid` the entry of level `above` names `start.table`.
    void insert(Level above, VirtAddr virt, std::uint16_t pcid, const WalkStart& start);
    /// The same for an entry that `find` has just missed.
    void insert_new(Level above, VirtAddr virt, std::uint16_t pcid, const WalkStart& start) {
        Cache& cache = caches_[number(above) - 2U];
        const std::uint64_t prefix = Tag::prefix(virt.value(), cache.kind);
        const unsigned slot = cache.tags.place_for(prefix);
        cache.tags.put(slot, Tag::make(prefix, cache.kind, pcid), ++clock_);
        WalkStart& place = cache.starts[slot];
        place.level = start.level;
        place.table = start.table;
        place.rights = start.rights;
    }

    void invalidate_pcid(std::uint16_t pcid) noexcept;
    void invalidate_all() noexcept;

    /// Entries in all four caches.
    [[nodiscard]] unsigned size() const noexcept;

private:
    struct Cache {
        TagKind kind;
        TagArray tags;
        std::vector<WalkStart> starts;

        Cache(TagKind kind, std::string_view where, const TagArrayShape& shape);
        [[nodiscard]] unsigned find(std::uint64_t linear, std::uint16_t pcid) const noexcept {
            const std::uint64_t prefix = Tag::prefix(linear, kind);
            const std::uint64_t tag = Tag::make(prefix, kind, pcid);
            return tags.find(prefix, tag, tag);
        }
    };

    std::array<Cache, 4> caches_;  // PDE, PDPTE, PML4E, PML5E
    std::uint64_t clock_ = 0;
};

}  // namespace pgsim
