// SPDX-License-Identifier: GPL-2.0-only
// A run of a script as text.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "pgsim/kernel/pgtable_generic.hpp"
#include "pgsim/scenario/process_script.hpp"

namespace pgsim {

namespace {

constexpr std::size_t most_ways = 6;     // of one line
constexpr std::size_t most_steps = 40;   // of one way
constexpr std::size_t most_changes = 6;  // entries of one process

using Steps = std::vector<kernel::TraceStep>;

bool is_entry(const kernel::TraceStep& step) {
    return step.function == "exc_page_fault" || step.function == "exc_general_protection";
}

bool same_way(const TraceWay& a, const TraceWay& b) {
    return std::equal(a.steps.begin(), a.steps.end(), b.steps.begin(), b.steps.end(),
                      [](const auto& x, const auto& y) { return x.function == y.function; });
}

std::string of_step(const kernel::TraceStep& step) {
    return step.function + (step.what.empty() ? "" : ": " + step.what);
}

// Steps in a row that one function makes again and again are told once.
void tell_way(const TraceWay& way, std::string& out) {
    const Steps& steps = way.steps;
    std::size_t told = 0;
    for (std::size_t i = 0; i < steps.size();) {
        std::size_t end = i + 1;
        while (end < steps.size() && steps[end].function == steps[i].function) {
            ++end;
        }
        if (++told > most_steps) {
            out += fmt::format("      … {} more steps\n", steps.size() - i);
            break;
        }
        const char* const indent = i == 0 ? "    " : "      ";
        out += indent + of_step(steps[i]) + '\n';
        if (end - i > 3) {
            out += fmt::format("      … {} more of {}\n", end - i - 1, steps[i].function);
        } else {
            for (std::size_t more = i + 1; more < end; ++more) {
                out += "      " + of_step(steps[more]) + '\n';
            }
        }
        i = end;
    }
    if (way.times > 1) {
        out += fmt::format("    … and {} more that go the same way\n", way.times - 1);
    }
}

void tell_trace(const StoryStep& step, std::string& out) {
    const std::vector<TraceWay> ways = ways_of(step.trace);
    for (std::size_t i = 0; i < ways.size() && i < most_ways; ++i) {
        tell_way(ways[i], out);
    }
    if (ways.size() > most_ways || step.trace_left_out != 0) {
        out += fmt::format("    … and {} other ways{}\n", ways.size() - std::min(ways.size(), most_ways),
                           step.trace_left_out == 0 ? "" : ", not all of them noted");
    }
}

std::string of_entry(std::uint64_t entry, bool huge) {
    const kernel::pte_t pte{entry};
    if (entry == 0) {
        return "none";
    }
    if (!kernel::pte_present(pte)) {
        return fmt::format("{:#x} (swapped out)", entry);
    }
    const std::uint64_t pfn = huge ? kernel::pmd_pfn(kernel::pmd_t{entry}) : kernel::pte_pfn(pte);
    return fmt::format("{:#x} (frame {:#x}{}{})", entry, pfn, huge ? ", 2 MiB" : "",
                       kernel::pte_write(pte) ? "" : ", read-only");
}

void tell_changes(const StoryStep& step, std::string& out) {
    for (std::size_t i = 0; i < step.changes.size();) {
        const std::string& process = step.changes[i].process;
        std::size_t told = 0;
        std::size_t end = i;
        for (; end < step.changes.size() && step.changes[end].process == process; ++end) {
            const PageChange& change = step.changes[end];
            if (change.huge && end > i && step.changes[end - 1].huge && step.changes[end - 1].after == change.after &&
                step.changes[end - 1].before == change.before) {
                continue;  // one entry for 512 pages
            }
            if (++told <= most_changes) {
                out += fmt::format("    {} {:#x}: {} -> {}\n", process, change.address.value(),
                                   of_entry(change.before, change.huge), of_entry(change.after, change.huge));
            }
        }
        if (told > most_changes) {
            out += fmt::format("    … {} entries of {} in all\n", told, process);
        }
        i = end;
    }
}

std::string of_signal(const kernel::FaultSignal& signal) {
    const char* const name = signal.signo == kernel::sigsegv   ? "SIGSEGV"
                             : signal.signo == kernel::sigbus  ? "SIGBUS"
                             : signal.signo == kernel::sigkill ? "SIGKILL"
                                                               : "signal";
    return fmt::format("{} (code {}) at {:#x}", name, signal.si_code, signal.si_addr);
}

void tell_outcome(const StoryStep& step, std::string& out) {
    const OperationOutcome& outcome = step.outcome;
    out += fmt::format("  -> {} minor, {} major faults", outcome.minflt, outcome.majflt);
    if (outcome.pages_frame_changed != 0) {
        out += fmt::format(", {} pages in other frames", outcome.pages_frame_changed);
    }
    if (!outcome.loaded.empty()) {
        out += fmt::format(", loaded {:#04x}", fmt::join(outcome.loaded, " "));
    }
    if (outcome.signal) {
        out += ", " + of_signal(*outcome.signal);
    }
    if (outcome.result < 0) {
        out += fmt::format(", error {}", -outcome.result);
    }
    out += fmt::format("; pages allocated {}, freed {}; {} cycles\n", step.pages_allocated, step.pages_freed,
                       step.cycles.count());
    std::string counted;
    for (const auto& [name, by] : step.counters) {
        counted += fmt::format(" {} +{}", name, by);
    }
    if (!counted.empty()) {
        out += "     counters:" + counted + '\n';
    }
    for (const std::string& name : step.killed) {
        out += "  !  out of memory: " + name + " was killed\n";
    }
    for (const ForeignWrite& write : step.foreign_writes) {
        out += fmt::format("  !  stale write: {} did not write, but its private page at {:#x} (frame {:#x}) changed\n",
                           write.process, write.address.value(), write.pfn.value());
    }
    for (const StaleTranslation& stale : step.stale) {
        out += fmt::format("  !  stale: the TLB still has {:#x} -> frame {:#x}{}; the tables say {}\n",
                           stale.address.value(), stale.pfn.value(), stale.writable ? ", writable" : "",
                           of_entry(stale.entry, false));
    }
    for (const std::string& what : step.broken) {
        out += "  !  broken: " + what + '\n';
    }
    if (!step.stopped.empty()) {
        out += "  !  the machine stopped: " + step.stopped + '\n';
    }
}

void tell_states(const StoryStep& step, std::string& out) {
    for (const auto& [name, s] : step.states) {
        out += fmt::format(
            "  {:<4} areas {}, table pages {}, present {} (zero page {}, anonymous {}, 2 MiB {}), swapped {}, "
            "exclusive {}, shared with others {}\n",
            name, s.vmas, s.pgtable_pages, s.present, s.zero_page, s.anon, s.thp, s.swap, s.exclusive,
            s.pfn_shared_with_others);
    }
}

void tell_comment(std::string_view comment, std::string& out) {
    for (;;) {
        const std::size_t end = comment.find('\n');
        out.append("# ").append(comment.substr(0, end)).append("\n");
        if (end == std::string_view::npos) {
            return;
        }
        comment.remove_prefix(end + 1);
    }
}

}  // namespace

std::vector<TraceWay> ways_of(const std::vector<kernel::TraceStep>& trace) {
    std::vector<TraceWay> ways;
    for (auto from = trace.begin(); from != trace.end();) {
        const auto to = std::find_if(std::next(from), trace.end(), is_entry);
        TraceWay way{{from, to}, 1};
        if (!ways.empty() && same_way(ways.back(), way)) {
            ++ways.back().times;
        } else {
            ways.push_back(std::move(way));
        }
        from = to;
    }
    return ways;
}

std::string to_text(const ProcessStory& story) {
    std::string out;
    for (const StoryStep& step : story.steps) {
        if (!step.line.comment.empty()) {
            tell_comment(step.line.comment, out);
        }
        out += step.line.text + '\n';
        tell_trace(step, out);
        tell_changes(step, out);
        tell_outcome(step, out);
        tell_states(step, out);
    }
    return out;
}

}  // namespace pgsim
