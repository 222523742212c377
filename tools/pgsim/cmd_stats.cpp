// SPDX-License-Identifier: GPL-2.0-only
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/inspect/space_statistics.hpp"
#include "source.hpp"

namespace pgsim::cli {

namespace {

struct Options {
    SourceOptions source;
    bool json = false;
};

std::string as_json(const SpaceStatistics& s) {
    const nlohmann::ordered_json json{{"tables",
                                       {{"pml5", s.tables[5]},
                                        {"pml4", s.tables[4]},
                                        {"pdpt", s.tables[3]},
                                        {"pd", s.tables[2]},
                                        {"pt", s.tables[1]}}},
                                      {"table_bytes", s.table_bytes()},
                                      {"pages_4k", s.pages_4k},
                                      {"pages_2m", s.pages_2m},
                                      {"pages_1g", s.pages_1g},
                                      {"mapped_bytes", s.mapped_bytes},
                                      {"user_bytes", s.user_bytes},
                                      {"writable_bytes", s.writable_bytes},
                                      {"executable_bytes", s.executable_bytes},
                                      {"writable_executable_bytes", s.writable_executable_bytes},
                                      {"global_bytes", s.global_bytes},
                                      {"not_present_not_zero", s.not_present_not_zero},
                                      {"reserved_entries", s.reserved_entries},
                                      {"loops", s.loops},
                                      {"aliased_bytes", s.aliased_bytes},
                                      {"type_conflict_bytes", s.type_conflict_bytes},
                                      {"complete", s.complete}};
    return json.dump(1) + '\n';
}

std::string as_text(const std::string& title, const SpaceStatistics& s) {
    std::string text = title + '\n';
    text += fmt::format("tables   PML5 {}, PML4 {}, PDPT {}, PD {}, PT {}: {}\n", s.tables[5], s.tables[4], s.tables[3],
                        s.tables[2], s.tables[1], human_bytes(s.table_bytes()));
    text += fmt::format("pages    {} of 4K, {} of 2M, {} of 1G: {}\n", s.pages_4k, s.pages_2m, s.pages_1g,
                        human_bytes(s.mapped_bytes));
    text +=
        fmt::format("rights   writable {}, executable {}, both {}, user {}, global {}\n", human_bytes(s.writable_bytes),
                    human_bytes(s.executable_bytes), human_bytes(s.writable_executable_bytes),
                    human_bytes(s.user_bytes), human_bytes(s.global_bytes));
    text +=
        fmt::format("aliases  {} of physical memory is mapped more than once, {} of it with different memory types\n",
                    human_bytes(s.aliased_bytes), human_bytes(s.type_conflict_bytes));
    text += fmt::format("odd      {} entries with reserved bits, {} not present but not zero, {} loops\n",
                        s.reserved_entries, s.not_present_not_zero, s.loops);
    if (!s.complete) {
        text += "the counting reached its limit: there is more\n";
    }
    return text;
}

}  // namespace

void add_stats(CLI::App& app) {
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("stats", "Count tables, pages, rights, aliases and oddities");
    options->source.add_to(*command);
    command->add_flag("--json", options->json, "machine-readable output");
    command->callback([options] {
        const Scene scene = options->source.load();
        const SpaceStatistics counted = statistics(scene.space);
        print(options->json ? as_json(counted) : as_text(scene.title, counted));
    });
}

}  // namespace pgsim::cli
