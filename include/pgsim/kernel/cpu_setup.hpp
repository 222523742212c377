// SPDX-License-Identifier: GPL-2.0-only
#pragma once

namespace pgsim::kernel {

struct Kernel;

/// pti_mode as the command line has it. [linux-6.12 arch/x86/mm/pti.c pti_parse_cmdline()]
void set_pti_mode(Kernel& kernel);

/// Whether page-table isolation is on. [linux-6.6 arch/x86/mm/pti.c; spec R6.2]
void pti_check_boottime_disable(Kernel& kernel);

/// Page sizes of the direct map, CR4.PSE and CR4.PGE, the masks of supported bits.
/// [linux-6.6 arch/x86/mm/init.c; spec R6.2]
void probe_page_size_mask(Kernel& kernel);

/// CR4.PCIDE. [linux-6.6 arch/x86/mm/init.c; spec R6.3]
void setup_pcid(Kernel& kernel);

/// Flushes everything, global translations included: INVPCID type 2, else CR4.PGE off and on.
/// [linux-6.6 arch/x86/mm/tlb.c __flush_tlb_all(); spec R6.17]
void flush_tlb_all(Kernel& kernel);

}  // namespace pgsim::kernel
