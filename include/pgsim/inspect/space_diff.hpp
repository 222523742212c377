// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pgsim/inspect/address_space.hpp"

namespace pgsim {

enum class ChangeKind : std::uint8_t { added, removed, changed };
[[nodiscard]] std::string_view to_string(ChangeKind kind) noexcept;

/// An entry of a table that is reachable before or after, whose value differs. A table that is not reachable counts as
/// all zero, so the entries of a new table are added.
struct EntryChange {
    ChangeKind kind = ChangeKind::changed;
    PhysAddr entry_addr;
    Level level = Level::pt;
    VirtAddr virt;  ///< the first linear address that goes through the entry
    std::uint64_t before = 0;
    std::uint64_t after = 0;
};

/// Linear addresses whose translation differs. `before` and `after` begin and end with the range.
struct RangeChange {
    ChangeKind kind = ChangeKind::changed;
    VirtAddr virt;
    std::uint64_t bytes = 0;
    std::optional<MappedRange> before;
    std::optional<MappedRange> after;
};

/// What differs between two address spaces.
struct SpaceDiff {
    std::vector<EntryChange> entries;  ///< highest level first, then by address
    std::vector<RangeChange> ranges;   ///< by linear address
    bool complete = true;              ///< false when a limit ended the search
    [[nodiscard]] bool empty() const noexcept { return entries.empty() && ranges.empty(); }
};

struct DiffOptions {
    bool accessed_dirty = false;  ///< A and D count as differences
    std::uint64_t max_entries = 1'000'000;
};

/// What became of `before`. Entries are the same entry when they have the same address and level; ranges go by linear
/// address, so two boots whose tables lie elsewhere still compare.
[[nodiscard]] SpaceDiff diff(const AddressSpace& before, const AddressSpace& after, const DiffOptions& options = {});

/// One line: "changed 0xffff888000000000-0xffff8880001fffff 2 MiB: 2M rwx -> 4K rw-".
[[nodiscard]] std::string to_string(const RangeChange& change);

}  // namespace pgsim
