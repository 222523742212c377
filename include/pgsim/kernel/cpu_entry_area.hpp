// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "pgsim/base/address.hpp"

namespace pgsim::kernel {

struct Kernel;

/// Maps the boot CPU's GDT, TSS and exception stacks, which lie in its per-CPU area, at the address that entry code
/// uses. [linux-6.6 arch/x86/mm/cpu_entry_area.c setup_cpu_entry_areas(); spec R9.1]
/// @param per_cpu  physical address of the boot CPU's per-CPU area
void setup_cpu_entry_areas(Kernel& kernel, PhysAddr per_cpu);

}  // namespace pgsim::kernel
