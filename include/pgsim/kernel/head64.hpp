// SPDX-License-Identifier: GPL-2.0-only
#pragma once

namespace pgsim::kernel {

struct Kernel;

/// Puts the page tables that are linked into the kernel image into memory at their run-time place, relocated as
/// extract_kernel leaves them. [spec R2.8, R3.2]
void link_static_tables(Kernel& kernel);

/// __startup_64: fixes the linked tables up to where the kernel was put, and builds the identity map for the switch.
/// Runs on the decompressor's tables. [linux-6.6 arch/x86/kernel/head64.c __startup_64(); spec R3.4]
void startup_64_fixups(Kernel& kernel);

/// From __startup_64's return to x86_64_start_kernel: CR4, CR3 = early_top_pgt, flush, EFER, the jump to high
/// addresses. [linux-6.6 arch/x86/kernel/head_64.S; spec R3.5–R3.8]
void secondary_startup_64(Kernel& kernel);

/// x86_64_start_kernel up to reset_early_page_tables. [linux-6.6 arch/x86/kernel/head64.c; spec R4.1, R4.2]
void reset_early_page_tables(Kernel& kernel);

/// x86_64_start_kernel after reset_early_page_tables, up to setup_arch: .bss, the early fault handler, boot_params,
/// init_top_pgt. [linux-6.6 arch/x86/kernel/head64.c; spec R4.1–R4.6]
void x86_64_start_kernel(Kernel& kernel);

}  // namespace pgsim::kernel
