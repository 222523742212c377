// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pgsim/mmu/tag_array.hpp"

namespace pgsim {

/// One TLB array or paging-structure cache of a core.
struct CoreArray {
    std::string name;  ///< "DTLB 4K"
    TagArrayShape shape;
    std::uint8_t kinds = 0;  ///< bit n: holds TagKind n
    /// Address spaces (PCIDs) whose translations it keeps when another one is switched to without a flush: the youngest
    /// ones, the current one included. 0: a switch empties it. nullopt: as many as there are.
    std::optional<unsigned> pcids;
    /// A second-level array that keeps a 1-GByte page as the 2-MByte pieces that are used.
    bool smashes_1g = false;

    [[nodiscard]] constexpr bool holds(TagKind kind) const noexcept {
        return (kinds >> static_cast<unsigned>(kind) & 1) != 0;
    }
};

/// One level of the data caches, 64-byte lines, LRU.
struct CoreCache {
    std::string name;  ///< "L1D"
    std::uint64_t bytes = 0;
    unsigned ways = 1;
    std::uint32_t latency = 0;  ///< cycles, load to use, when this level answers
};

/// A processor core as the timing model sees it: geometry and costs, all of it data. [spec timing 10]
///
/// All times are core cycles.
struct CoreDescription {
    std::string name;                  ///< "skylake"
    std::string title;                 ///< "Intel Skylake (client and SP)"
    std::vector<std::string> aliases;  ///< QEMU's names of CPUs with this core
    double ghz = 1.0;

    std::vector<CoreArray> l1_load;   ///< looked up in parallel
    std::vector<CoreArray> l1_store;  ///< empty: stores use `l1_load`
    std::vector<CoreArray> l1_fetch;
    std::vector<CoreArray> l2;        ///< the second-level TLB; a PDE among its kinds: PDEs compete with pages there
    std::vector<CoreArray> l2_fetch;  ///< empty: fetches use `l2`
    std::vector<CoreArray> structure_caches;  ///< looked up from the PDE upwards

    std::uint32_t l1_hit = 0;        ///< added to an access that hits the first-level TLB
    std::uint32_t l2_hit = 0;        ///< second-level lookup, data side
    std::uint32_t l2_hit_fetch = 0;  ///< … instruction side
    std::uint32_t walk_start = 0;    ///< from the second-level miss to the first reference
    std::uint32_t walk_step = 0;     ///< for each reference, beside the latency of the level that answers
    std::uint32_t walkers = 1;       ///< walks at a time
    std::uint32_t flag_assist = 0;   ///< once a walk that sets accessed or dirty flags, beside the writes

    std::vector<CoreCache> caches;     ///< nearest first, 1 ..= 3
    std::uint32_t memory_latency = 0;  ///< load to use when no cache answers

    std::uint32_t invlpg = 0;
    std::uint32_t cr3_flush = 0;                          ///< MOV CR3 that flushes
    std::optional<std::uint32_t> cr3_keep;                ///< with bit 63; nullopt: the core has no PCIDs
    std::optional<std::array<std::uint32_t, 4>> invpcid;  ///< by type; nullopt: no INVPCID
    std::uint32_t cr4_pge = 0;                            ///< a write that changes CR4.PGE
    std::uint32_t page_fault = 0;                         ///< delivery of #PF
    std::uint32_t iret = 0;

    /// Where each number comes from: its path in the file, and the source with its mark (R read, 2 second-hand,
    /// M from memory, O own measurement, I inferred, U unknown and carried over). [spec timing]
    std::vector<std::pair<std::string, std::string>> sources;
};

/// Reads a core from JSON (docs/cores.md). Every number must come with its source.
/// @throws Error  the path of the key, and what is wrong there
[[nodiscard]] CoreDescription parse_core(std::string_view json);

/// The same from a file. @throws Error  with the file's name
[[nodiscard]] CoreDescription load_core(const std::string& path);

/// A core that comes with the library.
struct BuiltInCore {
    std::string_view name;  ///< "skylake"
    std::string_view json;  ///< to copy and edit
};
/// All of them, oldest first.
[[nodiscard]] std::vector<BuiltInCore> built_in_cores();

/// By name or alias, upper and lower case alike. @throws Error  an unknown name, with those that are known
[[nodiscard]] CoreDescription find_core(std::string_view name);

}  // namespace pgsim
