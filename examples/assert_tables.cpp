// SPDX-License-Identifier: GPL-2.0-only
// Page tables as the subject of tests: what a course would hand out, or a kernel developer writes before a change.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include <pgsim/pgsim.hpp>

using namespace pgsim;

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
TEST_CASE("The decompressor maps the first 4 GiB one to one with 2-MByte pages") {
    const AddressSpace space = space_at("decompressor.startup_64");
    for (const VirtAddr virt : {0x0_va, 0x1234'5678_va, 0xffff'ffff_va}) {
        const WalkResult walk = space.walk(virt);
        INFO(to_string(walk));
        REQUIRE(walk.translation());
        CHECK(walk.translation()->phys.value() == virt.value());
        CHECK(walk.translation()->page_size == PageSize::k2M);
    }
    CHECK(space.walk(0x1'0000'0000_va).page_fault());
}
// [/identity]

// [handover]
TEST_CASE("reset_early_page_tables leaves the kernel's own mapping and nothing else") {
    const AddressSpace space = space_at("reset_early_page_tables.exit");
    const PageTable early_top_pgt = space.root_table();
    CHECK(early_top_pgt.present_count() == 1);
    CHECK(early_top_pgt[511].present());
    CHECK(space.walk(0x1000_va).page_fault());
}
// [/handover]

TEST_CASE("The direct map is writable and never executable") {
    const RangeList ranges = space_at("init_mem_mapping.exit")
                                 .ranges({.filter = {.first = 0xffff'8880'0000'0000_va,  //
                                                     .last = 0xffff'c87f'ffff'ffff_va}});
    REQUIRE_FALSE(ranges.ranges.empty());
    for (const MappedRange& range : ranges.ranges) {
        INFO(to_string(range));
        CHECK(range.rights == AccessRights{.writable = true, .user = false, .executable = false});
    }
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
