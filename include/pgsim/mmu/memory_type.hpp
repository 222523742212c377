// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <optional>

#include "pgsim/base/address.hpp"
#include "pgsim/cpu/cpu_state.hpp"
#include "pgsim/cpu/mtrr.hpp"
#include "pgsim/mmu/nested.hpp"
#include "pgsim/mmu/walk_result.hpp"

namespace pgsim {

/// Effective type of a page whose range has the MTRR type `mtrr` and whose PAT entry says `pat`.
/// `mtrr` is never UC- or CD, `pat` never CD.
/// Intel: [SDM-3A "Effective Page-Level Memory Types for Pentium III and More Recent Processor Families"].
/// AMD: [APM-2 "Combined Effective Memory Type"], where CD (caches are still checked) is a result of its own.
[[nodiscard]] MemoryType combine_memory_types(Vendor vendor, MemoryType mtrr, MemoryType pat) noexcept;

/// Guest and host PAT types under AMD nested paging; the result meets the MTRRs as a PAT type does.
/// [APM-2 "Combining Guest and Host PAT Types"]
[[nodiscard]] MemoryType combine_nested_pat(MemoryType guest, MemoryType host) noexcept;

/// Memory type of an access to a translated address: PAT, MTRRs and CR0.CD together.
/// nullopt where overlapping MTRRs make it undefined.
[[nodiscard]] std::optional<MemoryType> memory_type_of(const CpuState& cpu, const CpuFeatures& features,
                                                       const Translation& translation) noexcept;

/// Memory type of the walk's own access to a table, from PCD and PWT of the entry (or CR3) that names it.
/// nullopt as above.
[[nodiscard]] std::optional<MemoryType> table_memory_type(const CpuState& cpu, const CpuFeatures& features,
                                                          PhysAddr table, bool pcd, bool pwt) noexcept;

/// The same for an access of a guest through EPT. `guest` are the guest's registers; MTRRs do not apply.
/// [SDM-3C "Memory Type Used for Translated Guest-Physical Addresses"]
[[nodiscard]] MemoryType ept_memory_type_of(const CpuState& guest, const NestedTranslation& translation) noexcept;

/// The same for an access of a guest through NPT. `host` are the host's registers and MTRRs.
[[nodiscard]] std::optional<MemoryType> npt_memory_type_of(const CpuState& guest, const CpuState& host,
                                                           const CpuFeatures& features,
                                                           const NestedTranslation& translation) noexcept;

}  // namespace pgsim
