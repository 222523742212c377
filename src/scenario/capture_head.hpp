// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>
#include <vector>

#include "pgsim/kernel/memblock.hpp"
#include "pgsim/scenario/boot_scenario.hpp"

namespace pgsim::scenario {

/// The part of a capture file that says what was booted: everything but its checkpoints, as one JSON object. Reading it
/// back gives the same scenario, but for what a capture says in its checkpoints.
[[nodiscard]] std::string capture_head(const BootScenario& scenario);

/// "memblock_calls" of a checkpoint as a JSON object with that key. @param first  index of the first call to write
[[nodiscard]] std::string memblock_calls_json(const std::vector<kernel::MemblockCall>& calls, std::size_t first);

}  // namespace pgsim::scenario
