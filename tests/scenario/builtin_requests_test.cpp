// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/builtin_requests.hpp"

#include <algorithm>
#include <filesystem>

#include "pgsim/scenario/boot.hpp"
#include "support/catch.hpp"
#include "support/data.hpp"

using namespace pgsim;
using kernel::MemblockRequest;

namespace {

std::vector<MemblockRequest> list_for(const Checkpoint& checkpoint, const BootScenario& scenario) {
    return kernel::builtin_requests({.inputs = scenario.inputs,
                                     .state = checkpoint.kernel,
                                     .memblock = checkpoint.memblock,
                                     .zones = checkpoint.zones,
                                     .e820 = checkpoint.e820});
}

/// How many tables the CPU entry area takes is found out by the port that maps it.
std::vector<MemblockRequest> without_entry_area_tables(std::vector<MemblockRequest> list) {
    list.erase(std::remove_if(list.begin(), list.end(), [](const auto& r) { return r.by == "spp_getpage"; }),
               list.end());
    return list;
}

std::string text(const MemblockRequest& r) {
    return r.op + " size " + std::to_string(r.size) + " align " + std::to_string(r.align) + " nid " +
           std::to_string(r.nid) + " by " + r.by;
}

}  // namespace

TEST_CASE("The built-in requests are those that real kernels made", "[kernel][requests][captures]") {
    std::size_t captures = 0;
    for (const auto& entry : std::filesystem::directory_iterator{test::data_path("captures")}) {
        const BootScenario real = load_scenario(entry.path().string());
        REQUIRE(real.inputs.memblock_requests);
        BootScenario scenario = real;
        scenario.inputs.memblock_requests.reset();
        const Boot boot = run(scenario, {.until = "free_area_init.exit"});
        const auto built_in = without_entry_area_tables(list_for(boot.at("free_area_init.exit"), scenario));
        INFO(real.name);
        const auto expected = without_entry_area_tables(*real.inputs.memblock_requests);
        const auto [ours, theirs] = std::mismatch(built_in.begin(), built_in.end(), expected.begin(), expected.end());
        INFO("ours:   " << (ours == built_in.end() ? "end" : text(*ours)));
        INFO("theirs: " << (theirs == expected.end() ? "end" : text(*theirs)));
        CHECK((ours == built_in.end() && theirs == expected.end()));
        ++captures;
    }
    CHECK(captures >= 100);
}

TEST_CASE("Nosave regions are what lies between RAM, merged where they touch", "[kernel][requests]") {
    using firmware::E820Type;
    const std::vector<firmware::E820Entry> map{{0, 0x1000, E820Type::reserved},
                                               {0x1000, 0x9ec00, E820Type::ram},
                                               {0x9fc00, 0x400, E820Type::reserved},
                                               {0x100000, 0x3ff00000, E820Type::ram},
                                               {0x40000000, 0x1000, E820Type::acpi}};
    CHECK(kernel::register_nosave_regions(map, 0x40000) == std::vector<kernel::NosaveRegion>{{0, 1}, {0x9f, 0x100}});
}
