// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>
#include <string_view>

#include "pgsim/firmware/machine_record.hpp"

namespace pgsim {

/// Reads a "pgsim-machine/1" file: a machine's inputs and, as far as they are there, the facts of its log. Only `e820`
/// must be there.
/// @param name  put before the place of an error
/// @throws Error  naming key path and reason
[[nodiscard]] firmware::MachineRecord machine_record_from_json(std::string_view text,
                                                               std::string_view name = "machine");

/// The record with the field names and conventions of the machine files; what is not known is null.
[[nodiscard]] std::string machine_record_to_json(const firmware::MachineRecord& record);

}  // namespace pgsim
