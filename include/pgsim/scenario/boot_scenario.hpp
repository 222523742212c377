// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "pgsim/kernel/boot_inputs.hpp"

namespace pgsim {

/// One machine, one kernel, one boot loader: everything that a simulated boot starts from, and nothing else.
struct BootScenario {
    std::string name;
    kernel::BootInputs inputs;
    /// What the source did not say and was assumed, one sentence each, for people.
    std::vector<std::string> assumptions;

    friend bool operator==(const BootScenario&, const BootScenario&) = default;
};

/// The inputs of a boot capture ("pgsim-capture/1") or what captures/inputs.py makes of one ("pgsim-inputs/1"): both
/// give the same scenario. Nothing else of a capture is looked at: no table, no memblock state. [spec appendix D]
/// @param text  JSON, not compressed
/// @param name  put before the place of an error
/// @throws Error  naming key path and reason
[[nodiscard]] BootScenario scenario_from_capture(std::string_view text, std::string_view name = "capture");

}  // namespace pgsim
