// SPDX-License-Identifier: GPL-2.0-only
// Four tables written by hand, and what the MMU makes of them.
#include <fmt/core.h>

#include <cstdlib>
#include <pgsim/fmt.hpp>
#include <pgsim/pgsim.hpp>

using namespace pgsim;

int main() try {
    // [tables]
    PhysicalMemory memory;
    memory.map_region({0x0_pa, 0x100000_pa}, RegionKind::ram);
    memory.write64(0x1000_pa + 8 * 511, 0x2007);       // PML4[511]: P RW US  -> PDPT at 0x2000
    memory.write64(0x2000_pa + 8 * 510, 0x3005);       // PDPT[510]: P    US  -> PD at 0x3000, not writable
    memory.write64(0x3000_pa + 8 * 8, 0x4007);         // PD[8]:     P RW US  -> PT at 0x4000
    memory.write64(0x4000_pa + 8 * 0, 0x1'2340'0007);  // PT[0]:     P RW US  -> the page at 0x123400000
    // [/tables]

    // [walk]
    PagingControls controls;
    controls.root = 0x1000_pa;
    controls.cr0_wp = true;
    const Walker walker{memory, controls};

    const VirtAddr virt = 0xffff'ffff'8100'0123_va;
    fmt::print("{}\n", walker.walk(virt));
    fmt::print("{}\n", walker.walk(virt, {.kind = AccessKind::write, .cpl = 3}));
    // [/walk]

    // [ask]
    const WalkResult write = walker.walk(virt, {.kind = AccessKind::write, .cpl = 3});
    const PageFault* fault = write.page_fault();
    for (const WalkStep& step : write.steps()) {
        fmt::print("{:6} writable so far: {}\n", entry_name(step.entry.level()), step.rights.writable);
    }
    // [/ask]
    const bool as_the_manual_says = fault != nullptr && fault->error_code == 0b111;  // P, W/R, U/S
    return as_the_manual_says ? EXIT_SUCCESS : EXIT_FAILURE;
} catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return EXIT_FAILURE;
}
