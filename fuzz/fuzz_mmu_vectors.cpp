// SPDX-License-Identifier: GPL-2.0-only
// Any text as MMU test vectors: a report or an Error, whatever machine a vector describes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "pgsim/base/error.hpp"
#include "pgsim/formats/mmu_vectors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        (void)pgsim::formats::check_vectors({reinterpret_cast<const char*>(data), size});
    } catch (const pgsim::Error&) {
    }
    return 0;
}
