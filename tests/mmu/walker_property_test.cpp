// SPDX-License-Identifier: GPL-2.0-only
// The walker against a second, naive one, over random tables, registers, addresses and accesses.
#include "support/catch.hpp"

#include "naive_walker.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/mmu/mmu.hpp"
#include "random_world.hpp"

using namespace pgsim;
using test::NaiveResult;
using test::RandomWorld;

namespace {

NaiveResult in_naive_form(const WalkResult& walk) {
    NaiveResult r;
    if (const Translation* const t = walk.translation()) {
        r.phys = t->phys.value();
        r.page_bits = t->source == TranslationSource::none ? 0 : static_cast<unsigned>(t->page_size);
    } else if (const PageFault* const fault = walk.page_fault()) {
        r.kind = NaiveResult::Kind::page_fault;
        r.error_code = fault->error_code;
    } else {
        r.kind = walk.address_fault()->stack_segment ? NaiveResult::Kind::stack_fault
                                                     : NaiveResult::Kind::general_protection;
    }
    for (const FlagUpdate& update : walk.flag_updates()) {
        r.changed[update.entry_addr.value()] = update.after.raw();
    }
    return r;
}

void fill(RandomWorld& world, PagingMode mode) {
    if (mode == PagingMode::bits32) {
        world.fill_narrow(40);
    } else {
        world.fill_wide(36, 40);
    }
}

std::string describe(const NaiveResult& r) {
    std::string text = "kind " + std::to_string(static_cast<int>(r.kind)) + " phys " + hex(r.phys) + " page " +
                       std::to_string(r.page_bits) + " error " + hex(r.error_code);
    for (const auto& [at, value] : r.changed) {
        text += " " + hex(at) + "=" + hex(value);
    }
    return text;
}

}  // namespace

TEST_CASE("The walker agrees with a naive reading of the manual in every mode", "[mmu][walk][property]") {
    const PagingMode mode =
        GENERATE(PagingMode::none, PagingMode::bits32, PagingMode::pae, PagingMode::four_level, PagingMode::five_level);
    constexpr int worlds = 80;
    constexpr int registers_a_world = 250;
    constexpr int accesses_a_register_set = 40;
    std::uint64_t translated = 0;
    std::uint64_t faulted = 0;
    for (int w = 0; w < worlds; ++w) {
        RandomWorld world{0x9e3779b9U + static_cast<std::uint64_t>(w) * 5 + static_cast<std::uint64_t>(mode)};
        fill(world, mode);
        const auto read8 = [&](std::uint64_t at) { return world.memory().read64(PhysAddr{at}); };
        for (int r = 0; r < registers_a_world; ++r) {
            const PagingControls controls = world.controls(mode);
            const Walker walker{world.memory(), controls};
            for (int a = 0; a < accesses_a_register_set; ++a) {
                const std::uint64_t linear = world.linear(mode);
                const Access access = world.access();
                const NaiveResult expected = test::naive_walk(read8, controls, linear, access);
                const WalkResult walk = walker.walk(VirtAddr{linear}, access);
                const NaiveResult got = in_naive_form(walk);
                if (got != expected) {
                    FAIL(to_string(walk) << "naive: " << describe(expected) << "\nours:  " << describe(got));
                }
                const auto lean = walker.translate(VirtAddr{linear}, access);
                const bool lean_should = expected.kind == NaiveResult::Kind::ok && expected.changed.empty();
                if (lean.has_value() != lean_should || (lean && lean->value() != expected.phys)) {
                    FAIL("the lean path differs: " << to_string(walk));
                }
                (expected.kind == NaiveResult::Kind::ok ? translated : faulted) += 1;
            }
        }
    }
    // Neither kind of outcome may be so rare that the comparison says nothing.
    CHECK(translated > 40000);
    CHECK((faulted > 40000 || mode == PagingMode::none));
}

TEST_CASE("TLB and structure caches change no result while nobody changes the tables", "[mmu][tlb][property]") {
    const PagingMode mode =
        GENERATE(PagingMode::bits32, PagingMode::pae, PagingMode::four_level, PagingMode::five_level);
    std::uint64_t hits = 0;
    for (std::uint64_t seed = 0; seed < 400; ++seed) {
        RandomWorld plain{seed};
        RandomWorld cached{seed};
        fill(plain, mode);
        fill(cached, mode);
        const PagingControls controls = plain.controls(mode);
        Mmu without;
        Mmu with;
        without.set_policy(CachePolicy::off);
        without.set_controls(controls);
        with.set_controls(controls);
        std::vector<std::uint64_t> addresses;
        for (int i = 0; i < 20; ++i) {
            addresses.push_back(plain.linear(mode));
        }
        for (int i = 0; i < 500; ++i) {
            const VirtAddr virt{addresses[plain.next() % addresses.size()]};
            const Access access = plain.access();
            const NaiveResult expected = in_naive_form(without.access(plain.memory(), virt, access));
            NaiveResult got = in_naive_form(with.access(cached.memory(), virt, access));
            got.changed = expected.changed;  // a hit sets no flag again; the tables are compared below
            if (got != expected) {
                FAIL("seed " << seed << ": " << describe(expected) << " against " << describe(got));
            }
        }
        hits += with.statistics().tlb_hits + with.statistics().structure_hits;
        for (std::uint64_t at = RandomWorld::first_table; at < RandomWorld::first_table + RandomWorld::tables * 4096;
             at += 8) {
            if (plain.memory().read64(PhysAddr{at}) != cached.memory().read64(PhysAddr{at})) {
                FAIL("seed " << seed << ": the entry at " << hex(at) << " differs");
            }
        }
    }
    CHECK(hits > 10000);
}

TEST_CASE("The lean walk sees every change of the tables, also of frames that were copied or dropped", "[mmu][walk]") {
    PhysicalMemory memory;
    memory.map_region({PhysAddr{0}, PhysAddr{1ULL << 30}}, RegionKind::ram);
    memory.write64(PhysAddr{0x1000}, 0x2067);
    memory.write64(PhysAddr{0x2000}, 0x3067);
    memory.write64(PhysAddr{0x3000}, 0x4067);
    memory.write64(PhysAddr{0x4000}, 0x10'0067);
    PagingControls controls;
    controls.root = PhysAddr{0x1000};
    const Walker walker{memory, controls};
    const auto phys = [&] {
        const auto result = walker.translate(VirtAddr{0x123});
        return result ? result->value() : 0;
    };
    CHECK(phys() == 0x10'0123);
    SECTION("a store to an entry") {
        memory.write64(PhysAddr{0x4000}, 0x20'0067);
        CHECK(phys() == 0x20'0123);
    }
    SECTION("a store after a snapshot, which gives the frame a new place") {
        const MemorySnapshot before = memory.snapshot();
        memory.write64(PhysAddr{0x4000}, 0x20'0067);
        CHECK(phys() == 0x20'0123);
        memory.restore(before);
        CHECK(phys() == 0x10'0123);
    }
    SECTION("another table in the same place of the tree") {
        memory.write64(PhysAddr{0x5000}, 0x30'0067);
        memory.write64(PhysAddr{0x3000}, 0x5067);
        CHECK(phys() == 0x30'0123);
    }
    SECTION("RAM that becomes a hole: all ones have reserved bits set") {
        memory.map_region({PhysAddr{0x4000}, PhysAddr{0x5000}}, RegionKind::hole);
        CHECK_FALSE(walker.translate(VirtAddr{0x123}));
    }
}

TEST_CASE("What one walker learns about the tables changes no check of another", "[mmu][walk]") {
    PhysicalMemory memory;
    constexpr std::uint64_t high = std::uint64_t{1} << 44;
    memory.map_region({PhysAddr{0}, PhysAddr{1ULL << 20}}, RegionKind::ram);
    memory.map_region({PhysAddr{high}, PhysAddr{high + (1ULL << 20)}}, RegionKind::ram);
    memory.write64(PhysAddr{0x1000}, high | 0x2067);
    memory.write64(PhysAddr{high + 0x2000}, 0x3067);
    memory.write64(PhysAddr{0x3000}, 0x4067);
    memory.write64(PhysAddr{0x4000}, 0x10'0067);
    PagingControls wide;
    wide.root = PhysAddr{0x1000};
    PagingControls narrow = wide;
    narrow.maxphyaddr = 44;  // bit 44 of the PML4E is reserved
    const Walker in_wide{memory, wide};
    const Walker in_narrow{memory, narrow};
    for (int again = 0; again < 3; ++again) {
        CHECK(in_wide.translate(VirtAddr{0x123}) == PhysAddr{0x10'0123});
        CHECK_FALSE(in_narrow.translate(VirtAddr{0x123}));
    }
    PagingControls without_xd = wide;
    memory.write64(PhysAddr{0x3000}, 0x4067 | std::uint64_t{1} << 63);  // reserved while EFER.NXE = 0
    CHECK_FALSE(Walker(memory, without_xd).translate(VirtAddr{0x123}));
    without_xd.nxe = true;
    CHECK(Walker(memory, without_xd).translate(VirtAddr{0x123}) == PhysAddr{0x10'0123});
    CHECK_FALSE(Walker(memory, without_xd).translate(VirtAddr{0x123}, {AccessKind::fetch}));
}
