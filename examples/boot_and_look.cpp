// SPDX-License-Identifier: GPL-2.0-only
// Boots Linux 6.6 on a 4-GiB machine and looks at what it left in memory.
#include <fmt/core.h>

#include <cstdlib>
#include <pgsim/fmt.hpp>
#include <pgsim/pgsim.hpp>

using namespace pgsim;

int main() try {
    // [boot]
    BootScenario scenario = presets::qemu_q35("4G");
    use_cpu(scenario, "Skylake-Client");
    const Boot boot = run(scenario);
    for (const Checkpoint& checkpoint : boot.checkpoints()) {
        fmt::print("{:32} CR3 {:#x}\n", checkpoint.name, checkpoint.cpu().cr3);
    }
    // [/boot]

    // [direct-map]
    const Checkpoint& mapped = boot.at("init_mem_mapping.exit");
    const AddressSpace space{mapped.machine.memory, {mapped.root(), mapped.levels()}};
    fmt::print("\nThe direct map, range by range:\n");
    const RangeList direct_map = space.ranges({.filter = {.first = 0xffff'8880'0000'0000_va,  //
                                                          .last = 0xffff'c87f'ffff'ffff_va}});
    for (const MappedRange& range : direct_map.ranges) {
        fmt::print("  {}\n", to_string(range));
    }
    // [/direct-map]

    // [walk]
    const WalkResult walk = space.walk(0xffff'8880'0100'0000_va);  // physical 16 MiB in the direct map
    fmt::print("\n{}", walk);
    // [/walk]

    // [early-faults]
    fmt::print("\nEarly page faults, each because nothing was mapped there yet:\n");
    for (const VirtAddr fault : boot.last().kernel.early_faults) {
        fmt::print("  {}\n", fault);
    }
    // [/early-faults]
    const bool as_expected = !boot.halt() && walk.translation() != nullptr && boot.stray_accesses().empty();
    return as_expected ? EXIT_SUCCESS : EXIT_FAILURE;
} catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return EXIT_FAILURE;
}
