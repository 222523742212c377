// SPDX-License-Identifier: GPL-2.0-only
#include "support/catch.hpp"

#include "pgsim/cpu/cpu_features.hpp"

using namespace pgsim;

TEST_CASE("Every processor known by name can be asked for and is consistent", "[cpu]") {
    REQUIRE(cpu_profiles().size() > 20);
    for (const CpuProfile& profile : cpu_profiles()) {
        INFO(profile.name);
        CHECK(parse_cpu(profile.name) == profile.features);
        CHECK_FALSE(profile.features.inconsistency());
    }
}

TEST_CASE("Features come from the profile, then from the text", "[cpu]") {
    CHECK(parse_cpu("Skylake-Client").has(Feature::pae));
    CHECK(parse_cpu("Skylake-Client").has(Feature::pdpe1gb));
    CHECK_FALSE(parse_cpu("Skylake-Client").has(Feature::la57));
    CHECK_FALSE(parse_cpu("max,-la57").has(Feature::la57));
    CHECK(parse_cpu("qemu64,+la57").has(Feature::la57));
    CHECK_THROWS_AS(parse_cpu("Skylake-Clinet"), Error);
    CHECK_THROWS_AS(parse_cpu("qemu64,-lm,+la57"), Error);
}
