// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <vector>

#include "pgsim/base/range.hpp"
#include "pgsim/firmware/boot_params.hpp"

namespace pgsim::kernel {

struct Kernel;

/// The list that the loader left, read from simulated memory node by node as the kernel does, with the E820 entries of
/// SETUP_E820_EXT nodes. [linux-6.6 arch/x86/kernel/setup.c parse_setup_data(); spec R5.5]
/// @throws Halted  (panic) when the list does not end
[[nodiscard]] std::vector<firmware::SetupData> read_setup_data(Kernel& kernel);

/// Where firmware put an iBFT, whole pages: memory is searched for its signature from 512 KiB to 1 MiB. Empty when
/// there is none, or when EFI booted the machine. [linux-6.6 drivers/firmware/iscsi_ibft_find.c; spec R5.18]
[[nodiscard]] std::vector<PhysRange> find_ibft_region(Kernel& kernel);

}  // namespace pgsim::kernel
