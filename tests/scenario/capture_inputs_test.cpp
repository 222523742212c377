// SPDX-License-Identifier: GPL-2.0-only
#include <nlohmann/json.hpp>

#include "pgsim/base/error.hpp"
#include "pgsim/formats/text_file.hpp"
#include "pgsim/scenario/boot_scenario.hpp"
#include "support/catch.hpp"
#include "support/data.hpp"

using namespace pgsim;
using nlohmann::literals::json_literals::operator""_json;

namespace {

BootScenario load(const std::string& name) {
    return scenario_from_capture(formats::read_text_maybe_xz(test::data_path(name)), name);
}

nlohmann::json inputs_of(const std::string& name) {
    return nlohmann::json::parse(formats::read_text_maybe_xz(test::data_path("inputs/" + name + ".json.xz")));
}

std::string error_of(const nlohmann::json& json) {
    try {
        (void)scenario_from_capture(json.dump(), "test");
    } catch (const Error& error) {
        return error.what();
    }
    return {};
}

}  // namespace

TEST_CASE("A capture and what inputs.py makes of it give the same scenario", "[scenario][spec-appendix-D]") {
    // The second file of each pair is output of captures/inputs.py.
    const auto name =
        GENERATE(as<std::string>{}, "k6.1-1g-5l-kaslr-pti", "k6.1-4g-numa3-odd", "k6.1-e820-soft-reserved",
                 "k6.12-4g-crashkernel", "k6.12-4g-qemu64", "k6.12-e820-islands-numa2", "k6.6-16g-2m-movable-node",
                 "k6.6-4g-hugepages", "k6.6-6g-numa4-5l");
    INFO(name);
    const BootScenario from_capture = load("captures/" + name + ".json.xz");
    const BootScenario from_inputs = load("inputs/" + name + ".json.xz");
    REQUIRE(from_capture.inputs.memblock_requests);
    REQUIRE(from_inputs.inputs.memblock_requests);
    CHECK(*from_capture.inputs.memblock_requests == *from_inputs.inputs.memblock_requests);
    CHECK(from_capture.inputs.acpi_reserved == from_inputs.inputs.acpi_reserved);
    CHECK(from_capture.inputs.brk_early_bytes == from_inputs.inputs.brk_early_bytes);
    CHECK(from_capture == from_inputs);
}

TEST_CASE("A capture's inputs are what firmware, loader and build gave", "[scenario][spec-appendix-D]") {
    const kernel::BootInputs inputs = load("captures/k6.6-6g-numa4-5l.json.xz").inputs;
    CHECK(inputs.series.name == "6.6");
    CHECK(inputs.cpu.has(Feature::la57));
    CHECK(inputs.cpu.has(Feature::nx));
    CHECK_FALSE(inputs.cpu.has(Feature::pcid));
    CHECK(inputs.cpu.maxphyaddr() == 40);
    CHECK(inputs.cpu.vendor == Vendor::amd);
    CHECK(inputs.config.number("NODES_SHIFT", 0) == 6);
    CHECK(inputs.config.enabled("MEMORY_HOTREMOVE"));
    CHECK(inputs.layout.symbols() == kernel::KernelLayout::preset("defconfig-6.6").symbols());
    CHECK(inputs.boot_params.load_address == 0x100000_pa);
    CHECK(inputs.boot_params.base_memory_kb == 639);
    CHECK(inputs.boot_params.e820.front() == firmware::E820Entry{0, 0x9fc00, firmware::E820Type::ram});
    CHECK(inputs.boot_params.cmdline.find("nokaslr") != std::string::npos);
    CHECK(inputs.numa.domains == std::vector<std::uint32_t>{0, 1, 2, 3});
    CHECK(inputs.acpi_tables.front().signature == "RSDP");
    CHECK(inputs.brk_early_bytes == 4096);
}

TEST_CASE("With KASLR the layout keeps link-time symbols and what was chosen", "[scenario]") {
    const kernel::KernelLayout layout = load("captures/k6.1-1g-5l-kaslr-pti.json.xz").inputs.layout;
    const kernel::KernelLayout plain = kernel::KernelLayout::preset("debian-6.1");
    CHECK(layout.kaslr_offset != 0);
    CHECK(layout.symbols() == plain.symbols());
    CHECK(layout.page_offset_base != 0xff11000000000000_va);
}

TEST_CASE("Inputs that cannot be are refused with the place and the reason", "[scenario]") {
    const nlohmann::json good = inputs_of("k6.6-4g-hugepages");
    REQUIRE(error_of(good).empty());

    const auto with = [&](const char* pointer, nlohmann::json value) {
        nlohmann::json changed = good;
        changed[nlohmann::json::json_pointer{pointer}] = std::move(value);
        return error_of(changed);
    };
    CHECK(with("/format", "pgsim-trace/1").find("format") != std::string::npos);
    CHECK(with("/kernel/series", "none").find("version") != std::string::npos);
    CHECK(with("/boot_params/e820", "x").find("boot_params.e820") != std::string::npos);
    CHECK(with("/boot_params/e820/0/start", "abc").find("boot_params.e820[0].start") != std::string::npos);
    CHECK(with("/boot_params/address", "0x10000000000000").find("52 bits") != std::string::npos);
    CHECK(with("/boot_params/type_of_loader", 256).find("too large") != std::string::npos);
    CHECK(with("/cpu/phys_bits", 60).find("phys_bits") != std::string::npos);
    CHECK(with("/numa/nodes", R"([{"id": 0, "ranges": [["0x2000", "0x1000"]]}])"_json).find("below its start") !=
          std::string::npos);
    CHECK(with("/mp_table", R"([["0x1000"]])"_json).find("mp_table[0]") != std::string::npos);
    CHECK(with("/memblock_requests/0/of", 7).find("memblock_requests[0]") != std::string::npos);
    CHECK(with("/memblock_requests/0/nid", 1 << 20).find("nid") != std::string::npos);
    CHECK(with("/layout/symbols/_text", nullptr).find("layout.symbols._text") != std::string::npos);

    nlohmann::json many = good;
    many["boot_params"]["e820"] = nlohmann::json::array();
    for (int i = 0; i < 129; ++i) {
        many["boot_params"]["e820"].push_back({{"start", "0x0"}, {"size", "0x1000"}, {"type", 1}});
    }
    CHECK(error_of(many).find("128") != std::string::npos);
    CHECK_THROWS_AS(scenario_from_capture("", "empty"), Error);
    CHECK_THROWS_AS(scenario_from_capture("[]", "list"), Error);
}
