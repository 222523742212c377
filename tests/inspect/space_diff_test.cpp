// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/inspect/space_diff.hpp"

#include "pgsim/base/units.hpp"
#include "pgsim/formats/capture_space.hpp"
#include "support/catch.hpp"
#include "support/data.hpp"

using namespace pgsim;

namespace {

PhysicalMemory ram() {
    PhysicalMemory memory;
    memory.map_region({PhysAddr{0}, PhysAddr{1 * TiB}}, RegionKind::ram);
    memory.write64(0x1000_pa, 0x2067);
    memory.write64(0x2000_pa, 0x3067);
    memory.write64(0x3000_pa, 0x0000e3);
    memory.write64(0x3008_pa, 0x2000e3);
    return memory;
}

AddressSpace space(const PhysicalMemory& memory) {
    return {memory.snapshot(), RootRef{0x1000_pa, 4}};
}

}  // namespace

TEST_CASE("Nothing differs between a space and itself", "[inspect][diff]") {
    const PhysicalMemory memory = ram();
    CHECK(diff(space(memory), space(memory)).empty());
}

TEST_CASE("A 2-MByte page that is split shows as one entry, a new table and one changed range", "[inspect][diff]") {
    PhysicalMemory memory = ram();
    const AddressSpace before = space(memory);
    memory.write64(0x3008_pa, 0x4067);
    for (std::uint64_t i = 0; i < 512; ++i) {
        memory.write64(PhysAddr{0x4000 + i * 8}, 0x200000 + i * 4096 + 0x63);
    }
    const SpaceDiff result = diff(before, space(memory));
    CHECK(result.complete);
    REQUIRE(result.entries.size() == 513);
    CHECK(result.entries[0].kind == ChangeKind::changed);
    CHECK(result.entries[0].entry_addr == 0x3008_pa);
    CHECK(result.entries[0].virt == 0x200000_va);
    CHECK(result.entries[0].before == 0x2000e3);
    CHECK(result.entries[512].kind == ChangeKind::added);
    CHECK(result.entries[512].virt == 0x3ff000_va);
    REQUIRE(result.ranges.size() == 1);
    CHECK(to_string(result.ranges[0]) == "changed 0x200000-0x3fffff 2 MiB: 0x200000 2M rwx -> 0x200000 4K rwx");
}

TEST_CASE("Accessed and Dirty are differences only when asked for", "[inspect][diff]") {
    PhysicalMemory memory = ram();
    const AddressSpace before = space(memory);
    memory.write64(0x3008_pa, 0x200083);
    CHECK(diff(before, space(memory)).empty());
    const SpaceDiff exact = diff(before, space(memory), {.accessed_dirty = true});
    CHECK(exact.entries.size() == 1);
    CHECK(exact.ranges.size() == 1);
}

TEST_CASE("Ranges are cut where either side begins or ends", "[inspect][diff]") {
    PhysicalMemory memory = ram();
    const AddressSpace before = space(memory);
    memory.write64(0x3000_pa, 0);         // removed
    memory.write64(0x3008_pa, 0x2000e1);  // read-only now
    memory.write64(0x3010_pa, 0x4000e3);  // added
    memory.write64(0x3018_pa, 0x6000e3);  // added, goes on
    const SpaceDiff result = diff(before, space(memory));
    REQUIRE(result.ranges.size() == 3);
    CHECK(to_string(result.ranges[0]) == "removed 0x0-0x1fffff 2 MiB: 0x0 2M rwx");
    CHECK(to_string(result.ranges[1]) == "changed 0x200000-0x3fffff 2 MiB: 0x200000 2M rwx -> 0x200000 2M r-x");
    CHECK(to_string(result.ranges[2]) == "added 0x400000-0x7fffff 4 MiB: 0x400000 2M rwx");
}

TEST_CASE("init_mem_mapping adds the direct map and the identity map goes away", "[inspect][diff][capture]") {
    // CR3 goes from early_top_pgt to init_top_pgt between these checkpoints.
    const formats::Capture boot = formats::read_capture(test::data_path("captures/k6.1-1g-4l.json.xz"));
    const SpaceDiff result = diff(formats::address_space(*boot.find("init_mem_mapping.entry")),
                                  formats::address_space(*boot.find("init_mem_mapping.exit")));
    CHECK(result.complete);
    // The direct map of a 1-GiB machine: RAM ends at 0x3ffe0000.
    const auto added_to = [&](VirtAddr last) {
        for (const RangeChange& change : result.ranges) {
            if (change.kind != ChangeKind::removed && change.virt.value() + change.bytes - 1 == last.value()) {
                return true;
            }
        }
        return false;
    };
    CHECK(added_to(0xffff88803ffdffff_va));
}
