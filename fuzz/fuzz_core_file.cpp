// SPDX-License-Identifier: GPL-2.0-only
// Any text as a core of the timing model: a core that an MMU takes, or an Error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "pgsim/base/error.hpp"
#include "pgsim/mmu/mmu.hpp"
#include "pgsim/mmu/timing_core.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        pgsim::Mmu mmu;
        mmu.set_core(pgsim::parse_core({reinterpret_cast<const char*>(data), size}));
    } catch (const pgsim::Error&) {
    }
    return 0;
}
