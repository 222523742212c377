// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace pgsim::kernel {

struct PresetOption {
    std::string_view name;
    std::string_view value;
};

struct PresetSize {
    std::string_view name;
    std::uint64_t bytes;
};

struct PresetSymbol {
    std::string_view name;
    std::uint64_t link_time;
};

/// One kernel build, as its captures show it: options, structure sizes, link-time symbols, image header.
struct KernelPreset {
    std::string_view name;
    std::string_view series;
    std::uint64_t struct_page_size;
    std::uint64_t pglist_data_size;
    std::uint64_t zone_size;
    std::uint32_t init_size;
    std::uint64_t image_size;
    std::uint64_t payload_offset;
    std::uint64_t payload_length;
    std::uint64_t boot_params_address;
    std::span<const PresetOption> options;
    std::span<const PresetSize> struct_sizes;
    std::span<const PresetSymbol> symbols;
};

extern const KernelPreset debian_6_1;
extern const KernelPreset debian_6_12;
extern const KernelPreset defconfig_6_6;

/// @throws Error  when there is none of that name; the message lists the names
[[nodiscard]] const KernelPreset& kernel_preset(std::string_view name);

}  // namespace pgsim::kernel
