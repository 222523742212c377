// SPDX-License-Identifier: GPL-2.0-only
#pragma once

namespace pgsim::kernel {

struct Kernel;

/// start_kernel from free_area_init to memblock_free_all: what subsystems ask memblock for (taken as requests, without
/// results), the per-CPU area, the APIC's fixmap pages, the CPU entry area. [spec R9.1, appendix D]
void start_kernel_before_buddy(Kernel& kernel);

}  // namespace pgsim::kernel
