// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "pgsim/base/address.hpp"
#include "pgsim/base/level.hpp"
#include "pgsim/cpu/mtrr.hpp"
#include "pgsim/memory/physical_memory.hpp"
#include "pgsim/mmu/paging_controls.hpp"
#include "pgsim/mmu/walker.hpp"

namespace pgsim {

/// The second stage on Intel: extended page tables. [SDM-3C "The Extended Page Table Mechanism (EPT)"]
struct EptControls {
    PhysAddr root;
    Level top = Level::pml4;          ///< pml4, or pml5 for 5-level EPT
    bool accessed_dirty = false;      ///< EPTP bit 6: accessed and dirty flags for EPT
    bool mode_based_execute = false;  ///< bit 10 of an entry is execute for user-mode linear addresses
    bool execute_only = false;        ///< the processor supports execute-only translations
    bool pages_1g = true;
    std::uint8_t maxphyaddr = 52;
    MemoryType table_type = MemoryType::wb;  ///< EPTP bits 2:0: of accesses to EPT entries

    /// As an EPTP and the processor say.
    /// @throws Error  for a memory type or walk length that no processor accepts
    [[nodiscard]] static EptControls from_eptp(std::uint64_t eptp, unsigned maxphyaddr);
};

/// The second stage on AMD: nested paging. The host's own registers decide how nested entries are read.
/// [APM-2 "Nested Paging"]
struct NptControls {
    PhysAddr root;                             ///< nCR3
    PagingMode mode = PagingMode::four_level;  ///< the host's mode
    bool nxe = true;                           ///< host EFER.NXE
    bool pages_1g = true;
    std::uint8_t maxphyaddr = 52;
    std::uint8_t c_bit = 0;
};

/// What a guest-physical access is for.
enum class NestedPurpose : std::uint8_t {
    guest_table,  ///< to read a paging-structure entry of the guest
    final,        ///< the access itself
};

/// One entry read in a two-dimensional walk, in order.
struct NestedStep {
    enum class Stage : std::uint8_t { guest, nested };
    Stage stage = Stage::guest;
    NestedPurpose purpose = NestedPurpose::guest_table;  ///< of the nested walk that this entry belongs to
    Level level = Level::pt;                             ///< of this entry in its own tables
    PhysAddr entry_addr;                                 ///< system-physical address of the entry
    std::uint64_t raw = 0;                               ///< as read
    PhysAddr guest_phys;  ///< guest-physical: the entry's address (guest), or what is translated (nested)
};

struct NestedTranslation {
    PhysAddr phys;  ///< system-physical
    PhysAddr guest_phys;
    PageSize guest_page_size = PageSize::k4K;
    PageSize nested_page_size = PageSize::k4K;
    AccessRights guest_rights;
    bool guest_global = false;  ///< G of the guest's leaf, with the guest's CR4.PGE = 1
    TranslationSource source = TranslationSource::walk;
    std::uint8_t guest_pat_index = 0;
    std::optional<MemoryType> ept_type;  ///< EPT: memory type of the leaf
    bool ignore_pat = false;             ///< EPT: IPAT of the leaf
    std::uint8_t nested_pat_index = 0;   ///< NPT
};

/// #VMEXIT(NPF).
struct NestedPageFault {
    std::uint64_t info1 = 0;  ///< EXITINFO1: the error code, bit 32 for the final access, bit 33 for a guest table
    PhysAddr guest_phys;      ///< EXITINFO2
    NestedPurpose purpose = NestedPurpose::final;
    FaultCause cause = FaultCause::not_present;
    Level level = Level::pt;
};

struct EptViolation {
    std::uint64_t qualification = 0;  ///< exit qualification
    PhysAddr guest_phys;
    VirtAddr guest_linear;
    NestedPurpose purpose = NestedPurpose::final;
    Level level = Level::pt;
};

struct EptMisconfiguration {
    PhysAddr guest_phys;
    Level level = Level::pt;  ///< of the entry that is wrong
};

/// An accessed or dirty flag in either stage.
struct NestedFlagUpdate {
    PhysAddr entry_addr;  ///< system-physical
    std::uint64_t before = 0;
    std::uint64_t after = 0;
};

class NestedWalkResult {
public:
    using Outcome =
        std::variant<NestedTranslation, PageFault, AddressFault, NestedPageFault, EptViolation, EptMisconfiguration>;
    [[nodiscard]] const Outcome& outcome() const noexcept { return outcome_; }
    [[nodiscard]] const NestedTranslation* translation() const noexcept {
        return std::get_if<NestedTranslation>(&outcome_);
    }
    [[nodiscard]] const std::vector<NestedStep>& steps() const noexcept { return steps_; }
    /// The flags that the processor sets, in either stage, whatever the outcome; an entry at most once.
    [[nodiscard]] const std::vector<NestedFlagUpdate>& flag_updates() const noexcept { return updates_; }

private:
    friend class NestedWalker;
    friend class NestedMmu;
    friend class NestedTables;
    Outcome outcome_;
    std::vector<NestedStep> steps_;
    std::vector<NestedFlagUpdate> updates_;
};

/// The two-dimensional walk, an entry a line, the outcome last.
[[nodiscard]] std::string to_string(const NestedWalkResult& walk);

/// Translates guest-linear addresses through the guest's tables, whose every entry and whose result lie in
/// guest-physical memory, and through EPT or NPT from there. Reads memory only. VM entry and exit are not simulated.
class NestedWalker {
public:
    /// `memory` is the system's and must outlive the walker. In `guest`, root is guest-physical.
    NestedWalker(const PhysicalMemory& memory, const PagingControls& guest, const EptControls& ept);
    NestedWalker(const PhysicalMemory& memory, const PagingControls& guest, const NptControls& npt);

    [[nodiscard]] NestedWalkResult walk(VirtAddr guest_linear, Access access = {}) const;

private:
    const PhysicalMemory* memory_;
    PagingControls guest_;
    std::variant<EptControls, NptControls> second_;
};

void apply_flag_updates(PhysicalMemory& memory, const NestedWalkResult& walk);

}  // namespace pgsim
