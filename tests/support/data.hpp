// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>

namespace pgsim::test {

/// Path of a file below tests/data.
[[nodiscard]] std::string data_path(const std::string& name);

/// The root of the source tree.
[[nodiscard]] std::string source_dir();

/// The whole file. Throws std::runtime_error when it cannot be read.
[[nodiscard]] std::string read_file(const std::string& path);

}  // namespace pgsim::test
