// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace pgsim::kernel {

/// The build options that matter for memory, by their Kconfig names without CONFIG_. [spec appendix D]
class KernelConfig {
public:
    /// @param value  "y", "n", "m", a number ("6", "0x1000000") or a string
    void set(std::string_view option, std::string_view value);

    /// y or m; an option that was never set is off.
    [[nodiscard]] bool enabled(std::string_view option) const;
    /// @throws Error  when the option is set but is not a number
    [[nodiscard]] std::uint64_t number(std::string_view option, std::uint64_t otherwise) const;

    [[nodiscard]] const std::map<std::string, std::string, std::less<>>& options() const noexcept { return options_; }

    [[nodiscard]] std::uint64_t max_numnodes() const { return std::uint64_t{1} << number("NODES_SHIFT", 0); }
    [[nodiscard]] std::uint64_t load_physical_addr() const;  ///< R0.6
    [[nodiscard]] bool page_table_isolation() const;         ///< R3.2, both spellings

    /// "debian-6.1", "debian-6.12", "defconfig-6.6". @throws Error  for any other name
    [[nodiscard]] static KernelConfig preset(std::string_view name);

    friend bool operator==(const KernelConfig&, const KernelConfig&) = default;

private:
    std::map<std::string, std::string, std::less<>> options_;
};

}  // namespace pgsim::kernel
