// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>
#include <vector>

#include "pgsim/kernel/mm.hpp"

namespace pgsim::kernel {

/// Looks at everything and says what does not agree: references and mapping counts of every page against the tables,
/// resident-set counters, table pages, reverse mapping, LRU lists, swap map, free lists, and that no page is lost.
/// Empty when all is well. For tests; takes time in proportion to all of memory. [spec G, B, D]
[[nodiscard]] std::vector<std::string> check_invariants(Mm& k);

}  // namespace pgsim::kernel
