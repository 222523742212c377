// SPDX-License-Identifier: GPL-2.0-only
// Any text as a trace of accesses and as an address stream: steps or an Error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "pgsim/base/error.hpp"
#include "pgsim/mmu/timing_trace.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    try {
        (void)pgsim::parse_trace(text);
    } catch (const pgsim::Error&) {
    }
    try {
        (void)pgsim::AddressStream::parse(text, pgsim::VirtAddr{0x1000'0000});
    } catch (const pgsim::Error&) {
    }
    return 0;
}
