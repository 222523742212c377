// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "pgsim/base/address.hpp"

namespace pgsim {

/// Memory types with their encodings in IA32_PAT, the MTRRs and EPT entries. [SDM-3A "Memory Cache Control"]
enum class MemoryType : std::uint8_t {
    uc = 0,        ///< Uncacheable ("strong")
    wc = 1,        ///< Write combining
    wt = 4,        ///< Write-through
    wp = 5,        ///< Write protected
    wb = 6,        ///< Write-back
    uc_minus = 7,  ///< UC-: as UC, but a WC MTRR wins; in IA32_PAT only
    cd = 8,        ///< AMD: cache disable; a result of combining, in no register
};

/// "UC", "WC", "WT", "WP", "WB", "UC-", "CD".
[[nodiscard]] std::string_view to_string(MemoryType type) noexcept;

/// The type that a byte of IA32_PAT encodes; nullopt for 2, 3 and everything above 7.
[[nodiscard]] std::optional<MemoryType> pat_type(std::uint8_t encoding) noexcept;
/// The type that an MTRR field encodes: as `pat_type`, without UC-.
[[nodiscard]] std::optional<MemoryType> mtrr_type(std::uint8_t encoding) noexcept;

/// IA32_PAT after reset: WB, WT, UC-, UC, and the same again.
inline constexpr std::uint64_t pat_at_reset = 0x0007'0406'0007'0406;

/// The type in entry `index` (0 ..= 7) of a valid IA32_PAT value.
[[nodiscard]] MemoryType pat_entry(std::uint64_t pat, unsigned index) noexcept;

/// The memory-type range registers. [SDM-3A "Memory Type Range Registers (MTRRs)"]
struct Mtrrs {
    struct Variable {
        std::uint64_t base = 0;  ///< IA32_MTRR_PHYSBASEn: type in bits 7:0
        std::uint64_t mask = 0;  ///< IA32_MTRR_PHYSMASKn: V is bit 11
        friend bool operator==(const Variable&, const Variable&) noexcept = default;
    };
    std::uint64_t def_type = 0;             ///< IA32_MTRR_DEF_TYPE: type 7:0, FE bit 10, E bit 11
    std::array<std::uint64_t, 11> fixed{};  ///< 64K_00000, 16K_80000, 16K_A0000, 4K_C0000 ... 4K_F8000
    std::array<Variable, 10> variable{};
    /// AMD's TOP_MEM2 with SYSCFG.Tom2ForceMemTypeWB: where no range says otherwise, [4 GiB, this) is WB and not of the
    /// default type; 0: off. [AMD-APM2 "Top-of-memory Registers", "Extended Fixed-Range MTRR Type-Field Encodings"]
    std::uint64_t top_mem2 = 0;

    /// Type of the byte at `address`; nullopt where overlapping ranges make it undefined.
    [[nodiscard]] std::optional<MemoryType> type_of(PhysAddr address, unsigned maxphyaddr) const noexcept;

    /// The register behind an MSR number; null for a number that is no MTRR of this processor.
    [[nodiscard]] std::uint64_t* find(std::uint32_t msr) noexcept;
    /// May `value` be written there? False where the processor raises #GP(0): a type that does not exist, or a reserved
    /// bit. Only for numbers that `find` knows.
    [[nodiscard]] static bool may_write(std::uint32_t msr, std::uint64_t value, unsigned maxphyaddr) noexcept;

    friend bool operator==(const Mtrrs&, const Mtrrs&) noexcept = default;
};

}  // namespace pgsim
