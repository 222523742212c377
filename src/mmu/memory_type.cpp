// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/mmu/memory_type.hpp"

#include <array>
#include <cassert>

namespace pgsim {

namespace {

using enum MemoryType;

/// Position of a type in the tables below: UC, UC-, WC, WT, WP, WB.
constexpr std::size_t column(MemoryType type) noexcept {
    switch (type) {
    case uc:
    case cd: return 0;
    case uc_minus: return 1;
    case wc: return 2;
    case wt: return 3;
    case wp: return 4;
    case wb: return 5;
    }
    return 0;
}

using Row = std::array<MemoryType, 6>;

// Rows by MTRR type in the order of `column` (there is no UC- among MTRRs: its row is that of UC).
constexpr std::array<Row, 6> intel{{
    //  UC  UC-  WC  WT  WP  WB
    {uc, uc, wc, uc, uc, uc},  // UC
    {uc, uc, wc, uc, uc, uc},
    {uc, wc, wc, uc, uc, wc},  // WC
    {uc, uc, wc, wt, wp, wt},  // WT
    {uc, wc, wc, wt, wp, wp},  // WP
    {uc, uc, wc, wt, wp, wb},  // WB
}};

constexpr std::array<Row, 6> amd{{
    {uc, uc, wc, uc, uc, uc},  // UC
    {uc, uc, wc, uc, uc, uc},
    {cd, wc, wc, cd, cd, wc},  // WC
    {cd, cd, wc, wt, cd, wt},  // WT
    {cd, cd, wc, cd, wp, wp},  // WP
    {cd, cd, wc, wt, wp, wb},  // WB
}};

// Rows by guest type, columns by host type.
constexpr std::array<Row, 6> nested_pat{{
    {uc, uc, uc, uc, uc, uc},        // UC
    {uc, uc_minus, wc, uc, uc, uc},  // UC-
    {wc, wc, wc, wc, wc, wc},        // WC
    {uc, uc, wc, wt, uc, wt},        // WT
    {uc, uc, wc, uc, wp, wp},        // WP
    {uc, uc, wc, wt, wp, wb},        // WB
}};

bool cache_disabled(const CpuState& cpu) noexcept {
    return (cpu.cr0 & Cr0::cd) != 0;
}

std::optional<MemoryType> with_mtrrs(const CpuState& cpu, const CpuFeatures& features, PhysAddr phys,
                                     MemoryType pat) noexcept {
    if (cache_disabled(cpu)) {
        // WC needs no cache; everything else is not cached.
        if (pat == wc) {
            return wc;
        }
        return features.vendor == Vendor::amd ? cd : uc;
    }
    if (!features.has(Feature::mtrr)) {
        return combine_memory_types(features.vendor, wb, pat);
    }
    const auto mtrr = cpu.mtrrs.type_of(phys, features.maxphyaddr());
    return mtrr ? std::optional{combine_memory_types(features.vendor, *mtrr, pat)} : std::nullopt;
}

}  // namespace

MemoryType combine_memory_types(Vendor vendor, MemoryType mtrr, MemoryType pat) noexcept {
    assert(mtrr != uc_minus && mtrr != cd && pat != cd);
    return (vendor == Vendor::amd ? amd : intel)[column(mtrr)][column(pat)];
}

MemoryType combine_nested_pat(MemoryType guest, MemoryType host) noexcept {
    return nested_pat[column(guest)][column(host)];
}

std::optional<MemoryType> memory_type_of(const CpuState& cpu, const CpuFeatures& features,
                                         const Translation& translation) noexcept {
    const bool paged = translation.source != TranslationSource::none;
    // Without PAT in the processor, PCD and PWT select what entries 0 to 3 hold after reset.
    const std::uint64_t pat = features.has(Feature::pat) ? cpu.pat : pat_at_reset;
    const MemoryType type = paged ? pat_entry(pat, translation.pat_index) : wb;
    return with_mtrrs(cpu, features, translation.phys, type);
}

std::optional<MemoryType> table_memory_type(const CpuState& cpu, const CpuFeatures& features, PhysAddr table, bool pcd,
                                            bool pwt) noexcept {
    const std::uint64_t pat = features.has(Feature::pat) ? cpu.pat : pat_at_reset;
    return with_mtrrs(cpu, features, table, pat_entry(pat, (pcd ? 2U : 0U) | (pwt ? 1U : 0U)));
}

MemoryType ept_memory_type_of(const CpuState& guest, const NestedTranslation& translation) noexcept {
    if (cache_disabled(guest)) {
        return uc;
    }
    const MemoryType ept = translation.ept_type.value_or(uc);
    if (translation.ignore_pat) {
        return ept;
    }
    const MemoryType pat = guest.paging() ? pat_entry(guest.pat, translation.guest_pat_index) : wb;
    return combine_memory_types(Vendor::intel, ept, pat);
}

std::optional<MemoryType> npt_memory_type_of(const CpuState& guest, const CpuState& host, const CpuFeatures& features,
                                             const NestedTranslation& translation) noexcept {
    const MemoryType guest_pat = guest.paging() ? pat_entry(guest.pat, translation.guest_pat_index) : wb;
    const MemoryType host_pat = pat_entry(host.pat, translation.nested_pat_index);
    CpuState combined = host;
    combined.cr0 |= guest.cr0 & Cr0::cd;
    return with_mtrrs(combined, features, translation.phys, combine_nested_pat(guest_pat, host_pat));
}

}  // namespace pgsim
