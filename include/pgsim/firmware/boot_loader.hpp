// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "pgsim/base/range.hpp"
#include "pgsim/firmware/boot_params.hpp"
#include "pgsim/memory/physical_memory.hpp"

namespace pgsim::firmware {

/// Says what answers where: RAM, ROM and devices, from the firmware's map. Beyond what the map calls RAM, RAM is
/// where tables of the firmware lie (ACPI, NVS), below 640 KiB, and in `more`: where the loader has put something,
/// there is RAM, whatever the map says.
void map_physical_memory(PhysicalMemory& memory, const BootParams& params, const std::vector<PhysRange>& more);

/// Puts into memory what firmware and boot loader leave there: the BIOS data area's two words, boot_params, the
/// command line, the headers of the setup_data list. [spec R0.1, R0.2, R5.5]
void load_boot_params(PhysicalMemory& memory, const BootParams& params);

/// Builds the loader's own page tables for the 64-bit boot protocol: the first 4 GiB one to one, in 2-MByte pages, and
/// the GiB around each of `more`. Returns the root. [spec R0.1]
/// @throws Error  when 16 pages do not suffice
PhysAddr load_identity_map(PhysicalMemory& memory, const BootParams& params, const std::vector<PhysRange>& more);

}  // namespace pgsim::firmware
