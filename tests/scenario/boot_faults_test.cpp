// SPDX-License-Identifier: GPL-2.0-only
// Boots that go wrong: the simulated kernel does what the real one does, and says at which stage and by which rule.
#include "support/catch.hpp"

#include "pgsim/scenario/boot.hpp"
#include "pgsim/scenario/presets.hpp"

using namespace pgsim;
using firmware::E820Entry;
using firmware::E820Type;
using kernel::Halt;

namespace {

BootScenario q35(const char* ram = "4G") {
    return presets::qemu_q35(ram);
}

}  // namespace

TEST_CASE("A kernel that is not 2 MiB aligned loops for ever in __startup_64", "[scenario][faults][R3.4]") {
    BootScenario scenario = q35();
    scenario.inputs.layout.text_pa = PhysAddr{0x110'0000};
    const Boot boot = run(scenario);
    REQUIRE(boot.halt());
    CHECK(boot.halt()->kind == Halt::Kind::endless_loop);
    CHECK(boot.halt()->function == "__startup_64");
    CHECK(boot.halt()->rule == "R3.4");
    CHECK(boot.last().name == "kernel.startup_64");
}

TEST_CASE("A kernel image over reserved memory makes that memory RAM", "[scenario][faults][R5.9]") {
    BootScenario scenario = q35();
    auto& map = scenario.inputs.boot_params.e820;
    map = {{0, 0x9fc00, E820Type::ram},
           {0x10'0000, 0xf0'0000, E820Type::ram},
           {0x100'0000, 0x800'0000, E820Type::reserved},
           {0x900'0000, 0x6000'0000, E820Type::ram}};
    const Boot boot = run(scenario);
    REQUIRE_FALSE(boot.halt());
    bool found = false;
    for (const E820Entry& entry : boot.at("init_mem_mapping.entry").e820) {
        found = found || (entry.type == E820Type::ram && entry.start <= 0x100'0000 && entry.end() > 0x280'0000);
    }
    CHECK(found);
}

TEST_CASE("Without room for page tables the kernel panics", "[scenario][faults][R6.7]") {
    BootScenario scenario = q35();
    use_cpu(scenario, "qemu64");
    // Little more than the kernel, then single pages, each in a GiB of its own: each takes two tables and gives one
    // page.
    auto& map = scenario.inputs.boot_params.e820;
    map = {{0, 0x9fc00, E820Type::ram}, {0x100'0000, 0x183'0000, E820Type::ram}};
    for (std::uint64_t i = 1; i <= 120; ++i) {
        map.push_back({i * 0x4000'0000 + 0x5000, 0x1000, E820Type::ram});
    }
    const Boot boot = run(scenario);
    REQUIRE(boot.halt());
    CHECK(boot.halt()->kind == Halt::Kind::panic);
    CHECK(boot.halt()->function == "alloc_low_pages");
    CHECK(boot.last().name == "init_mem_mapping.entry");
}

TEST_CASE("More E820 entries than memblock's static array holds make it grow", "[scenario][faults][R5.14]") {
    BootScenario scenario = q35("8G");
    auto& map = scenario.inputs.boot_params.e820;
    map = {{0, 0x9fc00, E820Type::ram}, {0x10'0000, 0x7f00'0000, E820Type::ram}};
    for (std::uint64_t i = 0; i < 126; ++i) {
        map.push_back({0x1'0000'0000 + i * 0x40'0000, 0x20'0000, E820Type::ram});
    }
    const Boot boot = run(scenario);
    REQUIRE_FALSE(boot.halt());
    CHECK(boot.at("sparse_init.entry").memblock.memory.regions.size() == 128);
}

TEST_CASE("Inputs that no kernel could boot are refused before anything runs", "[scenario][faults]") {
    SECTION("RAM beyond MAXPHYADDR") {
        BootScenario scenario = q35();
        scenario.inputs.boot_params.e820.push_back({0x1'0000'0000'0000, 0x1000'0000, E820Type::ram});
        CHECK_THROWS_WITH(run(scenario), Catch::Contains("MAXPHYADDR"));
    }
    SECTION("an unknown checkpoint") {
        CHECK_THROWS_WITH(run(q35(), {.until = "nowhere"}), Catch::Contains("nowhere"));
    }
    SECTION("a layout without the kernel's tables") {
        BootScenario scenario = q35();
        scenario.inputs.layout = kernel::KernelLayout{};
        CHECK_THROWS_AS(run(scenario), Error);
    }
}

TEST_CASE("A boot can stop at any checkpoint, and knows those before it", "[scenario]") {
    for (const std::string& name : checkpoint_names()) {
        const Boot boot = run(q35("1G"), {.until = name});
        CHECK(boot.last().name == name);
        CHECK_FALSE(boot.halt());
    }
}

TEST_CASE("The same inputs give the same bytes and the same cycles", "[scenario][determinism]") {
    const Boot first = run(q35());
    const Boot second = run(q35());
    REQUIRE(first.checkpoints().size() == second.checkpoints().size());
    for (std::size_t i = 0; i < first.checkpoints().size(); ++i) {
        CHECK(first.checkpoints()[i].machine.now == second.checkpoints()[i].machine.now);
    }
}

TEST_CASE("A 16 TiB machine boots without memory for its struct pages", "[scenario][scale]") {
    const Boot boot = run(q35("16T"));
    REQUIRE_FALSE(boot.halt());
    CHECK(boot.last().name == "buddy.exit");
    // 4 Gi frames have 256 GiB of struct pages.
    CHECK(boot.last().zones.nodes.at(0).spanned_pages > (std::uint64_t{1} << 32));
}
