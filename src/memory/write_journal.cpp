// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/memory/write_journal.hpp"

#include <algorithm>

namespace pgsim {

WriteJournal::WriteJournal() : origins_(1) {}

void WriteJournal::set_origin(const WriteOrigin& origin) {
    // The newest origins are the likeliest to come again, and there are few.
    const auto found = std::find(origins_.rbegin(), origins_.rend(), origin);
    if (found != origins_.rend()) {
        current_ = static_cast<std::uint32_t>(std::distance(found, origins_.rend()) - 1);
        return;
    }
    origins_.push_back(origin);
    current_ = static_cast<std::uint32_t>(origins_.size() - 1);
}

}  // namespace pgsim
