// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "pgsim/formats/capture.hpp"
#include "pgsim/scenario/process_view.hpp"

namespace pgsim {

/// Everything but the checkpoints: title, processor, memory, where the kernel has its regions.
[[nodiscard]] nlohmann::ordered_json processes_head_json(ProcessWorld& world, const std::string& title);

/// Processes and frames as they stood. [docs/explorer-data.md "A run of processes"]
/// @param roots    top tables by process
/// @param parents  who forked whom
[[nodiscard]] nlohmann::ordered_json moment_json(const ProcessesView& view,
                                                 const std::vector<formats::CaptureRoot>& roots,
                                                 const std::map<std::string, std::string>& parents);

}  // namespace pgsim
