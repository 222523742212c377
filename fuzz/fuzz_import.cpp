// SPDX-License-Identifier: GPL-2.0-only
// Any bytes as text of info tlb and of ptdump: an Error, or an address space whose own text reads back as the same.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "pgsim/base/error.hpp"
#include "pgsim/formats/dump.hpp"
#include "pgsim/formats/import.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace pgsim::formats;
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    static_cast<void>(detect_import(text));
    try {
        const ImportedSpace space = import_qemu_tlb(text);
        const std::string shown = dump(space.space, DumpFormat::qemu_tlb);
        if (dump(import_qemu_tlb(shown, "again", space.space.levels()).space, DumpFormat::qemu_tlb) != shown) {
            std::abort();
        }
    } catch (const pgsim::Error&) {
    }
    try {
        static_cast<void>(import_ptdump(text).space.ranges({.max_ranges = 1000}));
    } catch (const pgsim::Error&) {
    }
    return 0;
}
