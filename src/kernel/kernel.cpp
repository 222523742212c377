// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/kernel.hpp"

#include <utility>

namespace pgsim::kernel {

namespace {

Memblock::Setup memblock_setup(const BootInputs& inputs) {
    Memblock::Setup setup;
    setup.max_numnodes = static_cast<int>(inputs.config.max_numnodes());
    setup.empty_has_dummy = inputs.series.memblock_empty_has_dummy;
    setup.fixed_array_panics = inputs.series.memblock_fixed_array_panics;
    if (inputs.layout.has("memblock_memory_init_regions") && inputs.layout.has("memblock_reserved_init_regions")) {
        setup.memory_array = inputs.layout.va("memblock_memory_init_regions");
        setup.reserved_array = inputs.layout.va("memblock_reserved_init_regions");
    }
    return setup;
}

void check(const RegisterResult& result, const char* what) {
    if (result.ok()) {
        return;
    }
    std::string message = std::string{"#GP at a write to "} + what;
    if (result.fault) {
        message += ": " + std::string{to_string(*result.fault)};
    }
    throw Halted{{Halt::Kind::machine_stop, std::move(message), what, {}}};
}

}  // namespace

Kernel::Kernel(const BootInputs& boot_inputs, Machine& on)
    : inputs{boot_inputs},
      machine{on},
      memory{on},
      e820{128 + 3 * boot_inputs.config.max_numnodes()},
      memblock{memblock_setup(boot_inputs)} {
    state.nr_node_ids = inputs.config.max_numnodes();
    state.direct_gbpages = inputs.config.enabled("X86_DIRECT_GBPAGES");
    // The decompressor reads the same command line before setup_arch does; only these words steer it.
    params.no5lvl = cmdline_find_option_bool(inputs.boot_params.cmdline, "no5lvl");
    params.nokaslr = cmdline_find_option_bool(inputs.boot_params.cmdline, "nokaslr");
}

const CpuState& Kernel::cpu() const {
    return machine.cpu();
}

unsigned Kernel::levels() const {
    return (machine.cpu().cr4 & Cr4::la57) != 0 ? 5 : 4;
}

void Kernel::write_cr0(std::uint64_t value) {
    check(machine.mov_cr0(value), "CR0");
}

void Kernel::write_cr3(std::uint64_t value) {
    check(machine.mov_cr3(value), "CR3");
}

void Kernel::write_cr4(std::uint64_t value) {
    check(machine.mov_cr4(value), "CR4");
}

void Kernel::write_efer(std::uint64_t value) {
    check(machine.wrmsr_efer(value), "EFER");
}

void Kernel::far_jump_to_64bit() {
    machine.load_cs(true);
}

void Kernel::switch_paging_levels(std::uint64_t top) {
    machine.load_cs(false);
    write_cr0(cpu().cr0 & ~Cr0::pg);
    write_cr3(top);
    if ((cpu().efer & Efer::lme) == 0) {
        write_efer(cpu().efer | Efer::lme);
    }
    write_cr4(cpu().cr4 ^ Cr4::la57);
    write_cr0(cpu().cr0 | Cr0::pg);
    machine.load_cs(true);
}

void Kernel::jump_to(VirtAddr target) {
    const AccessResult result = machine.fetch(target);
    if (!result.ok()) {
        throw Halted{{Halt::Kind::machine_stop, to_string(*result.stop), result.stop->origin, {}}};
    }
}

void Kernel::on_page_fault(std::function<bool(std::uint64_t, std::uint32_t)> handler) {
    machine.set_exception_handler(Vector::pf, [handler = std::move(handler)](Machine&, const ExceptionFrame& frame) {
        return handler(frame.virt.value(), frame.error_code) ? HandlerResult::retry : HandlerResult::not_handled;
    });
}

void Kernel::no_page_fault_handler() {
    machine.set_exception_handler(Vector::pf, {});
}

Machine::OriginScope Kernel::origin(std::string_view function, std::string_view rule) {
    return machine.origin(function, stage, rule);
}

void endless_loop(std::string message, std::string function, std::string rule) {
    throw Halted{{Halt::Kind::endless_loop, std::move(message), std::move(function), std::move(rule)}};
}

}  // namespace pgsim::kernel
