// SPDX-License-Identifier: GPL-2.0-only
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>

#include "commands.hpp"
#include "common.hpp"
#include "pgsim/mmu/timing_core.hpp"

namespace pgsim::cli {

namespace {

struct Options {
    std::string json_of;
    std::string sources_of;
};

std::string list_all() {
    std::string text;
    for (const BuiltInCore& known : built_in_cores()) {
        const CoreDescription core = parse_core(known.json);
        text += fmt::format("{:<16} {} ({})\n", core.name, core.title, fmt::join(core.aliases, ", "));
    }
    return text;
}

std::string sources_of(const CoreDescription& core) {
    std::string text;
    for (const auto& [path, source] : core.sources) {
        text += fmt::format("{:<32} {}\n", path, source);
    }
    return text;
}

}  // namespace

void add_cores(CLI::App& app) {
    auto options = std::make_shared<Options>();
    CLI::App* command =
        app.add_subcommand("cores", "List the cores that replay knows, and where their numbers come from");
    command->add_option("--json", options->json_of, "print the description of this core, to copy and edit");
    command->add_option("--sources", options->sources_of, "print the source of each number of this core");
    command->callback([options] {
        if (!options->sources_of.empty()) {
            print(sources_of(find_core(options->sources_of)));
        } else if (!options->json_of.empty()) {
            const std::string name = find_core(options->json_of).name;
            for (const BuiltInCore& core : built_in_cores()) {
                if (core.name == name) {
                    print(core.json);
                }
            }
        } else {
            print(list_all());
        }
    });
}

}  // namespace pgsim::cli
