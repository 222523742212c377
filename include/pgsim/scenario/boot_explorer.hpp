// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>

#include "pgsim/scenario/boot.hpp"

namespace pgsim {

/// The boot as the document of the explorer page (docs/explorer-data.md): the capture form with the time of each
/// checkpoint, and who wrote each entry if the boot kept a journal. Give it to formats::explorer_html.
[[nodiscard]] std::string explorer_document(const Boot& boot);

}  // namespace pgsim
