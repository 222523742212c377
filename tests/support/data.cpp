// SPDX-License-Identifier: GPL-2.0-only
#include "support/data.hpp"

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace pgsim::test {

std::string data_path(const std::string& name) {
    return std::string{PGSIM_TEST_DATA} + '/' + name;
}

std::string source_dir() {
    return PGSIM_SOURCE_DIR;
}

std::string read_file(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    if (!file) {
        throw std::runtime_error{"cannot read " + path};
    }
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

}  // namespace pgsim::test
