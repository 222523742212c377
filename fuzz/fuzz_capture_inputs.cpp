// SPDX-License-Identifier: GPL-2.0-only
// Any text as a capture or as a capture's inputs: a scenario or an Error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "pgsim/base/error.hpp"
#include "pgsim/scenario/boot_scenario.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        (void)pgsim::scenario_from_capture({reinterpret_cast<const char*>(data), size});
    } catch (const pgsim::Error&) {
    }
    return 0;
}
