// SPDX-License-Identifier: GPL-2.0-only
#include "support/catch.hpp"
#include "support/data.hpp"

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <vector>

namespace fs = std::filesystem;

TEST_CASE("<pgsim/pgsim.hpp> includes every public header but those of the kernel and of other libraries",
          "[structure]") {
    const fs::path include = fs::path{pgsim::test::source_dir()} / "include";
    const std::string all = pgsim::test::read_file((include / "pgsim/pgsim.hpp").string());
    for (const auto& entry : fs::recursive_directory_iterator{include / "pgsim"}) {
        const std::string header = entry.path().lexically_relative(include).generic_string();
        const bool room = std::count(header.begin(), header.end(), '/') == 2 && entry.path().extension() == ".hpp";
        const bool left_out = header.rfind("pgsim/kernel/", 0) == 0 || header.rfind("pgsim/testing/", 0) == 0;
        if (room && !left_out) {
            INFO(header);
            CHECK(all.find("#include \"" + header + "\"") != std::string::npos);
        }
    }
}
