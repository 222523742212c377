// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "pgsim/base/address.hpp"
#include "pgsim/memory/physical_memory.hpp"
#include "pgsim/mmu/nested.hpp"
#include "pgsim/mmu/paging_controls.hpp"

namespace pgsim {

/// INVEPT. [SDM-3C "INVEPT"]
enum class InveptType : std::uint8_t { single_context = 1, all_context = 2 };

/// INVVPID. [SDM-3C "INVVPID"]
enum class InvvpidType : std::uint8_t { address = 0, single_context = 1, all_context = 2, retaining_globals = 3 };

/// TLB_CONTROL of a VMCB: what VMRUN takes out of the TLB. [APM-2 "TLB Control"]
enum class TlbControl : std::uint8_t { nothing = 0, all = 1, this_guest = 3, this_guest_non_global = 7 };

/// The translations of guests that one processor caches: combined mappings, guest-linear to system-physical, tagged by
/// VPID (AMD: ASID), by the guest's PCID and, on Intel, by the EPT root. [SDM-3C "Caching Translation Information"],
/// [APM-2 "TLB Management"]
///
/// A cached mapping is used only for kinds of access that a walk has already allowed, and holds even if the tables of
/// either stage change meanwhile: software must invalidate. Guest-physical mappings alone are not cached.
class NestedMmu {
public:
    /// The guest that runs from now on: its registers, PCID, VPID or ASID, and second stage. Takes nothing out of the
    /// cache, except that a change of register bits other than the root drops all (which is always allowed).
    void enter(const PagingControls& guest, std::uint16_t pcid, std::uint16_t vpid, const EptControls& ept);
    void enter(const PagingControls& guest, std::uint16_t pcid, std::uint16_t asid, const NptControls& npt,
               TlbControl control = TlbControl::nothing);

    /// Translates as an access of the guest does: from the cache, else by a two-dimensional walk, which sets accessed
    /// and dirty flags and fills the cache. A result from the cache has no steps.
    NestedWalkResult access(PhysicalMemory& memory, VirtAddr guest_linear, Access access = {});
    [[nodiscard]] std::uint64_t hits() const noexcept { return hits_; }

    // What the guest itself does.
    void invlpg(VirtAddr guest_linear);
    /// MOV to CR3 without bit 63: non-global mappings of the new PCID go.
    void mov_cr3(PhysAddr root, std::uint16_t pcid);

    // What the hypervisor does.
    /// Intel. `root`: EPTP bits 51:12 (of type single_context).
    void invept(InveptType type, PhysAddr root = {});
    void invvpid(InvvpidType type, std::uint16_t vpid = 0, VirtAddr guest_linear = {});
    /// AMD: one page of one ASID.
    void invlpga(VirtAddr guest_linear, std::uint16_t asid);

private:
    struct Mapping {
        std::uint64_t page = 0;  // guest-linear page number for `size`
        PageSize size = PageSize::k4K;
        NestedTranslation translation;  // of the page's first byte
        std::uint16_t vpid = 0;
        std::uint16_t pcid = 0;
        PhysAddr second_root;
        bool global = false;
        std::uint16_t proved = 0;  // bit a kind of access
    };

    [[nodiscard]] Mapping* find(VirtAddr guest_linear);
    void remember(VirtAddr guest_linear, Access access, const NestedTranslation& translation);
    template <class Predicate>
    void drop_if(Predicate predicate);
    void switch_guest(const PagingControls& guest, std::uint16_t pcid, std::uint16_t vpid);

    PagingControls guest_;
    std::variant<EptControls, NptControls> second_;
    PhysAddr second_root_;  // of the tag; 0 on AMD, where the ASID alone tells guests apart
    std::uint16_t pcid_ = 0;
    std::uint16_t vpid_ = 0;
    std::vector<Mapping> mappings_;
    std::size_t next_ = 0;  // first in, first out
    std::uint64_t hits_ = 0;
};

}  // namespace pgsim
