// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pgsim/base/address.hpp"
#include "pgsim/base/level.hpp"
#include "pgsim/scenario/process_world.hpp"

/// Processes and their memory at one moment, for whoever draws or compares them. Values: nothing refers to the world
/// that they were taken from.

namespace pgsim {

/// One VMA.
struct AreaView {
    VirtAddr start;
    VirtAddr end;                    ///< exclusive
    std::string rights;              ///< as /proc/PID/maps has them: "rw-p", "r--s"
    std::string backing;             ///< "anonymous", or the file's name
    std::uint64_t offset = 0;        ///< in the file, bytes
    std::vector<std::string> flags;  ///< further VM_ flags in small letters: "growsdown", "locked", "hugepage" …
};

/// What an entry that is not none says.
enum class MappedKind : std::uint8_t { page, zero_page, swapped, other };
[[nodiscard]] std::string_view to_string(MappedKind kind) noexcept;

/// One 4-KByte page that a process's tables know; a 2-MByte mapping counts as 512.
struct MappedPageView {
    VirtAddr address;
    MappedKind kind = MappedKind::page;
    Pfn pfn;                      ///< of a page
    std::uint64_t swap_slot = 0;  ///< of a swapped one
    std::uint64_t entry = 0;      ///< value of the PTE, or of the PDE of a 2-MByte mapping
    bool present = false;         ///< P is set: false for swapped pages and for those of PROT_NONE areas
    bool writable = false;
    bool accessed = false;
    bool dirty = false;  ///< D, or bit 58 (SAVED_DIRTY) of a write-protected page
    bool huge = false;   ///< part of a 2-MByte mapping
    friend bool operator==(const MappedPageView&, const MappedPageView&) = default;
};

/// One page of paging structures.
struct TablePageView {
    Level level = Level::pt;
    VirtAddr base;  ///< first linear address that it translates
    Pfn pfn;
    unsigned entries = 0;  ///< of the user half that are not 0
};

struct ProcessView {
    std::string name;
    std::vector<AreaView> areas;        ///< by address
    std::vector<MappedPageView> pages;  ///< by address
    std::vector<TablePageView> tables;  ///< the top table first, then depth first by address
    ProcessState state;
    std::uint64_t minflt = 0;  ///< since it began
    std::uint64_t majflt = 0;
    bool in_cr3 = false;  ///< its tables are the ones that the processor uses
};

/// One frame that a process maps or a cache holds, with what its struct page says.
struct FrameView {
    Pfn pfn;
    Pfn head;                   ///< of the folio that it belongs to
    std::int32_t refcount = 0;  ///< of the folio
    std::int32_t mapcount = 0;  ///< mappings of this page, by PTE or PDE
    std::string kind;           ///< "anonymous", "zero page", or the file's name
    std::uint64_t index = 0;    ///< page->index: page of the file, or of the area's linear numbering
    bool exclusive = false;     ///< PG_anon_exclusive
    bool dirty = false;
    bool referenced = false;
    bool in_swap_cache = false;
    std::string list;  ///< "inactive anon", "active file", "unevictable" …; "batch": not on a list yet
    std::vector<std::pair<std::size_t, VirtAddr>> mapped_by;  ///< process (place in ProcessesView::processes), address
};

/// A translation that the TLB still holds but the tables do not give any more, or not with these rights.
struct StaleTranslation {
    VirtAddr address;
    Pfn pfn;
    bool writable = false;
    std::uint64_t entry = 0;  ///< what the tables say now; 0: nothing
};

struct ProcessesView {
    std::vector<ProcessView> processes;  ///< in the order of their birth
    std::map<std::uint64_t, FrameView>
        frames;  ///< by number: all that are mapped, or in the page cache or the swap cache
    std::uint64_t free_pages = 0;
    std::array<std::uint64_t, 5> lru{};  ///< pages: inactive anon, active anon, inactive file, active file, unevictable
    std::uint64_t swap_slots = 0;
    std::uint64_t free_swap_slots = 0;
    std::vector<StaleTranslation> stale;  ///< of the process whose tables are in CR3
};

/// @param world  is not changed
[[nodiscard]] ProcessesView look_at(ProcessWorld& world);

/// The counters of /proc/vmstat that this kernel has, by name.
[[nodiscard]] std::vector<std::pair<std::string_view, std::uint64_t>> counters(const kernel::VmStat& stat);

}  // namespace pgsim
