// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>

/// Allocation flags. [linux-6.6 include/linux/gfp_types.h] [spec M-B4]

namespace pgsim::kernel {

using gfp_t = std::uint32_t;

namespace gfp {
inline constexpr gfp_t dma = 0x01;
inline constexpr gfp_t highmem = 0x02;
inline constexpr gfp_t dma32 = 0x04;
inline constexpr gfp_t movable = 0x08;
inline constexpr gfp_t reclaimable = 0x10;
inline constexpr gfp_t high = 0x20;  ///< __GFP_HIGH: may use part of the reserves
inline constexpr gfp_t io = 0x40;
inline constexpr gfp_t fs = 0x80;
inline constexpr gfp_t zero = 0x100;
inline constexpr gfp_t direct_reclaim = 0x400;
inline constexpr gfp_t kswapd_reclaim = 0x800;
inline constexpr gfp_t write = 0x1000;
inline constexpr gfp_t nowarn = 0x2000;
inline constexpr gfp_t retry_mayfail = 0x4000;
inline constexpr gfp_t nofail = 0x8000;
inline constexpr gfp_t noretry = 0x1'0000;
inline constexpr gfp_t memalloc = 0x2'0000;
inline constexpr gfp_t comp = 0x4'0000;
inline constexpr gfp_t nomemalloc = 0x8'0000;
inline constexpr gfp_t hardwall = 0x10'0000;
inline constexpr gfp_t thisnode = 0x20'0000;
inline constexpr gfp_t account = 0x40'0000;

inline constexpr gfp_t reclaim = direct_reclaim | kswapd_reclaim;
inline constexpr gfp_t kernel = reclaim | io | fs;
inline constexpr gfp_t atomic = high | kswapd_reclaim;
inline constexpr gfp_t nowait = kswapd_reclaim;
inline constexpr gfp_t user = kernel | hardwall;
inline constexpr gfp_t highuser_movable = user | highmem | movable;
/// GFP_PGTABLE_USER: tables of user processes.
inline constexpr gfp_t pgtable_user = kernel | zero | account;
/// GFP_TRANSHUGE_LIGHT: huge pages that nobody shall wait for; GFP_TRANSHUGE: those worth reclaim and compaction.
inline constexpr gfp_t transhuge_light = (highuser_movable | comp | nomemalloc | nowarn) & ~reclaim;
inline constexpr gfp_t transhuge = transhuge_light | direct_reclaim;
}  // namespace gfp

/// Mobility of pages: on which of the free lists a block lies. [spec M-B1]
enum class MigrateType : std::uint8_t { unmovable = 0, movable = 1, reclaimable = 2, highatomic = 3, isolate = 4 };
inline constexpr unsigned migrate_types = 5;
inline constexpr unsigned migrate_pcptypes = 3;

/// gfp_migratetype().
[[nodiscard]] constexpr MigrateType gfp_migratetype(gfp_t flags) noexcept {
    return static_cast<MigrateType>((flags & (gfp::movable | gfp::reclaimable)) >> 3);
}
static_assert(gfp_migratetype(gfp::highuser_movable) == MigrateType::movable);
static_assert(gfp_migratetype(gfp::reclaimable) == MigrateType::reclaimable);

/// gfp_zone() as the index of the highest zone that may be used: DMA 0, DMA32 1, NORMAL 2, MOVABLE 3.
[[nodiscard]] constexpr unsigned gfp_zone(gfp_t flags) noexcept {
    if ((flags & gfp::dma) != 0) {
        return 0;
    }
    if ((flags & gfp::dma32) != 0) {
        return 1;
    }
    return (flags & (gfp::highmem | gfp::movable)) == (gfp::highmem | gfp::movable) ? 3 : 2;
}

}  // namespace pgsim::kernel
