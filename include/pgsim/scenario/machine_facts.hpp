// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>
#include <vector>

#include "pgsim/firmware/machine_record.hpp"
#include "pgsim/scenario/boot.hpp"

namespace pgsim {

/// What the boot of this machine would log: the record's inputs, and in place of its facts those of a simulated boot,
/// as a kernel of the record's release would print them. Lines that its release does not print are there all the same.
/// What EFI says besides the map (memory of its run-time tables, MMIO ranges) is taken from the record's lines.
/// @throws Error  as scenario_from_record and run; and when the simulated kernel halted before its zones were set up
[[nodiscard]] firmware::MachineRecord simulate_machine(const firmware::MachineRecord& record);

/// The same for any scenario: the facts of a boot that came at least to free_area_init.exit.
/// @throws Error  when it did not
[[nodiscard]] firmware::MachineRecord facts_of(const Boot& boot);

/// One line (or one value) of a machine's log, simulated and logged.
struct MachineFact {
    enum class Verdict {
        same,
        differs,        ///< a difference where the kernel's rules fix the value
        not_logged,     ///< the input has no such line: nothing to compare with
        not_simulated,  ///< logged, and depends on what no record holds; `note` says on what
    };
    std::string section;    ///< field of the machine files: "last_pfn", "zone_ranges", …
    std::string simulated;  ///< the line; empty: only logged
    std::string logged;     ///< the line; empty: only simulated
    Verdict verdict = Verdict::not_logged;
    std::string note;  ///< why a logged line is not explained
};

/// Holds a simulated record against the logged one, line by line.
[[nodiscard]] std::vector<MachineFact> compare_machine(const firmware::MachineRecord& simulated,
                                                       const firmware::MachineRecord& logged);

/// True iff a value that the kernel's rules fix differs.
[[nodiscard]] bool has_difference(const std::vector<MachineFact>& facts) noexcept;

/// The facts as text for people: "=" as logged, "!sim" and "!log" different, "~" only logged and why, unmarked where
/// the log has no such line.
[[nodiscard]] std::string machine_report(const std::vector<MachineFact>& facts);

}  // namespace pgsim
