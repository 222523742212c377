// SPDX-License-Identifier: GPL-2.0-only
#include "source.hpp"

#include <filesystem>

#include "pgsim/base/error.hpp"
#include "pgsim/formats/capture_space.hpp"
#include "pgsim/formats/text_file.hpp"
#include "pgsim/scenario/boot_scenario.hpp"

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

void SourceOptions::add_to(CLI::App& command) {
    command.add_option("--capture", capture, "look at the tables of a boot capture (.json or .json.xz)")
        ->type_name("FILE")
        ->required();
    command.add_option("--at", at, "the checkpoint; the last one if not given")->type_name("CHECKPOINT");
    command.add_option("--root", root, "another root of the checkpoint, by name (init_top_pgt, cr3, task.user, ...)")
        ->type_name("NAME");
}

Scene SourceOptions::load() const {
    return scene_of_capture(capture, at, root);
}

}  // namespace pgsim::cli
