// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pgsim/kernel/e820_setup.hpp"
#include "pgsim/kernel/kernel_config.hpp"

namespace pgsim::kernel {

/// A number with an optional suffix K, M, G, T, P or E (either case), in base 10, 8 (0…) or 16 (0x…).
/// @return the value modulo 2^64 and how many characters were taken (0: no number there, value 0)
[[nodiscard]] std::pair<std::uint64_t, std::size_t> memparse(std::string_view text) noexcept;

/// "name" and "value" (nullopt without '=') of each argument in order; quotes are taken off; what follows "--" is not
/// the kernel's.
struct CommandLineArgument {
    std::string name;
    std::optional<std::string> value;
};
[[nodiscard]] std::vector<CommandLineArgument> split_command_line(std::string_view cmdline);

/// The last value of `option=`, or nullopt. As the decompressor and pti= look for it. [linux-6.6
/// arch/x86/lib/cmdline.c]
[[nodiscard]] std::optional<std::string> cmdline_find_option(std::string_view cmdline, std::string_view option);
/// True iff `option` stands there as a word of its own.
[[nodiscard]] bool cmdline_find_option_bool(std::string_view cmdline, std::string_view option) noexcept;

enum class PtiMode : std::uint8_t { automatic, on, off };

/// What the command line says about memory, as the kernel's own variables. [spec R5.8, R6.2, R6.3, R7.1, R8.11a]
struct EarlyParams {
    bool e820_userdef = false;              ///< mem= or memmap= was there: update_table runs in finish_early_params
    bool movable_node = false;              ///< needs MEMORY_HOTPLUG
    bool mirrored_kernelcore = false;       ///< kernelcore=mirror
    std::uint64_t required_kernelcore = 0;  ///< pages
    std::uint64_t required_kernelcore_percent = 0;
    std::uint64_t required_movablecore = 0;  ///< pages
    std::uint64_t required_movablecore_percent = 0;
    bool numa_off = false;
    bool numa_noacpi = false;     ///< numa=noacpi
    std::string numa_fake;        ///< what follows numa=fake=; needs NUMA_EMU
    std::optional<bool> gbpages;  ///< gbpages / nogbpages, the last one; else the configuration decides
    bool nopcid = false;
    bool no5lvl = false;
    bool nokaslr = false;
    PtiMode pti = PtiMode::automatic;   ///< pti=, nopti and mitigations=off together [spec R6.2]
    std::uint64_t new_log_buf_len = 0;  ///< bytes, a power of two; 0: the built-in buffer stays
    bool memblock_debug = false;
    bool disable_mtrr_trim = false;
    bool memtest = false;
};

/// parse_early_param: goes through the command line in order; mem= and memmap= change `e820` at once. Arguments that
/// make no sense are ignored, as the kernel does. [spec R5.1 step 7, R5.8]
[[nodiscard]] EarlyParams parse_early_param(std::string_view cmdline, const KernelConfig& config, E820& e820);

/// setup_log_buf: the three blocks of a larger log buffer. False when it does not fit (the built-in one stays).
/// [spec R7.1 #1]
bool setup_log_buf(const EarlyParams& params, Memblock& memblock);

}  // namespace pgsim::kernel
