// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "pgsim/base/address.hpp"
#include "pgsim/base/level.hpp"
#include "pgsim/mmu/cached_entry.hpp"
#include "pgsim/mmu/four_ways.hpp"
#include "pgsim/mmu/tag_array.hpp"
#include "pgsim/mmu/walker.hpp"

namespace pgsim {

/// The PML5E, PML4E, PDPTE and PDE caches of one processor: for a range of linear addresses, the table that the entries
/// above led to and the rights that they left. 64 entries each. [SDM-3A "Paging-Structure Caches"]
///
/// An entry exists only for a path of present entries without reserved bits whose accessed flags are set; entries that
/// map pages are never in it.
class PagingStructureCache {
public:
    PagingStructureCache();

    /// Where a walk for `virt` in `pcid` may begin: below the deepest cached entry. nullopt: at the root.
    [[nodiscard]] std::optional<WalkStart> find(VirtAddr virt, std::uint16_t pcid) noexcept;
    /// The cached entry of level `above` alone; none (false) when there is none.
    template <Level above>
    [[nodiscard]] CachedTable find_at(VirtAddr virt, std::uint16_t pcid) noexcept {
        FourWays& cache = caches_[number(above) - 2U];
        if (!cache.in_use()) {
            return {};
        }
        constexpr TagKind kind = kind_of(above);
        const std::uint64_t prefix = Tag::prefix(virt.value(), kind);
        return CachedTable{cache.find(prefix, Tag::make(prefix, kind, pcid))};
    }

    /// Remembers that for `virt` in `pcid` the entry of level `above` names `table`.
    void insert(Level above, VirtAddr virt, std::uint16_t pcid, CachedTable table) noexcept;
    /// The same for an entry that `find` or `find_at` has just missed.
    template <Level above>
    void insert_new(VirtAddr virt, std::uint16_t pcid, CachedTable table) noexcept {
        constexpr TagKind kind = kind_of(above);
        const std::uint64_t prefix = Tag::prefix(virt.value(), kind);
        caches_[number(above) - 2U].put(prefix, Tag::make(prefix, kind, pcid), table.word());
    }

    void invalidate_pcid(std::uint16_t pcid) noexcept;
    void invalidate_all() noexcept;

    /// Entries in all four caches.
    [[nodiscard]] unsigned size() const noexcept;

private:
    [[nodiscard]] static constexpr TagKind kind_of(Level above) noexcept {
        return static_cast<TagKind>(static_cast<unsigned>(TagKind::pde) + number(above) - 2);
    }

    std::array<FourWays, 4> caches_;  // PDE, PDPTE, PML4E, PML5E
};

}  // namespace pgsim
