// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "pgsim/base/address.hpp"
#include "pgsim/base/level.hpp"
#include "pgsim/mmu/access.hpp"
#include "pgsim/mmu/entry.hpp"

namespace pgsim {

/// What the entries read so far allow together: R/W and U/S are ANDed over the path, XD is ORed.
struct AccessRights {
    bool writable = true;
    bool user = true;
    bool executable = true;
    friend constexpr bool operator==(AccessRights, AccessRights) noexcept = default;
};

/// One entry of a walk.
struct WalkStep {
    PhysAddr entry_addr;        ///< where the entry was read; 0 for a PDPTE register of PAE paging
    Entry entry{Level::pt, 0};  ///< as read, before this walk's A/D update
    AccessRights rights;        ///< with this entry applied
};

/// Where a translation came from.
enum class TranslationSource : std::uint8_t {
    none,                    ///< no paging: the linear address is the physical address
    walk,                    ///< all entries were read from memory
    paging_structure_cache,  ///< the walk started below the root, at a cached entry
    tlb,                     ///< no entry was read
};
[[nodiscard]] std::string_view to_string(TranslationSource source) noexcept;

struct Translation {
    PhysAddr phys;
    PageSize page_size = PageSize::k4K;  ///< of the page; without paging k4K, which means nothing
    AccessRights rights;
    TranslationSource source = TranslationSource::walk;
    bool global = false;  ///< G of the leaf, with CR4.PGE = 1
    bool dirty = false;   ///< D of the leaf after this access
    std::uint8_t protection_key = 0;
    std::uint8_t pat_index = 0;  ///< PAT, PCD, PWT of the leaf as a number 0 ..= 7
};

/// Why an access faults: ours, for people; several may hold at once, this is the first in the order of the checks.
enum class FaultCause : std::uint8_t {
    not_present,
    reserved_bit,
    user_access_to_supervisor_page,
    shadow_stack_access_to_user_page,  ///< supervisor shadow-stack access to a user address
    smep,                              ///< supervisor fetch from a user address
    smap,                              ///< supervisor data access to a user address
    execute_disable,
    not_writable,
    not_a_shadow_stack_page,
    protection_key,
};
/// "not present", "reserved bit set", "write to a read-only page", …
[[nodiscard]] std::string_view to_string(FaultCause cause) noexcept;

/// #PF. [SDM-3A "Page-Fault Exceptions"]
struct PageFault {
    VirtAddr virt;                 ///< what CR2 gets
    std::uint32_t error_code = 0;  ///< bits of `PageFaultError`
    FaultCause cause = FaultCause::not_present;
    Level level = Level::pt;  ///< of the entry at which the walk ended; the leaf for a rights violation
};

/// The linear address itself is refused; nothing was read. The machine raises #GP(0), or #SS(0) for a stack access.
struct AddressFault {
    enum class Cause : std::uint8_t { non_canonical, linear_address_space_separation };
    VirtAddr virt;
    Cause cause = Cause::non_canonical;
    bool stack_segment = false;
};

/// An accessed or dirty flag that the processor sets because of a walk.
struct FlagUpdate {
    PhysAddr entry_addr;
    Entry before{Level::pt, 0};
    Entry after{Level::pt, 0};
};

template <class Tables>
class BasicWalker;

/// The whole story of one walk: exactly one outcome, and each entry read, in order. Only the walker writes it. Cheap to
/// make: nothing is allocated and unused steps are not even zeroed.
class WalkResult {
public:
    using Outcome = std::variant<Translation, PageFault, AddressFault>;
    static constexpr std::size_t max_steps = 5;

    WalkResult() noexcept {}  // the steps stay uninitialised until they are walked

    [[nodiscard]] const Outcome& outcome() const noexcept { return outcome_; }
    [[nodiscard]] const Translation* translation() const noexcept { return std::get_if<Translation>(&outcome_); }
    [[nodiscard]] const PageFault* page_fault() const noexcept { return std::get_if<PageFault>(&outcome_); }
    [[nodiscard]] const AddressFault* address_fault() const noexcept { return std::get_if<AddressFault>(&outcome_); }

    [[nodiscard]] VirtAddr virt() const noexcept { return virt_; }
    [[nodiscard]] Access access() const noexcept { return access_; }
    /// The entries that were read, root first; at most 5. Fewer when the walk began at a cached entry.
    [[nodiscard]] std::span<const WalkStep> steps() const noexcept { return {steps_.data(), count_}; }

    /// True when the walk must set accessed or dirty flags.
    [[nodiscard]] bool updates_flags() const noexcept { return accessed_ != 0 || dirty_; }
    /// The flags that the processor sets because of this walk: entry `index` of `steps()` before and after.
    /// Entries that do not change are not in it. At most 5.
    struct FlagUpdates {
        std::array<FlagUpdate, max_steps> items;
        std::size_t count = 0;
        [[nodiscard]] const FlagUpdate* begin() const noexcept { return items.data(); }
        [[nodiscard]] const FlagUpdate* end() const noexcept { return items.data() + count; }
    };
    [[nodiscard]] FlagUpdates flag_updates() const noexcept;

private:
    template <class Tables>
    friend class BasicWalker;
    friend class Mmu;

    void push(PhysAddr at, Entry entry, AccessRights rights) noexcept {
        std::construct_at(&steps_[count_++], WalkStep{at, entry, rights});
    }

    Outcome outcome_;
    VirtAddr virt_;
    Access access_;
    std::uint8_t count_ = 0;
    std::uint8_t accessed_ = 0;  // bit i: step i gets A
    bool dirty_ = false;         // the last step gets D
    bool shadow_stack_ = false;  // the page is a shadow-stack page
    union {
        std::array<WalkStep, max_steps> steps_;
    };
};

/// The walk as text, an entry a line, the outcome last.
[[nodiscard]] std::string to_string(const WalkResult& walk);

}  // namespace pgsim
