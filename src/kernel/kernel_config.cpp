// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/kernel_config.hpp"

#include <charconv>

#include "kernel/presets.hpp"
#include "pgsim/base/error.hpp"

namespace pgsim::kernel {

namespace {

std::uint64_t parse_number(std::string_view option, std::string_view text) {
    const bool hexadecimal = text.substr(0, 2) == "0x" || text.substr(0, 2) == "0X";
    const std::string_view digits = hexadecimal ? text.substr(2) : text;
    std::uint64_t value = 0;
    const char* const end = digits.data() + digits.size();
    const auto result = std::from_chars(digits.data(), end, value, hexadecimal ? 16 : 10);
    if (digits.empty() || result.ec != std::errc{} || result.ptr != end) {
        throw Error{"CONFIG_" + std::string{option}, "\"" + std::string{text} + "\" is not a number"};
    }
    return value;
}

}  // namespace

void KernelConfig::set(std::string_view option, std::string_view value) {
    options_.insert_or_assign(std::string{option}, std::string{value});
}

bool KernelConfig::enabled(std::string_view option) const {
    const auto found = options_.find(option);
    return found != options_.end() && (found->second == "y" || found->second == "m");
}

std::uint64_t KernelConfig::number(std::string_view option, std::uint64_t otherwise) const {
    const auto found = options_.find(option);
    return found == options_.end() || found->second == "n" ? otherwise : parse_number(option, found->second);
}

std::uint64_t KernelConfig::load_physical_addr() const {
    const std::uint64_t start = number("PHYSICAL_START", 0x100'0000);
    const std::uint64_t align = number("PHYSICAL_ALIGN", 0x20'0000);
    return align == 0 ? start : (start + align - 1) & ~(align - 1);
}

bool KernelConfig::page_table_isolation() const {
    return enabled("PAGE_TABLE_ISOLATION") || enabled("MITIGATION_PAGE_TABLE_ISOLATION");
}

KernelConfig KernelConfig::preset(std::string_view name) {
    KernelConfig config;
    for (const PresetOption& option : kernel_preset(name).options) {
        config.set(option.name, option.value);
    }
    return config;
}

}  // namespace pgsim::kernel
