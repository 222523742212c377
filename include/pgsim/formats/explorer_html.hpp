// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "pgsim/base/address.hpp"
#include "pgsim/memory/write_journal.hpp"

namespace pgsim::formats {

/// Whether the explorer page was built into this library (its build needs Node.js and npm).
[[nodiscard]] bool explorer_available() noexcept;

/// The explorer page with this document in it: one self-contained HTML file that makes no request.
///
/// @param data_json  the document defined in docs/explorer-data.md; every boot capture is one
/// @throws Error  if the text is not one JSON object with a "checkpoints" array, or if the page was not built in (the
///                message says what is missing)
[[nodiscard]] std::string explorer_html(std::string_view data_json);

/// The "provenance" object of the explorer's document: the writes to page tables, equal steps joined to runs.
///
/// @param journal  all writes of the boot
/// @param ends     for each checkpoint, in order, how many records the journal held when it was taken
/// @param tables   the 4 KiB frames that are a page table at some checkpoint, ascending; other writes are left out
/// @throws Error  if `ends` falls or exceeds the journal, or `tables` is not ascending
[[nodiscard]] std::string explorer_provenance(const WriteJournal& journal, std::span<const std::size_t> ends,
                                              std::span<const Pfn> tables);

}  // namespace pgsim::formats
