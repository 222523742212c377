// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "pgsim/formats/table_runs.hpp"

namespace pgsim::formats {

/// Registers at a checkpoint; absent where the file (or a simulation) has none.
struct CaptureCpu {
    std::optional<std::uint64_t> cr0, cr2, cr3, cr4, efer, rip, rsp, cs;
    std::optional<bool> cs_long;
    friend bool operator==(const CaptureCpu&, const CaptureCpu&) = default;
};

/// A further root of the same moment, e.g. init_top_pgt while CR3 is still early_top_pgt.
struct CaptureRoot {
    std::string name;
    std::uint64_t pa = 0;
    unsigned levels = 4;
    friend bool operator==(const CaptureRoot&, const CaptureRoot&) = default;
};

/// One table. `name` is empty but for extra tables; `level` 1 ..= 5, absent where it varies (early_dynamic_pgts[i]).
struct CaptureTable {
    std::string name;
    std::uint64_t pa = 0;
    std::optional<unsigned> level;
    TableRuns entries;
    friend bool operator==(const CaptureTable&, const CaptureTable&) = default;
};

/// One region of memblock. `nid` raw: 1024 (MAX_NUMNODES) or -1 (NUMA_NO_NODE) without a node.
struct CaptureRegion {
    std::uint64_t base = 0;
    std::uint64_t size = 0;
    std::int64_t nid = 0;
    std::uint64_t flags = 0;
    friend bool operator==(const CaptureRegion&, const CaptureRegion&) = default;
};

/// The region array behind a memblock type: its capacity, the sum of sizes, its virtual address.
struct CaptureRegionInfo {
    std::uint64_t max = 0;
    std::uint64_t total_size = 0;
    std::uint64_t array = 0;
    friend bool operator==(const CaptureRegionInfo&, const CaptureRegionInfo&) = default;
};

struct CaptureMemblock {
    bool bottom_up = false;
    std::uint64_t current_limit = 0;
    std::vector<CaptureRegion> memory;
    std::vector<CaptureRegion> reserved;
    std::optional<CaptureRegionInfo> memory_info;
    std::optional<CaptureRegionInfo> reserved_info;
    friend bool operator==(const CaptureMemblock&, const CaptureMemblock&) = default;
};

/// Addresses, entries and masks: written as "0x…".
struct Hex {
    std::uint64_t value = 0;
    friend bool operator==(Hex, Hex) = default;
};
/// List of [first, end).
using NumberPairs = std::vector<std::pair<std::uint64_t, std::uint64_t>>;
/// A kernel variable: a number (modulo 2^64), a "0x…" string, or a list of pairs (pfn_mapped).
using GlobalValue = std::variant<std::int64_t, Hex, NumberPairs>;

/// One entry of an E820 table.
struct CaptureE820 {
    std::uint64_t start = 0;
    std::uint64_t size = 0;
    std::uint64_t type = 0;
    friend bool operator==(const CaptureE820&, const CaptureE820&) = default;
};

struct CaptureNode {
    std::int64_t nid = 0;
    std::uint64_t pgdat = 0;  ///< physical address
    std::uint64_t node_start_pfn = 0;
    std::uint64_t node_spanned_pages = 0;
    std::uint64_t node_present_pages = 0;
    std::optional<std::uint64_t> first_deferred_pfn;  ///< 2^64-1: nothing deferred
    friend bool operator==(const CaptureNode&, const CaptureNode&) = default;
};

struct CaptureZone {
    std::int64_t nid = 0;
    std::string name;
    std::uint64_t index = 0;
    std::uint64_t start_pfn = 0;
    std::uint64_t spanned = 0;
    std::uint64_t present = 0;
    std::uint64_t managed = 0;
    std::vector<std::uint64_t> free_area;  ///< free blocks of each order
    friend bool operator==(const CaptureZone&, const CaptureZone&) = default;
};

/// One call of init_memory_mapping and the state at its entry; `start` and `end` are bytes, the rest are page frames.
struct CaptureMappingCall {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    std::uint64_t pgt_buf_end = 0;
    std::uint64_t pgt_buf_top = 0;
    std::uint64_t min_pfn_mapped = 0;
    std::uint64_t max_pfn_mapped = 0;
    friend bool operator==(const CaptureMappingCall&, const CaptureMappingCall&) = default;
};

/// The state at one point of a boot. What is absent in the file is absent here, never empty instead.
struct CaptureCheckpoint {
    std::string name;
    CaptureCpu cpu;
    std::uint64_t root = 0;
    unsigned levels = 4;
    std::vector<CaptureRoot> extra_roots;
    std::vector<CaptureTable> tables;  ///< reachable from a root; highest level first, then by address
    std::optional<std::vector<CaptureTable>> extra_tables;
    std::optional<CaptureMemblock> memblock;
    std::optional<std::vector<std::pair<std::string, GlobalValue>>> globals;  ///< in the file's order
    std::optional<std::vector<CaptureE820>> e820_kernel;
    std::optional<std::vector<CaptureNode>> nodes;
    std::optional<std::vector<CaptureZone>> zones;
    std::optional<std::vector<std::uint64_t>> early_faults;
    std::optional<std::vector<CaptureMappingCall>> init_memory_mapping_calls;
    /// The keys that this model does not hold (memblock_calls, log_bytes, …): a JSON object, or empty.
    std::string other_json;
};

/// A boot capture: what a real kernel (or a simulated one) had at fixed points of its boot.
/// [spec: captures "FORMAT"]
struct Capture {
    std::string name;
    std::string release;  ///< kernel.release
    std::string series;   ///< kernel.series: "6.1", "6.6", "6.12"
    std::string cmdline;
    /// Everything but `checkpoints`, as one JSON object: the boot's inputs among other things. `name`, `kernel` and
    /// `cmdline` above repeat what stands here; the writer takes this text.
    std::string head_json;
    std::vector<CaptureCheckpoint> checkpoints;

    /// Null when there is none of this name.
    [[nodiscard]] const CaptureCheckpoint* find(std::string_view checkpoint) const noexcept;
};

/// Captures larger than this (as JSON text, in bytes) are refused.
inline constexpr std::size_t max_capture_bytes = std::size_t{64} << 20;

/// Reads a capture, plain JSON or xz-compressed (told by the content, not by the name).
/// @throws Error  naming file, key path and reason
[[nodiscard]] Capture read_capture(const std::string& path);

/// Reads a capture from JSON text. `name` is put before the place of an error.
/// @throws Error  naming key path and reason
[[nodiscard]] Capture parse_capture(std::string_view text, std::string_view name = "capture");

/// The capture as JSON text with the conventions of the format: hex strings and numbers key by key, runs of entries.
/// @throws Error  if head_json or an other_json is not a JSON object
[[nodiscard]] std::string capture_to_json(const Capture& capture);

/// Writes the file whole or not at all; compressed when the path ends in ".xz".
/// @throws Error  if it cannot be written, or as capture_to_json
void write_capture(const std::string& path, const Capture& capture);

}  // namespace pgsim::formats
