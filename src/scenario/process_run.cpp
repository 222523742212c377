// SPDX-License-Identifier: GPL-2.0-only
// Runs scripts of processes and notes what each line did.
#include <algorithm>
#include <cstring>

#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/kernel/mm_check.hpp"
#include "pgsim/kernel/pgtable_generic.hpp"
#include "pgsim/scenario/process_script.hpp"

namespace pgsim {

namespace {

using Pages = std::map<std::uint64_t, ProcessWorld::PageView>;

std::string_view store_name(Level level) {
    switch (level) {
    case Level::pt: return "set_pte";
    case Level::pd: return "set_pmd";
    case Level::pdpt: return "set_pud";
    case Level::pml4: return "set_p4d";
    case Level::pml5: return "set_pgd";
    }
    return "set_pte";
}

// Listens to the kernel while one line runs: functions, allocations and stores of entries, in their order.
class Listener final : public kernel::BuddyObserver, public kernel::EntryWatch {
public:
    Listener(kernel::Mm& mm, StoryStep& step, const StoryOptions& options) : mm_{mm}, step_{step}, options_{options} {
        mm_.buddy.set_observer(this);
        if (options_.trace) {
            put_down_to(step_.line.operation.op);
            mm_.trace = [this](const kernel::TraceStep& passed) {
                put_down_to(passed.function);
                note(passed);
            };
            mm_.pt.watch = this;
        }
    }
    ~Listener() override {
        mm_.trace = nullptr;
        mm_.pt.watch = nullptr;
        mm_.buddy.set_observer(nullptr);
    }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    void on_event(const kernel::BuddyEvent& event) override {
        using Kind = kernel::BuddyEvent::Kind;
        const bool allocated = event.kind == Kind::allocated;
        if (!allocated && event.kind != Kind::freed) {
            return;
        }
        (allocated ? step_.pages_allocated : step_.pages_freed) += std::uint64_t{1} << event.order;
        if (options_.trace) {
            const std::string order = event.order == 0 ? "" : ", order " + std::to_string(event.order);
            note({allocated ? "alloc_pages" : "free_pages", "frame " + hex(event.pfn) + order, mm_.machine.now()});
        }
    }
    void on_store(Level level, VirtAddr entry, std::uint64_t old_value, std::uint64_t new_value) override {
        (void)entry;
        if (old_value != new_value) {
            note({std::string{store_name(level)}, hex(old_value) + " -> " + hex(new_value), mm_.machine.now()});
        }
    }

private:
    void put_down_to(const std::string& function) {
        if (WriteJournal* const journal = mm_.machine.memory().journal()) {
            journal->set_origin({function, step_.line.text, {}});
        }
    }
    void note(const kernel::TraceStep& passed) {
        if (step_.trace.size() < options_.most_trace_steps) {
            step_.trace.push_back(passed);
        } else {
            ++step_.trace_left_out;
        }
    }

    kernel::Mm& mm_;
    StoryStep& step_;
    const StoryOptions& options_;
};

std::map<std::string, Pages> all_pages(const ProcessWorld& world) {
    std::map<std::string, Pages> pages;
    for (const std::string& name : world.processes()) {
        pages[name] = world.pages(name);
    }
    return pages;
}

std::vector<PageChange> changes_of(const std::string& process, const Pages& before, const Pages& after) {
    std::vector<PageChange> changes;
    auto was = before.begin();
    auto is = after.begin();
    while (was != before.end() || is != after.end()) {
        const bool only_was = is == after.end() || (was != before.end() && was->first < is->first);
        const bool only_is = !only_was && (was == before.end() || is->first < was->first);
        const std::uint64_t address = only_was ? was->first : is->first;
        const std::uint64_t old_entry = only_is ? 0 : was->second.entry;
        const std::uint64_t new_entry = only_was ? 0 : is->second.entry;
        if (old_entry != new_entry) {
            const bool huge = (!only_is && was->second.huge) || (!only_was && is->second.huge);
            changes.push_back({process, VirtAddr{address}, old_entry, new_entry, huge});
        }
        was = only_is ? was : std::next(was);
        is = only_was ? is : std::next(is);
    }
    return changes;
}

// Contents of private anonymous pages, to see who writes them.
class Contents {
public:
    Contents(const ProcessWorld& world, kernel::Mm& mm, const std::map<std::string, Pages>& pages, bool wanted) {
        if (!wanted) {
            return;
        }
        for (const auto& [name, of_process] : pages) {
            for (const auto& [start, vma] : world.task(name).mm->mm_mt) {
                if (!vma->has(kernel::vm::shared) && vma->is_anonymous()) {
                    remember(mm, name, of_process, vma->vm_start, vma->vm_end);
                }
            }
        }
    }

    // Pages of processes other than `who` that hold something else than before in the same frame.
    [[nodiscard]] std::vector<ForeignWrite> changed(kernel::Mm& mm, const std::string& who,
                                                    const std::map<std::string, Pages>& now) const {
        std::vector<ForeignWrite> found;
        for (const auto& [place, bytes] : bytes_) {
            const auto& [process, address] = place;
            const auto pages = now.find(process);
            if (process == who || pages == now.end()) {
                continue;
            }
            const auto page = pages->second.find(address);
            if (page == pages->second.end() || !page->second.present) {
                continue;
            }
            if (page->second.pfn == bytes.pfn && read(mm, bytes.pfn) != bytes.content) {
                found.push_back({process, VirtAddr{address}, Pfn{bytes.pfn}});
            }
        }
        return found;
    }

private:
    struct Page {
        std::uint64_t pfn;
        std::vector<std::byte> content;
    };
    static std::vector<std::byte> read(kernel::Mm& mm, std::uint64_t pfn) {
        std::vector<std::byte> content(4096);
        mm.machine.memory().read(PhysAddr{pfn << 12}, content);
        return content;
    }
    void remember(kernel::Mm& mm, const std::string& name, const Pages& pages, std::uint64_t start, std::uint64_t end) {
        for (auto page = pages.lower_bound(start); page != pages.end() && page->first < end; ++page) {
            if (page->second.present && page->second.pfn != mm.zero_pfn) {
                bytes_.emplace(std::pair{name, page->first}, Page{page->second.pfn, read(mm, page->second.pfn)});
            }
        }
    }

    std::map<std::pair<std::string, std::uint64_t>, Page> bytes_;
};

void perform(ProcessWorld& world, StoryStep& step) {
    const std::string where = "line " + std::to_string(step.line.number);
    try {
        step.outcome = world.perform(step.line.operation);
    } catch (const kernel::Halted& halted) {
        step.stopped = halted.halt.message;
    } catch (const Error& error) {
        throw error.within(where);
    }
}

void count(const std::vector<std::pair<std::string_view, std::uint64_t>>& before, const kernel::VmStat& now,
           StoryStep& step) {
    const auto after = counters(now);
    for (std::size_t i = 0; i < after.size(); ++i) {
        if (after[i].second != before[i].second) {
            step.counters.emplace_back(after[i].first, after[i].second - before[i].second);
        }
    }
}

StoryStep run_line(ProcessWorld& world, const ScriptLine& line, const StoryOptions& options) {
    kernel::Mm& mm = world.mm();
    StoryStep step;
    step.line = line;
    const bool flushes = mm.setup.left_out != kernel::LeftOutFlush::none;
    std::map<std::string, Pages> before;
    if (options.entries || flushes) {
        before = all_pages(world);
    }
    const Contents contents{world, mm, before, flushes};
    const std::vector<std::string> lived = world.processes();
    const auto counted = counters(mm.vmstat);
    const Cycles start = mm.machine.now();
    {
        const Listener listener{mm, step, options};
        perform(world, step);
    }
    step.cycles = mm.machine.now() - start;
    count(counted, mm.vmstat, step);
    if (!step.stopped.empty()) {
        return step;
    }
    const std::vector<std::string> live = world.processes();
    for (const std::string& name : lived) {
        const bool left = line.operation.op == "exit" && name == line.operation.proc;
        if (!left && std::find(live.begin(), live.end(), name) == live.end()) {
            step.killed.push_back(name);
        }
    }
    if (options.entries || flushes) {
        const auto after = all_pages(world);
        for (const std::string& name : live) {
            if (!options.entries) {
                break;
            }
            const auto changes = changes_of(name, before[name], after.at(name));
            step.changes.insert(step.changes.end(), changes.begin(), changes.end());
        }
        step.foreign_writes = contents.changed(mm, line.operation.proc, after);
    }
    for (const std::string& name : live) {
        step.states.emplace_back(name, world.state(name));
    }
    if (options.views || flushes) {
        ProcessesView view = look_at(world);
        step.stale = view.stale;
        if (options.views) {
            step.after = std::move(view);
        }
    }
    if (options.check) {
        step.broken = kernel::check_invariants(mm);
    }
    if (options.after_step) {
        options.after_step(step);
    }
    return step;
}

}  // namespace

ProcessStory run_process_script(std::string_view script, ProcessWorld& world, const StoryOptions& options) {
    const std::vector<ScriptLine> lines = parse_process_script(script);
    ProcessStory story;
    if (options.views) {
        story.before = look_at(world);
    }
    for (const ScriptLine& line : lines) {
        story.steps.push_back(run_line(world, line, options));
        if (!story.steps.back().stopped.empty()) {
            break;
        }
    }
    return story;
}

ProcessStory run_process_script(std::string_view script, const ProcessWorld::Options& options,
                                const StoryOptions& story) {
    (void)parse_process_script(script);
    ProcessWorld world{options};
    return run_process_script(script, world, story);
}

}  // namespace pgsim
