// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>

#include "pgsim/base/address.hpp"

namespace pgsim::kernel {

struct Kernel;

/// The next `size` bytes of the kernel's brk area, zeroed; `align` is a power of two.
/// @throws Halted  (BUG) after reserve_brk, or when the area is full
/// [linux-6.6 arch/x86/kernel/setup.c extend_brk(); spec R5.20]
VirtAddr extend_brk(Kernel& kernel, std::uint64_t size, std::uint64_t align);

/// Takes the page-table buffer from brk. [linux-6.6 arch/x86/mm/init.c; spec R5.20]
void early_alloc_pgt_buf(Kernel& kernel);

/// Reserves what was taken and closes brk. [linux-6.6 arch/x86/kernel/setup.c; spec R5.21]
void reserve_brk(Kernel& kernel);

/// Clears level2_kernel_pgt outside [_text, end of brk). [linux-6.6 arch/x86/mm/init_64.c; spec R5.22]
void cleanup_highmap(Kernel& kernel);

}  // namespace pgsim::kernel
