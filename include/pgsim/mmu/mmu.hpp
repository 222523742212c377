// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "pgsim/base/address.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/memory/physical_memory.hpp"
#include "pgsim/mmu/paging_controls.hpp"
#include "pgsim/mmu/paging_structure_cache.hpp"
#include "pgsim/mmu/timing_model.hpp"
#include "pgsim/mmu/tlb.hpp"
#include "pgsim/mmu/walker.hpp"

namespace pgsim {

/// How much of the translation caches takes part.
enum class CachePolicy : std::uint8_t {
    off,     ///< every access walks
    on,      ///< TLB and paging-structure caches; stale translations happen where hardware may show them
    strict,  ///< as `on`, but a translation that no longer agrees with memory is never used
};

/// The four types of INVPCID. [SDM-2 "INVPCID"]
enum class InvpcidType : std::uint8_t { address = 0, single_context = 1, all_with_global = 2, all_but_global = 3 };

/// What a register write takes out of the translation caches. [SDM-3A "Operations that Invalidate TLBs and
/// Paging-Structure Caches"]
struct TranslationFlush {
    enum class Scope : std::uint8_t {
        nothing,
        pcid,             ///< non-global translations of `pcid`, and its paging-structure caches
        pcid_and_global,  ///< all translations of `pcid`, global ones too
        all_but_global,
        all,
    };
    Scope scope = Scope::nothing;
    std::uint16_t pcid = 0;
};

/// Counts since the start or the last `reset_statistics`.
struct MmuStatistics {
    std::uint64_t accesses = 0;
    std::uint64_t tlb_hits = 0;
    std::uint64_t walks = 0;
    std::uint64_t walk_steps = 0;      ///< entries read
    std::uint64_t structure_hits = 0;  ///< walks that began at a cached entry
    std::uint64_t flag_updates = 0;    ///< accessed and dirty flags written
    std::uint64_t stale_refused = 0;   ///< CachePolicy::strict: cached translations that memory no longer agreed with
    std::uint64_t invalidations = 0;
};

/// The memory-management unit of one processor: the walker, the TLB and the paging-structure caches before it.
class Mmu {
public:
    Mmu();
    ~Mmu();
    Mmu(Mmu&&) noexcept;
    Mmu& operator=(Mmu&&) noexcept;

    /// The registers changed. Caches stay as they are: `flush` is a step of its own.
    void set_controls(const PagingControls& controls) {
        if (controls != controls_) {
            controls_ = controls;
            forget_lean();
        }
    }
    [[nodiscard]] const PagingControls& controls() const noexcept { return controls_; }
    /// The PCID that tags what is cached from now on.
    void set_pcid(std::uint16_t pcid) {
        if (pcid != pcid_) {
            switch_pcid(pcid);
        }
    }

    void set_policy(CachePolicy policy);
    [[nodiscard]] CachePolicy policy() const noexcept { return policy_; }

    /// From now on the translation caches are laid out as in `core` and every access and invalidation has a cost in
    /// cycles; nullopt: no longer. All caches are emptied. Off (as a fresh MMU is), timing costs nothing.
    /// @throws Error  a geometry that cannot be
    void set_core(const std::optional<CoreDescription>& core);
    /// The timing model with its costs and statistics; null when timing is off.
    [[nodiscard]] TimingModel* timing() noexcept { return timing_.get(); }
    [[nodiscard]] const TimingModel* timing() const noexcept { return timing_.get(); }

    /// Translates, as an access does: TLB, else a walk (from the deepest cached entry), which sets accessed and dirty
    /// flags in `memory` (journal origin "MMU") and fills the caches. Never serves a fault from a cache.
    [[nodiscard]] WalkResult access(PhysicalMemory& memory, VirtAddr virt, Access access);

    /// What the lean path gave: when `found()`, the access goes through and no flag has to be set.
    struct QuickTranslation {
        PhysAddr phys;
        std::uint64_t state =
            0;  ///< 0: not found; else one more than the entries read (two words: travels in registers)
        [[nodiscard]] bool found() const noexcept { return state != 0; }
        [[nodiscard]] std::uint64_t entries_read() const noexcept { return state - 1; }
    };
    /// The same for the common case, without a trace: TLB, else a walk that fills the caches. Not `found()` for a
    /// fault, flags to be set, or anything else that is rare: ask `access`. Nothing has been counted or cached then.
    [[nodiscard]] QuickTranslation try_translate(const PhysicalMemory& memory, VirtAddr virt, Access access);

    /// The physical address when the TLB holds a translation that allows `access` as it is; nullopt: ask `access`.
    [[nodiscard]] std::optional<PhysAddr> try_tlb(VirtAddr virt, Access access) noexcept;

    /// INVLPG for the current PCID.
    void invalidate_page(VirtAddr virt);
    /// INVPCID type 0: non-global translations of one page in one PCID.
    void invalidate_page(VirtAddr virt, std::uint16_t pcid);
    void flush(const TranslationFlush& what);

    [[nodiscard]] const Tlb& tlb() const noexcept { return tlb_; }
    [[nodiscard]] const PagingStructureCache& structure_cache() const noexcept { return structures_; }
    [[nodiscard]] MmuStatistics statistics() const noexcept;
    void reset_statistics() noexcept {
        statistics_ = {};
        quick_hits_ = 0;
        quick_walks_ = {};
    }

private:
    [[nodiscard]] std::optional<WalkResult> from_tlb(const PhysicalMemory& memory, VirtAddr virt, Access access);
    [[nodiscard]] std::optional<WalkResult> from_entry(CachedPage page, const PhysicalMemory& memory, VirtAddr virt,
                                                       VirtAddr linear, Access access);
    [[nodiscard]] WalkResult walk(PhysicalMemory& memory, VirtAddr virt, Access access);
    [[nodiscard]] WalkResult timed_translation(PhysicalMemory& memory, VirtAddr virt, Access access);
    [[nodiscard]] WalkResult timed_walk(PhysicalMemory& memory, VirtAddr virt, VirtAddr linear, Access access);
    void finish_walk(PhysicalMemory& memory, const WalkResult& walk);
    void fill(const WalkResult& walk);
    void switch_pcid(std::uint16_t pcid);
    void make_lean(const PhysicalMemory& memory);
    void forget_lean() noexcept { lean_known_ = quick_ = false; }
    [[nodiscard]] QuickTranslation try_slowly(const PhysicalMemory& memory, VirtAddr virt, Access access);
    [[nodiscard]] QuickTranslation try_larger(const PhysicalMemory& memory, VirtAddr virt, Access access);
    [[nodiscard]] QuickTranslation quick_hit(CachedPage page, VirtAddr virt, Access access);
    [[nodiscard]] QuickTranslation quick_walk(const PhysicalMemory& memory, VirtAddr virt, Access access);
    [[nodiscard]] QuickTranslation quick_walk_with_new_hints(const PhysicalMemory& memory, VirtAddr virt,
                                                             Access access);
    template <class Attempt>
    [[nodiscard]] QuickTranslation quick_walk_as(const PhysicalMemory& memory, VirtAddr virt, Access access);
    template <class Attempt, class From>
    [[nodiscard]] QuickTranslation quick_walk_from(const PhysicalMemory& memory, VirtAddr virt, Access access,
                                                   CachedTable start);

    PagingControls controls_;
    Tlb tlb_;
    PagingStructureCache structures_;
    std::unique_ptr<TimingModel> timing_;
    MmuStatistics statistics_;  // without what the lean path counts
    std::uint64_t quick_hits_ = 0;
    // Walks of the lean path by the level of the first table (0: a PML4 that is the root) and of the leaf: one count a
    // walk.
    std::array<std::array<std::uint64_t, 4>, 6> quick_walks_{};
    std::uint16_t pcid_ = 0;
    CachePolicy policy_ = CachePolicy::on;
    [[nodiscard]] const Walker& walker(const PhysicalMemory& memory);
    std::optional<Walker> walker_;  // of the controls, when lean_known_
    bool lean_known_ = false;       // lean_ and quick_ are those of the controls, the policy and the timing
    bool quick_ = false;            // the lean path may be used
    detail::LeanRules lean_;
    std::uint64_t kept_of_leaf_ = 0;  // the bits of a leaf that its CachedPage has too
};

}  // namespace pgsim
