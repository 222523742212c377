// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "pgsim/cpu/cpu_features.hpp"
#include "pgsim/cpu/mtrr.hpp"
#include "pgsim/cpu/registers.hpp"

namespace pgsim {

/// How linear addresses are translated. [SDM-3A "Paging Modes and Control Bits"]
enum class PagingMode : std::uint8_t {
    none,        ///< CR0.PG = 0: linear = physical, 32 bits
    bits32,      ///< two levels of 4-byte entries
    pae,         ///< PDPTE registers and two levels of 8-byte entries
    four_level,  ///< IA-32e, 48-bit linear addresses
    five_level,  ///< IA-32e with CR4.LA57, 57-bit linear addresses
};

/// "none", "32-bit", "PAE", "4-level", "5-level".
[[nodiscard]] std::string_view to_string(PagingMode mode) noexcept;

/// The registers of one processor that translation depends on. A value; `check_*` say what may be written to it.
///
/// Fresh, it is as after INIT with PE set and flat segments: 32-bit protected mode without paging.
struct CpuState {
    std::uint64_t cr0 = Cr0::pe | Cr0::et;
    std::uint64_t cr2 = 0;
    std::uint64_t cr3 = 0;
    std::uint64_t cr4 = 0;
    std::uint64_t efer = 0;
    std::uint64_t pat = pat_at_reset;
    std::array<std::uint64_t, 4> pdptes{};  ///< the PDPTE registers of PAE paging
    std::uint32_t pkru = 0;
    std::uint32_t pkrs = 0;  ///< IA32_PKRS
    bool ac = false;         ///< RFLAGS.AC
    bool cs_long = false;    ///< CS.L: 64-bit code (with EFER.LMA)
    std::uint8_t cpl = 0;    ///< 0 ..= 3
    Mtrrs mtrrs;

    [[nodiscard]] constexpr bool paging() const noexcept { return (cr0 & Cr0::pg) != 0; }
    [[nodiscard]] constexpr bool long_mode() const noexcept { return (efer & Efer::lma) != 0; }
    /// 64-bit mode proper: long mode with a 64-bit code segment.
    [[nodiscard]] constexpr bool long_code() const noexcept { return long_mode() && cs_long; }
    [[nodiscard]] constexpr PagingMode paging_mode() const noexcept {
        if (!paging()) {
            return PagingMode::none;
        }
        if (long_mode()) {
            return (cr4 & Cr4::la57) != 0 ? PagingMode::five_level : PagingMode::four_level;
        }
        return (cr4 & Cr4::pae) != 0 ? PagingMode::pae : PagingMode::bits32;
    }
    /// The current PCID: CR3 bits 11:0 with CR4.PCIDE, else 0.
    [[nodiscard]] constexpr std::uint16_t pcid() const noexcept {
        return (cr4 & Cr4::pcide) != 0 ? static_cast<std::uint16_t>(cr3 & Cr3::pcid_mask) : std::uint16_t{0};
    }

    friend bool operator==(const CpuState&, const CpuState&) noexcept = default;
};

/// The rule that a write to a control register or MSR breaks: the processor raises #GP(0).
enum class RegisterFault : std::uint8_t {
    cr0_reserved,  ///< a reserved bit above bit 31
    pg_without_pe,
    nw_without_cd,
    lme_without_pae,      ///< CR0.PG set with EFER.LME = 1 and CR4.PAE = 0
    lme_with_cs_long,     ///< CR0.PG set with EFER.LME = 1 and CS.L = 1
    clear_pg_in_64_bit,   ///< CR0.PG cleared in 64-bit mode
    clear_pg_with_pcide,  ///< CR0.PG cleared with CR4.PCIDE = 1
    clear_wp_with_cet,    ///< CR0.WP cleared with CR4.CET = 1
    cr3_reserved,         ///< a reserved bit: 63 (without PCIDE), 62:61 (without LAM), 60:MAXPHYADDR
    cr4_reserved,         ///< a bit whose feature the processor does not have
    clear_pae_in_long_mode,
    la57_while_paging,  ///< CR4.LA57 changed in long mode
    pcide_outside_long_mode,
    pcide_with_cr3_low,  ///< CR4.PCIDE set while CR3 bits 11:0 are not zero
    cet_without_wp,      ///< CR4.CET set with CR0.WP = 0
    efer_reserved,
    lme_while_paging,  ///< EFER.LME changed with CR0.PG = 1
    pat_type,          ///< IA32_PAT: a byte that names no memory type
    no_pks,            ///< IA32_PKRS on a processor without PKS, or its bits 63:32
    pkrs_reserved,
    pdpte_reserved,  ///< a PDPTE to be loaded is present and has a reserved bit set
    mtrr_type,       ///< an MTRR field that names no memory type, or a reserved bit
    no_such_msr,
    invpcid_descriptor,  ///< INVPCID: its type, PCID or address
};

/// One sentence for people: "CR0.PG = 1 needs CR0.PE = 1".
[[nodiscard]] std::string_view to_string(RegisterFault fault) noexcept;

/// Whether a MOV or WRMSR may happen, and what the register then holds.
struct RegisterWrite {
    std::optional<RegisterFault> fault;  ///< nullopt: it may
    std::uint64_t value = 0;             ///< what the register holds afterwards (unwritable bits removed)
    [[nodiscard]] bool ok() const noexcept { return !fault; }
};

/// MOV to CR0 in `cpu`'s present mode. `apply_cr0` stores the result and sets EFER.LMA as CR0.PG and EFER.LME say.
/// PDPTE registers are the machine's business: this room reads no memory. [SDM-3A "Control Registers"]
[[nodiscard]] RegisterWrite check_cr0(const CpuState& cpu, const CpuFeatures& features, std::uint64_t value) noexcept;
[[nodiscard]] RegisterWrite check_cr3(const CpuState& cpu, const CpuFeatures& features, std::uint64_t value) noexcept;
[[nodiscard]] RegisterWrite check_cr4(const CpuState& cpu, const CpuFeatures& features, std::uint64_t value) noexcept;
[[nodiscard]] RegisterWrite check_efer(const CpuState& cpu, const CpuFeatures& features, std::uint64_t value) noexcept;
[[nodiscard]] RegisterWrite check_pat(std::uint64_t value) noexcept;
[[nodiscard]] RegisterWrite check_pkrs(const CpuFeatures& features, std::uint64_t value) noexcept;

/// CR0 becomes `checked.value`; EFER.LMA follows. Only with `checked.ok()`.
void apply_cr0(CpuState& cpu, const RegisterWrite& checked) noexcept;

/// True when going from `before` to `after` by a MOV to CR0, CR3 or CR4 loads the PDPTE registers: in PAE paging, on
/// MOV CR3 (`cr3_written`) and when PG, CD, NW, PAE, PGE, PSE or SMEP changes. [SDM-3A "PDPTE Registers"]
[[nodiscard]] bool loads_pdptes(const CpuState& before, const CpuState& after, bool cr3_written) noexcept;

}  // namespace pgsim
