// SPDX-License-Identifier: GPL-2.0-only
#include <fmt/core.h>

#include <cstdlib>
#include <pgsim/fmt.hpp>
#include <pgsim/pgsim.hpp>

using namespace pgsim::literals;

int main() {
    pgsim::PhysicalMemory memory;
    memory.map_region({0x0_pa, 0x10000_pa}, pgsim::RegionKind::ram);
    memory.write64(0x1000_pa, 0x2007);      // PML4E -> 0x2000
    memory.write64(0x2000_pa, 0x40000083);  // PDPTE: one 1-GByte page at 1 GiB, supervisor
    pgsim::PagingControls controls;
    controls.root = 0x1000_pa;
    const pgsim::WalkResult walk = pgsim::Walker{memory, controls}.walk(0x1234_va);
    fmt::print("{}\n", walk);
    const bool ok = walk.translation() != nullptr && walk.translation()->phys == 0x40001234_pa;
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
