// SPDX-License-Identifier: GPL-2.0-only
#include "source.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "pgsim/base/error.hpp"
#include "pgsim/formats/capture_space.hpp"
#include "pgsim/formats/import.hpp"
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

namespace {

Scene scene_of_capture(const std::string& json, const std::string& file, const std::string& name,
                       const std::string& root) {
    const Capture capture = formats::parse_capture(json, file);
    const CaptureCheckpoint& checkpoint = checkpoint_of(capture, name, file);
    formats::TableNames names = names_in(checkpoint);
    PagingControls controls = formats::controls_of(checkpoint, root);
    formats::KernelAreas areas = formats::KernelAreas::standard(checkpoint.levels);
    if (capture.head_json.find("\"layout\"") != std::string::npos) {
        const BootScenario scenario = scenario_from_capture(json, file);
        add_static_tables(names, scenario.inputs.layout);
        areas = areas_of(scenario.inputs.layout, checkpoint.levels);
        controls.maxphyaddr = static_cast<std::uint8_t>(scenario.inputs.cpu.maxphyaddr());
    }
    return {capture.name + " at " + checkpoint.name + (root.empty() ? "" : ", root " + root),
            AddressSpace{formats::memory_of(checkpoint), controls}, std::move(names), formats::linux_markers(areas)};
}

Scene scene_of_space(const std::string& title, const AddressSpace& space) {
    return {title, space, {}, formats::linux_markers(formats::KernelAreas::standard(space.levels()))};
}

formats::ImportKind kind_by_name(const std::string& name) {
    return name == "capture"    ? formats::ImportKind::capture
           : name == "qemu-tlb" ? formats::ImportKind::qemu_tlb
           : name == "ptdump"   ? formats::ImportKind::ptdump
           : name == "elf-core" ? formats::ImportKind::elf_core
                                : formats::ImportKind::unknown;
}

// The beginning of a file, decompressed; memory images are not read any further.
std::string head_of(const std::string& file) {
    std::ifstream stream{file, std::ios::binary};
    std::string head(6, '\0');
    stream.read(head.data(), static_cast<std::streamsize>(head.size()));
    if (head.substr(0, 5) ==
        "\xfd"
        "7zXZ") {
        return formats::read_text_maybe_xz(file, formats::max_capture_bytes).substr(0, 65536);
    }
    stream.clear();
    stream.seekg(0);
    head.resize(65536);
    stream.read(head.data(), static_cast<std::streamsize>(head.size()));
    head.resize(static_cast<std::size_t>(std::max<std::streamsize>(stream.gcount(), 0)));
    return head;
}

Scene scene_of_text(formats::ImportedSpace imported, const std::string& file, std::vector<std::string>& notes) {
    notes.insert(notes.end(), imported.notes.begin(), imported.notes.end());
    return scene_of_space(file, imported.space);
}

}  // namespace

Scene scene_of_file(const std::string& text, const std::string& fallback, const std::string& root,
                    const FileOptions& options, std::vector<std::string>& notes) {
    std::string file = text;
    std::string name = fallback;
    const std::size_t colon = text.rfind(':');
    if (colon != std::string::npos && !std::filesystem::exists(text)) {
        file = text.substr(0, colon);
        name = text.substr(colon + 1);
    }
    const auto read = [&] { return formats::read_text_maybe_xz(file, formats::max_capture_bytes); };
    std::optional<std::uint64_t> cr3;
    if (!options.cr3.empty()) {
        cr3 = parse_address(options.cr3, "--cr3");
    }
    if (!std::filesystem::is_regular_file(file)) {
        return scene_of_capture(read(), file, name, root);  // a pipe, or an error that says what is wrong
    }
    const formats::ImportKind kind =
        options.as.empty() ? formats::detect_import(head_of(file)) : kind_by_name(options.as);
    switch (kind) {
    case formats::ImportKind::capture: return scene_of_capture(read(), file, name, root);
    case formats::ImportKind::qemu_tlb:
        return scene_of_text(formats::import_qemu_tlb(read(), file, options.levels), file, notes);
    case formats::ImportKind::ptdump:
        return scene_of_text(formats::import_ptdump(read(), file, options.levels), file, notes);
    case formats::ImportKind::elf_core:
        return scene_of_space(file, formats::open_elf_core(file).space(cr3, options.levels));
    case formats::ImportKind::unknown: break;
    }
    if (options.as.empty() && !cr3) {
        throw Error{file,
                    "is neither a capture, nor info tlb or ptdump text, nor an ELF core; a raw memory image needs "
                    "--cr3"};
    }
    return scene_of_space(file, formats::open_raw_image(file).space(cr3, options.levels));
}

formats::Capture capture_of(const Scene& scene) {
    formats::Capture capture;
    capture.name = scene.title;
    formats::CaptureCheckpoint checkpoint;
    checkpoint.name = "tables";
    checkpoint.root = scene.space.root().value();
    checkpoint.levels = scene.space.levels();
    checkpoint.cpu.cr3 = checkpoint.root;
    checkpoint.cpu.efer = 0xd00;
    const RootRef root{scene.space.root(), scene.space.levels()};
    checkpoint.tables = formats::capture_tables(scene.space.memory(), std::span{&root, 1});
    capture.checkpoints.push_back(std::move(checkpoint));
    return capture;
}

bool shows_people(formats::DumpFormat format) {
    return format == formats::DumpFormat::tree || format == formats::DumpFormat::ranges ||
           format == formats::DumpFormat::boxes;
}

bool has_tables(const std::string& file) {
    const std::string head = head_of(file);
    switch (formats::detect_import(head)) {
    case formats::ImportKind::capture: return head.find("pgsim-capture/") != std::string::npos;
    case formats::ImportKind::qemu_tlb:
    case formats::ImportKind::ptdump:
    case formats::ImportKind::elf_core: return true;
    case formats::ImportKind::unknown: return false;
    }
    return false;
}

void FileOptions::add_to(CLI::App& command) {
    command.add_option("--cr3", cr3, "root of a memory image's tables, hexadecimal")
        ->type_name("ADDRESS")
        ->group("Files");
    command.add_option("--levels", levels, "4 or 5, where the file does not say")
        ->check(CLI::IsMember({4, 5}))
        ->group("Files");
    command.add_option("--as", as, "what the file is, if that is not to be told by its content")
        ->check(CLI::IsMember({"capture", "qemu-tlb", "ptdump", "elf-core", "raw"}))
        ->group("Files");
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
    command.add_option("--srat", srat, "NUMA nodes and distances: SRAT lines, numactl --hardware's table, or JSON")
        ->type_name("FILE")
        ->group(group);
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
    if (!srat.empty()) {
        use_srat(result, srat);
    }
    if (result.inputs.boot_params.cmdline.find("numa=fake=") != std::string::npos &&
        !result.inputs.config.enabled("NUMA_EMU")) {
        result.assumptions.emplace_back("numa=fake= has no effect: this build is without CONFIG_NUMA_EMU");
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
    command.add_option("--file,--capture", file)
        ->description(
            "do not boot: look at a capture, an ELF core, a raw memory image, QEMU's info tlb or Linux's "
            "ptdump text")
        ->type_name("FILE")
        ->group("Files");
    reading.add_to(command);
    machine.add_to(command);
}

Scene SourceOptions::load() const {
    if (!file.empty()) {
        std::vector<std::string> notes;
        return scene_of_file(file, at, root, reading, notes);
    }
    const Boot boot = boot_with_progress(machine.scenario(), {.until = at});
    if (!at.empty() && boot.find(at) == nullptr && boot.halt()) {
        throw Error{"checkpoint " + at,
                    "the boot ended before it, in " + boot.halt()->function + ": " + boot.halt()->message};
    }
    return scene_of_boot(boot, at.empty() ? boot.last() : boot.at(at), root);
}

}  // namespace pgsim::cli
