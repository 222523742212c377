// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/machine/exception.hpp"

#include "pgsim/base/units.hpp"

namespace pgsim {

std::string_view to_string(Vector vector) noexcept {
    switch (vector) {
    case Vector::df: return "#DF";
    case Vector::ss: return "#SS";
    case Vector::gp: return "#GP";
    case Vector::pf: return "#PF";
    }
    return "?";
}

std::string_view to_string(MachineStop::Reason reason) noexcept {
    switch (reason) {
    case MachineStop::Reason::triple_fault: return "triple fault";
    case MachineStop::Reason::unhandled_exception: return "unhandled exception";
    case MachineStop::Reason::no_progress: return "the same access faults for ever";
    case MachineStop::Reason::nested_too_deep: return "faults inside fault handlers without end";
    }
    return "?";
}

std::string to_string(const MachineStop& stop) {
    std::string text = "CPU " + std::to_string(stop.cpu_number) + " stopped at cycle " +
                       std::to_string(stop.when.count()) + ": " + std::string{to_string(stop.reason)} + "\n";
    if (!stop.origin.empty()) {
        text += "  in " + stop.origin + "\n";
    }
    for (const ExceptionFrame& frame : stop.chain) {
        text += "  " + std::string{to_string(frame.vector)} + ", error code " + hex(frame.error_code);
        if (frame.register_fault) {
            text += ": " + std::string{to_string(*frame.register_fault)};
        } else if (frame.vector != Vector::df) {
            text += ": " + to_string(frame.access) + " of " + to_string(frame.virt);
        }
        text += "\n";
    }
    const CpuState& cpu = stop.cpu;
    text += "  CR0 " + hex(cpu.cr0) + " CR2 " + hex(cpu.cr2) + " CR3 " + hex(cpu.cr3) + " CR4 " + hex(cpu.cr4) +
            " EFER " + hex(cpu.efer) + ", " + std::string{to_string(cpu.paging_mode())} + " paging\n";
    if (stop.chain.empty() || !stop.chain.front().register_fault) {
        text += "  walk of " + to_string(stop.walk);
    }
    return text;
}

}  // namespace pgsim
