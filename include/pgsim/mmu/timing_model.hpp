// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "pgsim/base/address.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/mmu/access.hpp"
#include "pgsim/mmu/timing_cache.hpp"
#include "pgsim/mmu/timing_core.hpp"
#include "pgsim/mmu/timing_cost.hpp"
#include "pgsim/mmu/tlb.hpp"
#include "pgsim/mmu/walker.hpp"

namespace pgsim {

class NestedWalkResult;
struct NestedStep;

/// The translation hardware of one core: its TLBs, paging-structure caches and data caches as they are laid out there,
/// and what each step of a translation costs. [spec timing 10]
///
/// An `Mmu` that has one asks it instead of its own `Tlb` and `PagingStructureCache`, in the order of an access:
/// `begin`, `lookup`, and on a miss `start_walk`, a `reference` for each entry read, `set_flags`, `fill`; at last
/// `data`. Decides what is cached and what it costs, never what is allowed.
class TimingModel {
public:
    /// @throws Error  a geometry that cannot be, with the name of the array
    explicit TimingModel(CoreDescription core);

    [[nodiscard]] const CoreDescription& core() const noexcept { return core_; }

    // --- one access ---
    void begin() noexcept {
        cost_ = {};
        ++statistics_.accesses;
    }
    /// The cached translation, from the first level or (moved to the first level) the second; none (false) when there
    /// is none.
    [[nodiscard]] CachedPage lookup(VirtAddr virt, std::uint16_t pcid, Access access);
    /// The walker starts: below the deepest cached entry, or (nullopt) at the root.
    [[nodiscard]] std::optional<WalkStart> start_walk(VirtAddr virt, std::uint16_t pcid, Access access);
    /// The walk has to begin again at the root: a cached entry led to a fault.
    void restart_walk() noexcept { cost_.place = TranslationPlace::walk; }
    /// The walker reads the entry at `entry`.
    void reference(PhysAddr entry);
    /// The walker writes these many entries with new accessed or dirty flags.
    void set_flags(std::size_t entries);
    /// A leaf goes into both levels of the TLB.
    void fill(VirtAddr virt, std::uint16_t pcid, CachedPage page, Access access);
    /// An entry that names a table goes where this core caches such entries.
    void fill_structure(Level level, VirtAddr virt, std::uint16_t pcid, CachedTable table);
    /// The access itself, once translated.
    void data(PhysAddr phys, Access access);
    /// The access is over: it goes into the statistics.
    void end() noexcept;
    /// What the last access cost.
    [[nodiscard]] const AccessCost& cost() const noexcept { return cost_; }

    /// A whole access of a guest, whose walk was done by `NestedWalker`; host-side translations are cached in a nested
    /// TLB. [spec timing 10.2 "Nested"]
    AccessCost nested_access(const NestedWalkResult& walk, VirtAddr guest_linear, std::uint16_t pcid, Access access);

    // --- invalidation ---
    void invalidate_page(VirtAddr virt, std::uint16_t pcid, bool global_too);
    void invalidate_pcid(std::uint16_t pcid, bool global_too);
    void invalidate_all(bool global_too);
    /// Another address space, without a flush: arrays forget the PCIDs that they have no place for.
    void switch_pcid(std::uint16_t pcid);
    /// Table entries changed under a nested walk's nested TLB.
    void invalidate_nested();

    /// The cost of an operation, entered into the statistics.
    Cycles event(TimedEvent what) noexcept;

    [[nodiscard]] TimingStatistics statistics() const;
    void reset_statistics();

private:
    struct Unit {
        CoreArray description;
        TagArray tags;
        std::vector<std::uint64_t> words;  // CachedPage or CachedTable, as the tag says
        ArrayStatistics counts;
        std::vector<std::uint16_t> recent_pcids;  // youngest first, where `description.pcids` limits them

        explicit Unit(const CoreArray& array);
        [[nodiscard]] unsigned find(std::uint64_t linear, TagKind kind, std::uint16_t pcid) const noexcept {
            const std::uint64_t prefix = Tag::prefix(linear, kind);
            return tags.find(prefix, Tag::make(prefix, kind, pcid), Tag::make_global(prefix, kind));
        }
    };
    using Group = std::vector<Unit>;
    struct Found {
        Unit* unit = nullptr;
        unsigned slot = 0;
    };

    [[nodiscard]] Group& first_level(Access access) noexcept;
    [[nodiscard]] Group& second_level(Access access) noexcept;
    [[nodiscard]] Found find_page(Group& group, VirtAddr virt, std::uint16_t pcid);
    void insert(Group& group, VirtAddr virt, TagKind kind, std::uint16_t pcid, bool global, std::uint64_t word);
    void charge_reference(PhysAddr entry);
    void nested_references(std::span<const NestedStep> steps);
    [[nodiscard]] bool is_nested(const Unit& unit) const noexcept {
        return &unit == &nested_.front() || &unit == &nested_.back();
    }
    template <class Function>
    void each_unit(Function function);

    CoreDescription core_;
    Group l1_load_, l1_store_, l1_fetch_, l2_, l2_fetch_, structures_;
    Group nested_;  // guest-physical to system-physical: pages, tables
    CacheHierarchy caches_;
    AccessCost cost_;
    bool second_level_asked_ = false;
    std::uint8_t page_kinds_ = 0;  // kinds of pages that may be cached somewhere
    bool smashed_ = false;         // pieces of 1-GByte pages may be in the second level
    std::uint64_t clock_ = 0;
    TimingStatistics statistics_;  // without its arrays
};

}  // namespace pgsim
