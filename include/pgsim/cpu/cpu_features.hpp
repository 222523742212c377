// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pgsim {

/// What CPUID can say about a processor, as far as paging and Linux's boot look at it.
enum class Feature : std::uint8_t {
    fpu,
    vme,
    de,
    pse,
    tsc,
    msr,
    pae,
    mce,
    cx8,
    apic,
    sep,
    mtrr,
    pge,
    mca,
    cmov,
    pat,
    pse36,
    clflush,
    mmx,
    fxsr,
    sse,
    sse2,
    vmx,
    smx,
    pcid,
    x2apic,
    xsave,
    rdrand,
    hypervisor,
    fsgsbase,
    smep,
    erms,
    invpcid,
    rdseed,
    smap,
    umip,
    pku,
    shstk,
    la57,
    pks,
    kl,
    uintr,
    ibt,
    fred,
    lass,
    lam,
    syscall,
    nx,
    ffxsr,
    pdpe1gb,
    rdtscp,
    lm,
    lahf_lm,
    svm,
    tce,
    invlpgb,
    npt,
    tlbsize,
    uai,
    ept,
    ept_1g,
    ept_ad,
    ept_exec_only,
    mbec,
    sme,
    count_,  ///< not a feature
};

/// The name as the captures, /proc/cpuinfo and QEMU spell it, e.g. "pdpe1gb".
[[nodiscard]] std::string_view to_string(Feature feature) noexcept;

/// By name; also the aliases "cet" (shstk), "fxsr_opt" (ffxsr), "xd" (nx), "osfxsr"… of other tools.
/// nullopt for a name that this project does not know (most CPUID bits have nothing to do with paging).
[[nodiscard]] std::optional<Feature> find_feature(std::string_view name) noexcept;

/// Whose manual decides where the two differ.
enum class Vendor : std::uint8_t { intel, amd };

/// "GenuineIntel", "AuthenticAMD": as CPUID leaf 0 spells it.
[[nodiscard]] std::string_view to_string(Vendor vendor) noexcept;

/// Which accessed flags a walk sets that ends in a page fault. The manuals allow all of these; processors differ.
enum class FaultAccessed : std::uint8_t {
    none,      ///< none: flags are written when the whole walk has succeeded
    non_leaf,  ///< of each entry that the walk went through; not of the entry at which it ended
};

/// What a processor can do: CPUID, MAXPHYADDR and the vendor's way where the manuals leave a choice. A value.
class CpuFeatures {
public:
    /// A processor with no optional feature, MAXPHYADDR 36.
    constexpr CpuFeatures() noexcept = default;

    [[nodiscard]] constexpr bool has(Feature feature) const noexcept {
        return (bits_[word(feature)] >> bit(feature) & 1) != 0;
    }
    constexpr CpuFeatures& enable(Feature feature) noexcept {
        bits_[word(feature)] |= std::uint64_t{1} << bit(feature);
        return *this;
    }
    constexpr CpuFeatures& disable(Feature feature) noexcept {
        bits_[word(feature)] &= ~(std::uint64_t{1} << bit(feature));
        return *this;
    }

    /// Width of physical addresses in bits, 32 ..= 52 (MAXPHYADDR).
    [[nodiscard]] constexpr unsigned maxphyaddr() const noexcept { return maxphyaddr_; }
    /// @throws Error  unless 32 <= bits <= 52
    CpuFeatures& set_maxphyaddr(unsigned bits);

    /// Number of linear-address bits with the widest paging mode of this processor: 57, 48 or 32.
    [[nodiscard]] constexpr unsigned linear_address_bits() const noexcept {
        return has(Feature::la57) ? 57 : has(Feature::lm) ? 48 : 32;
    }

    /// The names of all features that are present, in the order of `Feature`.
    [[nodiscard]] std::vector<std::string_view> names() const;

    /// A feature that is there without one that it needs: "la57 needs lm". nullopt when consistent.
    [[nodiscard]] std::optional<std::string> inconsistency() const;

    Vendor vendor = Vendor::intel;
    unsigned family = 6;
    unsigned model = 0;
    unsigned stepping = 0;
    FaultAccessed fault_accessed = FaultAccessed::non_leaf;
    /// Position of the C-bit (AMD memory encryption) that is stripped from addresses in entries; 0: there is none.
    unsigned c_bit = 0;

    friend bool operator==(const CpuFeatures&, const CpuFeatures&) noexcept = default;

private:
    static constexpr std::size_t word(Feature feature) noexcept { return static_cast<std::size_t>(feature) / 64; }
    static constexpr unsigned bit(Feature feature) noexcept { return static_cast<unsigned>(feature) % 64; }

    std::array<std::uint64_t, 2> bits_{};
    unsigned maxphyaddr_ = 36;
};

/// One processor known by name.
struct CpuProfile {
    std::string_view name;         ///< as QEMU names it, where it exists there
    std::string_view description;  ///< one line for people
    CpuFeatures features;
};

/// All profiles, in the order in which people expect them in a list.
[[nodiscard]] std::span<const CpuProfile> cpu_profiles();

/// "NAME[,+feature][,-feature][,phys-bits=N]", e.g. "qemu64,+la57,-nx". The name is matched exactly as QEMU spells it.
/// @throws Error  unknown profile or feature (with the nearest names), a bad number, or an inconsistent combination
///                (with the reason)
[[nodiscard]] CpuFeatures parse_cpu(std::string_view text);

}  // namespace pgsim
