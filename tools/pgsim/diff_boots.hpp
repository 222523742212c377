// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>

#include "source.hpp"

namespace pgsim::cli {

struct BootDiffOptions {
    bool accessed_dirty = false;
    std::size_t lines = 12;  ///< of one checkpoint's ranges; 0: all
    bool json = false;
};

/// What differs between two boots, in words: the inputs, the first checkpoint that differs, and what differs there and
/// at each later one.
struct BootDiff {
    std::string text;
    bool differs = false;
};
[[nodiscard]] BootDiff diff_boots(const Boot& before, const Boot& after, const BootDiffOptions& options);

}  // namespace pgsim::cli
