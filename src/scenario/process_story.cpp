// SPDX-License-Identifier: GPL-2.0-only
#include <fmt/format.h>

#include <algorithm>

#include "pgsim/base/error.hpp"
#include "pgsim/kernel/mm_check.hpp"
#include "pgsim/scenario/process_script.hpp"

namespace pgsim {

namespace {

using Pages = std::map<std::uint64_t, ProcessWorld::PageView>;

constexpr std::size_t most_lines = 6;

// The steps of one fault or call, and how often the same way was taken.
struct Way {
    std::vector<kernel::TraceStep> steps;
    std::size_t times = 1;
};

bool same_way(const Way& a, const Way& b) {
    return std::equal(a.steps.begin(), a.steps.end(), b.steps.begin(), b.steps.end(),
                      [](const auto& x, const auto& y) { return x.function == y.function; });
}

std::vector<Way> ways_of(const std::vector<kernel::TraceStep>& steps) {
    std::vector<Way> ways;
    Way current;
    const auto close = [&] {
        if (current.steps.empty()) {
            return;
        }
        if (!ways.empty() && same_way(ways.back(), current)) {
            ++ways.back().times;
        } else {
            ways.push_back(current);
        }
        current = {};
    };
    for (const kernel::TraceStep& step : steps) {
        if (step.function == "exc_page_fault" || step.function == "exc_general_protection") {
            close();
        }
        current.steps.push_back(step);
    }
    close();
    return ways;
}

std::string tell_steps(const std::vector<kernel::TraceStep>& steps) {
    std::string out;
    const std::vector<Way> ways = ways_of(steps);
    for (std::size_t i = 0; i < ways.size() && i < most_lines; ++i) {
        std::string indent = "    ";
        for (const kernel::TraceStep& step : ways[i].steps) {
            out += indent + step.function + (step.what.empty() ? "" : ": " + step.what) + '\n';
            indent = "      ";
        }
        if (ways[i].times > 1) {
            out += fmt::format("    … and {} more that go the same way\n", ways[i].times - 1);
        }
    }
    if (ways.size() > most_lines) {
        out += fmt::format("    … and {} other ways\n", ways.size() - most_lines);
    }
    return out;
}

std::string tell_entry(const ProcessWorld::PageView* view) {
    if (view == nullptr) {
        return "none";
    }
    return fmt::format(
        "{:#x} ({})", view->entry,
        view->present ? fmt::format("frame {:#x}{}", view->pfn, view->huge ? ", 2 MiB" : "") : "swapped out");
}

std::string tell_changes(const std::string& name, const Pages& before, const Pages& after) {
    std::string out;
    std::size_t changed = 0;
    const auto line = [&](std::uint64_t address, const ProcessWorld::PageView* was, const ProcessWorld::PageView* is) {
        if (++changed <= most_lines) {
            out += fmt::format("    {} {:#x}: {} -> {}\n", name, address, tell_entry(was), tell_entry(is));
        }
    };
    for (const auto& [address, view] : after) {
        const auto old = before.find(address);
        if (old == before.end() || old->second.entry != view.entry) {
            line(address, old == before.end() ? nullptr : &old->second, &view);
        }
    }
    for (const auto& [address, view] : before) {
        if (after.count(address) == 0) {
            line(address, &view, nullptr);
        }
    }
    if (changed > most_lines) {
        out += fmt::format("    … {} entries in all\n", changed);
    }
    return out;
}

std::string tell_outcome(const OperationOutcome& outcome, std::uint64_t cycles) {
    std::string out = fmt::format("  -> {} minor, {} major faults", outcome.minflt, outcome.majflt);
    if (outcome.pages_frame_changed != 0) {
        out += fmt::format(", {} pages in other frames", outcome.pages_frame_changed);
    }
    if (outcome.signal) {
        out += fmt::format(", signal {} (code {}) at {:#x}", outcome.signal->signo, outcome.signal->si_code,
                           outcome.signal->si_addr);
    }
    if (outcome.result < 0) {
        out += fmt::format(", error {}", -outcome.result);
    }
    return out + fmt::format("; {} cycles\n", cycles);
}

std::string tell_state(const ProcessWorld& world) {
    std::string out;
    for (const std::string& name : world.processes()) {
        const ProcessState s = world.state(name);
        out += fmt::format(
            "  {:<4} areas {}, table pages {}, present {} (zero page {}, anonymous {}, 2 MiB {}), swapped {}, "
            "exclusive {}, shared with others {}\n",
            name, s.vmas, s.pgtable_pages, s.present, s.zero_page, s.anon, s.thp, s.swap, s.exclusive,
            s.pfn_shared_with_others);
    }
    return out;
}

}  // namespace

std::string tell_process_story(std::string_view script, const ProcessWorld::Options& options,
                               const StoryOptions& story) {
    const std::vector<ScriptLine> lines = parse_process_script(script);
    ProcessWorld world{options};
    std::string out;
    for (const ScriptLine& line : lines) {
        out += line.text + '\n';
        std::map<std::string, Pages> before;
        if (story.entries) {
            for (const std::string& name : world.processes()) {
                before[name] = world.pages(name);
            }
        }
        std::vector<kernel::TraceStep> steps;
        if (story.steps) {
            world.mm().trace = [&](const kernel::TraceStep& step) { steps.push_back(step); };
        }
        const Cycles start = world.mm().machine.now();
        OperationOutcome outcome;
        try {
            outcome = world.perform(line.operation);
        } catch (const kernel::Halted& halted) {
            throw Error{"line " + std::to_string(line.number), "the simulated kernel stopped: " + halted.halt.message};
        } catch (const Error& error) {
            throw Error{"line " + std::to_string(line.number), error.what()};
        }
        const Cycles cycles = world.mm().machine.now() - start;
        world.mm().trace = nullptr;
        out += tell_steps(steps);
        if (story.entries) {
            for (const std::string& name : world.processes()) {
                out += tell_changes(name, before[name], world.pages(name));
            }
        }
        out += tell_outcome(outcome, cycles.count()) + tell_state(world);
        if (story.check) {
            for (const std::string& what : kernel::check_invariants(world.mm())) {
                out += "  BROKEN: " + what + '\n';
            }
        }
    }
    return out;
}

}  // namespace pgsim
