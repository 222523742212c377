// SPDX-License-Identifier: GPL-2.0-only
// The reduction of a capture to its inputs; the counterpart of captures/inputs.py.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "formats/json_view.hpp"
#include "pgsim/kernel/boot_inputs.hpp"

namespace pgsim::scenario {

/// What a capture's checkpoints say about inputs that only the running kernel shows.
struct ReducedCheckpoints {
    std::optional<std::uint64_t> brk_early_bytes;
    std::vector<PhysRange> mp_table;
    std::vector<PhysRange> acpi_reserved;
    std::vector<kernel::MemblockRequest> memblock_requests;
};

/// @param capture  the root object of a "pgsim-capture/1" file
[[nodiscard]] ReducedCheckpoints reduce_checkpoints(const formats::JsonView& capture);

/// A number as the captures write it: 4096 or "0x1000".
[[nodiscard]] std::uint64_t number_or_hex(const formats::JsonView& value);
/// The same for a physical address. @throws Error  if it does not fit in 52 bits
[[nodiscard]] PhysAddr physical(const formats::JsonView& value);
/// base and size. @throws Error  if the end does not fit in 52 bits
[[nodiscard]] PhysRange sized_range(const formats::JsonView& base, const formats::JsonView& size);

/// A node id as memblock requests have it: -1 is "any".
[[nodiscard]] int node_id(const formats::JsonView& value);

}  // namespace pgsim::scenario
