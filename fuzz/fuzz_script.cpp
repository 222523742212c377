// SPDX-License-Identifier: GPL-2.0-only
// Any text as a script of process operations: a list of lines or an Error, never anything else. Nothing is run: what a
// script may ask for is large.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "pgsim/base/error.hpp"
#include "pgsim/scenario/process_script.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        (void)pgsim::parse_process_script({reinterpret_cast<const char*>(data), size});
    } catch (const pgsim::Error&) {
    }
    return 0;
}
