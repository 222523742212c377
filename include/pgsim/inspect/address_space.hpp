// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "pgsim/base/address.hpp"
#include "pgsim/inspect/mapping.hpp"
#include "pgsim/inspect/page_table.hpp"
#include "pgsim/memory/physical_memory.hpp"
#include "pgsim/mmu/access.hpp"
#include "pgsim/mmu/paging_controls.hpp"
#include "pgsim/mmu/walk_result.hpp"

namespace pgsim {

/// What an entry is to the processor.
enum class EntryKind : std::uint8_t {
    not_present,
    table,     ///< names the next lower table
    page,      ///< maps a page
    reserved,  ///< present with a reserved bit set: each use of it is a #PF with RSVD
};

/// What a processor with these controls takes the entry for.
[[nodiscard]] EntryKind kind_of(Entry entry, const PagingControls& controls) noexcept;

/// The bits that must be zero in a present entry, for tables and for pages alike. 4-level and 5-level paging.
/// [SDM-3A "4-Level Paging and 5-Level Paging"]
[[nodiscard]] std::uint64_t reserved_bits(Entry entry, const PagingControls& controls) noexcept;

/// One entry met on the way through an address space.
struct EntryVisit {
    VirtAddr virt;  ///< the first linear address that the entry covers
    PhysAddr entry_addr;
    Entry entry{Level::pt, 0};
    EntryKind kind = EntryKind::not_present;
    AccessRights rights;  ///< of the path, with this entry applied
};

/// What the visitor of an entry wants next.
enum class VisitNext : std::uint8_t {
    descend,  ///< into the table that the entry names, if any
    skip,     ///< on to the next entry
    stop,
};

/// A table and one way to it.
struct TableRef {
    PhysAddr address;
    Level level = Level::pt;
    VirtAddr virt;  ///< the first linear address that goes through it
    friend bool operator==(const TableRef&, const TableRef&) noexcept = default;
};

/// A root to start from.
struct RootRef {
    PhysAddr address;
    unsigned levels = 4;  ///< 4 or 5
};

/// Each table that is reachable from a root, once per (address, level): the highest level first, then by address.
/// An entry that is not present is not followed, nor one that maps a page (PS in a PDE or PDPTE).
/// Terminates for any memory; cost follows the number of distinct tables.
[[nodiscard]] std::vector<TableRef> reachable_tables(const MemorySnapshot& memory, std::span<const RootRef> roots);

/// Everything that one root maps, at one moment. Reads a snapshot; changes nothing. 4-level and 5-level paging.
///
/// Tables may be anything: loops are followed level by level, so each walk ends; searches that would not end in
/// reasonable time stop at a limit and say so.
class AddressSpace {
public:
    /// @throws Error  if the paging mode is neither 4-level nor 5-level, or the root is not 4-KByte aligned
    AddressSpace(MemorySnapshot memory, const PagingControls& controls);
    /// The tables below `root`, with NX and 1-GByte pages, MAXPHYADDR 52.
    AddressSpace(MemorySnapshot memory, RootRef root);

    [[nodiscard]] const PagingControls& controls() const noexcept { return controls_; }
    [[nodiscard]] const MemorySnapshot& memory() const noexcept { return memory_; }
    [[nodiscard]] PhysAddr root() const noexcept { return controls_.root; }
    [[nodiscard]] Level root_level() const noexcept {
        return controls_.mode == PagingMode::five_level ? Level::pml5 : Level::pml4;
    }
    [[nodiscard]] unsigned levels() const noexcept { return number(root_level()); }

    /// The table at `address`, read as a table of `level`; all ones where no memory answers.
    /// @throws Error  if the address is not 4-KByte aligned
    [[nodiscard]] PageTable table(PhysAddr address, Level level) const;
    [[nodiscard]] PageTable root_table() const { return table(root(), root_level()); }
    /// Each table that is reachable, as `reachable_tables` lists them.
    [[nodiscard]] std::vector<TableRef> tables() const;

    /// One translation with all its steps.
    [[nodiscard]] WalkResult walk(VirtAddr virt, Access access = {}) const;

    /// Visits entries in the order of linear addresses, each before those of the table that it names. A table that is
    /// reachable on several ways is visited on each.
    /// @param first, last  only entries that cover an address from `first` to `last`, both included
    /// @return  false when the visitor stopped, or after 2^22 tables
    bool for_each_entry(const std::function<VisitNext(const EntryVisit&)>& visit, VirtAddr first = VirtAddr{0},
                        VirtAddr last = VirtAddr{~std::uint64_t{0}}) const;
    /// Visits the pages that `filter` accepts, in order. Return false from `visit` to stop.
    /// @return  false when the visitor stopped, or after 2^22 tables
    bool for_each_page(const PageFilter& filter, const std::function<bool(const Mapping&)>& visit) const;

    /// Pages joined to ranges. 300,000 pages take a few milliseconds.
    [[nodiscard]] RangeList ranges(const RangeOptions& options = {}) const;

    /// Who maps the byte at `phys`: each page that holds it, in the order of linear addresses; at most `limit`.
    [[nodiscard]] std::vector<Mapping> mappings_of(PhysAddr phys, std::size_t limit = 1000) const;

private:
    MemorySnapshot memory_;
    PagingControls controls_;
};

}  // namespace pgsim
