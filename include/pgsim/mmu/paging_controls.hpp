// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>

#include "pgsim/base/address.hpp"
#include "pgsim/cpu/cpu_features.hpp"
#include "pgsim/cpu/cpu_state.hpp"

namespace pgsim {

/// All that a translation depends on besides the entries: the paging-related register bits of one processor, by name.
struct PagingControls {
    PagingMode mode = PagingMode::four_level;
    PhysAddr root;        ///< base of the root table, from CR3
    bool cr0_wp = false;  ///< R/W binds supervisor-mode writes too
    bool nxe = false;     ///< bit 63 is execute-disable; without it, reserved
    bool pge = false;     ///< global pages
    bool smep = false;
    bool smap = false;
    bool ac = false;       ///< RFLAGS.AC: lifts SMAP from explicit accesses
    bool pke = false;      ///< PKRU binds accesses to user addresses
    bool pks = false;      ///< IA32_PKRS binds accesses to supervisor addresses
    bool cet = false;      ///< R/W = 0, D = 1 marks a shadow-stack page
    bool lass = false;     ///< bit 63 of the linear address separates user from supervisor
    bool pse = true;       ///< 32-bit paging: PDEs may map 4-MByte pages
    bool pse36 = true;     ///< 32-bit paging: 4-MByte pages may lie above 4 GiB
    bool pages_1g = true;  ///< PDPTEs may map 1-GByte pages; else PS is reserved there
    bool lam_u48 = false;  ///< data accesses with bit 63 = 0: bits 62:48 are metadata
    bool lam_u57 = false;  ///< data accesses with bit 63 = 0: bits 62:57 are metadata
    bool lam_sup = false;  ///< data accesses with bit 63 = 1 carry metadata
    bool uai = false;      ///< AMD upper address ignore: bits 63:57 of data addresses mean nothing
    Vendor vendor = Vendor::intel;
    FaultAccessed fault_accessed = FaultAccessed::non_leaf;
    std::uint8_t maxphyaddr = 52;
    std::uint8_t c_bit = 0;  ///< position of an address bit that is stripped (SME); 0: none
    std::uint32_t pkru = 0;
    std::uint32_t pkrs = 0;
    std::array<std::uint64_t, 4> pdptes{};  ///< PAE: the PDPTE registers

    /// As the registers of `cpu` say.
    [[nodiscard]] static PagingControls from(const CpuState& cpu, const CpuFeatures& features) noexcept;

    friend bool operator==(const PagingControls&, const PagingControls&) noexcept = default;
};

/// Linear-address bits that take part in translation: 32, 48 or 57.
[[nodiscard]] constexpr unsigned linear_bits(PagingMode mode) noexcept {
    switch (mode) {
    case PagingMode::none:
    case PagingMode::bits32:
    case PagingMode::pae: return 32;
    case PagingMode::four_level: return 48;
    case PagingMode::five_level: return 57;
    }
    return 32;
}

/// A linear address known to be canonical in one mode. Only `check` makes one.
class CanonicalAddr {
public:
    /// nullopt unless bits 63 ..= linear_bits(mode) - 1 of the address are equal (outside IA-32e: bits 63:32 are zero).
    [[nodiscard]] static constexpr std::optional<CanonicalAddr> check(VirtAddr virt, PagingMode mode) noexcept {
        const unsigned width = linear_bits(mode);
        if (width == 32) {
            return (virt.value() >> 32) == 0 ? std::optional{CanonicalAddr{virt}} : std::nullopt;
        }
        const auto high = static_cast<std::int64_t>(virt.value()) >> (width - 1);
        return high == 0 || high == -1 ? std::optional{CanonicalAddr{virt}} : std::nullopt;
    }
    [[nodiscard]] constexpr VirtAddr virt() const noexcept { return virt_; }

private:
    constexpr explicit CanonicalAddr(VirtAddr virt) noexcept : virt_{virt} {}
    VirtAddr virt_;
};
static_assert(CanonicalAddr::check(VirtAddr{0xffff'8000'0000'0000}, PagingMode::four_level));
static_assert(!CanonicalAddr::check(VirtAddr{0x0000'8000'0000'0000}, PagingMode::four_level));
static_assert(CanonicalAddr::check(VirtAddr{0x0000'8000'0000'0000}, PagingMode::five_level));

}  // namespace pgsim
