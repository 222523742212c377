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

// The checkpoint's other members, with its simulated time among them.
std::string with_cycle(const std::string& other_json, Cycles now) {
    nlohmann::ordered_json other =
        other_json.empty() ? nlohmann::ordered_json::object() : nlohmann::ordered_json::parse(other_json);
    other["cycle"] = now.count();
    return other.dump();
}

}  // namespace

std::string explorer_document(const Boot& boot) {
    formats::Capture capture = to_capture(boot);
    std::vector<std::size_t> ends;
    for (std::size_t i = 0; i < capture.checkpoints.size(); ++i) {
        const Checkpoint& checkpoint = boot.checkpoints()[i];
        capture.checkpoints[i].other_json = with_cycle(capture.checkpoints[i].other_json, checkpoint.machine.now);
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
