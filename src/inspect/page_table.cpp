// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/inspect/page_table.hpp"

#include <algorithm>

namespace pgsim {

unsigned PageTable::present_count() const noexcept {
    return static_cast<unsigned>(
        std::count_if(words_.begin(), words_.end(), [](std::uint64_t word) { return (word & 1) != 0; }));
}

unsigned PageTable::used_count() const noexcept {
    return static_cast<unsigned>(
        std::count_if(words_.begin(), words_.end(), [](std::uint64_t word) { return word != 0; }));
}

}  // namespace pgsim
