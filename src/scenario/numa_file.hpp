// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "formats/json_view.hpp"
#include "pgsim/firmware/numa_description.hpp"

namespace pgsim::scenario {

/// A capture's "numa": {"nodes": [{"id", "ranges", "hotplug"}], "distances": [[10, 21], [21, 10]]}, the distances being
/// optional. @throws Error  naming the key
[[nodiscard]] firmware::NumaDescription read_numa(const formats::JsonView& numa);

}  // namespace pgsim::scenario
