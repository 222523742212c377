// SPDX-License-Identifier: GPL-2.0-only
// Any text as a boot log: a record or an Error, never anything else; a record can be written and read again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "pgsim/base/error.hpp"
#include "pgsim/firmware/memory_map_import.hpp"
#include "pgsim/scenario/machine_json.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    try {
        const auto record = pgsim::firmware::parse_dmesg(text);
        const auto again = pgsim::machine_record_from_json(pgsim::machine_record_to_json(record));
        if (again.e820 != record.e820 || again.early_node_ranges != record.early_node_ranges) {
            std::abort();
        }
    } catch (const pgsim::Error&) {
    }
    return 0;
}
