// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/cpu/cpu_state.hpp"

#include <array>
#include <utility>

namespace pgsim {

namespace {

struct BitNeeds {
    std::uint64_t bit;
    Feature feature;
};

// CR4 bits and the CPUID feature without which they are reserved; PCE exists on every processor.
constexpr std::array cr4_needs{
    BitNeeds{Cr4::vme, Feature::vme},           BitNeeds{Cr4::pvi, Feature::vme},
    BitNeeds{Cr4::tsd, Feature::tsc},           BitNeeds{Cr4::de, Feature::de},
    BitNeeds{Cr4::pse, Feature::pse},           BitNeeds{Cr4::pae, Feature::pae},
    BitNeeds{Cr4::mce, Feature::mce},           BitNeeds{Cr4::pge, Feature::pge},
    BitNeeds{Cr4::osfxsr, Feature::fxsr},       BitNeeds{Cr4::osxmmexcpt, Feature::sse},
    BitNeeds{Cr4::umip, Feature::umip},         BitNeeds{Cr4::la57, Feature::la57},
    BitNeeds{Cr4::vmxe, Feature::vmx},          BitNeeds{Cr4::smxe, Feature::smx},
    BitNeeds{Cr4::fsgsbase, Feature::fsgsbase}, BitNeeds{Cr4::pcide, Feature::pcid},
    BitNeeds{Cr4::osxsave, Feature::xsave},     BitNeeds{Cr4::kl, Feature::kl},
    BitNeeds{Cr4::smep, Feature::smep},         BitNeeds{Cr4::smap, Feature::smap},
    BitNeeds{Cr4::pke, Feature::pku},           BitNeeds{Cr4::cet, Feature::shstk},
    BitNeeds{Cr4::cet, Feature::ibt},           BitNeeds{Cr4::pks, Feature::pks},
    BitNeeds{Cr4::uintr, Feature::uintr},       BitNeeds{Cr4::lass, Feature::lass},
    BitNeeds{Cr4::lam_sup, Feature::lam},       BitNeeds{Cr4::fred, Feature::fred},
};

constexpr std::array efer_needs{
    BitNeeds{Efer::lme, Feature::lm},    BitNeeds{Efer::nxe, Feature::nx},      BitNeeds{Efer::svme, Feature::svm},
    BitNeeds{Efer::lmsle, Feature::svm}, BitNeeds{Efer::ffxsr, Feature::ffxsr}, BitNeeds{Efer::tce, Feature::tce},
    BitNeeds{Efer::uaie, Feature::uai},
};

template <std::size_t N>
std::uint64_t available(const std::array<BitNeeds, N>& needs, const CpuFeatures& features) noexcept {
    std::uint64_t bits = 0;
    for (const BitNeeds& need : needs) {
        if (features.has(need.feature)) {
            bits |= need.bit;
        }
    }
    return bits;
}

constexpr bool set_in(std::uint64_t value, std::uint64_t bit) noexcept {
    return (value & bit) != 0;
}

constexpr RegisterWrite refused(RegisterFault fault) noexcept {
    return {fault, 0};
}

constexpr std::uint64_t bits_from(unsigned low, unsigned end) noexcept {
    return low >= end ? 0
                      : (~std::uint64_t{0} << low) & (end >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << end) - 1);
}

}  // namespace

std::string_view to_string(PagingMode mode) noexcept {
    switch (mode) {
    case PagingMode::none: return "none";
    case PagingMode::bits32: return "32-bit";
    case PagingMode::pae: return "PAE";
    case PagingMode::four_level: return "4-level";
    case PagingMode::five_level: return "5-level";
    }
    return "?";
}

std::string_view to_string(RegisterFault fault) noexcept {
    switch (fault) {
    case RegisterFault::cr0_reserved: return "bits 63:32 of CR0 are reserved";
    case RegisterFault::pg_without_pe: return "CR0.PG = 1 needs CR0.PE = 1";
    case RegisterFault::nw_without_cd: return "CR0.NW = 1 needs CR0.CD = 1";
    case RegisterFault::lme_without_pae: return "paging with EFER.LME = 1 needs CR4.PAE = 1";
    case RegisterFault::lme_with_cs_long: return "long mode cannot be entered from a code segment with CS.L = 1";
    case RegisterFault::clear_pg_in_64_bit: return "CR0.PG cannot be cleared in 64-bit mode";
    case RegisterFault::clear_pg_with_pcide: return "CR0.PG cannot be cleared while CR4.PCIDE = 1";
    case RegisterFault::clear_wp_with_cet: return "CR0.WP cannot be cleared while CR4.CET = 1";
    case RegisterFault::cr3_reserved: return "a reserved bit of CR3 is set";
    case RegisterFault::cr4_reserved: return "a bit of CR4 is set that this processor does not have";
    case RegisterFault::clear_pae_in_long_mode: return "CR4.PAE cannot be cleared in long mode";
    case RegisterFault::la57_while_paging: return "CR4.LA57 cannot be changed in long mode";
    case RegisterFault::pcide_outside_long_mode: return "CR4.PCIDE = 1 needs long mode";
    case RegisterFault::pcide_with_cr3_low: return "CR4.PCIDE can be set only while CR3 bits 11:0 are zero";
    case RegisterFault::cet_without_wp: return "CR4.CET = 1 needs CR0.WP = 1";
    case RegisterFault::efer_reserved: return "a bit of EFER is set that this processor does not have";
    case RegisterFault::lme_while_paging: return "EFER.LME cannot be changed while CR0.PG = 1";
    case RegisterFault::pat_type: return "a byte of IA32_PAT names no memory type";
    case RegisterFault::no_pks: return "this processor has no IA32_PKRS";
    case RegisterFault::pkrs_reserved: return "bits 63:32 of IA32_PKRS are reserved";
    case RegisterFault::pdpte_reserved: return "a present PDPTE has a reserved bit set";
    case RegisterFault::mtrr_type: return "a memory-type field or a reserved bit of an MTRR";
    case RegisterFault::no_such_msr: return "this processor has no such MSR";
    case RegisterFault::invpcid_descriptor: return "INVPCID: a bad type, PCID or address";
    }
    return "?";
}

RegisterWrite check_cr0(const CpuState& cpu, const CpuFeatures&, std::uint64_t value) noexcept {
    if ((value >> 32) != 0) {
        return refused(RegisterFault::cr0_reserved);
    }
    // Reserved bits below bit 32 are ignored and ET reads 1.
    const std::uint64_t next = (value & Cr0::defined) | Cr0::et;
    if (set_in(next, Cr0::pg) && !set_in(next, Cr0::pe)) {
        return refused(RegisterFault::pg_without_pe);
    }
    if (set_in(next, Cr0::nw) && !set_in(next, Cr0::cd)) {
        return refused(RegisterFault::nw_without_cd);
    }
    if (!set_in(next, Cr0::wp) && set_in(cpu.cr4, Cr4::cet)) {
        return refused(RegisterFault::clear_wp_with_cet);
    }
    if (set_in(next, Cr0::pg) && !cpu.paging() && set_in(cpu.efer, Efer::lme)) {
        if (!set_in(cpu.cr4, Cr4::pae)) {
            return refused(RegisterFault::lme_without_pae);
        }
        if (cpu.cs_long) {
            return refused(RegisterFault::lme_with_cs_long);
        }
    }
    if (!set_in(next, Cr0::pg) && cpu.paging()) {
        if (cpu.long_code()) {
            return refused(RegisterFault::clear_pg_in_64_bit);
        }
        if (set_in(cpu.cr4, Cr4::pcide)) {
            return refused(RegisterFault::clear_pg_with_pcide);
        }
    }
    return {std::nullopt, next};
}

void apply_cr0(CpuState& cpu, const RegisterWrite& checked) noexcept {
    cpu.cr0 = checked.value;
    if (cpu.paging() && set_in(cpu.efer, Efer::lme)) {
        cpu.efer |= Efer::lma;
    } else {
        cpu.efer &= ~Efer::lma;
    }
}

RegisterWrite check_cr3(const CpuState& cpu, const CpuFeatures& features, std::uint64_t value) noexcept {
    std::uint64_t reserved = bits_from(features.maxphyaddr(), 64);
    if (features.c_bit != 0) {
        reserved &= ~(std::uint64_t{1} << features.c_bit);
    }
    if (features.has(Feature::lam)) {
        reserved &= ~(Cr3::lam_u48 | Cr3::lam_u57);
    }
    if (set_in(cpu.cr4, Cr4::pcide)) {
        reserved &= ~Cr3::no_flush;
    }
    if ((value & reserved) != 0) {
        return refused(RegisterFault::cr3_reserved);
    }
    return {std::nullopt, value & ~Cr3::no_flush};
}

RegisterWrite check_cr4(const CpuState& cpu, const CpuFeatures& features, std::uint64_t value) noexcept {
    const std::uint64_t writable = available(cr4_needs, features) | Cr4::pce;
    if ((value & ~writable) != 0) {
        return refused(RegisterFault::cr4_reserved);
    }
    const std::uint64_t changed = value ^ cpu.cr4;
    if (cpu.long_mode()) {
        if (!set_in(value, Cr4::pae)) {
            return refused(RegisterFault::clear_pae_in_long_mode);
        }
        if (set_in(changed, Cr4::la57)) {
            return refused(RegisterFault::la57_while_paging);
        }
    }
    if (set_in(value, Cr4::pcide)) {
        if (!cpu.long_mode()) {
            return refused(RegisterFault::pcide_outside_long_mode);
        }
        if (set_in(changed, Cr4::pcide) && (cpu.cr3 & Cr3::pcid_mask) != 0) {
            return refused(RegisterFault::pcide_with_cr3_low);
        }
    }
    if (set_in(value, Cr4::cet) && !set_in(cpu.cr0, Cr0::wp)) {
        return refused(RegisterFault::cet_without_wp);
    }
    return {std::nullopt, value};
}

RegisterWrite check_efer(const CpuState& cpu, const CpuFeatures& features, std::uint64_t value) noexcept {
    const std::uint64_t writable = available(efer_needs, features) | Efer::sce | Efer::lma;
    if ((value & ~writable) != 0) {
        return refused(RegisterFault::efer_reserved);
    }
    if (cpu.paging() && set_in(value ^ cpu.efer, Efer::lme)) {
        return refused(RegisterFault::lme_while_paging);
    }
    // LMA is the processor's: what is written there is ignored.
    return {std::nullopt, (value & ~Efer::lma) | (cpu.efer & Efer::lma)};
}

RegisterWrite check_pat(std::uint64_t value) noexcept {
    for (unsigned index = 0; index < 8; ++index) {
        if (!pat_type(static_cast<std::uint8_t>(value >> (8 * index)))) {
            return refused(RegisterFault::pat_type);
        }
    }
    return {std::nullopt, value};
}

RegisterWrite check_pkrs(const CpuFeatures& features, std::uint64_t value) noexcept {
    if (!features.has(Feature::pks)) {
        return refused(RegisterFault::no_pks);
    }
    if ((value >> 32) != 0) {
        return refused(RegisterFault::pkrs_reserved);
    }
    return {std::nullopt, value};
}

bool loads_pdptes(const CpuState& before, const CpuState& after, bool cr3_written) noexcept {
    if (after.paging_mode() != PagingMode::pae) {
        return false;
    }
    constexpr std::uint64_t cr0_bits = Cr0::pg | Cr0::cd | Cr0::nw;
    constexpr std::uint64_t cr4_bits = Cr4::pae | Cr4::pge | Cr4::pse | Cr4::smep;
    return cr3_written || ((before.cr0 ^ after.cr0) & cr0_bits) != 0 || ((before.cr4 ^ after.cr4) & cr4_bits) != 0;
}

}  // namespace pgsim
