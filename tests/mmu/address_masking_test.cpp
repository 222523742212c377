// SPDX-License-Identifier: GPL-2.0-only
// Address masking and 5-level second stages: no vector covers them, so the manuals' rules are written out as data.
#include "support/catch.hpp"

#include "pgsim/mmu/nested.hpp"
#include "pgsim/mmu/walker.hpp"

using namespace pgsim;

namespace {

PhysicalMemory ram() {
    PhysicalMemory memory;
    memory.map_region({PhysAddr{0}, PhysAddr{1ULL << 40}}, RegionKind::ram);
    return memory;
}

enum class Lam { none, u48, u57, sup, uai };

struct Row {
    Lam masking;
    PagingMode mode;
    std::uint64_t pointer;
    std::optional<std::uint64_t> linear;  // nullopt: #GP
};

PagingControls controls(const Row& row) {
    PagingControls c;
    c.mode = row.mode;
    c.lam_u48 = row.masking == Lam::u48;
    c.lam_u57 = row.masking == Lam::u57;
    c.lam_sup = row.masking == Lam::sup;
    c.uai = row.masking == Lam::uai;
    return c;
}

constexpr PagingMode four = PagingMode::four_level;
constexpr PagingMode five = PagingMode::five_level;

}  // namespace

TEST_CASE("Metadata in pointers is masked before the canonical check", "[mmu][sdm-lam][apm-uai]") {
    const auto row = GENERATE(values<Row>({
        // Without masking any metadata is non-canonical.
        {Lam::none, four, 0x7e00'7fff'1234'5678, std::nullopt},
        // LAM_U57: bits 62:57 of a user pointer. In 4-level paging bits 56:48 must still be canonical.
        {Lam::u57, four, 0x7e00'7fff'1234'5678, 0x0000'7fff'1234'5678},
        {Lam::u57, four, 0x0100'7fff'1234'5678, std::nullopt},
        {Lam::u57, five, 0x7e12'7fff'1234'5678, 0x0012'7fff'1234'5678},
        // LAM_U48: bits 62:48.
        {Lam::u48, four, 0x7fff'7fff'1234'5678, 0x0000'7fff'1234'5678},
        {Lam::u48, five, 0x7fff'7fff'1234'5678, 0x0000'7fff'1234'5678},
        // Bit 47 set in a user pointer: bits 62:48 become 1 and bit 63 stays 0.
        {Lam::u48, four, 0x7fff'8fff'1234'5678, std::nullopt},
        // User masking leaves supervisor pointers alone, and the other way round.
        {Lam::u57, four, 0x81ff'8fff'1234'5678, std::nullopt},
        {Lam::sup, four, 0x7e00'7fff'1234'5678, std::nullopt},
        // LAM_SUP: 62:48 in 4-level, 62:57 in 5-level paging.
        {Lam::sup, four, 0x8000'8fff'1234'5678, 0xffff'8fff'1234'5678},
        {Lam::sup, four, 0x8000'7fff'1234'5678, std::nullopt},
        {Lam::sup, five, 0x81ff'8fff'1234'5678, 0xffff'8fff'1234'5678},
        {Lam::sup, five, 0x80ff'8fff'1234'5678, std::nullopt},
        // UAI: bits 63:57 mean nothing at all.
        {Lam::uai, four, 0xfe00'7fff'1234'5678, 0x0000'7fff'1234'5678},
        {Lam::uai, four, 0x01ff'8fff'1234'5678, 0xffff'8fff'1234'5678},
        {Lam::uai, four, 0x0100'7fff'1234'5678, std::nullopt},
        {Lam::uai, five, 0xfe12'7fff'1234'5678, 0x0012'7fff'1234'5678},
    }));
    const PhysicalMemory memory = ram();  // nothing is mapped: a canonical address gives #PF
    const WalkResult walk = Walker{memory, controls(row)}.walk(VirtAddr{row.pointer});
    INFO(std::hex << row.pointer);
    if (row.linear) {
        REQUIRE(walk.page_fault());
        CHECK(walk.page_fault()->virt == VirtAddr{*row.linear});
    } else {
        CHECK(walk.address_fault());
    }
}

TEST_CASE("Fetches and implicit accesses are not masked", "[mmu][sdm-lam]") {
    const PhysicalMemory memory = ram();
    const PagingControls c = controls({Lam::u57, four, 0, {}});
    const VirtAddr tagged = 0x7e00'7fff'1234'5678_va;
    CHECK(Walker{memory, c}.walk(tagged, {AccessKind::fetch}).address_fault());
    CHECK(Walker{memory, c}.walk(tagged, {AccessKind::read, 0, AccessMode::implicit}).address_fault());
    CHECK(Walker{memory, c}.walk(tagged, {AccessKind::rmw, 3}).page_fault());
}

namespace {

// Guest: 4-level, identity-like: 0x40000000 -> guest-physical 0x40000000 (1-GByte page); guest tables at 0x1000,
// 0x2000. Second stage: everything mapped 1:1 by 1-GByte pages below `root`.
struct NestedWorld {
    PhysicalMemory memory = ram();
    PagingControls guest;

    NestedWorld() {
        memory.write64(0x1000_pa, 0x2067);
        memory.write64(0x2008_pa, 0x4000'00e7);
        guest.root = 0x1000_pa;
        guest.nxe = true;
    }
    // Levels above the PDPT of the second stage at 0x12000, ending in 1-GByte pages with `flags`.
    PhysAddr second_stage(unsigned levels, std::uint64_t table_flags, std::uint64_t page_flags) {
        for (std::uint64_t i = 0; i < 4; ++i) {
            memory.write64(PhysAddr{0x12000 + 8 * i}, i << 30 | page_flags);
        }
        memory.write64(0x11000_pa, 0x12000 | table_flags);
        memory.write64(0x10000_pa, 0x11000 | table_flags);
        return levels == 5 ? 0x10000_pa : 0x11000_pa;
    }
};

}  // namespace

TEST_CASE("EPT and NPT have 4 or 5 levels", "[mmu][ept][npt]") {
    NestedWorld world;
    const unsigned levels = GENERATE(4U, 5U);
    SECTION("EPT: the walk length is in EPTP bits 5:3") {
        const PhysAddr root = world.second_stage(levels, 0x7, 0xb7);
        const auto ept = EptControls::from_eptp(root.value() | (levels - 1) << 3 | 6, 46);
        const auto walk = NestedWalker{world.memory, world.guest, ept}.walk(0x4000'1234_va);
        REQUIRE(walk.translation());
        CHECK(walk.translation()->phys == 0x4000'1234_pa);
        CHECK(walk.translation()->ept_type == MemoryType::wb);
        // Two guest entries and the result, each through `levels` - 2 EPT entries (1-GByte pages).
        CHECK(walk.steps().size() == 2 + 3 * (levels - 2));
    }
    SECTION("NPT: as the host's own paging mode") {
        const PhysAddr root = world.second_stage(levels, 0x67, 0xe7);
        NptControls npt;
        npt.root = root;
        npt.mode = levels == 5 ? PagingMode::five_level : PagingMode::four_level;
        const auto walk = NestedWalker{world.memory, world.guest, npt}.walk(0x4000'1234_va, {AccessKind::write, 3});
        REQUIRE(walk.translation());
        CHECK(walk.translation()->phys == 0x4000'1234_pa);
        CHECK(walk.steps().size() == 2 + 3 * (levels - 2));
        CHECK(walk.flag_updates().empty());
    }
}

TEST_CASE("With 4 levels a guest-physical address above 48 bits is never mapped", "[mmu][ept][npt]") {
    NestedWorld world;
    world.guest.root = PhysAddr{std::uint64_t{1} << 48};
    const PhysAddr root = world.second_stage(4, 0x67, 0xf7);
    SECTION("EPT: a violation") {
        const auto walk = NestedWalker{world.memory, world.guest, EptControls::from_eptp(root.value() | 0x1e, 52)}.walk(
            0x4000'0000_va);
        const auto* violation = std::get_if<EptViolation>(&walk.outcome());
        REQUIRE(violation);
        CHECK(violation->guest_phys == PhysAddr{std::uint64_t{1} << 48});
        CHECK((violation->qualification & 0x1bf) == 0x81);  // a read, nothing allowed, linear address valid, a table
    }
    SECTION("NPT: not present") {
        NptControls npt;
        npt.root = root;
        const auto walk = NestedWalker{world.memory, world.guest, npt}.walk(0x4000'0000_va);
        const auto* fault = std::get_if<NestedPageFault>(&walk.outcome());
        REQUIRE(fault);
        CHECK(fault->info1 == (std::uint64_t{1} << 33 | 0b110));  // a user write to a guest table, P = 0
    }
}

TEST_CASE("Without EPT accessed/dirty flags, setting a guest's flag needs write permission", "[mmu][ept][sdm-ept-ad]") {
    NestedWorld world;
    world.memory.write64(0x2008_pa, 0x4000'00c7);  // accessed flag clear
    world.second_stage(4, 0x7, 0xb7);
    world.memory.write64(0x12000_pa, 0xb5);  // the first GByte, where the guest's tables are: read and execute only
    const auto ept = EptControls::from_eptp(0x11000 | 3 << 3 | 6, 46);
    const auto walk = NestedWalker{world.memory, world.guest, ept}.walk(0x4000'0000_va);
    const auto* violation = std::get_if<EptViolation>(&walk.outcome());
    REQUIRE(violation);
    CHECK((violation->qualification & 0b10) != 0);  // a write
    CHECK(violation->guest_phys == 0x2008_pa);
    CHECK(walk.flag_updates().empty());
}

TEST_CASE("EPTP values that no processor accepts are refused", "[mmu][ept][errors]") {
    CHECK_THROWS(EptControls::from_eptp(0x1000 | 3 << 3 | 1, 46));      // memory type WC
    CHECK_THROWS(EptControls::from_eptp(0x1000 | 2 << 3 | 6, 46));      // 3 levels
    CHECK_THROWS(EptControls::from_eptp(1ULL << 46 | 3 << 3 | 6, 46));  // beyond MAXPHYADDR
    CHECK(EptControls::from_eptp(0x1000 | 4 << 3 | 0x40, 46).accessed_dirty);
}
