// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/kernel_series.hpp"

#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "pgsim/base/error.hpp"

namespace pgsim::kernel {

namespace {

struct Version {
    unsigned major = 0;
    unsigned minor = 0;
    friend auto operator<=>(Version, Version) = default;
};

/// The first "N.N" in the text.
std::optional<Version> find_version(std::string_view text) {
    for (std::size_t at = text.find_first_of("0123456789"); at < text.size();
         at = text.find_first_of("0123456789", at)) {
        Version version;
        const char* const end = text.data() + text.size();
        const auto major = std::from_chars(text.data() + at, end, version.major);
        if (major.ec == std::errc{} && major.ptr != end && *major.ptr == '.' &&
            std::from_chars(major.ptr + 1, end, version.minor).ec == std::errc{}) {
            return version;
        }
        at = text.find_first_not_of("0123456789", at);
    }
    return std::nullopt;
}

KernelSeries series_6_1() {
    KernelSeries s;
    s.name = "6.1";
    s.minor = 1;
    s.kernel_ro_keeps_dirty = true;
    s.trap_init_sets_fsgsbase = true;
    s.startup_64_masks_cr4 = true;
    s.ibft_in_early_reserve_memory = true;
    s.randomize_memory_keeps_zone_device = true;
    s.pcid_erratum_by_microcode = true;
    s.top_down_survives_failure = true;
    s.reserved_gets_nids = false;
    s.pg_reserved_bit = 12;
    return s;
}

KernelSeries series_6_12() {
    KernelSeries s;
    s.name = "6.12";
    s.minor = 12;
    s.pti_is_early_param = true;
    s.trap_init_sets_fsgsbase = true;
    s.startup_64_masks_cr4 = true;
    s.ident_map_noptishadow = true;
    s.early_top_pgt_linked = true;
    s.common_startup_64 = true;
    s.setup_data_in_kexec_table = false;
    s.max_pfn_counts_acpi = true;
    s.memblock_empty_has_dummy = false;
    s.memblock_fixed_array_panics = true;
    s.randomize_memory_keeps_zone_device = true;
    s.pcid_erratum_by_microcode = true;
    s.clear_slot_minds_acpi = true;
    s.top_down_survives_failure = true;
    s.no_node_is_minus_one = true;
    s.numa_bounds_are_dram = true;
    s.crashkernel_generic = true;
    s.node_data_alignment = 64;
    s.mem_section_root_before_loop = true;
    s.managed_is_present = true;
    s.reserved_nids_spread_up = false;
    s.pg_reserved_bit = 13;
    return s;
}

}  // namespace

KernelSeries KernelSeries::of(std::string_view release) {
    const std::optional<Version> version = find_version(release);
    if (!version) {
        throw Error{"kernel", "no version number in \"" + std::string{release} + "\""};
    }
    if (*version >= Version{6, 12}) {
        return series_6_12();
    }
    if (*version >= Version{6, 6}) {
        return {};
    }
    return series_6_1();
}

}  // namespace pgsim::kernel
