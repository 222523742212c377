// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string_view>

#include "pgsim/base/range.hpp"
#include "pgsim/kernel/kernel_series.hpp"
#include "pgsim/kernel/memblock.hpp"

namespace pgsim::kernel {

/// What crashkernel= got; empty ranges when nothing was asked for or nothing fits.
struct CrashKernel {
    PhysRange main;
    PhysRange low;  ///< the extra block below 4 GiB when `main` lies above
};

/// arch_reserve_crashkernel: `crashkernel=size[@offset]`, `crashkernel=start-end:size,…[@offset]`, `…,high`, `…,low`.
/// [linux-6.6 arch/x86/kernel/setup.c reserve_crashkernel(), spec R7.1 #8]
CrashKernel reserve_crashkernel(std::string_view cmdline, const KernelSeries& series, Memblock& memblock);

}  // namespace pgsim::kernel
