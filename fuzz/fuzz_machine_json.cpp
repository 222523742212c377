// SPDX-License-Identifier: GPL-2.0-only
// Any text as a machine file: a scenario or an Error; and what can be booted comes to an end.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "pgsim/base/error.hpp"
#include "pgsim/scenario/machine_facts.hpp"
#include "pgsim/scenario/machine_json.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    try {
        const auto record = pgsim::machine_record_from_json(text);
        (void)pgsim::compare_machine(pgsim::simulate_machine(record), record);
    } catch (const pgsim::Error&) {
    }
    return 0;
}
