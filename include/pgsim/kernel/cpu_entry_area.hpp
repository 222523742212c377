// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>

#include "pgsim/base/address.hpp"

namespace pgsim::kernel {

struct Kernel;

inline constexpr std::uint64_t cpu_entry_area_base = 0xffff'fe00'0000'0000;

/// The slot whose first mapped page (the GDT) is this one: what BootInputs::cpu_entry_area_slot was in that boot.
[[nodiscard]] std::uint64_t cpu_entry_area_slot_of(VirtAddr first_page);

/// Maps the boot CPU's GDT, TSS and exception stacks, which lie in its per-CPU area, at the address that entry code
/// uses. [linux-6.6 arch/x86/mm/cpu_entry_area.c setup_cpu_entry_areas(); spec R9.1]
/// @param per_cpu  physical address of the boot CPU's per-CPU area
void setup_cpu_entry_areas(Kernel& kernel, PhysAddr per_cpu);

}  // namespace pgsim::kernel
