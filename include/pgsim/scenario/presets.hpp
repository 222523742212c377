// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pgsim/scenario/boot_scenario.hpp"

namespace pgsim {

/// Sets series, configuration, layout and loader fields to those of a known kernel build: "6.1" (Debian's), "6.6"
/// (x86_64 defconfig), "6.12" (Debian's), also by the names "debian-6.1", "defconfig-6.6", "debian-6.12". A release
/// string takes the build of the nearest series; its own rules apply as far as they are known.
/// @throws Error  when there is no version number in it
void use_kernel(BootScenario& scenario, std::string_view kernel);

/// Sets the processor, e.g. "qemu64,+la57,-nx". @throws Error  as parse_cpu
void use_cpu(BootScenario& scenario, std::string_view cpu);

/// Splits the machine's RAM into NUMA nodes as QEMU describes them to the guest: "4" for four equal nodes, or sizes
/// "1G,3G", the last one taking what is left. "off" or "1": no NUMA.
/// @throws Error  nonsense numbers, more nodes than RAM
void use_numa(BootScenario& scenario, std::string_view nodes);

/// "4G", "777M", "16T" in bytes. @throws Error  when it is not a size
[[nodiscard]] std::uint64_t parse_ram_size(std::string_view text);

namespace presets {

/// A QEMU machine with SeaBIOS, its kernel loaded by -kernel: the map, the ACPI tables and the loader's placement are
/// those of QEMU 7.2; processor "max,-la57" (wider physical addresses where the RAM needs them); kernel 6.6, nokaslr.
/// @param ram  as parse_ram_size; 64 MiB to 2 PiB
/// @throws Error  when it is not a size, is not a multiple of 1 MiB, or is too small or large
[[nodiscard]] BootScenario qemu_q35(std::string_view ram = "4G");
/// The same for the i440FX machine ("pc").
[[nodiscard]] BootScenario qemu_pc(std::string_view ram = "4G");

}  // namespace presets

/// A machine known by name.
struct PresetInfo {
    std::string name;         ///< e.g. "q35-4g"
    std::string description;  ///< one line for people
};

/// All presets, in the order in which people expect them in a list.
[[nodiscard]] std::vector<PresetInfo> preset_list();

/// By name; besides the names of the list also "q35-SIZE" and "pc-SIZE" for any size ("q35-16t").
/// @throws Error  unknown name, with the names that there are
[[nodiscard]] BootScenario preset(std::string_view name);

}  // namespace pgsim
