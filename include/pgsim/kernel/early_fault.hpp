// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>

namespace pgsim::kernel {

struct Kernel;

/// The early #PF handler: maps the 2 MiB of the direct map around `address` in early_top_pgt, with tables from
/// early_dynamic_pgts. False when it cannot: not in the direct map, or CR3 is not early_top_pgt.
/// [linux-6.6 arch/x86/kernel/head64.c __early_make_pgtable(); spec R4.5]
[[nodiscard]] bool early_make_pgtable(Kernel& kernel, std::uint64_t address);

/// Installs it. [spec R4.1]
void idt_setup_early_handler(Kernel& kernel);

/// After init_mem_mapping: page faults of kernel code are fatal from now on. [spec R4.8]
void idt_setup_early_pf(Kernel& kernel);

}  // namespace pgsim::kernel
