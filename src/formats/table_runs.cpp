// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/formats/table_runs.hpp"

#include "pgsim/base/error.hpp"

namespace pgsim::formats {

namespace {

constexpr std::size_t table_size = std::tuple_size_v<TableEntries>;

// Length of the run of non-zero entries with one stride that begins at `index`; at least 1.
std::size_t run_length(std::span<const std::uint64_t> entries, std::size_t index) noexcept {
    std::size_t end = index + 1;
    if (end == entries.size() || entries[end] == 0) {
        return 1;
    }
    const std::uint64_t stride = entries[end] - entries[index];
    while (end < entries.size() && entries[end] != 0 && entries[end] - entries[end - 1] == stride) {
        ++end;
    }
    return end - index;
}

}  // namespace

TableRuns TableRuns::encode(std::span<const std::uint64_t> entries) {
    if (entries.size() > table_size) {
        throw Error{"a table has at most 512 entries, not " + std::to_string(entries.size())};
    }
    TableRuns result;
    for (std::size_t index = 0; index < entries.size();) {
        if (entries[index] == 0) {
            ++index;
            continue;
        }
        std::size_t count = run_length(entries, index);
        std::uint64_t stride = count > 1 ? entries[index + 1] - entries[index] : 0;
        if (count == 2 && stride != 0) {
            // Any two entries have a stride; to call that a run would take the first entry of a longer run away.
            count = 1;
            stride = 0;
        }
        result.runs_.push_back(
            {static_cast<std::uint16_t>(index), static_cast<std::uint16_t>(count), entries[index], stride});
        index += count;
    }
    return result;
}

TableRuns TableRuns::from_runs(std::span<const EntryRun> runs) {
    TableEntries entries{};
    std::size_t next = 0;
    for (const EntryRun& run : runs) {
        if (run.count == 0) {
            throw Error{"a run of no entries"};
        }
        if (run.index < next) {
            throw Error{"runs of entries overlap or are not in ascending order"};
        }
        if (run.index + std::size_t{run.count} > table_size) {
            throw Error{"a run of entries leaves the table of 512"};
        }
        for (std::size_t k = 0; k < run.count; ++k) {
            entries[run.index + k] = run.first + k * run.stride;
        }
        next = run.index + std::size_t{run.count};
    }
    return encode(entries);
}

TableEntries TableRuns::expand() const noexcept {
    TableEntries entries{};
    for (const EntryRun& run : runs_) {
        for (std::size_t k = 0; k < run.count; ++k) {
            entries[run.index + k] = run.first + k * run.stride;
        }
    }
    return entries;
}

std::uint64_t TableRuns::at(unsigned index) const noexcept {
    for (const EntryRun& run : runs_) {
        if (index >= run.index && index < run.index + unsigned{run.count}) {
            return run.first + (index - run.index) * run.stride;
        }
    }
    return 0;
}

}  // namespace pgsim::formats
