// SPDX-License-Identifier: GPL-2.0-only
// Why a boot ends in a reboot: a page fault whose handler is not mapped, a double fault that finds none, and the end.
#include <fmt/core.h>

#include <cstdlib>
#include <pgsim/fmt.hpp>
#include <pgsim/pgsim.hpp>

using namespace pgsim;

int main() try {
    // [stop]
    Machine machine{parse_cpu("qemu64")};
    machine.memory().map_region({0x0_pa, 0x200000_pa}, RegionKind::ram);
    machine.store64(0x1000_va, 0x2003);  // PML4[0] -> PDPT; paging is still off
    machine.store64(0x2000_va, 0x3003);  // PDPT[0] -> PD
    machine.store64(0x3000_va, 0x83);    // PD[0]: the first 2 MiB, and nothing else
    machine.mov_cr4(Cr4::pae);
    machine.mov_cr3(0x1000);
    machine.wrmsr_efer(Efer::lme);
    machine.mov_cr0(Cr0::pg | Cr0::pe);
    machine.load_cs(true);

    // An interrupt table is there, but its stack lies where nothing is mapped: delivery itself faults.
    machine.set_exception_handler(Vector::pf, [](Machine&, const ExceptionFrame&) { return HandlerResult::retry; });
    machine.set_exception_stack(0xffff'8880'0000'2000_va);

    const AccessResult result = machine.load64(0x20'0000_va);
    if (!result.ok()) {
        fmt::print("{}", *result.stop);
    }
    // [/stop]
    const bool shut_down = !result.ok() && result.stop->reason == MachineStop::Reason::triple_fault;
    return shut_down ? EXIT_SUCCESS : EXIT_FAILURE;
} catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return EXIT_FAILURE;
}
