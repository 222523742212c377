// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string_view>

namespace pgsim::formats {

/// What the build made of web/: the page, or why there is none. Defined in a file that the build writes.
struct ExplorerTemplate {
    std::string_view html;     ///< empty when the page was not built
    std::string_view missing;  ///< what is missing, for people
};

[[nodiscard]] ExplorerTemplate explorer_template() noexcept;

}  // namespace pgsim::formats
