// SPDX-License-Identifier: GPL-2.0-only
#include "support/catch.hpp"
#include "support/data.hpp"

#include <algorithm>

#include "pgsim/base/error.hpp"
#include "pgsim/cpu/cpu_features.hpp"

using namespace pgsim;
using Catch::Matchers::Contains;

namespace {

const CpuProfile& profile(std::string_view name) {
    const auto profiles = cpu_profiles();
    const auto found = std::find_if(profiles.begin(), profiles.end(), [&](const auto& p) { return p.name == name; });
    REQUIRE(found != profiles.end());
    return *found;
}

}  // namespace

TEST_CASE("Every feature has a name of its own, and is found by it", "[cpu]") {
    for (std::size_t i = 0; i < static_cast<std::size_t>(Feature::count_); ++i) {
        const auto feature = static_cast<Feature>(i);
        CHECK(find_feature(to_string(feature)) == feature);
    }
    CHECK(find_feature("cet") == Feature::shstk);
    CHECK(find_feature("fxsr_opt") == Feature::ffxsr);
    CHECK_FALSE(find_feature("avx512f"));
    CHECK_FALSE(find_feature(""));
}

TEST_CASE("qemu64 and max are what QEMU's guests saw in the captures", "[cpu][captures]") {
    // cpu.features of k6.12-4g-qemu64 and of the captures with -cpu max,+la57.
    const auto qemu64 = profile("qemu64").features;
    for (const char* name :
         {"apic", "clflush", "cx8", "fpu", "fxsr", "hypervisor", "lahf_lm", "lm",  "mca",     "mce", "msr",
          "mtrr", "nx",      "pae", "pat", "pge",  "pse",        "pse36",   "svm", "syscall", "tsc"}) {
        INFO(name);
        CHECK(qemu64.has(*find_feature(name)));
    }
    for (const Feature absent : {Feature::la57, Feature::pcid, Feature::pdpe1gb, Feature::smep, Feature::smap,
                                 Feature::pku, Feature::umip, Feature::fsgsbase, Feature::xsave}) {
        CHECK_FALSE(qemu64.has(absent));
    }
    CHECK(qemu64.vendor == Vendor::amd);
    CHECK(qemu64.family == 15);
    CHECK(qemu64.model == 107);
    CHECK(qemu64.maxphyaddr() == 40);

    const auto max = profile("max").features;
    for (const char* name :
         {"erms", "fsgsbase", "la57", "pdpe1gb", "pku", "rdrand", "rdtscp", "smap", "smep", "umip", "xsave"}) {
        INFO(name);
        CHECK(max.has(*find_feature(name)));
    }
    CHECK_FALSE(max.has(Feature::pcid));
}

TEST_CASE("Profiles follow the generations of their vendors", "[cpu]") {
    struct Row {
        const char* name;
        Vendor vendor;
        Feature newest;
        Feature not_yet;
    };
    const auto row = GENERATE(values<Row>({{"Nehalem", Vendor::intel, Feature::vmx, Feature::pcid},
                                           {"SandyBridge", Vendor::intel, Feature::pcid, Feature::smep},
                                           {"IvyBridge", Vendor::intel, Feature::smep, Feature::invpcid},
                                           {"Haswell", Vendor::intel, Feature::invpcid, Feature::smap},
                                           {"Broadwell", Vendor::intel, Feature::smap, Feature::pku},
                                           {"Skylake-Client", Vendor::intel, Feature::pdpe1gb, Feature::pku},
                                           {"Skylake-Server", Vendor::intel, Feature::pku, Feature::la57},
                                           {"Icelake-Server", Vendor::intel, Feature::la57, Feature::pks},
                                           {"SapphireRapids", Vendor::intel, Feature::pks, Feature::lam},
                                           {"EPYC", Vendor::amd, Feature::smap, Feature::umip},
                                           {"EPYC-Rome", Vendor::amd, Feature::umip, Feature::pcid},
                                           {"EPYC-Milan", Vendor::amd, Feature::pku, Feature::la57},
                                           {"EPYC-Genoa", Vendor::amd, Feature::la57, Feature::pks}}));
    const CpuFeatures& features = profile(row.name).features;
    INFO(row.name);
    CHECK(features.vendor == row.vendor);
    CHECK(features.has(row.newest));
    CHECK_FALSE(features.has(row.not_yet));
}

TEST_CASE("Every profile is consistent and parses by its name", "[cpu]") {
    for (const CpuProfile& p : cpu_profiles()) {
        INFO(p.name);
        CHECK_FALSE(p.features.inconsistency());
        CHECK(parse_cpu(p.name) == p.features);
        CHECK_FALSE(p.description.empty());
    }
}

TEST_CASE("NAME,+feature,-feature,phys-bits=N changes a profile", "[cpu]") {
    const CpuFeatures features = parse_cpu("qemu64,+la57,-nx,phys-bits=46");
    CHECK(features.has(Feature::la57));
    CHECK_FALSE(features.has(Feature::nx));
    CHECK(features.maxphyaddr() == 46);
    CHECK(features.linear_address_bits() == 57);
    CHECK(parse_cpu("qemu64").linear_address_bits() == 48);
    CHECK(parse_cpu("pentium3").linear_address_bits() == 32);
}

TEST_CASE("What cannot be is refused, and the reason named", "[cpu][errors]") {
    CHECK_THROWS_WITH(parse_cpu("qemu64,-pae"), Contains("lm needs pae"));
    CHECK_THROWS_WITH(parse_cpu("pentium3,+la57"), Contains("la57 needs lm"));
    CHECK_THROWS_WITH(parse_cpu("EPYC,+lam"), Contains("lam exists on Intel processors only"));
    CHECK_THROWS_WITH(parse_cpu("Haswell,+svm"), Contains("svm exists on AMD processors only"));
    CHECK_THROWS_WITH(parse_cpu("qemu46"), Contains("qemu46") && Contains("qemu64"));
    CHECK_THROWS_WITH(parse_cpu("qemu64,+warp"), Contains("+warp"));
    CHECK_THROWS_AS(parse_cpu("qemu64,la57"), Error);
    CHECK_THROWS_AS(parse_cpu("qemu64,"), Error);
    CHECK_THROWS_AS(parse_cpu("qemu64,phys-bits=53"), Error);
    CHECK_THROWS_AS(parse_cpu("qemu64,phys-bits=31"), Error);
    CHECK_THROWS_AS(parse_cpu("qemu64,phys-bits=4x"), Error);
    CHECK_THROWS_AS(parse_cpu(""), Error);
}
