// SPDX-License-Identifier: GPL-2.0-only
#include "source.hpp"

#include <filesystem>

#include "pgsim/base/error.hpp"
#include "pgsim/formats/capture_space.hpp"
#include "pgsim/formats/text_file.hpp"
#include "pgsim/scenario/boot_scenario.hpp"
#include "pgsim/scenario/presets.hpp"

namespace pgsim::cli {

namespace {

using formats::Capture;
using formats::CaptureCheckpoint;

const CaptureCheckpoint& checkpoint_of(const Capture& capture, const std::string& name, const std::string& file) {
    if (capture.checkpoints.empty()) {
        throw Error{file, "the capture has no checkpoint"};
    }
    if (name.empty()) {
        return capture.checkpoints.back();
    }
    if (const CaptureCheckpoint* found = capture.find(name)) {
        return *found;
    }
    std::string names;
    for (const CaptureCheckpoint& checkpoint : capture.checkpoints) {
        names += (names.empty() ? "" : ", ") + checkpoint.name;
    }
    throw Error{file, "no checkpoint is called \"" + name + "\"; there are: " + names};
}

formats::TableNames names_in(const CaptureCheckpoint& checkpoint) {
    formats::TableNames names;
    for (const formats::CaptureRoot& root : checkpoint.extra_roots) {
        names.emplace(PhysAddr{root.pa}, root.name);
    }
    if (checkpoint.extra_tables) {
        for (const formats::CaptureTable& table : *checkpoint.extra_tables) {
            names.emplace(PhysAddr{table.pa}, table.name);
        }
    }
    return names;
}

// The kernel's static tables, by the symbols of the layout.
void add_static_tables(formats::TableNames& names, const kernel::KernelLayout& layout) {
    for (const char* symbol :
         {"init_top_pgt", "early_top_pgt", "level4_kernel_pgt", "level3_kernel_pgt", "level3_ident_pgt",
          "level2_kernel_pgt", "level2_fixmap_pgt", "level2_ident_pgt", "level1_fixmap_pgt"}) {
        if (layout.has(symbol)) {
            names.emplace(layout.pa(symbol), symbol);
        }
    }
}

formats::KernelAreas areas_of(const kernel::KernelLayout& layout, unsigned levels) {
    formats::KernelAreas areas = formats::KernelAreas::standard(levels);
    areas.page_offset = layout.page_offset_base.value_or(areas.page_offset);
    areas.vmalloc = layout.vmalloc_base.value_or(areas.vmalloc);
    areas.vmemmap = layout.vmemmap_base.value_or(areas.vmemmap);
    return areas;
}

}  // namespace

Scene scene_of_capture(const std::string& text, const std::string& fallback, const std::string& root) {
    std::string file = text;
    std::string name = fallback;
    const std::size_t colon = text.rfind(':');
    if (colon != std::string::npos && !std::filesystem::exists(text)) {
        file = text.substr(0, colon);
        name = text.substr(colon + 1);
    }
    const std::string json = formats::read_text_maybe_xz(file, formats::max_capture_bytes);
    const Capture capture = formats::parse_capture(json, file);
    const CaptureCheckpoint& checkpoint = checkpoint_of(capture, name, file);
    const BootScenario scenario = scenario_from_capture(json, file);
    formats::TableNames names = names_in(checkpoint);
    add_static_tables(names, scenario.inputs.layout);
    PagingControls controls = formats::controls_of(checkpoint, root);
    controls.maxphyaddr = static_cast<std::uint8_t>(scenario.inputs.cpu.maxphyaddr());
    return {capture.name + " at " + checkpoint.name + (root.empty() ? "" : ", root " + root),
            AddressSpace{formats::memory_of(checkpoint), controls}, std::move(names),
            formats::linux_markers(areas_of(scenario.inputs.layout, checkpoint.levels))};
}

Scene scene_of_boot(const Boot& boot, const Checkpoint& checkpoint, const std::string& root) {
    const kernel::BootInputs& inputs = boot.scenario().inputs;
    PagingControls controls = PagingControls::from(checkpoint.cpu(), inputs.cpu);
    const PhysAddr cr3_root = controls.root;
    controls.root = checkpoint.root();
    if (root == "cr3") {
        controls.root = cr3_root;
    } else if (!root.empty()) {
        controls.root = inputs.layout.pa(root);
    }
    formats::TableNames names;
    add_static_tables(names, inputs.layout);
    return {boot.scenario().name + " at " + checkpoint.name + (root.empty() ? "" : ", root " + root),
            AddressSpace{checkpoint.machine.memory, controls}, std::move(names),
            formats::linux_markers(areas_of(inputs.layout, checkpoint.levels()))};
}

void MachineOptions::add_to(CLI::App& command) {
    const char* const group = "Machine (a 4 GiB QEMU q35 if not given)";
    auto* by_preset = command.add_option("--preset", preset, "a machine known by name, see pgsim presets")
                          ->type_name("NAME")
                          ->group(group);
    auto* by_map = command.add_option("--e820", e820, "a machine file, boot log, memmap list or /sys/firmware/memmap")
                       ->type_name("FILE")
                       ->group(group)
                       ->excludes(by_preset);
    auto* by_capture = command.add_option("--like", like, "the inputs of a capture; never its tables")
                           ->type_name("FILE")
                           ->group(group)
                           ->excludes(by_preset)
                           ->excludes(by_map);
    command.add_flag("--this-machine", this_machine, "this very computer")
        ->group(group)
        ->excludes(by_preset)
        ->excludes(by_map)
        ->excludes(by_capture);
    command.add_option("--cpu", cpu, "the processor, e.g. qemu64,+la57,-nx")->type_name("NAME")->group(group);
    command.add_option("--kernel", kernel, "6.1, 6.6 or 6.12")->type_name("SERIES")->group(group);
    command.add_option("--cmdline", cmdline, "the kernel's command line")->type_name("TEXT")->group(group);
    command.add_option("--numa", numa, "NUMA nodes: a number, sizes \"1G,3G\", or off")
        ->type_name("NODES")
        ->group(group);
}

BootScenario MachineOptions::scenario() const {
    BootScenario result = !preset.empty() ? pgsim::preset(preset)
                          : !e820.empty() ? load_scenario(e820)
                          : !like.empty() ? load_scenario(like)
                          : this_machine  ? scenario_from_this_machine()
                                          : presets::qemu_q35();
    if (!kernel.empty()) {
        use_kernel(result, kernel);
    }
    if (!cpu.empty()) {
        use_cpu(result, cpu);
    }
    if (cmdline) {
        result.inputs.boot_params.cmdline = *cmdline;
    }
    if (!numa.empty()) {
        use_numa(result, numa);
    }
    check_scenario(result);
    return result;
}

Boot boot_with_progress(const BootScenario& scenario, BootOptions options) {
    Progress progress;
    options.progress = [&](std::size_t stage, std::size_t stages, std::string_view function) {
        progress.show("booting " + std::to_string(stage + 1) + '/' + std::to_string(stages) + ": " +
                      std::string{function});
    };
    return run(scenario, options);
}

void SourceOptions::add_to(CLI::App& command) {
    command.add_option("--at", at, "the checkpoint; the last one if not given")->type_name("CHECKPOINT");
    command.add_option("--root", root, "another root of the checkpoint, by name (init_top_pgt, cr3, task.user, ...)")
        ->type_name("NAME");
    command.add_option("--capture", capture, "do not boot: look at the tables in a capture (.json or .json.xz)")
        ->type_name("FILE");
    machine.add_to(command);
}

Scene SourceOptions::load() const {
    if (!capture.empty()) {
        return scene_of_capture(capture, at, root);
    }
    const Boot boot = boot_with_progress(machine.scenario(), {.until = at});
    if (!at.empty() && boot.find(at) == nullptr && boot.halt()) {
        throw Error{"checkpoint " + at,
                    "the boot ended before it, in " + boot.halt()->function + ": " + boot.halt()->message};
    }
    return scene_of_boot(boot, at.empty() ? boot.last() : boot.at(at), root);
}

}  // namespace pgsim::cli
