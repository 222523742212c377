// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pgsim/base/address.hpp"
#include "pgsim/base/level.hpp"
#include "pgsim/base/range.hpp"
#include "pgsim/mmu/entry.hpp"
#include "pgsim/mmu/walk_result.hpp"

namespace pgsim {

/// What the leaf entry says of a page besides its address and the rights.
struct PageAttributes {
    bool global = false;
    std::uint8_t pat_index = 0;       ///< PAT, PCD, PWT as a number 0 ..= 7: which entry of IA32_PAT
    std::uint8_t protection_key = 0;  ///< bits 62:59
    bool accessed = false;
    bool dirty = false;
    friend bool operator==(const PageAttributes&, const PageAttributes&) noexcept = default;

    [[nodiscard]] static PageAttributes of(Entry leaf) noexcept;
};

/// One page: a leaf entry and the way to it.
struct Mapping {
    VirtAddr virt;
    PhysAddr phys;
    PageSize size = PageSize::k4K;
    AccessRights rights;        ///< of the whole path: R/W and U/S ANDed, XD ORed
    Entry entry{Level::pt, 0};  ///< the leaf as it is in memory
    PhysAddr entry_addr;

    [[nodiscard]] PageAttributes attributes() const noexcept { return PageAttributes::of(entry); }
};

/// Adjacent pages of the same kind.
struct MappedRange {
    VirtAddr virt;
    PhysAddr phys;                       ///< of the first page; when not contiguous, it says nothing of the others
    std::uint64_t bytes = 0;             ///< > 0; the range may end at the end of the address space
    PageSize page_size = PageSize::k4K;  ///< of the first page; of all unless sizes were merged
    AccessRights rights;
    PageAttributes attributes;  ///< accessed and dirty: of the first page unless told apart
    bool contiguous = true;     ///< physically: virt + x is at phys + x

    /// The last byte.
    [[nodiscard]] VirtAddr last() const { return virt + (bytes - 1); }
    friend bool operator==(const MappedRange&, const MappedRange&) noexcept = default;
};

/// Which pages to look at. Everything that is set must hold.
struct PageFilter {
    VirtAddr first{0};                 ///< linear addresses from here …
    VirtAddr last{~std::uint64_t{0}};  ///< … to here, both included
    std::optional<bool> writable{};    ///< by the rights of the whole path
    std::optional<bool> executable{};
    std::optional<bool> user{};
    std::optional<PageSize> size{};
    std::optional<PhysRange> phys{};  ///< the page shares a byte with this range

    [[nodiscard]] bool accepts(VirtAddr virt, PhysAddr phys_addr, PageSize page_size, AccessRights rights) const;
};

/// How pages are joined to ranges. Rights, G, memory type (PAT index) and protection key are always the same in a
/// range.
struct RangeOptions {
    bool contiguous = true;          ///< physical addresses must go on, too
    bool by_page_size = true;        ///< different page sizes make different ranges
    bool by_accessed_dirty = false;  ///< different A or D make different ranges
    PageFilter filter{};
    std::uint64_t max_ranges = std::uint64_t{1} << 22;  ///< stop there: hostile tables can make 2^36
};

/// Ranges in the order of linear addresses.
struct RangeList {
    std::vector<MappedRange> ranges;
    bool complete = true;  ///< false when a limit ended the search
};

/// "0xffff888000000000-0xffff88803fffffff -> 0x0 1 GiB 1G pages rw- supervisor": the last byte included.
[[nodiscard]] std::string to_string(const MappedRange& range);

}  // namespace pgsim
