// SPDX-License-Identifier: GPL-2.0-only
// Boots with the inputs of each capture of a real kernel and compares every table entry, register and list.
#include "support/catch.hpp"
#include "support/data.hpp"

#include <algorithm>
#include <filesystem>

#include "pgsim/formats/capture.hpp"
#include "pgsim/formats/text_file.hpp"
#include "pgsim/scenario/boot.hpp"
#include "pgsim/scenario/boot_capture.hpp"
#include "pgsim/scenario/capture_comparison.hpp"

using namespace pgsim;

namespace {

std::vector<std::string> captures() {
    std::vector<std::string> files;
    for (const auto& file : std::filesystem::directory_iterator{test::data_path("captures")}) {
        files.push_back(file.path().string());
    }
    std::sort(files.begin(), files.end());
    return files;
}

}  // namespace

TEST_CASE("A simulated boot leaves what the real kernel left", "[scenario][captures]") {
    const auto files = captures();
    REQUIRE(files.size() >= 100);
    formats::CompareOptions options;
    options.until = "buddy.exit";
    options.max_listed = 5;
    for (const std::string& file : files) {
        const std::string name = std::filesystem::path{file}.filename().string();
        DYNAMIC_SECTION(name) {
            const formats::Comparison comparison = compare_with_boot(formats::read_text_maybe_xz(file), name, options);
            for (const formats::CheckpointComparison& checkpoint : comparison.checkpoints) {
                for (const formats::Difference& difference : checkpoint.differences) {
                    UNSCOPED_INFO(checkpoint.name << ": " << difference.text);
                }
            }
            CHECK(comparison.differences() == 0);
            CHECK(comparison.entries() > 20000);
        }
    }
}

TEST_CASE("A boot written as a capture holds its inputs, and boots again to the same", "[scenario][captures]") {
    for (const char* name : {"k6.6-4g-4l", "k6.1-1g-5l-kaslr-pti", "k6.1-e820-islands", "k6.6-6g-numa4-5l"}) {
        INFO(name);
        const std::string text =
            formats::read_text_maybe_xz(test::data_path(std::string{"captures/"} + name + ".json.xz"));
        const BootScenario first = scenario_from_capture(text, name);
        const std::string written = formats::capture_to_json(to_capture(run(first)));
        const BootScenario second = scenario_from_capture(written, "written");
        CHECK(second.inputs.boot_params == first.inputs.boot_params);
        CHECK(second.inputs.layout == first.inputs.layout);
        CHECK(second.inputs.config == first.inputs.config);
        CHECK(second.inputs.brk_early_bytes == first.inputs.brk_early_bytes);
        CHECK(second.inputs.mp_table == first.inputs.mp_table);
        CHECK(second.inputs.acpi_reserved == first.inputs.acpi_reserved);
        CHECK(second.inputs.memblock_requests == first.inputs.memblock_requests);
        CHECK(formats::capture_to_json(to_capture(run(second))) == written);
    }
}

TEST_CASE("No port wanders: every access of a boot is answered by memory", "[scenario][captures]") {
    for (const std::string& file : captures()) {
        const std::string name = std::filesystem::path{file}.filename().string();
        INFO(name);
        CHECK(run(scenario_from_capture(formats::read_text_maybe_xz(file), name)).stray_accesses().empty());
    }
}

TEST_CASE("The inputs alone boot to the same as the capture that they were taken from", "[scenario][captures]") {
    for (const auto& file : std::filesystem::directory_iterator{test::data_path("inputs")}) {
        const std::string name = file.path().filename().string();
        INFO(name);
        const BootScenario from_inputs = scenario_from_capture(formats::read_text_maybe_xz(file.path().string()), name);
        const BootScenario from_capture = scenario_from_capture(
            formats::read_text_maybe_xz(test::data_path("captures/" + from_inputs.name + ".json.xz")), name);
        CHECK(formats::capture_to_json(to_capture(run(from_inputs))) ==
              formats::capture_to_json(to_capture(run(from_capture))));
    }
}
