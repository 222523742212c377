// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/formats/compare.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "common.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/formats/text_file.hpp"
#include "pgsim/scenario/boot.hpp"
#include "pgsim/scenario/capture_comparison.hpp"

namespace pgsim::cli {

namespace {

struct Options {
    std::vector<std::string> captures;
    std::string with;
    formats::CompareOptions compare;
    bool list_left_out = false;
    bool table = false;
    bool json = false;
};

nlohmann::ordered_json as_json(const std::string& name, const formats::Comparison& comparison) {
    auto checkpoints = nlohmann::ordered_json::array();
    for (const formats::CheckpointComparison& checkpoint : comparison.checkpoints) {
        auto differences = nlohmann::ordered_json::array();
        for (const formats::Difference& difference : checkpoint.differences) {
            differences.push_back(
                {{"kind", std::string{formats::to_string(difference.kind)}}, {"text", difference.text}});
        }
        checkpoints.push_back({{"name", checkpoint.name},
                               {"tables", checkpoint.tables},
                               {"entries", checkpoint.entries},
                               {"values", checkpoint.values},
                               {"differences", checkpoint.difference_count},
                               {"listed", std::move(differences)}});
    }
    return {{"capture", name},
            {"entries", comparison.entries()},
            {"differences", comparison.differences()},
            {"checkpoints", std::move(checkpoints)}};
}

std::string as_text(const std::string& name, const formats::Comparison& comparison) {
    std::string text;
    for (const formats::CheckpointComparison& checkpoint : comparison.checkpoints) {
        if (checkpoint.difference_count == 0) {
            continue;
        }
        text += fmt::format("{} {}: {} differences in {} tables, {} entries\n", name, checkpoint.name,
                            checkpoint.difference_count, checkpoint.tables, checkpoint.entries);
        for (const formats::Difference& difference : checkpoint.differences) {
            text += "  " + difference.text + '\n';
        }
        if (checkpoint.difference_count > checkpoint.differences.size()) {
            text += fmt::format("  ... and {} more\n", checkpoint.difference_count - checkpoint.differences.size());
        }
    }
    return text;
}

struct Totals {
    std::uint64_t captures = 0;
    std::uint64_t checkpoints = 0;
    std::uint64_t entries = 0;
    std::uint64_t differences = 0;
    std::uint64_t differing = 0;

    void add(const formats::Comparison& comparison) {
        ++captures;
        checkpoints += comparison.checkpoints.size();
        entries += comparison.entries();
        differences += comparison.differences();
        differing += comparison.equal() ? 0 : 1;
    }
};

// "k6.6-4g-4l" of "…/k6.6-4g-4l.json.xz".
std::string name_of_file(const std::string& path) {
    std::string name = std::filesystem::path{path}.filename().string();
    for (const std::string_view ending : {".xz", ".json"}) {
        if (name.size() > ending.size() && name.substr(name.size() - ending.size()) == ending) {
            name.resize(name.size() - ending.size());
        }
    }
    return name;
}

// One row of the table in docs/exactness.md: for each checkpoint the entries compared, and the differences if any.
std::string table_row(const std::string& name, const formats::Comparison& comparison,
                      const std::vector<std::string>& columns) {
    std::string row = "| " + name + " |";
    for (const std::string& column : columns) {
        const auto found = std::find_if(comparison.checkpoints.begin(), comparison.checkpoints.end(),
                                        [&](const auto& checkpoint) { return checkpoint.name == column; });
        if (found == comparison.checkpoints.end()) {
            row += " |";
        } else if (found->difference_count == 0) {
            row += fmt::format(" {} |", found->entries);
        } else {
            row += fmt::format(" {}, **{} differ** |", found->entries, found->difference_count);
        }
    }
    return row + fmt::format(" {} | {} |\n", comparison.entries(), comparison.differences());
}

std::string table_head(const std::vector<std::string>& columns) {
    std::string head = "| capture |";
    std::string rule = "| --- |";
    for (const std::string& column : columns) {
        head += ' ' + column + " |";
        rule += " --: |";
    }
    return head + " entries | differences |\n" + rule + " --: | --: |\n";
}

std::string left_out_text() {
    std::string text;
    for (const formats::NotCompared& item : formats::not_compared()) {
        text += fmt::format("{:<36} {}\n", item.name, item.reason);
    }
    return text;
}

// Boots with the capture's inputs, or takes what --with names.
formats::Comparison compare_one(const std::string& path, const Options& options) {
    const std::string text = formats::read_text_maybe_xz(path, formats::max_capture_bytes);
    if (options.with.empty()) {
        return compare_with_boot(text, path, options.compare);
    }
    return formats::compare_captures(formats::parse_capture(text, path), formats::read_capture(options.with),
                                     options.compare);
}

void compare(const Options& options) {
    if (options.list_left_out) {
        print(left_out_text());
        return;
    }
    if (options.captures.empty()) {
        throw Error{"compare", "expects a capture"};
    }
    Totals totals;
    auto json = nlohmann::ordered_json::array();
    Progress progress;
    const std::vector<std::string> columns = checkpoint_names();
    if (options.table) {
        print(table_head(columns));
    }
    for (const std::string& path : options.captures) {
        progress.show(fmt::format("comparing {}/{}: {}", totals.captures + 1, options.captures.size(), path));
        const std::string name = name_of_file(path);
        const formats::Comparison result = compare_one(path, options);
        totals.add(result);
        if (options.json) {
            json.push_back(as_json(name, result));
        } else if (options.table) {
            progress.clear();
            print(table_row(name, result, columns));
        } else {
            progress.clear();
            print(as_text(name, result) + fmt::format("{}: {} checkpoints, {} entries, {} differences\n", name,
                                                      result.checkpoints.size(), result.entries(),
                                                      result.differences()));
        }
    }
    progress.clear();
    if (options.json) {
        print(json.dump(1) + '\n');
    } else if (options.table) {
        print(fmt::format("\n{} captures, {} checkpoints, {} entries, {} differences\n", totals.captures,
                          totals.checkpoints, totals.entries, totals.differences));
    } else if (totals.captures > 1) {
        print(fmt::format("{} captures, {} checkpoints, {} entries, {} differences in {} captures\n", totals.captures,
                          totals.checkpoints, totals.entries, totals.differences, totals.differing));
    }
    if (totals.differences != 0) {
        throw Differs{};
    }
}

}  // namespace

void add_compare(CLI::App& app) {
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand(
        "compare",
        "Boot with the inputs of captures of real boots and compare every checkpoint; 1 if anything differs");
    command->add_option("CAPTURE", options->captures, "captures of real boots (.json or .json.xz)")->type_name("FILE");
    command->add_option("--with", options->with, "do not boot: compare with this capture")->type_name("FILE");
    command->add_option("--until", options->compare.until, "up to and including this checkpoint");
    command->add_option("--only", options->compare.only, "this checkpoint alone");
    options->compare.max_listed = 20;
    command->add_option("--show", options->compare.max_listed, "list so many differences a checkpoint")
        ->capture_default_str();
    command->add_flag("--list-left-out", options->list_left_out, "what is in captures but not compared, and why");
    command->add_flag("--table", options->table,
                      "a Markdown table: capture, checkpoint, entries compared, differences");
    command->add_flag("--json", options->json, "machine-readable output");
    command->callback([options] { compare(*options); });
}

}  // namespace pgsim::cli
