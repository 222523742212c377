// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <vector>

#include "pgsim/base/address.hpp"

namespace pgsim::kernel {

struct Kernel;

/// One leaf of vmemmap, as old kernels logged it: VA, backing, node.
struct VmemmapBlock {
    VirtAddr start;
    PhysAddr backing;
    std::uint64_t size = 0;  ///< bytes: 2 MiB or 4 KiB
    int nid = 0;
};

/// Sections, their usage maps, and the array of struct pages mapped at vmemmap_base.
/// [linux-6.6 mm/sparse.c sparse_init(), mm/sparse-vmemmap.c, arch/x86/mm/init_64.c; spec R8.1–R8.8]
void sparse_init(Kernel& kernel);

}  // namespace pgsim::kernel
