// SPDX-License-Identifier: GPL-2.0-only
#include "support/catch.hpp"

#include "support/boot_kernel.hpp"

using namespace pgsim;
using namespace pgsim::kernel;

namespace {

constexpr std::uint64_t gib = 0x4000'0000;

// The entry of the early tables for `pa`: level 2, read through the direct map's own walk.
const WalkResult early_walk(Kernel& k, std::uint64_t pa) {
    return k.machine.translate(k.va(pa));
}

}  // namespace

TEST_CASE("A first touch of the direct map maps 2 MiB and takes the tables that are missing", "[kernel][R4.5]") {
    test::BootKernel boot{"setup_arch.entry"};
    Kernel& k = boot.kernel;
    const unsigned before = k.state.next_early_pgt;
    static_cast<void>(k.memory.read8(k.va(5 * gib + 0x20'0123)));
    const WalkResult walk = early_walk(k, 5 * gib + 0x20'0000);
    REQUIRE(walk.translation() != nullptr);
    CHECK(walk.translation()->page_size == PageSize::k2M);
    CHECK(walk.steps().back().entry.raw() == (0x8000'0000'0000'00e3 | (5 * gib + 0x20'0000)));
    CHECK(k.state.next_early_pgt == before + 1);  // a level-2 table for the new GiB
    CHECK(k.state.early_faults.back() == k.va(5 * gib + 0x20'0123));

    SECTION("the same 2 MiB again faults no more") {
        const std::size_t faults = k.state.early_faults.size();
        static_cast<void>(k.memory.read8(k.va(5 * gib + 0x3f'ffff)));
        CHECK(k.state.early_faults.size() == faults);
    }
    SECTION("it is mapped where there is no RAM, too; what is read there is all ones") {
        CHECK(k.memory.read8(k.va(3 * gib)) == 0xff);
        CHECK(early_walk(k, 3 * gib).translation() != nullptr);
    }
}

TEST_CASE("When early_dynamic_pgts are used up, all is forgotten and starts again", "[kernel][R4.5]") {
    test::BootKernel boot{"setup_arch.entry"};
    Kernel& k = boot.kernel;
    REQUIRE(k.state.next_early_pgt == 2);
    for (std::uint64_t i = 1; i <= 62; ++i) {
        static_cast<void>(k.memory.read8(k.va(i * gib)));
    }
    CHECK(k.state.next_early_pgt == 64);
    CHECK(early_walk(k, 1 * gib).translation() != nullptr);
    static_cast<void>(k.memory.read8(k.va(63 * gib)));
    CHECK(k.state.next_early_pgt == 2);
    CHECK(early_walk(k, 63 * gib).translation() != nullptr);
    CHECK(early_walk(k, 1 * gib).translation() == nullptr);
    CHECK(early_walk(k, 0).translation() == nullptr);
}

TEST_CASE("The early handler refuses what is not in the direct map; the machine then stops", "[kernel][R4.5]") {
    test::BootKernel boot{"setup_arch.entry"};
    Kernel& k = boot.kernel;
    CHECK_THROWS_AS(k.memory.read8(VirtAddr{0x1000}), Halted);
    REQUIRE(k.machine.stop() != nullptr);
    CHECK(k.machine.stop()->reason == MachineStop::Reason::unhandled_exception);
    CHECK(k.machine.stop()->chain.front().virt == 0x1000_va);
}

TEST_CASE("After init_mem_mapping page faults of kernel code are fatal", "[kernel][R4.8]") {
    test::BootKernel boot{"initmem_init.exit"};
    Kernel& k = boot.kernel;
    CHECK(k.memory.read8(k.va(0x1'7fff'f000)) == k.memory.read8(k.va(0x1'7fff'f000)));
    CHECK_THROWS_AS(k.memory.read8(k.va(0x1000'0000'0000)), Halted);
}
