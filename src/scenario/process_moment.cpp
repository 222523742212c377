// SPDX-License-Identifier: GPL-2.0-only
// One moment of a run of processes as the explorer page reads it.
#include "scenario/process_moment.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "pgsim/base/units.hpp"

namespace pgsim {

namespace {

using Json = nlohmann::ordered_json;

Json area_json(const AreaView& area) {
    Json json{{"start", hex(area.start.value())},
              {"end", hex(area.end.value())},
              {"rights", area.rights},
              {"backing", area.backing}};
    if (area.backing != "anonymous") {
        json["offset"] = hex(area.offset);
    }
    if (!area.flags.empty()) {
        json["notes"] = area.flags;
    }
    return json;
}

Json process_json(const ProcessView& process) {
    Json areas = Json::array();
    for (const AreaView& area : process.areas) {
        areas.push_back(area_json(area));
    }
    const ProcessState& s = process.state;
    return {{"areas", std::move(areas)},
            {"counts",
             {{"present", s.present},
              {"rss", s.rss},
              {"anonymous", s.anon},
              {"zero page", s.zero_page},
              {"exclusive", s.exclusive},
              {"shared with others", s.pfn_shared_with_others},
              {"swapped out", s.swap},
              {"in 2 MiB pages", s.thp},
              {"table pages", s.pgtable_pages},
              {"minor faults", process.minflt},
              {"major faults", process.majflt}}}};
}

// Frames of which the same holds, one after the other. The frames of a compound page are one.
struct FrameRun {
    std::uint64_t pfn = 0;
    std::uint64_t count = 1;
    std::uint64_t pages = 1;  // of a compound page: those seen
    FrameView like;

    [[nodiscard]] bool is_file() const { return like.kind != "anonymous" && like.kind != "zero page"; }
    [[nodiscard]] bool same_state(const FrameView& next) const {
        return next.refcount == like.refcount && next.mapcount == like.mapcount && next.kind == like.kind &&
               next.exclusive == like.exclusive && next.dirty == like.dirty && next.referenced == like.referenced &&
               next.in_swap_cache == like.in_swap_cache && next.list == like.list;
    }
    [[nodiscard]] bool extend(const FrameView& next) {
        if (next.head == like.head && next.pfn != like.pfn) {
            like.mapcount = std::max(like.mapcount, next.mapcount);
            ++pages;
            return true;
        }
        const bool follows = pages == 1 && next.head == next.pfn && next.pfn.value() == pfn + count;
        if (!follows || !same_state(next) || (is_file() && next.index != like.index + count)) {
            return false;
        }
        ++count;
        return true;
    }
    [[nodiscard]] Json to_json() const {
        const bool zero = like.kind == "zero page";
        Json json{{"pfn", pages > 1 ? like.head.value() : pfn}};
        if (count > 1) {
            json["count"] = count;
        }
        if (pages > 1) {
            json["order"] = 9;
        }
        json["kind"] = zero ? "zero" : is_file() ? "file" : "anon";
        json["refcount"] = like.refcount;
        json["mapcount"] = like.mapcount;
        const auto flags = flags_of();
        if (!zero && !flags.empty()) {
            json["flags"] = flags;
        }
        if (is_file()) {
            json["file"] = like.kind;
            json["index"] = like.index;
        }
        return json;
    }
    [[nodiscard]] std::vector<std::string> flags_of() const {
        std::vector<std::string> flags;
        const std::array<std::pair<bool, std::string_view>, 4> known{{{like.exclusive, "exclusive"},
                                                                      {like.dirty, "dirty"},
                                                                      {like.referenced, "referenced"},
                                                                      {like.in_swap_cache, "in the swap cache"}}};
        for (const auto& [set, name] : known) {
            if (set) {
                flags.emplace_back(name);
            }
        }
        if (!like.list.empty()) {
            flags.push_back(like.list == "batch" ? "on its way to the LRU" : "LRU: " + like.list);
        }
        return flags;
    }
};

Json frames_json(const ProcessesView& view) {
    std::vector<FrameRun> runs;
    for (const auto& [pfn, frame] : view.frames) {
        if (runs.empty() || !runs.back().extend(frame)) {
            runs.push_back({pfn, 1, 1, frame});
        }
    }
    Json list = Json::array();
    for (const FrameRun& run : runs) {
        list.push_back(run.to_json());
    }
    return list;
}

}  // namespace

Json processes_head_json(ProcessWorld& world, const std::string& title) {
    const kernel::KernelState& state = world.kernel().state();
    const Json ram{{"start", "0x0"}, {"size", hex(state.max_pfn << 12)}, {"type", 1}};
    return {{"title", title},
            {"kernel", {{"release", "6.6"}, {"series", "6.6"}}},
            {"cpu", {{"phys_bits", world.kernel().machine().features().maxphyaddr()}}},
            {"boot_params", {{"e820", Json::array({ram})}}},
            {"layout",
             {{"page_offset_base", hex(state.page_offset_base)},
              {"vmalloc_base", hex(state.vmalloc_base)},
              {"vmemmap_base", hex(state.vmemmap_base)}}}};
}

Json moment_json(const ProcessesView& view, const std::vector<formats::CaptureRoot>& roots,
                 const std::map<std::string, std::string>& parents) {
    Json processes = Json::array();
    for (const ProcessView& process : view.processes) {
        const auto root = std::find_if(roots.begin(), roots.end(),
                                       [&](const formats::CaptureRoot& r) { return r.name == process.name; });
        Json json{{"name", process.name}, {"root", hex(root == roots.end() ? 0 : root->pa)}};
        if (const auto parent = parents.find(process.name); parent != parents.end()) {
            json["parent"] = parent->second;
        }
        json.update(process_json(process));
        processes.push_back(std::move(json));
    }
    return {{"processes", std::move(processes)}, {"frames", frames_json(view)}};
}

}  // namespace pgsim
