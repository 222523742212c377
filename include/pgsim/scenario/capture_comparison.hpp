// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>
#include <string_view>

#include "pgsim/formats/capture.hpp"
#include "pgsim/formats/compare.hpp"

namespace pgsim {

/// Boots with a capture's inputs (and nothing else of it) and compares what comes out, checkpoint by checkpoint.
/// @param text  the capture, JSON, not compressed
/// @param name  for error messages
/// @throws Error  when the capture cannot be read or booted
[[nodiscard]] formats::Comparison compare_with_boot(std::string_view text, std::string_view name,
                                                    const formats::CompareOptions& options = {});

}  // namespace pgsim
