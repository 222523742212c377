// SPDX-License-Identifier: GPL-2.0-only
// What the makers of exercises share.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pgsim/inspect/address_space.hpp"
#include "pgsim/memory/physical_memory.hpp"
#include "pgsim/mmu/paging_controls.hpp"
#include "pgsim/scenario/exercise.hpp"

namespace pgsim::exercises {

/// Fills in text, solution and fields.
using Maker = void (*)(SplitMix64& random, Exercise& exercise);
struct ExerciseEntry {
    ExerciseInfo info;
    Maker make;
};
// One list a file; exercise.cpp puts them together.
[[nodiscard]] std::span<const ExerciseEntry> address_exercises();
[[nodiscard]] std::span<const ExerciseEntry> entry_exercises();
[[nodiscard]] std::span<const ExerciseEntry> walk_exercises();
[[nodiscard]] std::span<const ExerciseEntry> reference_exercises();
[[nodiscard]] std::span<const ExerciseEntry> large_page_exercises();
[[nodiscard]] std::span<const ExerciseEntry> tlb_exercises();
[[nodiscard]] std::span<const ExerciseEntry> boot_exercises();
[[nodiscard]] std::span<const ExerciseEntry> early_exercises();
[[nodiscard]] std::span<const ExerciseEntry> buddy_exercises();
[[nodiscard]] std::span<const ExerciseEntry> process_exercises();
[[nodiscard]] std::span<const ExerciseEntry> reclaim_exercises();

[[nodiscard]] ExerciseField number(std::string name, std::string what, std::uint64_t answer, std::string hint);
[[nodiscard]] ExerciseField address(std::string name, std::string what, std::uint64_t answer, std::string hint);
[[nodiscard]] ExerciseField word(std::string name, std::string what, std::string answer,
                                 std::vector<std::string> choices, std::string hint);
[[nodiscard]] ExerciseField yes_no(std::string name, std::string what, bool answer, std::string hint);
[[nodiscard]] ExerciseField list(std::string name, std::string what, const std::vector<std::string>& items,
                                 std::string hint);

/// "0x00000000000020e7".
[[nodiscard]] std::string hex16(std::uint64_t value);

/// "1 page", "3 pages"; without `many`, an s makes the plural.
[[nodiscard]] std::string counted(std::uint64_t count, std::string_view one, std::string_view many = {});
/// Lines for people, none of prose longer than 100 columns: what does not begin with blanks is joined to paragraphs and
/// filled.
[[nodiscard]] std::string filled(const std::string& text);

inline constexpr std::uint64_t bit_p = 1;
inline constexpr std::uint64_t bit_rw = 2;
inline constexpr std::uint64_t bit_us = 4;
inline constexpr std::uint64_t bit_a = 1U << 5;
inline constexpr std::uint64_t bit_d = 1U << 6;
inline constexpr std::uint64_t bit_ps = 1U << 7;
inline constexpr std::uint64_t bit_g = 1U << 8;
inline constexpr std::uint64_t bit_xd = std::uint64_t{1} << 63;

/// Tables in a memory that is all RAM, made as they are needed at places that the generator picks.
class Tables {
public:
    /// @param levels  4 or 5
    Tables(SplitMix64& random, unsigned levels);

    [[nodiscard]] PhysicalMemory& memory() noexcept { return memory_; }
    /// 4-KByte frame that nothing else uses.
    [[nodiscard]] PhysAddr new_frame();
    [[nodiscard]] PhysAddr root() const noexcept { return controls_.root; }
    /// NXE, WP and PGE on; MAXPHYADDR 46.
    [[nodiscard]] PagingControls& controls() noexcept { return controls_; }
    [[nodiscard]] const PagingControls& controls() const noexcept { return controls_; }
    [[nodiscard]] Level top() const noexcept {
        return controls_.mode == PagingMode::five_level ? Level::pml5 : Level::pml4;
    }

    /// Where the entry of `level` for this address lies; tables above it are made with `table_flags` if missing.
    [[nodiscard]] PhysAddr entry_at(VirtAddr virt, Level level, std::uint64_t table_flags = 0x67);
    /// Writes a leaf. PS is added where the level needs it.
    void map(VirtAddr virt, PhysAddr phys, PageSize size, std::uint64_t flags, std::uint64_t table_flags = 0x67);
    void put(PhysAddr entry, std::uint64_t value) { memory_.write64(entry, value); }

    [[nodiscard]] AddressSpace space() const { return {memory_.snapshot(), controls_}; }
    [[nodiscard]] WalkResult walk(VirtAddr virt, Access access = {}) const { return space().walk(virt, access); }

    /// Every entry of the tables that is not zero, a line each, by address: "0x0000000000005008: 0x0000000000006067".
    [[nodiscard]] std::string dump() const;
    /// Frames that are tables.
    [[nodiscard]] const std::map<PhysAddr, Level>& frames() const noexcept { return frames_; }
    /// A table that nothing names.
    [[nodiscard]] PhysAddr new_table(Level level);

private:
    SplitMix64* random_;
    PhysicalMemory memory_;
    PagingControls controls_;
    std::map<PhysAddr, Level> frames_;
    std::map<PhysAddr, bool> used_;
};

/// "the PML4", "the page directory".
[[nodiscard]] std::string_view table_name(Level level) noexcept;
/// "PML4", "PDPT", "PD", "PT".
[[nodiscard]] std::string_view table_short(Level level) noexcept;
/// The index that a step of a walk used.
[[nodiscard]] unsigned index_of(const WalkStep& step) noexcept;
/// A user address (half of the time), or one that a kernel uses; canonical with so many levels.
[[nodiscard]] VirtAddr some_address(SplitMix64& random, unsigned levels);
/// The walk told, an entry a line.
[[nodiscard]] std::string told(const WalkResult& walk);

}  // namespace pgsim::exercises
