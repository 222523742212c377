// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/kernel_series.hpp"

#include <algorithm>
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
    unsigned patch = 0;
    friend auto operator<=>(Version, Version) = default;
};

/// The first "N.N" in the text, with the ".N" that may follow.
std::optional<Version> find_version(std::string_view text) {
    for (std::size_t at = text.find_first_of("0123456789"); at < text.size();
         at = text.find_first_of("0123456789", at)) {
        Version version;
        const char* const end = text.data() + text.size();
        const auto major = std::from_chars(text.data() + at, end, version.major);
        if (major.ec == std::errc{} && major.ptr != end && *major.ptr == '.') {
            const auto minor = std::from_chars(major.ptr + 1, end, version.minor);
            if (minor.ec == std::errc{}) {
                if (minor.ptr != end && *minor.ptr == '.') {
                    std::from_chars(minor.ptr + 1, end, version.patch);
                }
                return version;
            }
        }
        at = text.find_first_not_of("0123456789", at);
    }
    return std::nullopt;
}

/// Debian's stable kernels are called by an ABI number, "6.1.0-56-amd64": the patch level that the first one with the
/// number had, where a rule asks for it.
unsigned debian_patch(Version version, std::string_view release) {
    struct Abi {
        Version series;
        unsigned number;
        unsigned patch;
    };
    constexpr std::array<Abi, 2> known{{{{6, 1, 0}, 34, 135}, {{5, 10, 0}, 35, 237}}};
    unsigned number = 0;
    const std::size_t dash = release.find(".0-");
    if (dash == std::string_view::npos || release.find("-amd64") == std::string_view::npos) {
        return 0;
    }
    const char* const digits = release.data() + dash + 3;
    if (std::from_chars(digits, release.data() + release.size(), number).ec != std::errc{}) {
        return 0;
    }
    const auto abi = std::find_if(known.begin(), known.end(), [&](const Abi& a) { return a.series == version; });
    return abi != known.end() && number >= abi->number ? abi->patch : 0;
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

/// "x86/e820: Fix handling of subpage regions when calculating nosave ranges": 6.15, and the stable releases that took
/// it over. Distributions that hide the patch level behind their own count as not having it, where their own does not
/// tell.
bool fixes_subpage_nosave(Version version) {
    constexpr std::array<Version, 8> stable{
        {{5, 4, 293}, {5, 10, 237}, {5, 15, 181}, {6, 1, 135}, {6, 6, 88}, {6, 12, 24}, {6, 13, 12}, {6, 14, 3}}};
    return version >= Version{6, 15} || std::any_of(stable.begin(), stable.end(), [version](Version from) {
               return version.major == from.major && version.minor == from.minor && version.patch >= from.patch;
           });
}

/// @param enterprise  an enterprise 3.10 kernel, which has later log lines
void take_other_releases(Version version, bool enterprise, KernelSeries& series) {
    series.step_size_grows_by_32 = version < Version{3, 19};
    series.total_counts_holes = version < Version{3, 13};
    series.zone_batch_limit_pages = version < Version{4, 20} ? 128 : 256;
    series.nosave_skips_first_entry = version < Version{3, 19};
    series.nosave_between_ram_only = fixes_subpage_nosave(version);
    series.initmem_line_from_numa = version < Version{3, 17} && !enterprise;
    series.zone_limits_unclamped = version < Version{4, 0};
    series.reserves_first_mib = version >= Version{5, 13};
    if (version < Version{4, 20}) {
        series.page_offset_base = 0xffff'8800'0000'0000;
    }
    series.managed_is_present = version >= Version{6, 11};
}

}  // namespace

KernelSeries KernelSeries::of(std::string_view release) {
    std::optional<Version> version = find_version(release);
    if (!version) {
        throw Error{"kernel", "no version number in \"" + std::string{release} + "\""};
    }
    version->patch = std::max(version->patch, debian_patch(*version, release));
    KernelSeries series = *version >= Version{6, 12}  ? series_6_12()
                          : *version >= Version{6, 6} ? KernelSeries{}
                                                      : series_6_1();
    series.major = version->major;
    series.minor = version->minor;
    series.patch = version->patch;
    take_other_releases(*version, release.find(".el7") != std::string_view::npos, series);
    return series;
}

}  // namespace pgsim::kernel
