// SPDX-License-Identifier: GPL-2.0-only
// A memory map of one's own: which pages does the kernel choose for it, and what changes without 1-GByte pages?
#include <fmt/core.h>

#include <cstdlib>
#include <pgsim/fmt.hpp>
#include <pgsim/pgsim.hpp>

using namespace pgsim;

namespace {

AddressSpace direct_map(const BootScenario& scenario) {
    const Boot boot = run(scenario, {.until = "init_mem_mapping.exit"});
    const Checkpoint& end = boot.at("init_mem_mapping.exit");
    return {end.machine.memory, {end.root(), end.levels()}};
}

void print_pages(const SpaceStatistics& pages) {
    fmt::print("  pages of 1 GiB: {}, 2 MiB: {}, 4 KiB: {}; tables: {} KiB\n", pages.pages_1g, pages.pages_2m,
               pages.pages_4k, pages.table_bytes() / KiB);
}

}  // namespace

int main() try {
    // [map]
    using firmware::E820Type;
    const firmware::E820Table map{
        {0x0, 0x9fc00, E820Type::ram},
        {0x100000, 0x7ff00000, E820Type::ram},         // to 2 GiB
        {0x80000000, 0x1000, E820Type::acpi},          // one page of ACPI tables: the 2-MiB pattern breaks here
        {0x1'0000'0000, 0x1'4000'3000, E820Type::ram}  // 5 GiB and 12 KiB from 4 GiB on
    };
    BootScenario scenario = scenario_from_map(map, "my machine");
    use_cpu(scenario, "EPYC-Milan");
    // [/map]

    // [compare]
    const SpaceStatistics with = statistics(direct_map(scenario));
    fmt::print("EPYC-Milan:\n");
    print_pages(with);

    use_cpu(scenario, "EPYC-Milan,-pdpe1gb");
    const SpaceStatistics without = statistics(direct_map(scenario));
    fmt::print("the same without 1-GByte pages:\n");
    print_pages(without);
    // [/compare]
    const bool as_expected = with.pages_1g > 0 && without.pages_1g == 0 && without.pages_2m > with.pages_2m;
    return as_expected ? EXIT_SUCCESS : EXIT_FAILURE;
} catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return EXIT_FAILURE;
}
