// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/formats/compare.hpp"

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "common.hpp"
#include "pgsim/base/error.hpp"

namespace pgsim::cli {

namespace {

struct Options {
    std::vector<std::string> captures;
    std::string with;
    formats::CompareOptions compare;
    std::uint64_t show = 20;
    bool list_left_out = false;
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

std::string left_out_text() {
    std::string text;
    for (const formats::NotCompared& item : formats::not_compared()) {
        text += fmt::format("{:<36} {}\n", item.name, item.reason);
    }
    return text;
}

void compare(const Options& options) {
    if (options.list_left_out) {
        print(left_out_text());
        return;
    }
    if (options.captures.empty() || options.with.empty()) {
        throw Error{"compare", "expects a capture, and --with for what it is compared with"};
    }
    formats::CompareOptions compare_options = options.compare;
    compare_options.max_listed = options.show;
    const formats::Capture actual = formats::read_capture(options.with);
    std::uint64_t differences = 0;
    auto json = nlohmann::ordered_json::array();
    for (const std::string& path : options.captures) {
        const formats::Capture expected = formats::read_capture(path);
        const formats::Comparison result = formats::compare_captures(expected, actual, compare_options);
        differences += result.differences();
        if (options.json) {
            json.push_back(as_json(expected.name, result));
        } else {
            print(as_text(expected.name, result) + fmt::format("{}: {} checkpoints, {} entries, {} differences\n",
                                                               expected.name, result.checkpoints.size(),
                                                               result.entries(), result.differences()));
        }
    }
    if (options.json) {
        print(json.dump(1) + '\n');
    }
    if (differences != 0) {
        throw Differs{};
    }
}

}  // namespace

void add_compare(CLI::App& app) {
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("compare", "Compare captures of real boots with what was simulated");
    command->add_option("CAPTURE", options->captures, "captures of real boots (.json or .json.xz)")->type_name("FILE");
    command->add_option("--with", options->with, "compare with this capture")->type_name("FILE");
    command->add_option("--until", options->compare.until, "up to and including this checkpoint");
    command->add_option("--only", options->compare.only, "this checkpoint alone");
    command->add_option("--show", options->show, "list so many differences a checkpoint")->capture_default_str();
    command->add_flag("--list-left-out", options->list_left_out, "what is in captures but not compared, and why");
    command->add_flag("--json", options->json, "machine-readable output");
    command->callback([options] { compare(*options); });
}

}  // namespace pgsim::cli
