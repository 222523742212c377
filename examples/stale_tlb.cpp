// SPDX-License-Identifier: GPL-2.0-only
// The lesson of the stale translation: two processors, one page made read-only, and a write that still goes through.
#include <fmt/core.h>

#include <cstdlib>
#include <pgsim/fmt.hpp>
#include <pgsim/pgsim.hpp>

using namespace pgsim;

namespace {

// Identity-maps the first 2 MiB with 4-KByte pages and enters long mode on every processor.
void enter_long_mode(Machine& machine) {
    PhysicalMemory& memory = machine.memory();
    memory.write64(0x1000_pa, 0x2003);
    memory.write64(0x2000_pa, 0x3003);
    memory.write64(0x3000_pa, 0x4003);
    for (std::uint64_t page = 0; page < 512; ++page) {
        memory.write64(0x4000_pa + page * 8, page << 12 | 3);
    }
    for (unsigned cpu = 0; cpu < machine.cpu_count(); ++cpu) {
        machine.select_cpu(cpu);
        machine.mov_cr4(Cr4::pae);
        machine.mov_cr3(0x1000);
        machine.wrmsr_efer(Efer::lme | Efer::nxe);
        machine.mov_cr0(Cr0::pg | Cr0::pe | Cr0::wp);
        machine.load_cs(true);
    }
}

}  // namespace

int main() try {
    // [lesson]
    Machine machine{parse_cpu("max"), 2};
    machine.memory().map_region({0x0_pa, 0x200000_pa}, RegionKind::ram);
    enter_long_mode(machine);
    unsigned page_faults = 0;
    machine.set_exception_handler(Vector::pf, [&](Machine&, const ExceptionFrame& frame) {
        ++page_faults;
        fmt::print("  CPU {}: #PF at {}, error code {:#x}\n", machine.current_cpu(), frame.virt, frame.error_code);
        return HandlerResult::skip;
    });

    const VirtAddr page = 0x10000_va;
    const VirtAddr pte = 0x4000_va + 8 * 0x10;  // PT[16] maps that page
    for (const unsigned cpu : {0U, 1U}) {
        machine.select_cpu(cpu);
        machine.store64(page, cpu);  // both processors now have the translation in their TLB
    }

    fmt::print("CPU 0 takes the right to write away and executes INVLPG\n");
    machine.select_cpu(0);
    machine.store64(pte, 0x10061);  // P A D, R/W = 0
    machine.invlpg(page);
    fmt::print("CPU 0 writes:\n");
    machine.store64(page, 100);
    fmt::print("CPU 1 writes:\n");
    machine.select_cpu(1);
    machine.store64(page, 101);
    fmt::print("  memory holds {}: CPU 1 used what its TLB remembered\n", machine.memory().read64(0x10000_pa));

    fmt::print("CPU 0 sends the others an IPI: they execute INVLPG too\n");
    machine.select_cpu(0);
    machine.shootdown(VirtRange::sized(page, 4096));
    fmt::print("CPU 1 writes:\n");
    machine.select_cpu(1);
    machine.store64(page, 102);
    // [/lesson]

    const bool learnt = page_faults == 2 && machine.memory().read64(0x10000_pa) == 101;
    return learnt ? EXIT_SUCCESS : EXIT_FAILURE;
} catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return EXIT_FAILURE;
}
