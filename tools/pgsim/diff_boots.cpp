// SPDX-License-Identifier: GPL-2.0-only
#include "diff_boots.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "pgsim/base/units.hpp"
#include "pgsim/formats/compare.hpp"
#include "pgsim/inspect/space_diff.hpp"
#include "pgsim/inspect/space_statistics.hpp"
#include "pgsim/scenario/boot_capture.hpp"

namespace pgsim::cli {

namespace {

using Words = std::vector<std::string>;

// What is in one list and not in the other.
Words only_in(const std::vector<std::string>& list, const std::vector<std::string>& other) {
    Words result;
    for (const std::string& item : list) {
        if (std::find(other.begin(), other.end(), item) == other.end()) {
            result.push_back(item);
        }
    }
    return result;
}

std::string joined(const Words& words) {
    std::string text;
    for (const std::string& word : words) {
        text += (text.empty() ? "" : ", ") + word;
    }
    return text;
}

std::vector<std::string> features_of(const BootScenario& scenario) {
    std::vector<std::string> names;
    for (const std::string_view name : scenario.inputs.cpu.names()) {
        names.emplace_back(name);
    }
    return names;
}

std::vector<std::string> map_of(const BootScenario& scenario) {
    std::vector<std::string> entries;
    for (const firmware::E820Entry& entry : scenario.inputs.boot_params.e820) {
        entries.push_back(fmt::format("[{}, {}) type {}", hex(entry.start), hex(entry.start + entry.size),
                                      static_cast<unsigned>(entry.type)));
    }
    return entries;
}

// The inputs that differ, a sentence each.
Words input_differences(const BootScenario& a, const BootScenario& b) {
    Words words;
    const auto lists = [&](const char* what, const std::vector<std::string>& mine,
                           const std::vector<std::string>& other) {
        if (const Words only = only_in(mine, other); !only.empty()) {
            words.push_back(fmt::format("{} only in the first: {}", what, joined(only)));
        }
        if (const Words only = only_in(other, mine); !only.empty()) {
            words.push_back(fmt::format("{} only in the second: {}", what, joined(only)));
        }
    };
    lists("CPU features", features_of(a), features_of(b));
    lists("E820 entries", map_of(a), map_of(b));
    if (a.inputs.cpu.maxphyaddr() != b.inputs.cpu.maxphyaddr()) {
        words.push_back(fmt::format("MAXPHYADDR {} and {}", a.inputs.cpu.maxphyaddr(), b.inputs.cpu.maxphyaddr()));
    }
    if (a.inputs.boot_params.cmdline != b.inputs.boot_params.cmdline) {
        words.push_back(
            fmt::format("command line \"{}\" and \"{}\"", a.inputs.boot_params.cmdline, b.inputs.boot_params.cmdline));
    }
    if (!(a.inputs.series == b.inputs.series)) {
        words.emplace_back("the kernel's series");
    }
    if (!(a.inputs.numa == b.inputs.numa)) {
        words.emplace_back("the NUMA description");
    }
    if (!(a.inputs.config == b.inputs.config) || !(a.inputs.layout == b.inputs.layout)) {
        words.emplace_back("the kernel's configuration or layout");
    }
    return words;
}

std::string table_counts(const SpaceStatistics& s) {
    return fmt::format("{} tables ({}), pages: {} of 4K, {} of 2M, {} of 1G", s.table_frames,
                       human_bytes(s.table_bytes()), s.pages_4k, s.pages_2m, s.pages_1g);
}

// One checkpoint of both.
struct Pair {
    std::string name;
    SpaceDiff spaces;
    SpaceStatistics before;
    SpaceStatistics after;
    formats::CheckpointComparison rest;  // registers, memblock, globals, zones …
    [[nodiscard]] bool differs() const { return !spaces.empty() || rest.difference_count != 0; }
};

Pair compare_at(const Boot& before, const Checkpoint& a, const Boot& after, const Checkpoint& b,
                const BootDiffOptions& options) {
    Pair pair;
    pair.name = a.name;
    const Scene first = scene_of_boot(before, a, "");
    const Scene second = scene_of_boot(after, b, "");
    pair.spaces = diff(first.space, second.space, {.accessed_dirty = options.accessed_dirty});
    pair.before = statistics(first.space);
    pair.after = statistics(second.space);
    formats::CaptureCheckpoint one = to_capture(before, a);
    formats::CaptureCheckpoint two = to_capture(after, b);
    // Tables are told of by what they map.
    one.tables.clear();
    two.tables.clear();
    one.extra_tables.reset();
    two.extra_tables.reset();
    pair.rest = formats::compare_checkpoints(one, two);
    return pair;
}

std::string describe(const Pair& pair, bool first, std::size_t lines) {
    std::string text = in_colour(pair.name, 1) + (first ? ": the first difference\n" : ":\n");
    if (!pair.spaces.empty()) {
        text += "  first:  " + table_counts(pair.before) + "\n  second: " + table_counts(pair.after) + '\n';
    }
    std::size_t listed = 0;
    for (const RangeChange& change : pair.spaces.ranges) {
        if (lines != 0 && listed++ == lines) {
            text += fmt::format("  ... and {} more ranges\n", pair.spaces.ranges.size() - lines);
            break;
        }
        text += "  " + to_string(change) + '\n';
    }
    if (pair.spaces.ranges.empty() && !pair.spaces.entries.empty()) {
        text += fmt::format("  {} entries differ, but every address translates the same\n", pair.spaces.entries.size());
    }
    listed = 0;
    for (const formats::Difference& difference : pair.rest.differences) {
        if (lines != 0 && listed++ == lines) {
            text += fmt::format("  ... and {} more values\n", pair.rest.difference_count - lines);
            break;
        }
        std::string line = difference.text;
        for (const auto& [from, to] : {std::pair{"expected", "first"}, std::pair{", got", ", second"}}) {
            if (const std::size_t at = line.find(from); at != std::string::npos) {
                line.replace(at, std::string_view{from}.size(), to);
            }
        }
        text += "  " + line + '\n';
    }
    return text;
}

std::string as_json(const Words& inputs, const std::vector<Pair>& pairs) {
    auto checkpoints = nlohmann::ordered_json::array();
    for (const Pair& pair : pairs) {
        auto ranges = nlohmann::ordered_json::array();
        for (const RangeChange& change : pair.spaces.ranges) {
            ranges.push_back({{"change", std::string{to_string(change.kind)}},
                              {"va", hex(change.virt.value())},
                              {"bytes", change.bytes},
                              {"text", to_string(change)}});
        }
        checkpoints.push_back({{"name", pair.name},
                               {"differs", pair.differs()},
                               {"entries", pair.spaces.entries.size()},
                               {"values", pair.rest.difference_count},
                               {"ranges", std::move(ranges)}});
    }
    return nlohmann::ordered_json{{"inputs", inputs}, {"checkpoints", std::move(checkpoints)}}.dump(1) + '\n';
}

}  // namespace

BootDiff diff_boots(const Boot& before, const Boot& after, const BootDiffOptions& options) {
    const Words inputs = input_differences(before.scenario(), after.scenario());
    std::vector<Pair> pairs;
    for (const Checkpoint& a : before.checkpoints()) {
        if (const Checkpoint* b = after.find(a.name)) {
            pairs.push_back(compare_at(before, a, after, *b, options));
        }
    }
    BootDiff result;
    std::string same;
    for (const Pair& pair : pairs) {
        if (!pair.differs()) {
            same += (same.empty() ? "" : ", ") + pair.name;
            continue;
        }
        result.text += describe(pair, !result.differs, options.lines);
        result.differs = true;
    }
    std::string head = before.scenario().name + " and " + after.scenario().name + '\n';
    for (const std::string& sentence : inputs) {
        head += "  input: " + sentence + '\n';
    }
    if (!same.empty()) {
        head += "  the same at: " + same + '\n';
    }
    for (const Boot* boot : {&before, &after}) {
        if (boot->halt()) {
            head += "  " + boot->scenario().name + " ended in " + boot->halt()->function + ": " +
                    boot->halt()->message + '\n';
            result.differs = true;
        }
    }
    result.text = options.json ? as_json(inputs, pairs) : head + result.text;
    return result;
}

}  // namespace pgsim::cli
