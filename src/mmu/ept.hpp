// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>

#include "pgsim/memory/physical_memory.hpp"
#include "pgsim/mmu/nested.hpp"

namespace pgsim::detail {

/// What a guest-physical access needs from EPT.
struct EptAccess {
    bool read = true;
    bool write = false;
    bool fetch = false;
    bool user_linear = false;  ///< a user-mode linear address: MBEC's other execute bit
};

/// One walk of the extended page tables.
struct EptWalk {
    enum class End : std::uint8_t { translated, violation, misconfiguration };
    struct Step {
        PhysAddr at;
        std::uint64_t raw = 0;
        Level level = Level::pt;
    };
    End end = End::violation;
    std::array<Step, 5> steps;
    unsigned count = 0;
    std::uint64_t all = ~std::uint64_t{0};  ///< AND of the entries read: R, W, X and XU
    PhysAddr phys;
    PageSize page_size = PageSize::k4K;
};

inline constexpr std::uint64_t ept_r = 1U << 0;
inline constexpr std::uint64_t ept_w = 1U << 1;
inline constexpr std::uint64_t ept_x = 1U << 2;
inline constexpr std::uint64_t ept_ipat = 1U << 6;
inline constexpr std::uint64_t ept_a = 1U << 8;
inline constexpr std::uint64_t ept_d = 1U << 9;
inline constexpr std::uint64_t ept_xu = 1U << 10;

[[nodiscard]] EptWalk walk_ept(const PhysicalMemory& memory, const EptControls& ept, PhysAddr guest_phys,
                               EptAccess access);

/// Bits 5:0 of the exit qualification, and bit 6 with mode-based execute control: what was tried and what is allowed.
[[nodiscard]] std::uint64_t ept_qualification(const EptControls& ept, const EptWalk& walk, EptAccess access) noexcept;

}  // namespace pgsim::detail
