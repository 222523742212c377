// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>

#include "pgsim/scenario/boot.hpp"

namespace pgsim {

/// How much an account tells.
struct AccountOptions {
    bool mappings = true;        ///< list the mapped ranges
    std::size_t max_lines = 24;  ///< at most so many lines of one list; 0: all
};

/// One checkpoint for a reader who learns how a boot goes: what ran, registers, tables, what is mapped where, with
/// page sizes and rights, memblock, and what changed since the checkpoint before. Several lines of text.
[[nodiscard]] std::string account(const Boot& boot, const Checkpoint& checkpoint, const AccountOptions& options = {});

/// The machine and the kernel that boot, and what was assumed.
[[nodiscard]] std::string account_of_inputs(const Boot& boot);

/// How the boot ended: where it stopped and why, stray accesses.
[[nodiscard]] std::string account_of_end(const Boot& boot);

}  // namespace pgsim
