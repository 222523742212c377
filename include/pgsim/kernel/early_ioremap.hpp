// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>

#include "pgsim/base/address.hpp"

namespace pgsim::kernel {

struct Kernel;

/// early_ioremap_init: hangs bm_pte into level2_fixmap_pgt, reaching the tables from CR3 through the direct map.
/// [linux-6.6 arch/x86/mm/ioremap.c; spec R5.23]
void early_ioremap_init(Kernel& kernel);

/// Maps [pa, pa + bytes) in the first early-ioremap slot, at most 256 KiB; gives the address of its first byte.
/// @throws Halted  (BUG) when it does not fit
/// [linux-6.6 mm/early_ioremap.c early_memremap(); spec R5.23]
[[nodiscard]] VirtAddr early_memremap(Kernel& kernel, std::uint64_t pa, std::uint64_t bytes);

/// Takes the mapping away again. [linux-6.6 mm/early_ioremap.c early_memunmap(); spec R5.23]
void early_memunmap(Kernel& kernel, VirtAddr va, std::uint64_t bytes);

}  // namespace pgsim::kernel
