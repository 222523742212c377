// SPDX-License-Identifier: GPL-2.0-only
// Any text as memmap= entries or as /proc/iomem: a map that passes its check, or an Error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "pgsim/base/error.hpp"
#include "pgsim/firmware/memory_map_import.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    for (const auto parse : {pgsim::firmware::parse_memmap_text, pgsim::firmware::parse_proc_iomem}) {
        try {
            pgsim::firmware::check_imported_map(parse(text));
        } catch (const pgsim::Error&) {
        }
    }
    return 0;
}
