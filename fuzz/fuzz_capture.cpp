// SPDX-License-Identifier: GPL-2.0-only
// Any bytes as a capture: an Error, or a capture that is written, read again and is the same.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "pgsim/base/error.hpp"
#include "pgsim/formats/capture_space.hpp"
#include "pgsim/formats/compare.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace pgsim::formats;
    try {
        const Capture capture = parse_capture({reinterpret_cast<const char*>(data), size});
        const Capture again = parse_capture(capture_to_json(capture));
        if (!compare_captures(capture, again).equal()) {
            std::abort();
        }
        for (const CaptureCheckpoint& checkpoint : capture.checkpoints) {
            static_cast<void>(address_space(checkpoint).ranges({.max_ranges = 1000}));
        }
    } catch (const pgsim::Error&) {
    }
    return 0;
}
