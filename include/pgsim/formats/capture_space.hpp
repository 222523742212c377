// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "pgsim/formats/capture.hpp"
#include "pgsim/inspect/address_space.hpp"

namespace pgsim::formats {

/// Memory that holds the tables of a checkpoint, extra tables included, where they were; all else is zero.
[[nodiscard]] MemorySnapshot memory_of(const CaptureCheckpoint& checkpoint);

/// The registers of a checkpoint as paging sees them, for its own root or an extra root.
/// @param root  "" for the checkpoint's own root, or the name of an extra root
/// @throws Error  if there is no such root; the message names those that exist
[[nodiscard]] PagingControls controls_of(const CaptureCheckpoint& checkpoint, std::string_view root = {});

/// What a root of a checkpoint maps. @throws Error  as controls_of
[[nodiscard]] AddressSpace address_space(const CaptureCheckpoint& checkpoint, std::string_view root = {});

/// The tables that are reachable from the roots, as a capture lists them.
[[nodiscard]] std::vector<CaptureTable> capture_tables(const MemorySnapshot& memory, std::span<const RootRef> roots);

}  // namespace pgsim::formats
