// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pgsim::kernel {

/// Everything in which the kernel series differ, in one place, each field with its rule. The defaults are 6.6, the
/// reference series.
struct KernelSeries {
    std::string name = "6.6";  ///< of the series whose rules apply: "6.1", "6.6" or "6.12"
    unsigned major = 6;        ///< of the release itself, which may be another one
    unsigned minor = 6;
    unsigned patch = 0;

    bool startup_64_masks_cr4 = false;                ///< R1.7: the decompressor keeps only PAE, MCE and LA57
    bool ident_map_noptishadow = false;               ///< R2.3: bit 58 in level-4 and level-5 pointers
    bool early_top_pgt_linked = false;                ///< R3.2: [511] is set in the image
    bool common_startup_64 = false;                   ///< R3.5: CR3 before CR4, PSE on, PGE last
    bool ibft_in_early_reserve_memory = false;        ///< R5.1
    bool setup_data_in_kexec_table = true;            ///< R5.6: a second table is changed, and the line printed again
    bool max_pfn_counts_acpi = false;                 ///< R5.11
    bool memblock_empty_has_dummy = true;             ///< R5.13: an empty array has cnt 1
    bool memblock_fixed_array_panics = false;         ///< R5.14: growth before resizing is allowed panics
    bool randomize_memory_keeps_zone_device = false;  ///< R5.25: no reduction when ZONE_DEVICE is on
    bool pti_is_early_param = false;                  ///< R6.2: pti_mode is set by parse_early_param
    bool pcid_erratum_by_microcode = false;           ///< R6.3
    bool clear_slot_minds_acpi = false;               ///< R6.9
    bool top_down_survives_failure = false;           ///< R6.13
    bool no_node_is_minus_one = false;                ///< R7.2
    bool numa_bounds_are_dram = false;                ///< R7.4
    bool crashkernel_generic = false;                 ///< R7.1 #8: high first for ,high; 16 MiB also at an offset
    std::uint64_t node_data_alignment = 4096;         ///< R7.5
    bool mem_section_root_before_loop = false;        ///< R8.1
    bool kernel_ro_keeps_dirty = false;               ///< R9.1, appendix A: PAGE_KERNEL_RO has D
    bool trap_init_sets_fsgsbase = false;             ///< measured: CR4.FSGSBASE before memblock_free_all
    bool managed_is_present = false;                  ///< R8.12; from 6.11 on
    bool reserved_gets_nids = true;                   ///< M-A15: memblock_free_all gives reserved regions nodes
    bool reserved_nids_spread_up = true;              ///< M-A15: with a region's end in place of its size
    unsigned pg_reserved_bit = 14;                    ///< R8.16

    // What concerns only releases other than the three, as their logs show it.
    bool step_size_grows_by_32 = false;     ///< before 3.19: R6.13's step grows by 2^5, when one step maps most
    bool total_counts_holes = false;        ///< before 3.13: the "Memory:" line's total is max_pfn
    unsigned zone_batch_limit_pages = 256;  ///< before 4.20: 128
    bool nosave_skips_first_entry = false;  ///< before 3.19: nosave ranges begin after the map's first entry
    bool nosave_between_ram_only = false;   ///< 6.15 and stable releases of 2025: one range from RAM to RAM
    bool initmem_line_from_numa = false;    ///< before 3.17: "Initmem setup node" has the node's whole block
    bool zone_limits_unclamped = false;     ///< before 4.0: "Zone ranges" end at the zones' limits, not at max_low_pfn
    bool reserves_first_mib = true;         ///< R5.24: from 5.13 on
    /// Without KASLR and LA57; before 4.20 the direct map began one slot lower.
    std::uint64_t page_offset_base = 0xffff'8880'0000'0000;

    /// True from release `major`.`minor` on.
    [[nodiscard]] bool at_least(unsigned from_major, unsigned from_minor) const noexcept {
        return major > from_major || (major == from_major && minor >= from_minor);
    }

    /// @param release  "6.1", "6.6", "6.12", or a full release string such as "6.1.0-56-amd64"; of other versions the
    ///                 nearest series below whose rules are known is taken
    /// @throws Error  when there is no version number in it
    [[nodiscard]] static KernelSeries of(std::string_view release);

    friend bool operator==(const KernelSeries&, const KernelSeries&) = default;
};

}  // namespace pgsim::kernel
