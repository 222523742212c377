// SPDX-License-Identifier: GPL-2.0-only
// Page tables as the subject of tests: what a course would hand out, or a kernel developer writes before a change.
#include <pgsim/pgsim.hpp>
#include <pgsim/testing/catch2.hpp>

using namespace pgsim;
using namespace pgsim::testing;

namespace {

const Boot& boot() {
    static const Boot done = run(presets::qemu_q35("4G"));
    return done;
}

AddressSpace space_at(std::string_view checkpoint) {
    const Checkpoint& at = boot().at(checkpoint);
    return {at.machine.memory, {at.root(), at.levels()}};
}

}  // namespace

// [identity]
TEST_CASE("The decompressor maps the first 4 GiB one to one with 2-MByte pages, and nothing above") {
    const AddressSpace space = space_at("decompressor.startup_64");
    CHECK_THAT(space, IsIdentityMapped({0x0_pa, 0x1'0000'0000_pa}));
    CHECK_THAT(space, MapsTo(0x1234'5678_va, 0x1234'5678_pa).size(PageSize::k2M));
    CHECK_THAT(space, FaultsWith(0x1'0000'0000_va, 0));
}
// [/identity]

// [handover]
TEST_CASE("reset_early_page_tables leaves the kernel's own mapping and nothing else") {
    const AddressSpace space = space_at("reset_early_page_tables.exit");
    const PageTable early_top_pgt = space.root_table();
    CHECK(early_top_pgt.present_count() == 1);
    CHECK(early_top_pgt[511].present());
    CHECK_THAT(space, FaultsWith(0x1000_va, 0));
    CHECK_THAT(space, MapsTo(0xffff'ffff'8100'0000_va, 0x100'0000_pa).size(PageSize::k2M).executable());
}
// [/handover]

TEST_CASE("The direct map covers all RAM, writable and never executable") {
    const AddressSpace space = space_at("init_mem_mapping.exit");
    const VirtAddr page_offset = 0xffff'8880'0000'0000_va;
    CHECK_THAT(space, CoversDirectMap(page_offset, {0x10'0000_pa, 0x7ffe'0000_pa}));
    CHECK_THAT(space, CoversDirectMap(page_offset, {0x1'0000'0000_pa, 0x1'8000'0000_pa}));
    for (const MappedRange& range :
         space.ranges({.filter = {.first = page_offset, .last = page_offset + 64 * TiB - 1}}).ranges) {
        INFO(to_string(range));
        CHECK(range.rights == AccessRights{.writable = true, .user = false, .executable = false});
    }
}

TEST_CASE("sparse_init touches no table of the direct map") {
    CHECK_THAT(space_at("sparse_init.exit"), HasEntry(0xffff'8880'0000'0000_va, Level::pml4,
                                                      space_at("init_mem_mapping.exit").root_table()[273].raw()));
}

TEST_CASE("A walk through a table with a reserved bit set says so in the error code") {
    PhysicalMemory memory;
    memory.map_region({0x0_pa, 0x10000_pa}, RegionKind::ram);
    memory.write64(0x1000_pa, 0x2003 | 1U << 7);  // bit 7 of a PML4E must be 0
    PagingControls controls;
    controls.root = 0x1000_pa;
    const WalkResult walk = Walker{memory, controls}.walk(0x0_va);
    REQUIRE(walk.page_fault());
    CHECK(walk.page_fault()->error_code == (PageFaultError::p | PageFaultError::rsvd));
    CHECK(walk.page_fault()->level == Level::pml4);
}
