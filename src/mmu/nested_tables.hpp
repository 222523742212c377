// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <optional>
#include <vector>

#include "ept.hpp"
#include "pgsim/mmu/nested.hpp"

namespace pgsim {

/// Guest-physical memory as the guest's page walk sees it: each entry is found through the second stage. A read that
/// the second stage stops is remembered and gives a not-present entry, which ends the guest's walk there.
class NestedTables {
public:
    using Second = std::variant<EptControls, NptControls>;
    NestedTables(const PhysicalMemory& memory, const Second& second, VirtAddr guest_linear, NestedWalkResult& result)
        : memory_{&memory}, second_{&second}, guest_linear_{guest_linear}, result_{&result} {}

    /// The guest's entry at a guest-physical address.
    [[nodiscard]] std::uint64_t read64(PhysAddr guest_phys) const;

    /// The access itself. nullopt: the second stage stopped it and the result says how.
    [[nodiscard]] std::optional<PhysAddr> translate_final(const Translation& guest, Access access,
                                                          NestedTranslation& to);
    /// EPT without accessed/dirty flags: the processor writes a guest entry's flag as a plain write. nullopt as above.
    [[nodiscard]] bool may_write_entry(PhysAddr guest_phys);

    [[nodiscard]] bool stopped() const noexcept { return stopped_; }
    /// System-physical address of the guest entry that was read at `guest_phys`.
    [[nodiscard]] PhysAddr entry_at(PhysAddr guest_phys) const;
    void update(PhysAddr entry, std::uint64_t before, std::uint64_t set) const;

private:
    struct Found {
        PhysAddr phys;
        PageSize page_size = PageSize::k4K;
        std::uint64_t leaf = 0;
    };
    [[nodiscard]] std::optional<Found> through_ept(const EptControls& ept, PhysAddr guest_phys, NestedPurpose purpose,
                                                   detail::EptAccess access, std::uint64_t advanced) const;
    [[nodiscard]] std::optional<Found> through_npt(const NptControls& npt, PhysAddr guest_phys, NestedPurpose purpose,
                                                   AccessKind kind) const;

    const PhysicalMemory* memory_;
    const Second* second_;
    VirtAddr guest_linear_;
    NestedWalkResult* result_;
    mutable bool stopped_ = false;
    mutable std::vector<std::pair<PhysAddr, PhysAddr>> entries_;  // guest-physical, system-physical
};

}  // namespace pgsim
