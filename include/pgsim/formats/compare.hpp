// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pgsim/formats/capture.hpp"

namespace pgsim::formats {

/// What kind of thing differs.
enum class DifferenceKind : std::uint8_t {
    checkpoint,  ///< missing in the actual capture
    cpu,
    root,   ///< root, levels, extra roots
    table,  ///< a table missing or too many
    entry,
    extra_table,  ///< a named table missing, elsewhere, or an entry of one
    memblock,
    global,
    e820,
    node,
    zone,
    early_fault,
    mapping_call,
};

[[nodiscard]] std::string_view to_string(DifferenceKind kind) noexcept;

/// One difference, as one line for people.
struct Difference {
    DifferenceKind kind = DifferenceKind::entry;
    std::string text;  ///< e.g. "PDE 0x2a18000[3]: expected 0x1e3, got 0x1a3"
};

/// A thing that is in captures but is not compared, and why.
struct NotCompared {
    std::string_view name;
    std::string_view reason;
};

/// The whole list of what comparisons leave out: globals by name, registers as "cpu.NAME".
[[nodiscard]] std::span<const NotCompared> not_compared() noexcept;

struct CompareOptions {
    /// Compare up to and including this checkpoint; empty: all that the expected capture has.
    std::string until{};
    /// Compare this checkpoint only; empty: all.
    std::string only{};
    /// Compare Accessed and Dirty bits too, where the format says that they are exact. They are never compared at
    /// decompressor.startup_64 and kernel.startup_64. [spec F16]
    bool accessed_dirty = true;
    /// Differences that are described, a checkpoint; all are counted.
    std::uint64_t max_listed = 1000;
};

/// The outcome for one checkpoint.
struct CheckpointComparison {
    std::string name;
    std::uint64_t tables = 0;             ///< tables compared, extra tables included
    std::uint64_t entries = 0;            ///< entries compared: 512 a table
    std::uint64_t values = 0;             ///< other values compared
    std::uint64_t difference_count = 0;   ///< all of them
    std::vector<Difference> differences;  ///< the first CompareOptions::max_listed of them
};

struct Comparison {
    std::vector<CheckpointComparison> checkpoints;
    [[nodiscard]] std::uint64_t entries() const noexcept;
    [[nodiscard]] std::uint64_t differences() const noexcept;
    [[nodiscard]] bool equal() const noexcept { return differences() == 0; }
};

/// Compares everything that `expected` holds with what `actual` has; what only `actual` has is not looked at, but for
/// tables and list elements too many. user.init is not compared unless asked for by `only` or `until`: what a real
/// kernel has there depends on timing.
[[nodiscard]] Comparison compare_captures(const Capture& expected, const Capture& actual,
                                          const CompareOptions& options = {});

/// The same for one checkpoint.
[[nodiscard]] CheckpointComparison compare_checkpoints(const CaptureCheckpoint& expected,
                                                       const CaptureCheckpoint& actual,
                                                       const CompareOptions& options = {});

/// Whether Accessed and Dirty bits are left out at this checkpoint. [spec F16]
[[nodiscard]] bool ignores_accessed_dirty(std::string_view checkpoint) noexcept;

}  // namespace pgsim::formats
