// SPDX-License-Identifier: GPL-2.0-only
// Exercises on the first page tables of a Linux kernel.
#include <fmt/format.h>

#include <array>
#include <stdexcept>

#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/firmware/boot_loader.hpp"
#include "pgsim/kernel/boot_stages.hpp"
#include "pgsim/kernel/kernel.hpp"
#include "pgsim/scenario/boot.hpp"
#include "pgsim/scenario/presets.hpp"
#include "scenario/exercise_parts.hpp"

namespace pgsim::exercises {

namespace {

struct Slot {
    std::string name;  // of the field
    std::string table;
    unsigned index;
};

void startup_64(SplitMix64& random, Exercise& exercise) {
    BootScenario scenario = presets::qemu_q35("4G");
    const std::uint64_t link = scenario.inputs.layout.text_pa.value();
    const std::uint64_t delta = random.between(1, 600) * 2 * MiB;
    scenario.inputs.layout.text_pa = PhysAddr{link + delta};
    const Boot boot = run(scenario, {.until = "startup_64_fixups.exit"});
    const MemorySnapshot& before = boot.at("kernel.startup_64").machine.memory;
    const MemorySnapshot& after = boot.at("startup_64_fixups.exit").machine.memory;
    const kernel::KernelLayout& layout = scenario.inputs.layout;
    const unsigned text_pmd = static_cast<unsigned>((layout.va("_text").value() >> 21) & 511);
    const std::array slots{Slot{"pgd511", "early_top_pgt", 511}, Slot{"pud510", "level3_kernel_pgt", 510},
                           Slot{"pud511", "level3_kernel_pgt", 511},
                           Slot{"pmd", "level2_kernel_pgt", text_pmd + static_cast<unsigned>(random.below(4))},
                           Slot{"fixmap", "level2_fixmap_pgt", 506}};
    exercise.text = fmt::format(
        "A Linux 6.6 kernel is linked to run with _text at physical {} (linear {}) and level3_kernel_pgt at linear {}; "
        "KASLR has put the image to physical {} instead. When __startup_64 begins, the tables that were linked into "
        "the "
        "image hold, in these entries:\n\n",
        hex(link), hex(layout.va("_text").value()), hex(layout.va("level3_kernel_pgt").value()), hex(link + delta));
    exercise.solution = fmt::format(
        "The distance (phys_base's change) is {} - {} = {}. It is added to every entry that names a "
        "place in the image:\n\n",
        hex(link + delta), hex(link), hex(delta));
    for (const Slot& slot : slots) {
        const PhysAddr at = layout.pa(slot.table) + std::uint64_t{8} * slot.index;
        const std::uint64_t old = before.read64(at);
        const std::uint64_t now = after.read64(at);
        exercise.text += fmt::format("  {:<18} [{:3}]  {}\n", slot.table, slot.index, hex16(old));
        ExerciseField field =
            address(slot.name, fmt::format("{}[{}] afterwards", slot.table, slot.index), now,
                    old == 0 ? "It names level3_kernel_pgt where that lies now, with the flags of the other entries "
                               "that name tables."
                             : "The kernel adds the distance between where it was linked to be and where it is, once.");
        if (old != now) {
            field.slips.emplace_back(hex(old),
                                     "Does that still name the place where the table (or the text) really is?");
        }
        exercise.fields.push_back(std::move(field));
        exercise.solution += fmt::format("  {}[{}]: {} -> {}{}\n", slot.table, slot.index, hex16(old), hex16(now),
                                         now - old == delta ? "" : "  (made anew: it names level3_kernel_pgt)");
    }
    exercise.text += "\nWhat do they hold when __startup_64 returns?\n";
}

// A kernel that stands at setup_arch.entry, with the early #PF handler installed, and can be driven by hand.
struct EarlyKernel {
    BootScenario scenario = presets::qemu_q35("16G");
    Machine machine{scenario.inputs.cpu};
    kernel::Kernel kernel{scenario.inputs, machine};

    EarlyKernel() {
        firmware::map_physical_memory(machine.memory(), scenario.inputs.boot_params, {});
        firmware::load_boot_params(machine.memory(), scenario.inputs.boot_params);
        for (const kernel::BootStage& stage : kernel::boot_stages()) {
            if (const auto halt = run_stage(kernel, stage)) {
                throw Error{"exercise", halt->message};
            }
            if (stage.checkpoint == "setup_arch.entry") {
                return;
            }
        }
    }
};

void early_faults(SplitMix64& random, Exercise& exercise) {
    EarlyKernel early;
    kernel::KernelState& state = early.kernel.state;
    std::string areas;
    for (const VirtAddr fault : state.early_faults) {
        areas += ' ' + hex(fault.align_down(2 * MiB) - VirtAddr{state.page_offset_base});
    }
    exercise.text = fmt::format(
        "A Linux 6.6 kernel (4-level, no KASLR, the direct map at {}) is in setup_arch, before init_mem_mapping; CR3 "
        "names "
        "early_top_pgt.\nThe early page-fault handler maps the 2 MiB around each address that faults, with tables from "
        "early_dynamic_pgts;\n{} of these 64 tables are taken. In the direct map, these 2-MByte pieces (physical) are "
        "mapped "
        "so far:{}.\nNow the kernel reads, through the direct map, the physical addresses\n\n",
        hex(state.page_offset_base), state.next_early_pgt, areas.empty() ? " none" : areas);
    const std::size_t faults_before = state.early_faults.size();
    const unsigned tables_before = state.next_early_pgt;
    std::vector<std::uint64_t> picked;
    for (unsigned i = 1; i <= 6; ++i) {
        std::uint64_t pa = 0;
        if (i > 1 && random.chance(3)) {
            pa = picked[random.below(picked.size())] & ~(2 * MiB - 1);
            pa += random.below(2 * MiB);
        } else {
            pa = random.chance(3) ? random.between(32 * MiB, 2 * GiB - 64 * MiB) : random.between(4 * GiB, 9 * GiB);
        }
        pa &= ~std::uint64_t{7};
        picked.push_back(pa);
        const std::size_t faults = state.early_faults.size();
        const unsigned tables = state.next_early_pgt;
        if (!early.machine.load64(early.kernel.va(pa)).ok()) {
            throw Error{"exercise", "the early handler could not map an address"};
        }
        exercise.text += fmt::format("  {}. {}\n", i, hex(pa));
        exercise.solution += fmt::format(
            "  {}. {} (GByte {}, 2-MByte piece {}): {}\n", i, hex(pa), pa / GiB, hex(pa & ~(2 * MiB - 1)),
            state.early_faults.size() == faults ? std::string{"mapped already, no fault"}
                                                : "a fault, " + counted(state.next_early_pgt - tables, "new table"));
    }
    exercise.text +=
        "\nHow many page faults are there, and how many tables of early_dynamic_pgts are taken in the end?\n";
    exercise.fields = {
        number("faults", "page faults of these six reads", state.early_faults.size() - faults_before,
               "Only the first read in each 2-MByte piece faults."),
        number("tables", "early_dynamic_pgts taken in the end", state.next_early_pgt,
               "A fault needs a page-directory-pointer table if none is there for its 512 GiB, and a page directory "
               "if none is there for its GByte. Tables taken before count, too.")};
    exercise.fields[1].slips.emplace_back(std::to_string(state.next_early_pgt - tables_before),
                                          "Those are the new ones; some were taken before.");
    exercise.solution += fmt::format("\n{} faults; {} + {} = {} tables.\n", state.early_faults.size() - faults_before,
                                     tables_before, state.next_early_pgt - tables_before, state.next_early_pgt);
}

constexpr std::array exercises_here{
    ExerciseEntry{{"startup-64", "The fixups of __startup_64 after KASLR"}, startup_64},
    ExerciseEntry{{"early-faults", "Early page faults and early_dynamic_pgts"}, early_faults}};

}  // namespace

std::span<const ExerciseEntry> early_exercises() {
    return exercises_here;
}

}  // namespace pgsim::exercises
