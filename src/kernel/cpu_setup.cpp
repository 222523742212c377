// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/cpu_setup.hpp"

#include <algorithm>
#include <array>

#include "pgsim/kernel/kernel.hpp"
#include "pgsim/kernel/pgtable_types.hpp"

namespace pgsim::kernel {

namespace {

enum : unsigned { pti_auto = 0, pti_force_off = 1, pti_force_on = 2 };

// Rogue data cache load: Intel processors of family 6 but the in-order Atoms, unless the processor says otherwise.
// [linux-6.6 arch/x86/kernel/cpu/common.c cpu_vuln_whitelist]
bool has_meltdown_bug(const BootInputs& inputs) {
    static constexpr std::array<unsigned, 5> in_order_atoms{0x1c, 0x26, 0x27, 0x35, 0x36};
    if (inputs.meltdown_bug) {
        return *inputs.meltdown_bug;
    }
    const CpuFeatures& cpu = inputs.cpu;
    return cpu.vendor == Vendor::intel && cpu.family == 6 &&
           std::find(in_order_atoms.begin(), in_order_atoms.end(), cpu.model) == in_order_atoms.end();
}

// Processors whose INVLPG leaves global entries behind when PCIDs are in use. [R6.3]
bool invlpg_misses_global(const CpuFeatures& cpu) {
    static constexpr std::array<unsigned, 6> models{0x97, 0x9a, 0xbe, 0xb7, 0xba, 0xbf};
    return cpu.vendor == Vendor::intel && cpu.family == 6 &&
           std::find(models.begin(), models.end(), cpu.model) != models.end();
}

void set_cr4_and_update_boot(Kernel& k, std::uint64_t bits) {
    k.state.mmu_cr4_features |= bits;
    if ((k.cpu().cr4 & bits) != bits) {
        k.write_cr4(k.cpu().cr4 | bits);
    }
}

}  // namespace

void set_pti_mode(Kernel& k) {
    switch (k.params.pti) {
    case PtiMode::off: k.state.pti_mode = pti_force_off; break;
    case PtiMode::on: k.state.pti_mode = pti_force_on; break;
    case PtiMode::automatic: k.state.pti_mode = pti_auto; break;
    }
}

void pti_check_boottime_disable(Kernel& k) {
    if (!k.inputs.config.page_table_isolation()) {
        return;
    }
    set_pti_mode(k);
    k.state.pti_enabled =
        k.state.pti_mode == pti_force_on || (k.state.pti_mode == pti_auto && has_meltdown_bug(k.inputs));
}

void probe_page_size_mask(Kernel& k) {
    KernelState& s = k.state;
    const CpuFeatures& cpu = k.inputs.cpu;
    if (cpu.has(Feature::pse) && !k.inputs.config.enabled("DEBUG_PAGEALLOC_ENABLE_DEFAULT")) {
        s.page_size_mask |= 1U << 2;
    } else {
        s.direct_gbpages = false;
    }
    if (cpu.has(Feature::pse)) {
        set_cr4_and_update_boot(k, Cr4::pse);
    }
    s.supported_pte_mask &= ~page_global;
    if (cpu.has(Feature::pge)) {
        set_cr4_and_update_boot(k, Cr4::pge);
        s.supported_pte_mask |= page_global;
    }
    s.default_kernel_pte_mask = s.supported_pte_mask;
    if (s.pti_enabled) {
        s.default_kernel_pte_mask &= ~page_global;
    }
    if (s.direct_gbpages && cpu.has(Feature::pdpe1gb)) {
        s.page_size_mask |= 1U << 3;
    } else {
        s.direct_gbpages = false;
    }
}

void setup_pcid(Kernel& k) {
    const CpuFeatures& cpu = k.inputs.cpu;
    if (!cpu.has(Feature::pcid) || k.params.nopcid) {
        return;
    }
    if (invlpg_misses_global(cpu) && !k.inputs.series.pcid_erratum_by_microcode) {
        return;
    }
    if (cpu.has(Feature::pge)) {
        k.write_cr4(k.cpu().cr4 | Cr4::pcide);
    }
}

void flush_tlb_all(Kernel& k) {
    if (k.inputs.cpu.has(Feature::invpcid) && (k.cpu().cr4 & Cr4::pcide) != 0) {
        k.machine.invpcid(InvpcidType::all_with_global);
        return;
    }
    const std::uint64_t cr4 = k.cpu().cr4;
    k.write_cr4(cr4 ^ Cr4::pge);
    k.write_cr4(cr4);
}

}  // namespace pgsim::kernel
