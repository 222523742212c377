// SPDX-License-Identifier: GPL-2.0-only
// Boots with the inputs of each capture of a real kernel and compares every table entry, register and list.
#include "support/catch.hpp"
#include "support/data.hpp"

#include <algorithm>
#include <filesystem>

#include "pgsim/formats/text_file.hpp"
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
