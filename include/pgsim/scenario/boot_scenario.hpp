// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pgsim/firmware/machine_record.hpp"
#include "pgsim/kernel/boot_inputs.hpp"

namespace pgsim {

/// One machine, one kernel, one boot loader: everything that a simulated boot starts from, and nothing else.
struct BootScenario {
    std::string name;
    kernel::BootInputs inputs;
    /// What the source did not say and was assumed, one sentence each, for people.
    std::vector<std::string> assumptions;

    friend bool operator==(const BootScenario&, const BootScenario&) = default;
};

/// The inputs of a boot capture ("pgsim-capture/1") or what captures/inputs.py makes of one ("pgsim-inputs/1"): both
/// give the same scenario. Nothing else of a capture is looked at: no table, no memblock state. [spec appendix D]
/// @param text  JSON, not compressed
/// @param name  put before the place of an error
/// @throws Error  naming key path and reason
[[nodiscard]] BootScenario scenario_from_capture(std::string_view text, std::string_view name = "capture");

/// A machine as a log or a machine file describes it, booted by a loader that puts things where QEMU's -kernel does;
/// the kernel is the known build nearest to the record's release, with the record's series' rules. What the record
/// does not say is filled in and listed in `assumptions`.
/// @throws Error  as check_scenario
[[nodiscard]] BootScenario scenario_from_record(const firmware::MachineRecord& record);

/// A machine of which only the map is known; otherwise as the q35 preset.
/// @throws Error  as check_scenario
[[nodiscard]] BootScenario scenario_from_map(const firmware::E820Table& map, std::string_view name);

/// This very computer: /sys/firmware/memmap, else /proc/iomem; /proc/cmdline, /proc/cpuinfo.
/// @param root  put before these paths
/// @throws Error  when neither map can be read, with what to do
[[nodiscard]] BootScenario scenario_from_this_machine(const std::string& root = "");

/// Whatever the path holds, told by its content: a capture, a capture's inputs, a machine file, a boot log, memmap=
/// text, /proc/iomem text (each also xz-compressed), or a folder as /sys/firmware/memmap.
/// @throws Error  naming the file (and line, or key) and the reason
[[nodiscard]] BootScenario load_scenario(const std::string& path);

/// Gives the machine the NUMA description of a file: SRAT lines and a table of node distances as text (see
/// firmware::parse_numa_text), or a JSON object as a capture's "numa". A file that holds distances only adds them to
/// the nodes that the machine has.
/// @throws Error  naming the file and the reason; also when there is not a distance for each pair of nodes
void use_srat(BootScenario& scenario, const std::string& path);

/// The machine record of a boot log or of a machine file; nullopt when the path holds something else.
/// @throws Error  as load_scenario
[[nodiscard]] std::optional<firmware::MachineRecord> load_machine_record(const std::string& path);

/// Refuses machines that cannot boot at all: RAM beyond MAXPHYADDR, no RAM where the kernel must lie.
/// @throws Error  naming the entry or range
void check_scenario(const BootScenario& scenario);

}  // namespace pgsim
