// SPDX-License-Identifier: GPL-2.0-only
#pragma once

namespace pgsim::kernel {

struct Kernel;

/// setup_arch up to init_mem_mapping: E820, early parameters, memblock, brk, the kernel-image mapping.
/// [linux-6.6 arch/x86/kernel/setup.c setup_arch(); spec section 5]
void setup_arch_before_direct_map(Kernel& kernel);

/// setup_arch from init_mem_mapping's return through initmem_init. [spec R6.17, R7.1–R7.5]
void setup_arch_numa(Kernel& kernel);

/// setup_arch from initmem_init's return to paging_init. [spec R7.1]
void setup_arch_before_paging_init(Kernel& kernel);

/// [linux-6.6 arch/x86/realmode/init.c; spec R5.24]
void reserve_real_mode(Kernel& kernel);

/// [linux-6.6 arch/x86/kernel/setup.c; spec R7.1 #2]
void reserve_initrd(Kernel& kernel);

}  // namespace pgsim::kernel
