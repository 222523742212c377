// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>

#include "pgsim/base/address.hpp"

namespace pgsim::kernel {

struct Kernel;

/// Variables of the decompressor (the compressed image's own program), where it has them.
struct DecompressorState {
    std::uint64_t load = 0;          ///< address of startup_32: byte 0 of the loaded image
    std::uint64_t base = 0;          ///< where the image wants to run [spec R1.4]
    std::uint64_t target = 0;        ///< where byte 0 of the image is copied to
    std::uint64_t pgtable = 0;       ///< 32 pages for tables
    std::uint64_t top_pgtable = 0;   ///< 1 page for a 5-level root
    std::uint64_t pgt_buf = 0;       ///< pool of table pages: first byte
    std::uint64_t pgt_buf_size = 0;  ///< bytes
    std::uint64_t pgt_buf_offset = 0;
    std::uint64_t top_level_pgt = 0;
    std::uint64_t output = 0;  ///< where the kernel proper was put
};

/// startup_32: six tables that map [0, 4 GiB) one to one with 2-MByte pages, and the switch to long mode.
/// Runs in protected mode without paging. [linux-6.6 arch/x86/boot/compressed/head_64.S; spec R1.1–R1.6]
void startup_32(Kernel& kernel);

/// The decompressor's startup_64 up to the jump into the copy: CR4, the paging-level switch, the copy of the image,
/// the on-demand identity map. [linux-6.6 arch/x86/boot/compressed/head_64.S, pgtable_64.c, ident_map_64.c;
/// spec R1.7–R1.12, R2.1–R2.6]
void decompressor_startup_64(Kernel& kernel);

/// extract_kernel: puts the kernel proper, relocated, at the chosen address; its pages are mapped as they are touched.
/// [linux-6.6 arch/x86/boot/compressed/misc.c; spec R2.6–R2.15, R3.2]
void extract_kernel(Kernel& kernel);

/// Maps [start, end), widened to 2 MiB, one to one in the decompressor's tables. [spec R2.3]
void kernel_add_identity_map(Kernel& kernel, std::uint64_t start, std::uint64_t end);

}  // namespace pgsim::kernel
