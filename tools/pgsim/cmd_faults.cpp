// SPDX-License-Identifier: GPL-2.0-only
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "common.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/formats/text_file.hpp"
#include "pgsim/scenario/fault_counts.hpp"

namespace pgsim::cli {

namespace {

struct Options {
    std::vector<std::string> files;
    std::string results;
    int levels = 4;
    std::uint64_t memory_mib = 4096;
    bool json = false;
};

using Json = nlohmann::ordered_json;

Json as_json(const std::vector<FaultCountDifference>& differences) {
    Json list = Json::array();
    for (const FaultCountDifference& d : differences) {
        list.push_back({{"scenario", d.scenario},
                        {"step", d.step},
                        {"field", d.field},
                        {"measured", d.measured},
                        {"simulated", d.simulated}});
    }
    return list;
}

void run(const Options& options) {
    if (!options.results.empty() && options.files.size() != 1) {
        throw Error{"--results", "takes the results of one file"};
    }
    ProcessWorld::Options world = fault_counts_options();
    world.five_levels = options.levels == 5;
    world.memory_bytes = options.memory_mib << 20;
    bool differs = false;
    Json all = Json::array();
    for (const std::string& file : options.files) {
        const std::string text = formats::read_text_maybe_xz(file);
        FaultCountsRun run;
        try {
            run = run_fault_counts(text, world);
        } catch (const Error& error) {
            throw error.within(file);
        }
        if (!options.results.empty()) {
            formats::write_file_whole(options.results, run.results + '\n');
        }
        differs = differs || !run.differences.empty();
        if (options.json) {
            all.push_back({{"file", file},
                           {"scenarios", run.scenarios},
                           {"steps", run.steps},
                           {"differences", as_json(run.differences)},
                           {"not_the_same_in_v6_6", as_json(run.expected_differences)}});
            continue;
        }
        for (const FaultCountDifference& d : run.differences) {
            print(fmt::format("{} step {} {}: measured {}, simulated {}\n", d.scenario, d.step, d.field, d.measured,
                              d.simulated));
        }
        print(fmt::format("{}: {} scenarios, {} steps, {} differences", file, run.scenarios, run.steps,
                          run.differences.size()));
        print(run.expected_differences.empty() ? "\n"
                                               : fmt::format("; {} more in scenarios that are not the same in v6.6\n",
                                                             run.expected_differences.size()));
    }
    if (options.json) {
        print(all.dump(1) + '\n');
    }
    if (differs) {
        throw Differs{};
    }
}

}  // namespace

void add_faults(CLI::App& app) {
    auto options = std::make_shared<Options>();
    CLI::App* const command =
        app.add_subcommand("faults", "Re-enacts fault-count scenarios: processes, page faults, fork, files, swap");
    command->add_option("FILE", options->files, "pgsim-faults/1 files")->required();
    command->add_option("--results", options->results, "Writes the file with `measured` as simulated");
    command->add_option("--levels", options->levels, "Paging levels")->check(CLI::IsMember({4, 5}));
    command->add_option("--memory", options->memory_mib, "RAM of the simulated machine, MiB")
        ->check(CLI::Range(16, 1 << 20));
    command->add_flag("--json", options->json, "machine-readable output");
    command->callback([options] { run(*options); });
}

}  // namespace pgsim::cli
