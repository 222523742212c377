// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/scenario/process_explorer.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "pgsim/base/units.hpp"
#include "pgsim/formats/capture.hpp"
#include "pgsim/formats/capture_space.hpp"
#include "pgsim/formats/explorer_html.hpp"
#include "pgsim/inspect/address_space.hpp"
#include "scenario/process_moment.hpp"

namespace pgsim {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t most_ways = 200;   // of one step
constexpr std::size_t most_steps = 400;  // of one way

std::uint64_t root_of(const ProcessWorld& world, const std::string& process) {
    return world.task(process).mm->pgd_pfn << 12;
}

Json trace_json(const std::vector<kernel::TraceStep>& trace) {
    Json ways = Json::array();
    for (const TraceWay& way : ways_of(trace)) {
        if (ways.size() == most_ways) {
            break;
        }
        Json steps = Json::array();
        for (std::size_t i = 0; i < std::min(way.steps.size(), most_steps); ++i) {
            Json step{{"function", way.steps[i].function}};
            if (!way.steps[i].what.empty()) {
                step["what"] = way.steps[i].what;
            }
            steps.push_back(std::move(step));
        }
        ways.push_back({{"steps", std::move(steps)}, {"times", way.times}});
    }
    return ways;
}

Json operation_json(const StoryStep& step) {
    const OperationOutcome& outcome = step.outcome;
    Json json{{"process", step.line.operation.proc}, {"minflt", outcome.minflt},          {"majflt", outcome.majflt},
              {"cycles", step.cycles.count()},       {"allocated", step.pages_allocated}, {"freed", step.pages_freed}};
    if (outcome.signal) {
        json["signal"] = {{"signo", outcome.signal->signo},
                          {"code", outcome.signal->si_code},
                          {"address", hex(outcome.signal->si_addr)}};
    }
    if (outcome.result < 0) {
        json["error"] = -outcome.result;
    }
    for (const auto& [name, by] : step.counters) {
        json["counters"][name] = by;
    }
    if (!step.killed.empty()) {
        json["killed"] = step.killed;
    }
    for (const StaleTranslation& stale : step.stale) {
        json["stale"].push_back({{"address", hex(stale.address.value())},
                                 {"pfn", stale.pfn.value()},
                                 {"writable", stale.writable},
                                 {"entry", hex(stale.entry)}});
    }
    for (const ForeignWrite& write : step.foreign_writes) {
        json["foreign_writes"].push_back(
            {{"process", write.process}, {"address", hex(write.address.value())}, {"pfn", write.pfn.value()}});
    }
    return json;
}

// "P write": what the timeline has room for.
std::string label_of(const ProcessOperation& operation) {
    return operation.proc + ' ' + operation.op + (operation.op == "fork" ? ' ' + operation.child : "");
}

Json step_json(const StoryStep& step) {
    Json json{{"title", step.line.text}, {"label", label_of(step.line.operation)}};
    if (!step.line.comment.empty()) {
        json["summary"] = step.line.comment;
    }
    json["operation"] = operation_json(step);
    json["story"] = trace_json(step.trace);
    return json;
}

}  // namespace

struct ProcessRecording::State {
    explicit State(ProcessWorld& of) : world{of} {}

    // A journal that holds no more than one step: struct pages and contents would fill it soon.
    void listen() {
        written = std::make_shared<WriteJournal>();
        world.kernel().machine().memory().set_journal(written);
    }

    void keep(const std::string& process) {
        const RunningKernel& kernel = world.kernel();
        const CpuState& cpu = kernel.machine().cpu();
        formats::CaptureCheckpoint now;
        now.name = checkpoints.empty() ? "start" : "step-" + std::to_string(checkpoints.size());
        now.cpu.cr0 = cpu.cr0;
        now.cpu.cr3 = cpu.cr3;
        now.cpu.cr4 = cpu.cr4;
        now.cpu.efer = cpu.efer;
        now.levels = kernel.state().pgtable_l5_enabled ? 5 : 4;
        now.root = kernel.init_top_pgt().value();
        std::vector<RootRef> roots{{kernel.init_top_pgt(), now.levels}};
        for (const std::string& name : world.processes()) {
            now.extra_roots.push_back({name, root_of(world, name), now.levels});
            roots.push_back({PhysAddr{root_of(world, name)}, now.levels});
            if (name == process || roots.size() == 2) {
                now.root = root_of(world, name);
            }
        }
        now.extra_roots.push_back({"init_top_pgt", kernel.init_top_pgt().value(), now.levels});
        now.tables = formats::capture_tables(kernel.machine().memory().snapshot(), roots);
        checkpoints.push_back(std::move(now));
        cycles.push_back(kernel.machine().now());
        keep_writes();
    }

    // Of the step's writes those to page tables, of this moment or of the one before.
    void keep_writes() {
        std::set<Pfn> tables;
        for (std::size_t i = checkpoints.size() < 2 ? 0 : checkpoints.size() - 2; i < checkpoints.size(); ++i) {
            for (const formats::CaptureTable& table : checkpoints[i].tables) {
                tables.insert(Pfn::of(PhysAddr{table.pa}));
            }
        }
        all_tables.insert(tables.begin(), tables.end());
        for (const WriteRecord& record : written->records()) {
            if (tables.count(Pfn::of(record.address)) != 0) {
                journal.set_origin(written->origins()[record.origin]);
                journal.set_time(record.when);
                journal.record(record.address, record.before, record.after);
            }
        }
        ends.push_back(journal.records().size());
        listen();
    }

    ProcessWorld& world;
    std::vector<formats::CaptureCheckpoint> checkpoints;
    std::vector<Cycles> cycles;
    std::shared_ptr<WriteJournal> written;
    WriteJournal journal;
    std::vector<std::size_t> ends;
    std::set<Pfn> all_tables;
};

ProcessRecording::ProcessRecording(ProcessWorld& world) : state_{std::make_unique<State>(world)} {
    state_->listen();
    state_->keep({});
}

ProcessRecording::~ProcessRecording() {
    state_->world.kernel().machine().memory().set_journal(nullptr);
}

StoryOptions ProcessRecording::story_options(StoryOptions wanted) {
    wanted.trace = wanted.views = true;
    wanted.after_step = [this, then = wanted.after_step](const StoryStep& step) {
        state_->keep(step.line.operation.proc);
        if (then) {
            then(step);
        }
    };
    return wanted;
}

std::string ProcessRecording::document(const ProcessStory& story, const std::string& title) const {
    const State& s = *state_;
    formats::Capture capture;
    capture.head_json = processes_head_json(s.world, title).dump();
    std::map<std::string, std::string> parents;
    for (std::size_t i = 0; i < s.checkpoints.size(); ++i) {
        const bool first = i == 0;
        Json other = first ? Json{{"title", "the start"}, {"label", "start"}} : step_json(story.steps.at(i - 1));
        if (!first && story.steps[i - 1].line.operation.op == "fork") {
            parents[story.steps[i - 1].line.operation.child] = story.steps[i - 1].line.operation.proc;
        }
        other["cycle"] = s.cycles[i].count();
        formats::CaptureCheckpoint checkpoint = s.checkpoints[i];
        other.update(moment_json(first ? story.before : story.steps[i - 1].after, checkpoint.extra_roots, parents));
        checkpoint.other_json = other.dump();
        capture.checkpoints.push_back(std::move(checkpoint));
    }
    std::string document = formats::capture_to_json(capture);
    document.resize(document.find_last_of('}'));
    const std::vector<Pfn> tables(s.all_tables.begin(), s.all_tables.end());
    return document + ", \"provenance\": " + formats::explorer_provenance(s.journal, s.ends, tables) + "}";
}

}  // namespace pgsim
