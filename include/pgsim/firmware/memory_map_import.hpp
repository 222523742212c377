// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "pgsim/firmware/e820_table.hpp"
#include "pgsim/firmware/machine_record.hpp"

namespace pgsim::firmware {

/// The type that a word of Linux means: "usable" and "System RAM", "reserved" and "device reserved", "ACPI data",
/// "persistent (type 12)", "type 20", … nullopt for anything else.
[[nodiscard]] std::optional<E820Type> e820_type_of(std::string_view words);

/// Reads a boot log: the inputs and the facts of every line that concerns memory set-up; other lines are skipped. All
/// three ages of the map's lines are understood ("0000000000000000 - 000000000009fc00 (usable)", "[mem 0x…-0x…]
/// usable", "[mem 0x…-0x…]  System RAM" with gaps), with any time stamps, log levels and syslog prefixes before them.
/// A log that holds several boots: the last one.
/// @throws Error  naming line and reason: a map line that cannot be read, an end below its start, an empty range, an
///                unknown type; or no map in the text at all
[[nodiscard]] MachineRecord parse_dmesg(std::string_view text);

/// What a record says about NUMA: the SRAT's ranges. @throws Error  for a range that does not fit in 52 bits
[[nodiscard]] NumaDescription numa_of(const MachineRecord& record);

/// Reads a NUMA description: SRAT lines as Linux logs them ("SRAT: Node 0 PXM 0 [mem 0x…-0x…]", "SRAT: PXM 0 -> APIC
/// 0x00 -> Node 0"), and node distances as `numactl --hardware` prints them. Other lines are skipped; either may be
/// missing.
/// @throws Error  when both are missing; when a table has not a row for each column, or a distance is not 10 to 255
[[nodiscard]] NumaDescription parse_numa_text(std::string_view text);

/// Reads a map written as the kernel parameter: "memmap=640K@0,512K$0xa0000 memmap=3G@1M", entries separated by
/// commas, blanks or line ends, "memmap=" optional. @ RAM, # ACPI, $ reserved, ! persistent (12); the word exactmap
/// is allowed. '#' at the start of a line begins a comment.
/// @throws Error  naming line, entry and reason
[[nodiscard]] E820Table parse_memmap_text(std::string_view text);

/// Reads /sys/firmware/memmap or a copy of it: a folder N/ an entry, with files start, end (inclusive), type.
/// @throws Error  naming folder, entry and reason
[[nodiscard]] E820Table read_sys_firmware_memmap(const std::string& folder);

/// Reads /proc/iomem: "00001000-0009fbff : System RAM" lines of the outermost level.
/// @throws Error  naming line and reason; also when the addresses are hidden (all zero), as from anybody but root
[[nodiscard]] E820Table parse_proc_iomem(std::string_view text);

/// Refuses what no importer may let through: no entry, more than boot_params holds, an empty or wrapping range.
/// @throws Error  naming the entry
void check_imported_map(const E820Table& table);

}  // namespace pgsim::firmware
