// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "pgsim/base/address.hpp"
#include "pgsim/base/level.hpp"
#include "pgsim/mmu/walker.hpp"

namespace pgsim {

/// The PML5E, PML4E, PDPTE and PDE caches of one processor: for a range of linear addresses, the table that the entries
/// above led to and the rights that they left. [SDM-3A "Paging-Structure Caches"]
///
/// An entry exists only for a path of present entries without reserved bits whose accessed flags are set; entries that
/// map pages are never in it.
class PagingStructureCache {
public:
    /// Where a walk for `virt` in `pcid` may begin: below the deepest cached entry. nullopt: at the root.
    [[nodiscard]] std::optional<WalkStart> find(VirtAddr virt, std::uint16_t pcid) noexcept;

    /// Remembers that for `virt` in `pcid` the entry of level `above` names `start.table`.
    void insert(Level above, VirtAddr virt, std::uint16_t pcid, const WalkStart& start);

    void invalidate_pcid(std::uint16_t pcid) noexcept;
    void invalidate_all() noexcept;

    [[nodiscard]] unsigned size() const noexcept { return used_; }

private:
    static constexpr std::size_t entries_a_level = 32;
    struct Slot {
        std::uint64_t prefix = 0;  // linear address >> index shift of the level that the entry was read from
        std::uint64_t stamp = 0;   // 0: empty
        WalkStart start;
        std::uint16_t pcid = 0;
    };
    using Cache = std::array<Slot, entries_a_level>;

    std::array<Cache, 4> levels_;  // [0]: PDE cache, [1]: PDPTE, [2]: PML4E, [3]: PML5E
    std::uint64_t clock_ = 0;
    unsigned used_ = 0;
};

}  // namespace pgsim
