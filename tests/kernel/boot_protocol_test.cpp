// SPDX-License-Identifier: GPL-2.0-only
#include "support/catch.hpp"

#include <algorithm>

#include "pgsim/kernel/setup_data.hpp"
#include "pgsim/scenario/boot.hpp"
#include "pgsim/scenario/presets.hpp"
#include "support/boot_kernel.hpp"

using namespace pgsim;
using firmware::E820Entry;
using firmware::E820Type;

namespace {

BootScenario entered_in_long_mode(unsigned levels) {
    BootScenario scenario = presets::qemu_q35("4G");
    use_cpu(scenario, "max,+la57");
    scenario.inputs.boot_params.protocol = firmware::BootProtocol::bits64;
    scenario.inputs.boot_params.loader_levels = levels;
    return scenario;
}

bool is_ram(const Checkpoint& checkpoint, std::uint64_t address) {
    return std::any_of(checkpoint.e820.begin(), checkpoint.e820.end(), [address](const E820Entry& entry) {
        return entry.type == E820Type::ram && entry.start <= address && address < entry.end();
    });
}

}  // namespace

TEST_CASE("A loader that enters in long mode leaves its own map, and the decompressor makes another",
          "[kernel][R0.1][R2.2]") {
    const Boot boot = run(entered_in_long_mode(4));
    REQUIRE_FALSE(boot.halt());
    const Checkpoint& entry = boot.at("decompressor.startup_64");
    CHECK(entry.root() == 0x8'0000_pa);
    CHECK(entry.levels() == 4);
    const Checkpoint& kernel_entry = boot.at("kernel.startup_64");
    // The pool is all of pgtable, its first page the new root; the CPU has 5-level paging, so that is used. [R1.8]
    CHECK(kernel_entry.levels() == 5);
    CHECK(kernel_entry.root() != entry.root());
    CHECK(boot.last().name == "buddy.exit");
}

TEST_CASE("Entered with 5 levels on a command line of no5lvl, the kernel goes back to 4", "[kernel][R1.8][R1.11]") {
    BootScenario scenario = entered_in_long_mode(5);
    scenario.inputs.boot_params.cmdline = "nokaslr no5lvl";
    const Boot boot = run(scenario);
    REQUIRE_FALSE(boot.halt());
    CHECK(boot.at("decompressor.startup_64").levels() == 5);
    CHECK(boot.at("kernel.startup_64").levels() == 4);
    CHECK(boot.last().levels() == 4);
}

TEST_CASE("However the kernel is entered, its own tables come out the same", "[kernel][R0.1]") {
    BootScenario by_32_bits = entered_in_long_mode(4);
    by_32_bits.inputs.boot_params.protocol = firmware::BootProtocol::bits32;
    const Boot first = run(by_32_bits);
    const Boot second = run(entered_in_long_mode(5));
    CHECK(first.last().kernel.pgt_buf_end == second.last().kernel.pgt_buf_end);
    CHECK(first.last().memblock.reserved == second.last().memblock.reserved);
    const PhysAddr root = first.last().root();
    REQUIRE(second.last().root() == root);
    for (unsigned i = 0; i < 512; ++i) {
        CHECK(first.last().machine.memory.read64(root + 8 * i) == second.last().machine.memory.read64(root + 8 * i));
    }
}

TEST_CASE("Entries that do not fit into the zero page come as setup_data", "[kernel][R5.5]") {
    BootScenario scenario = presets::qemu_q35("4G");
    firmware::SetupData more{0x9'0000_pa, firmware::setup_e820_ext, 40, {}};
    more.e820_ext = {{0x2'0000'0000, 0x1000'0000, E820Type::ram}, {0x5000'0000, 0x10'0000, E820Type::reserved}};
    firmware::SetupData other{0x9'1000_pa, 9, 32, {}};
    scenario.inputs.boot_params.setup_data = {more, other};
    const Boot boot = run(scenario);
    INFO((boot.halt() ? boot.halt()->message : "no halt"));
    REQUIRE_FALSE(boot.halt());
    const Checkpoint& checkpoint = boot.at("init_mem_mapping.entry");
    CHECK(is_ram(checkpoint, 0x2'0800'0000));
    CHECK_FALSE(is_ram(checkpoint, 0x5000'0000));
    CHECK_FALSE(is_ram(checkpoint, 0x9'0000));  // the list itself is set aside [R5.6]
    CHECK(checkpoint.kernel.max_pfn == 0x21'0000);
    // No slot of the early mappings is left in use. [R5.23]
    const PhysAddr bm_pte = scenario.inputs.layout.pa("bm_pte");
    for (unsigned i = 0; i < 512; ++i) {
        CHECK(checkpoint.machine.memory.read64(bm_pte + 8 * i) == 0);
    }
}

TEST_CASE("Data that lies elsewhere is set aside too", "[kernel][R5.6]") {
    constexpr std::uint32_t setup_dtb = 2;
    BootScenario scenario = presets::qemu_q35("4G");
    firmware::SetupData node{0x9'0000_pa, firmware::setup_indirect, 24};
    node.indirect = firmware::SetupData::Indirect{setup_dtb, 0x3000, 0x4000'0000_pa};
    firmware::SetupData loop{0x9'1000_pa, firmware::setup_indirect, 24};
    loop.indirect = firmware::SetupData::Indirect{firmware::setup_indirect, 0x3000, 0x5000'0000_pa};
    scenario.inputs.boot_params.setup_data = {node, loop};
    const Boot boot = run(scenario, {.until = "init_mem_mapping.entry"});
    REQUIRE_FALSE(boot.halt());
    const Checkpoint& checkpoint = boot.last();
    CHECK_FALSE(is_ram(checkpoint, 0x4000'0000));
    CHECK_FALSE(is_ram(checkpoint, 0x4000'2fff));
    CHECK(is_ram(checkpoint, 0x4000'3000));
    CHECK(checkpoint.memblock.is_reserved(0x4000'0000));
    CHECK(checkpoint.memblock.is_reserved(0x4000'2fff));
    CHECK_FALSE(checkpoint.memblock.is_reserved(0x4000'3000));
    CHECK(is_ram(checkpoint, 0x5000'0000));  // one indirection and no more
    CHECK_FALSE(checkpoint.memblock.is_reserved(0x5000'0000));
}

TEST_CASE("An iBFT in low memory is found by its signature and reserved", "[kernel][R5.18]") {
    test::BootKernel boot{"setup_arch.entry"};
    kernel::Kernel& k = boot.kernel;
    CHECK(kernel::find_ibft_region(k).empty());
    k.memory.write32(k.va(0x9'1230), 0x5446'4269);
    k.memory.write32(k.va(0x9'1234), 0x234);
    REQUIRE(kernel::find_ibft_region(k).size() == 1);
    CHECK(kernel::find_ibft_region(k).front() == PhysRange{0x9'1230_pa, 0x9'2230_pa});
}
