// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "pgsim/memory/physical_memory.hpp"
#include "pgsim/mmu/access.hpp"
#include "pgsim/mmu/paging_controls.hpp"
#include "pgsim/mmu/walk_result.hpp"

namespace pgsim {

/// Where a walk may begin below the root: what a paging-structure cache holds.
struct WalkStart {
    Level level = Level::pml4;  ///< of the first entry to read
    PhysAddr table;             ///< the table to read it from
    AccessRights rights;        ///< of the entries above
};

namespace detail {
/// What an access needs of the entries on its path, for the lean path. Bits are those of entries; in `lacks` of a path
/// a set bit means: P, R/W, U/S, A missing in some entry, XD set in some entry, D missing in the leaf.
struct LeanNeeds {
    std::uint64_t mask = ~std::uint64_t{0};   ///< bits that matter
    std::uint64_t value = ~std::uint64_t{0};  ///< … and how they must be (fresh: never)
    [[nodiscard]] constexpr bool met(std::uint64_t lacks) const noexcept { return ((lacks ^ value) & mask) == 0; }
};

/// What the lean path makes of the controls. Masks are indexed by the number of the level.
struct LeanRules {
    std::array<std::uint64_t, 6> not_a_table{};  ///< bits of (entry XOR flipped) that are 0 in one that names a table
    std::array<std::uint64_t, 6> names_table{};  ///< the same bits and those of the table's address
    std::array<std::uint64_t, 6> not_a_page{};   ///< … in one that maps a page
    std::array<LeanNeeds, 32> needs;             ///< by 4 x kind + CPL, for accesses of mode by_cpl
    Level top = Level::pml4;
    bool plain = false;          ///< IA-32e paging; no metadata in addresses, no LASS, no C-bit; else no need is met
    std::uint8_t sign_bit = 47;  ///< highest bit of a linear address that is translated
};

/// May frame hints be changed: the first try of a walk changes none and calls nothing, so that it needs no stack.
enum class LeanTry : bool { as_it_is, with_new_hints };
}  // namespace detail

/// The rules of paging over tables in `Tables` (PhysicalMemory, or MemorySnapshot), in the order of the manual's
/// description, one loop for all levels and modes. Reads memory only; what the processor would write is in the result.
/// [SDM-3A "4-Level Paging and 5-Level Paging", "PAE Paging", "32-Bit Paging", "Access Rights"]
template <class Tables>
class BasicWalker {
public:
    /// `tables` must outlive the walker.
    /// @throws Error  unless 32 <= controls.maxphyaddr <= 52
    BasicWalker(const Tables& tables, const PagingControls& controls);

    /// Translates `virt` for `access`, with all checks.
    [[nodiscard]] WalkResult walk(VirtAddr virt, Access access = {}) const;
    /// The same from a cached entry on. `virt` must be canonical and `start` valid for it.
    [[nodiscard]] WalkResult walk_from(const WalkStart& start, VirtAddr virt, Access access) const;

    /// The root as a place to begin at: `walk_from(root(), …)` walks without any check of the address.
    [[nodiscard]] WalkStart root() const noexcept { return {top_, controls_.root, {}}; }

    /// The physical address alone, with all checks; nullopt for any fault, and when flags would have to be set.
    /// The lean path: keeps no trace.
    [[nodiscard]] std::optional<PhysAddr> translate(VirtAddr virt, Access access = {}) const {
        const Found found = find(virt, access);
        return found.there != 0 ? std::optional{found.phys} : std::nullopt;
    }

    [[nodiscard]] const PagingControls& controls() const noexcept { return controls_; }
    [[nodiscard]] bool reads(const Tables& tables) const noexcept { return tables_ == &tables; }
    [[nodiscard]] const detail::LeanRules& lean_rules() const noexcept { return lean_; }

private:
    struct Path;
    void make_lean_rules() noexcept;
    // Two whole words: they travel in registers, where an optional is put together in memory first.
    struct Found {
        PhysAddr phys;
        std::uint64_t there = 0;
    };
    [[nodiscard]] Found find(VirtAddr virt, Access access) const;
    template <detail::LeanTry attempt>
    [[nodiscard]] Found find_lean(VirtAddr virt, Access access) const;
    [[nodiscard]] Found find_with_new_hints(VirtAddr virt, Access access) const;
    [[nodiscard]] Found find_slowly(VirtAddr virt, Access access) const;
    [[nodiscard]] std::uint64_t read_entry(std::uint64_t at) const;
    template <bool trace>
    void descend(Path& path, std::uint64_t linear, WalkResult* result) const;
    void finish(const Path& path, WalkResult& result) const;
    void fault(FaultCause cause, bool key_forbids, Level level, WalkResult& result) const;
    [[nodiscard]] WalkResult walk_path(Path& path, VirtAddr linear, Access access) const;
    [[nodiscard]] WalkResult without_paging(VirtAddr virt, Access access) const;
    [[nodiscard]] PhysAddr physical(const Path& path, std::uint64_t linear) const noexcept;

    static constexpr std::size_t level_count = 6;  // indexed by the number of the level

    const Tables* tables_;
    PagingControls controls_;
    std::array<std::uint64_t, level_count> ps_{};              // bit 7 where it makes an entry map a page
    std::array<std::uint64_t, level_count> reserved_table_{};  // bits that must be zero in an entry that names a table
    std::array<std::uint64_t, level_count> reserved_page_{};   // … that maps a page
    std::uint64_t address_mask_ = 0;                           // of a table's base
    EntryFormat format_ = EntryFormat::ia32e;
    Level top_ = Level::pml4;
    detail::LeanRules lean_;
};

/// PhysicalMemory for a look without a trace: reads of holes are not recorded as stray.
class QuietMemory {
public:
    explicit QuietMemory(const PhysicalMemory& memory) noexcept : memory_{&memory} {}
    [[nodiscard]] std::uint64_t read64(PhysAddr address) const { return memory_->peek64(address); }

private:
    const PhysicalMemory* memory_;
};

using Walker = BasicWalker<PhysicalMemory>;
using QuietWalker = BasicWalker<QuietMemory>;
using SnapshotWalker = BasicWalker<MemorySnapshot>;
extern template class BasicWalker<PhysicalMemory>;
extern template class BasicWalker<QuietMemory>;
extern template class BasicWalker<MemorySnapshot>;

/// The linear address that canonicality is checked on and that is translated: metadata removed where LAM or UAI say so.
/// [SDM-3A "Linear-Address Masking"], [APM-2 "Upper Address Ignore"]
[[nodiscard]] VirtAddr strip_metadata(const PagingControls& controls, VirtAddr virt, Access access) noexcept;

/// Refuses linear addresses that are not canonical or that LASS forbids; nullopt: the address may be translated.
/// `virt` has its metadata removed already. [SDM-3A "Linear-Address-Space Separation (LASS)"]
[[nodiscard]] std::optional<AddressFault> check_address(const PagingControls& controls, VirtAddr virt,
                                                        Access access) noexcept;

/// Does what the processor does after the walk: sets the accessed and dirty flags in memory.
void apply_flag_updates(PhysicalMemory& memory, const WalkResult& walk);

}  // namespace pgsim
