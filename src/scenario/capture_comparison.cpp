// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/scenario/capture_comparison.hpp"

#include "pgsim/scenario/boot.hpp"
#include "pgsim/scenario/boot_capture.hpp"
#include "pgsim/scenario/boot_scenario.hpp"

namespace pgsim {

formats::Comparison compare_with_boot(std::string_view text, std::string_view name,
                                      const formats::CompareOptions& options) {
    const formats::Capture expected = formats::parse_capture(text, name);
    const Boot boot = run(scenario_from_capture(text, name));
    return formats::compare_captures(expected, to_capture(boot), options);
}

}  // namespace pgsim
