// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/scenario/boot_explorer.hpp"

#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "pgsim/base/units.hpp"
#include "pgsim/formats/explorer_html.hpp"
#include "pgsim/scenario/boot_capture.hpp"

namespace pgsim {

namespace {

// Frames that hold a page table at some checkpoint, reachable or named.
std::vector<Pfn> table_frames(const formats::Capture& capture) {
    std::set<Pfn> frames;
    for (const formats::CaptureCheckpoint& checkpoint : capture.checkpoints) {
        for (const formats::CaptureTable& table : checkpoint.tables) {
            frames.insert(Pfn::of(PhysAddr{table.pa}));
        }
        if (checkpoint.extra_tables) {
            for (const formats::CaptureTable& table : *checkpoint.extra_tables) {
                frames.insert(Pfn::of(PhysAddr{table.pa}));
            }
        }
    }
    return {frames.begin(), frames.end()};
}

nlohmann::json layout_of(const Boot& boot) {
    const kernel::KernelLayout& layout = boot.scenario().inputs.layout;
    const kernel::KernelState& state = boot.last().kernel;
    nlohmann::json symbols = nlohmann::json::object();
    for (const auto& [name, link_time] : layout.symbols()) {
        symbols[name] = hex(layout.va(name).value());
    }
    return {{"text_pa", hex(layout.text_pa.value())},
            {"page_offset_base", hex(state.page_offset_base)},
            {"vmalloc_base", hex(state.vmalloc_base)},
            {"vmemmap_base", hex(state.vmemmap_base)},
            {"struct_page_size", layout.struct_page_size},
            {"pglist_data_size", layout.pglist_data_size},
            {"symbols", symbols}};
}

nlohmann::json boot_params_of(const Boot& boot) {
    const kernel::BootInputs& inputs = boot.scenario().inputs;
    nlohmann::json e820 = nlohmann::json::array();
    for (const firmware::E820Entry& entry : inputs.boot_params.e820) {
        e820.push_back(
            {{"start", hex(entry.start)}, {"size", hex(entry.size)}, {"type", static_cast<unsigned>(entry.type)}});
    }
    nlohmann::json params{
        {"e820", e820},
        {"ramdisk",
         {{"start", hex(inputs.boot_params.ramdisk_image.value())}, {"size", inputs.boot_params.ramdisk_size}}}};
    if (inputs.decompressor_base) {
        params["decompressor_base"] = hex(inputs.decompressor_base->value());
    }
    return params;
}

// A simulated boot's capture form does not say what the machine was made from; the page wants it.
std::string head_of(const Boot& boot, const formats::Capture& capture) {
    nlohmann::json head{{"format", "pgsim-capture/1"},
                        {"name", capture.name},
                        {"kernel", {{"release", capture.release}, {"series", capture.series}}},
                        {"cmdline", capture.cmdline}};
    if (!capture.head_json.empty()) {
        head = nlohmann::json::parse(capture.head_json);
    }
    const CpuFeatures& cpu = boot.scenario().inputs.cpu;
    const nlohmann::json known{
        {"layout", layout_of(boot)}, {"boot_params", boot_params_of(boot)}, {"cpu", {{"phys_bits", cpu.maxphyaddr()}}}};
    for (const auto& [key, value] : known.items()) {
        if (!head.contains(key)) {
            head[key] = value;
        }
    }
    return head.dump();
}

}  // namespace

std::string explorer_document(const Boot& boot) {
    formats::Capture capture = to_capture(boot);
    capture.head_json = head_of(boot, capture);
    std::vector<std::size_t> ends;
    for (std::size_t i = 0; i < capture.checkpoints.size(); ++i) {
        const Checkpoint& checkpoint = boot.checkpoints()[i];
        capture.checkpoints[i].other_json = "{\"cycle\": " + std::to_string(checkpoint.machine.now.count()) + "}";
        ends.push_back(checkpoint.journal_size);
    }
    std::string document = formats::capture_to_json(capture);
    if (boot.journal() != nullptr) {
        document.resize(document.find_last_of('}'));
        document +=
            ", \"provenance\": " + formats::explorer_provenance(*boot.journal(), ends, table_frames(capture)) + "}";
    }
    return document;
}

}  // namespace pgsim
