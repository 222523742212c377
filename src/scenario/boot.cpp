// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/scenario/boot.hpp"

#include <algorithm>

#include "pgsim/firmware/boot_loader.hpp"
#include "pgsim/kernel/boot_stages.hpp"
#include "pgsim/kernel/kernel.hpp"

namespace pgsim {

namespace {

// What the loader has put somewhere, RAM must answer there.
std::vector<PhysRange> loaded_ranges(const kernel::BootInputs& inputs) {
    const firmware::BootParams& params = inputs.boot_params;
    std::vector<PhysRange> ranges;
    const auto add = [&ranges](PhysAddr start, std::uint64_t bytes) {
        if (bytes != 0 && start != PhysAddr{}) {
            ranges.push_back(PhysRange::sized(start.align_down(4096), bytes + start.offset_in(4096)));
        }
    };
    add(inputs.layout.text_pa, inputs.layout.va("_end") - inputs.layout.va("_text"));
    const std::uint64_t base =
        std::max(params.load_address.align_up(params.kernel_alignment).value(), inputs.config.load_physical_addr());
    add(PhysAddr{base}, params.init_size);
    add(params.load_address, params.init_size / 2);
    add(params.address, firmware::zero_page::size);
    add(params.cmd_line_ptr, 2048);
    add(params.ramdisk_image, params.ramdisk_size);
    for (const firmware::AcpiTable& table : inputs.acpi_tables) {
        add(table.address, table.length);
    }
    for (const firmware::SetupData& node : params.setup_data) {
        add(node.address, 16 + std::uint64_t{node.length});
    }
    return ranges;
}

// The processor as it is: kernels set CR4.PGE and CR4.PSE without asking CPUID, and a hypervisor that hides the bits
// still accepts them. [spec R3.6]
CpuFeatures implemented(CpuFeatures cpu) {
    cpu.enable(Feature::pge);
    cpu.enable(Feature::pse);
    return cpu;
}

void check(const kernel::BootInputs& inputs) {
    const std::uint64_t limit = std::uint64_t{1} << inputs.cpu.maxphyaddr();
    for (const firmware::E820Entry& entry : inputs.boot_params.e820) {
        if (entry.type == firmware::E820Type::ram && entry.size != 0 && entry.end() > limit &&
            entry.end() > entry.start) {
            throw Error{"E820 entry " + hex(entry.start), "RAM up to " + hex(entry.end()) +
                                                              " lies beyond the CPU's MAXPHYADDR of " +
                                                              std::to_string(inputs.cpu.maxphyaddr()) + " bits"};
        }
    }
    for (const char* symbol :
         {"_text", "_end", "__bss_start", "__bss_stop", "__brk_base", "__brk_limit", "__end_of_kernel_reserve",
          "early_top_pgt", "early_dynamic_pgts", "init_top_pgt", "level3_kernel_pgt", "level2_kernel_pgt",
          "level2_fixmap_pgt", "level1_fixmap_pgt", "bm_pte", "boot_params"}) {
        if (!inputs.layout.has(symbol)) {
            throw Error{"kernel layout", std::string{"the symbol "} + symbol + " is missing"};
        }
    }
}

// R0.1: in long mode, on the loader's tables.
void enter_in_long_mode(Machine& machine, const kernel::BootInputs& inputs) {
    const std::vector<PhysRange> places = loaded_ranges(inputs);
    CpuState cpu = machine.cpu();
    cpu.cr3 = firmware::load_identity_map(machine.memory(), inputs.boot_params, places).value();
    cpu.cr0 = Cr0::pe | Cr0::et | Cr0::pg;
    cpu.cr4 = Cr4::pae | (inputs.boot_params.loader_levels == 5 ? Cr4::la57 : 0);
    cpu.efer = Efer::lme | Efer::lma;
    cpu.cs_long = true;
    machine.set_cpu_state(cpu);
}

PhysAddr root_of(const kernel::Kernel& kernel, std::string_view checkpoint) {
    if (checkpoint == "startup_64_fixups.exit") {
        return kernel.inputs.layout.pa("early_top_pgt");
    }
    return PhysAddr{kernel.cpu().cr3 & 0x000f'ffff'ffff'f000};
}

Checkpoint take(const kernel::Kernel& kernel, const kernel::BootStage& stage) {
    Checkpoint checkpoint;
    checkpoint.name = stage.checkpoint;
    checkpoint.function = stage.function;
    checkpoint.machine = kernel.machine.snapshot();
    checkpoint.kernel = kernel.state;
    checkpoint.memblock = kernel.memblock;
    checkpoint.e820 = kernel.e820.entries();
    checkpoint.e820_printed = kernel.e820.printed();
    checkpoint.numa = kernel.numa;
    checkpoint.zones = kernel.zones;
    checkpoint.free_areas = kernel.free_areas;
    const PhysicalMemory& memory = kernel.machine.memory();
    checkpoint.journal_size = memory.journal() == nullptr ? 0 : memory.journal()->records().size();
    checkpoint.stray_accesses = memory.stray_access_count();
    checkpoint.root_ = root_of(kernel, stage.checkpoint);
    return checkpoint;
}

}  // namespace

const Checkpoint* Boot::find(std::string_view name) const noexcept {
    const auto found =
        std::find_if(checkpoints_.begin(), checkpoints_.end(), [name](const Checkpoint& c) { return c.name == name; });
    return found == checkpoints_.end() ? nullptr : &*found;
}

const Checkpoint& Boot::at(std::string_view name) const {
    if (const Checkpoint* found = find(name)) {
        return *found;
    }
    std::string names;
    for (const Checkpoint& checkpoint : checkpoints_) {
        names += (names.empty() ? "" : ", ") + checkpoint.name;
    }
    throw Error{"checkpoint " + std::string{name}, "the boot has only: " + names};
}

std::vector<std::string> checkpoint_names() {
    std::vector<std::string> names;
    for (const kernel::BootStage& stage : kernel::boot_stages()) {
        names.emplace_back(stage.checkpoint);
    }
    return names;
}

Boot run(const BootScenario& scenario, const BootOptions& options) {
    const auto stages = kernel::boot_stages();
    if (!options.until.empty() && std::none_of(stages.begin(), stages.end(), [&](const kernel::BootStage& stage) {
            return stage.checkpoint == options.until;
        })) {
        throw Error{"checkpoint " + options.until, "there is no such checkpoint"};
    }
    check(scenario.inputs);
    Boot boot;
    boot.scenario_ = std::make_shared<const BootScenario>(scenario);
    const kernel::BootInputs& inputs = boot.scenario_->inputs;
    Machine machine{implemented(inputs.cpu)};
    firmware::map_physical_memory(machine.memory(), inputs.boot_params, loaded_ranges(inputs));
    firmware::load_boot_params(machine.memory(), inputs.boot_params);
    CpuState reset = machine.cpu();
    reset.mtrrs = inputs.mtrrs;
    machine.set_cpu_state(reset);
    if (inputs.boot_params.protocol == firmware::BootProtocol::bits64) {
        enter_in_long_mode(machine, inputs);
    }
    if (options.journal) {
        boot.journal_ = std::make_shared<WriteJournal>();
        machine.memory().set_journal(boot.journal_);
    }
    kernel::Kernel kernel{inputs, machine};
    for (std::size_t i = 0; i < stages.size(); ++i) {
        if (options.progress) {
            options.progress(i, stages.size(), stages[i].function);
        }
        boot.halt_ = kernel::run_stage(kernel, stages[i]);
        if (boot.halt_) {
            break;
        }
        boot.checkpoints_.push_back(take(kernel, stages[i]));
        if (stages[i].checkpoint == options.until) {
            break;
        }
    }
    const auto strays = machine.memory().stray_accesses();
    boot.strays_.assign(strays.begin(), strays.end());
    boot.vmemmap_blocks_ = std::move(kernel.vmemmap_blocks);
    return boot;
}

}  // namespace pgsim
