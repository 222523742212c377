// SPDX-License-Identifier: GPL-2.0-only
// A run of a script as JSON.
#include <nlohmann/json.hpp>

#include "pgsim/base/units.hpp"
#include "pgsim/scenario/process_script.hpp"

namespace pgsim {

namespace {

using Json = nlohmann::ordered_json;

Json of(const ProcessState& s) {
    return {{"pgtable_pages", s.pgtable_pages},
            {"present", s.present},
            {"rss", s.rss},
            {"zero_page", s.zero_page},
            {"anon", s.anon},
            {"swap", s.swap},
            {"exclusive", s.exclusive},
            {"pfn_shared_with_others", s.pfn_shared_with_others},
            {"thp", s.thp},
            {"vmas", s.vmas}};
}

Json of(const OperationOutcome& outcome) {
    Json out{{"minflt", outcome.minflt},
             {"majflt", outcome.majflt},
             {"pages_became_present", outcome.pages_became_present},
             {"pages_no_longer_present", outcome.pages_no_longer_present},
             {"pages_frame_changed", outcome.pages_frame_changed},
             {"result", outcome.result}};
    if (outcome.signal) {
        out["signal"] = {{"signo", outcome.signal->signo},
                         {"si_code", outcome.signal->si_code},
                         {"si_addr", hex(outcome.signal->si_addr)}};
    }
    if (!outcome.loaded.empty()) {
        out["loaded"] = outcome.loaded;
    }
    return out;
}

Json of(const ProcessView& process) {
    Json out{{"name", process.name},
             {"state", of(process.state)},
             {"minflt", process.minflt},
             {"majflt", process.majflt},
             {"in_cr3", process.in_cr3}};
    Json& areas = out["areas"] = Json::array();
    for (const AreaView& area : process.areas) {
        areas.push_back({{"start", hex(area.start.value())},
                         {"end", hex(area.end.value())},
                         {"rights", area.rights},
                         {"backing", area.backing},
                         {"offset", hex(area.offset)},
                         {"flags", area.flags}});
    }
    Json& pages = out["pages"] = Json::array();
    for (const MappedPageView& page : process.pages) {
        Json one{{"address", hex(page.address.value())},
                 {"kind", to_string(page.kind)},
                 {"entry", hex(page.entry)},
                 {"writable", page.writable},
                 {"accessed", page.accessed},
                 {"dirty", page.dirty}};
        if (page.kind == MappedKind::swapped) {
            one["swap_slot"] = page.swap_slot;
        } else {
            one["pfn"] = hex(page.pfn.value());
        }
        if (page.huge) {
            one["huge"] = true;
        }
        pages.push_back(std::move(one));
    }
    Json& tables = out["tables"] = Json::array();
    for (const TablePageView& table : process.tables) {
        tables.push_back({{"level", number(table.level)},
                          {"base", hex(table.base.value())},
                          {"pfn", hex(table.pfn.value())},
                          {"entries", table.entries}});
    }
    return out;
}

Json of(const ProcessesView& view) {
    Json out;
    Json& processes = out["processes"] = Json::array();
    for (const ProcessView& process : view.processes) {
        processes.push_back(of(process));
    }
    Json& frames = out["frames"] = Json::array();
    for (const auto& [pfn, frame] : view.frames) {
        Json one{{"pfn", hex(pfn)},           {"refcount", frame.refcount},   {"mapcount", frame.mapcount},
                 {"kind", frame.kind},        {"exclusive", frame.exclusive}, {"dirty", frame.dirty},
                 {"index", hex(frame.index)}, {"list", frame.list},           {"swap_cache", frame.in_swap_cache}};
        if (frame.head != frame.pfn) {
            one["head"] = hex(frame.head.value());
        }
        Json& by = one["mapped_by"] = Json::array();
        for (const auto& [process, address] : frame.mapped_by) {
            by.push_back({view.processes[process].name, hex(address.value())});
        }
        frames.push_back(std::move(one));
    }
    out["free_pages"] = view.free_pages;
    out["lru"] = {{"inactive_anon", view.lru[0]},
                  {"active_anon", view.lru[1]},
                  {"inactive_file", view.lru[2]},
                  {"active_file", view.lru[3]},
                  {"unevictable", view.lru[4]}};
    out["swap"] = {{"slots", view.swap_slots}, {"free", view.free_swap_slots}};
    return out;
}

Json of(const StoryStep& step) {
    Json out{{"line", step.line.number}, {"text", step.line.text}};
    if (!step.line.comment.empty()) {
        out["comment"] = step.line.comment;
    }
    out["outcome"] = of(step.outcome);
    out["cycles"] = step.cycles.count();
    out["pages_allocated"] = step.pages_allocated;
    out["pages_freed"] = step.pages_freed;
    Json& counted = out["counters"] = Json::object();
    for (const auto& [name, by] : step.counters) {
        counted[name] = by;
    }
    Json& trace = out["trace"] = Json::array();
    for (const kernel::TraceStep& passed : step.trace) {
        trace.push_back({{"function", passed.function}, {"what", passed.what}, {"cycle", passed.at.count()}});
    }
    if (step.trace_left_out != 0) {
        out["trace_left_out"] = step.trace_left_out;
    }
    Json& changes = out["changes"] = Json::array();
    for (const PageChange& change : step.changes) {
        changes.push_back({{"process", change.process},
                           {"address", hex(change.address.value())},
                           {"before", hex(change.before)},
                           {"after", hex(change.after)},
                           {"huge", change.huge}});
    }
    Json& states = out["state"] = Json::object();
    for (const auto& [name, state] : step.states) {
        states[name] = of(state);
    }
    if (!step.killed.empty()) {
        out["killed"] = step.killed;
    }
    for (const StaleTranslation& stale : step.stale) {
        out["stale"].push_back({{"address", hex(stale.address.value())},
                                {"pfn", hex(stale.pfn.value())},
                                {"writable", stale.writable},
                                {"entry", hex(stale.entry)}});
    }
    for (const ForeignWrite& write : step.foreign_writes) {
        out["foreign_writes"].push_back(
            {{"process", write.process}, {"address", hex(write.address.value())}, {"pfn", hex(write.pfn.value())}});
    }
    if (!step.broken.empty()) {
        out["broken"] = step.broken;
    }
    if (!step.stopped.empty()) {
        out["stopped"] = step.stopped;
    }
    if (!step.after.processes.empty()) {
        out["after"] = of(step.after);
    }
    return out;
}

}  // namespace

std::string to_json(const ProcessStory& story) {
    Json out{{"format", "pgsim-story/1"}};
    if (!story.before.processes.empty()) {
        out["before"] = of(story.before);
    }
    Json& steps = out["steps"] = Json::array();
    for (const StoryStep& step : story.steps) {
        steps.push_back(of(step));
    }
    return out.dump(1) + '\n';
}

}  // namespace pgsim
