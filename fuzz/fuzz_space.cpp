// SPDX-License-Identifier: GPL-2.0-only
// Any bytes as page tables: each search ends, and each page that is listed is what the walker finds.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>

#include "pgsim/formats/dump.hpp"
#include "pgsim/inspect/space_diff.hpp"
#include "pgsim/inspect/space_statistics.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace pgsim;
    PhysicalMemory memory;
    memory.map_region({PhysAddr{0}, PhysAddr{std::uint64_t{1} << 40}}, RegionKind::ram);
    // Records of 11 bytes: the table (0 ..= 7), the index, the entry.
    for (std::size_t at = 0; at + 11 <= size; at += 11) {
        std::uint16_t index = 0;
        std::uint64_t entry = 0;
        std::memcpy(&index, data + at + 1, sizeof index);
        std::memcpy(&entry, data + at + 3, sizeof entry);
        memory.write64(PhysAddr{0x1000 + (data[at] & 7) * std::uint64_t{4096} + (index & 511) * std::uint64_t{8}},
                       entry);
    }
    const AddressSpace space{memory.snapshot(), RootRef{PhysAddr{0x1000}, size % 2 == 0 ? 4U : 5U}};
    std::size_t left = 500;
    space.for_each_page({}, [&](const Mapping& page) {
        const WalkResult walk = space.walk(page.virt);
        if (walk.translation() == nullptr || walk.translation()->phys != page.phys ||
            walk.translation()->rights != page.rights) {
            std::abort();
        }
        return --left != 0;
    });
    static_cast<void>(space.tables());
    static_cast<void>(space.ranges({.max_ranges = 1000}));
    static_cast<void>(formats::dump(space, formats::DumpFormat::boxes, {.max_tables = 20}));
    return 0;
}
