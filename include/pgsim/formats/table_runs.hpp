// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace pgsim::formats {

/// The 512 entries of a paging structure, as read.
using TableEntries = std::array<std::uint64_t, 512>;

/// `count` entries from `index` on; the k-th of them is first + k * stride, modulo 2^64.
struct EntryRun {
    std::uint16_t index = 0;
    std::uint16_t count = 0;
    std::uint64_t first = 0;
    std::uint64_t stride = 0;
    friend bool operator==(const EntryRun&, const EntryRun&) = default;
};

/// The entries of one table, run-length coded as capture files have them; an index that no run covers holds 0.
///
/// The runs are canonical (the same entries give the same runs), so equality of runs is equality of tables. A run has
/// three entries or more, or is a pair of equal entries, or is one entry.
class TableRuns {
public:
    TableRuns() = default;

    /// @param entries  at most 512; missing ones are 0
    /// @throws Error  if there are more than 512
    [[nodiscard]] static TableRuns encode(std::span<const std::uint64_t> entries);

    /// From runs as a file has them, in any coding; the result is canonical.
    /// @throws Error  if runs overlap, are not ascending, are empty or leave the table
    [[nodiscard]] static TableRuns from_runs(std::span<const EntryRun> runs);

    [[nodiscard]] std::span<const EntryRun> runs() const noexcept { return runs_; }
    [[nodiscard]] TableEntries expand() const noexcept;
    /// @param index  0 ..= 511
    [[nodiscard]] std::uint64_t at(unsigned index) const noexcept;
    /// True when every entry is 0.
    [[nodiscard]] bool all_zero() const noexcept { return runs_.empty(); }

    friend bool operator==(const TableRuns&, const TableRuns&) = default;

private:
    std::vector<EntryRun> runs_;
};

}  // namespace pgsim::formats
