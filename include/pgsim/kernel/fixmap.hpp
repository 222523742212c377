// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "pgsim/base/address.hpp"
#include "pgsim/kernel/pgtable_types.hpp"

namespace pgsim::kernel {

struct Kernel;

/// Fixed virtual addresses that are mapped during boot. The values are places in the kernel's enumeration relative to
/// FIX_APIC_BASE, which depends on the configuration.
enum class FixedAddress : std::uint8_t { apic_base, io_apic_base_0 };

/// Its page. [linux-6.6 arch/x86/include/asm/fixmap.h; spec R5.23, R9.1]
[[nodiscard]] VirtAddr fix_to_virt(const Kernel& kernel, FixedAddress index);

/// Maps the page at `phys` there. [linux-6.6 arch/x86/mm/pgtable.c native_set_fixmap(); spec R9.1]
void set_fixmap(Kernel& kernel, FixedAddress index, PhysAddr phys, pgprot_t flags);

/// Writes a 4-KByte entry for a kernel address; missing tables come from memblock, parents first.
/// [linux-6.6 arch/x86/mm/init_64.c set_pte_vaddr()]
void set_pte_vaddr(Kernel& kernel, VirtAddr va, pte_t entry);

}  // namespace pgsim::kernel
