// SPDX-License-Identifier: GPL-2.0-only
// Which cached translations of guests each invalidation takes away: the manuals' tables, written out.
#include "support/catch.hpp"

#include "pgsim/mmu/nested_mmu.hpp"

using namespace pgsim;

namespace {

constexpr VirtAddr plain_page = VirtAddr{0x4000'0000};
constexpr VirtAddr global_page = VirtAddr{0x4000'1000};
constexpr PhysAddr ept_a = PhysAddr{0x20000};
constexpr PhysAddr ept_b = PhysAddr{0x30000};

// A guest with two pages, one of them global, over two second stages that map guest-physical memory 1:1.
struct World {
    PhysicalMemory memory;
    NestedMmu mmu;

    World() {
        memory.map_region({PhysAddr{0}, PhysAddr{1ULL << 32}}, RegionKind::ram);
        memory.write64(PhysAddr{0x1000}, 0x2067);
        memory.write64(PhysAddr{0x2008}, 0x3067);
        memory.write64(PhysAddr{0x3000}, 0x4067);
        for (const PhysAddr root : {ept_a, ept_b}) {
            memory.write64(root, (root.value() + 0x1000) | 0x7);
            // As an EPT entry: R W X, WB, 1-GByte page; as a nested entry: P RW US A D PS.
            memory.write64(root + 0x1000, 0xf7);
        }
        map(0x10'0000);
    }
    void map(std::uint64_t to) {
        memory.write64(PhysAddr{0x4000}, to | 0x67);
        memory.write64(PhysAddr{0x4008}, to | 0x167);
    }
    static PagingControls guest() {
        PagingControls c;
        c.root = PhysAddr{0x1000};
        c.pge = true;
        return c;
    }
    static EptControls ept(PhysAddr root) {
        EptControls controls = EptControls::from_eptp(root.value() | 3 << 3 | 6, 46);
        return controls;
    }
    void enter_intel(std::uint16_t vpid, std::uint16_t pcid, PhysAddr root) {
        mmu.enter(guest(), pcid, vpid, ept(root));
    }
    std::uint64_t where(VirtAddr page) { return mmu.access(memory, page).translation()->phys.value(); }

    // Fills the cache for every context, changes the tables, invalidates, and says whether (vpid, pcid, root) still
    // gets the old translation of `page`.
    template <class Invalidate>
    bool survives(std::uint16_t vpid, std::uint16_t pcid, PhysAddr root, VirtAddr page, Invalidate invalidate) {
        for (const std::uint16_t v : {std::uint16_t{1}, std::uint16_t{2}}) {
            for (const std::uint16_t p : {std::uint16_t{5}, std::uint16_t{6}}) {
                for (const PhysAddr r : {ept_a, ept_b}) {
                    enter_intel(v, p, r);
                    where(plain_page);
                    where(global_page);
                }
            }
        }
        map(0x20'0000);
        enter_intel(1, 5, ept_a);
        invalidate(mmu);
        enter_intel(vpid, pcid, root);
        return where(page) == 0x10'0000;
    }
};

struct Row {
    const char* what;
    void (*invalidate)(NestedMmu&);
    // Survives? (other VPID, other PCID, other EPT root, the very one) x (plain, global)
    bool vpid_plain, vpid_global;
    bool pcid_plain, pcid_global;
    bool root_plain, root_global;
    bool own_plain, own_global;
};

}  // namespace

TEST_CASE("Each invalidation takes the combined mappings that the manual names",
          "[mmu][ept][sdm-invept][sdm-invvpid]") {
    // The guest with VPID 1, PCID 5, EPT root A executes or is subject to the operation.
    static const Row rows[]{
        {"none", [](NestedMmu&) {}, true, true, true, true, true, true, true, true},
        {"INVEPT single-context A", [](NestedMmu& m) { m.invept(InveptType::single_context, ept_a); }, false, false,
         false, false, true, true, false, false},
        {"INVEPT all-context", [](NestedMmu& m) { m.invept(InveptType::all_context); }, false, false, false, false,
         false, false, false, false},
        {"INVVPID single-context 1", [](NestedMmu& m) { m.invvpid(InvvpidType::single_context, 1); }, true, true, false,
         false, false, false, false, false},
        {"INVVPID retaining globals 1", [](NestedMmu& m) { m.invvpid(InvvpidType::retaining_globals, 1); }, true, true,
         false, true, false, true, false, true},
        {"INVVPID all-context", [](NestedMmu& m) { m.invvpid(InvvpidType::all_context); }, false, false, false, false,
         false, false, false, false},
        {"INVVPID address, plain page", [](NestedMmu& m) { m.invvpid(InvvpidType::address, 1, plain_page); }, true,
         true, false, true, false, true, false, true},
        {"INVLPG plain page", [](NestedMmu& m) { m.invlpg(plain_page); }, true, true, true, true, false, true, false,
         true},
        {"INVLPG global page", [](NestedMmu& m) { m.invlpg(global_page); }, true, true, true, false, true, false, true,
         false},
        {"MOV CR3", [](NestedMmu& m) { m.mov_cr3(PhysAddr{0x1000}, 5); }, true, true, true, true, false, true, false,
         true},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        const auto check = [&](std::uint16_t vpid, std::uint16_t pcid, PhysAddr root, bool plain, bool global) {
            INFO("VPID " << vpid << " PCID " << pcid << " root " << to_string(root));
            CHECK(World{}.survives(vpid, pcid, root, plain_page, row.invalidate) == plain);
            CHECK(World{}.survives(vpid, pcid, root, global_page, row.invalidate) == global);
        };
        check(2, 5, ept_a, row.vpid_plain, row.vpid_global);
        check(1, 6, ept_a, row.pcid_plain, row.pcid_global);
        check(1, 5, ept_b, row.root_plain, row.root_global);
        check(1, 5, ept_a, row.own_plain, row.own_global);
    }
}

TEST_CASE("On AMD the ASID tells guests apart", "[mmu][npt][apm-tlb-control]") {
    struct Case {
        TlbControl control;
        bool own_plain, own_global, other_plain;
    };
    const auto row = GENERATE(values<Case>({{TlbControl::nothing, true, true, true},
                                            {TlbControl::all, false, false, false},
                                            {TlbControl::this_guest, false, false, true},
                                            {TlbControl::this_guest_non_global, false, true, true}}));
    World world;
    NptControls npt;
    npt.root = ept_a;
    const auto enter = [&](std::uint16_t asid, TlbControl control = TlbControl::nothing) {
        world.mmu.enter(World::guest(), 0, asid, npt, control);
    };
    for (const std::uint16_t asid : {std::uint16_t{1}, std::uint16_t{2}}) {
        enter(asid);
        world.where(plain_page);
        world.where(global_page);
    }
    world.map(0x20'0000);
    enter(1, row.control);
    CHECK((world.where(plain_page) == 0x10'0000) == row.own_plain);
    CHECK((world.where(global_page) == 0x10'0000) == row.own_global);
    enter(2);
    CHECK((world.where(plain_page) == 0x10'0000) == row.other_plain);
    SECTION("INVLPGA takes one page of one ASID") {
        world.mmu.invlpga(plain_page, 2);
        CHECK(world.where(plain_page) == 0x20'0000);
    }
}

TEST_CASE("A cached translation serves only what a walk has allowed", "[mmu][ept]") {
    World world;
    world.enter_intel(1, 0, ept_a);
    world.where(plain_page);
    world.memory.write64(ept_a + 0x1000, 0xf5);  // read and execute only
    CHECK(world.mmu.access(world.memory, plain_page).translation());
    const auto write = world.mmu.access(world.memory, plain_page, {AccessKind::write});
    CHECK(std::get_if<EptViolation>(&write.outcome()));
    CHECK(world.mmu.hits() == 1);
}
