// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>

#include "pgsim/cpu/mtrr.hpp"
#include "pgsim/kernel/e820_setup.hpp"

namespace pgsim::kernel {

/// mtrr_trim_uncached_memory: RAM that no write-back range covers becomes reserved. Only where the default type is UC
/// and all variable ranges are WB or UC, with a WB one among them.
/// @param phys_bits  MAXPHYADDR
/// @param end_pfn    end of RAM
/// @return bytes of RAM that were taken away
/// [linux-6.6 arch/x86/kernel/cpu/mtrr/cleanup.c] [spec R5.12]
std::uint64_t mtrr_trim_uncached_memory(const Mtrrs& mtrrs, unsigned phys_bits, std::uint64_t end_pfn, E820& e820);

}  // namespace pgsim::kernel
