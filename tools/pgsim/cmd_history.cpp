// SPDX-License-Identifier: GPL-2.0-only
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/inspect/provenance.hpp"
#include "source.hpp"

namespace pgsim::cli {

namespace {

using Json = nlohmann::ordered_json;

struct Options {
    std::string table;
    MachineOptions machine;
    std::string at;
    std::string root;
    std::optional<std::size_t> step;
    bool json = false;
};

// A table by its address or by its name.
TableRef find_table(const Scene& scene, const std::string& text) {
    const std::vector<TableRef> tables = scene.space.tables();
    for (const TableRef& table : tables) {
        const auto name = scene.names.find(table.address);
        if ((name != scene.names.end() && name->second == text) || hex(table.address.value()) == text ||
            hex(table.address.value()) == "0x" + text) {
            return table;
        }
    }
    throw Error{"table \"" + text + '"',
                "no such table can be reached from the root of " + scene.title + "; pgsim dump lists them"};
}

unsigned index_in(const TableRef& table, PhysAddr entry) {
    return static_cast<unsigned>((entry - table.address) / 8);
}

std::string entries_of(const PageTable& table) {
    std::string text;
    for (unsigned i = 0; i < 512; ++i) {
        if (table[i].raw() != 0) {
            text += fmt::format("  [{}] {}\n", i, to_string(table[i]));
        }
    }
    return text.empty() ? "  all entries are zero\n" : text;
}

std::string as_text(const Scene& scene, const TableRef& ref, const Provenance& provenance, TableHistory& history,
                    const Options& options) {
    const auto name = scene.names.find(ref.address);
    std::string text = fmt::format(
        "{}: {} at {}{}, {} writes\n", scene.title, options.table, hex(ref.address.value()),
        name == scene.names.end() || name->second == options.table ? std::string{} : " (" + name->second + ')',
        history.size());
    const auto line = [&](std::size_t number, const WriteRecord& write) {
        return fmt::format("{:4}. [{}] {}\n", number, index_in(ref, write.address),
                           describe_write(write, provenance.origin(write)));
    };
    if (!options.step) {
        history.go_to(0);
        for (std::size_t i = 1; const WriteRecord* const write = history.next(); ++i) {
            text += line(i, *write);
            history.forward();
        }
        return text;
    }
    history.go_to(*options.step);
    if (*options.step != 0) {
        history.back();
        text += "the last write so far:\n" + line(*options.step, *history.next());
        history.forward();
    }
    text += fmt::format("after {} of them:\n", *options.step) + entries_of(history.table());
    if (const WriteRecord* const next = history.next()) {
        text += "the next write:\n" + line(*options.step + 1, *next);
    }
    return text;
}

Json as_json(const TableRef& ref, const Provenance& provenance, TableHistory& history, const Options& options) {
    Json json{{"table", hex(ref.address.value())}, {"level", number(ref.level)}, {"writes", Json::array()}};
    history.go_to(0);
    while (const WriteRecord* const write = history.next()) {
        const WriteOrigin& origin = provenance.origin(*write);
        json["writes"].push_back({{"index", index_in(ref, write->address)},
                                  {"function", origin.function},
                                  {"stage", origin.stage},
                                  {"rule", origin.rule},
                                  {"cycle", write->when.count()},
                                  {"before", hex(write->before)},
                                  {"after", hex(write->after)}});
        history.forward();
    }
    if (options.step) {
        history.go_to(*options.step);
        json["step"] = *options.step;
        json["entries"] = Json::array();
        const PageTable table = history.table();
        for (unsigned i = 0; i < 512; ++i) {
            if (table[i].raw() != 0) {
                json["entries"].push_back({i, hex(table[i].raw())});
            }
        }
    }
    return json;
}

void show(const Options& options) {
    const Boot boot = boot_with_progress(options.machine.scenario(), {.until = options.at, .journal = true});
    const Checkpoint& checkpoint = options.at.empty() ? boot.last() : boot.at(options.at);
    const Scene scene = scene_of_boot(boot, checkpoint, options.root);
    const TableRef ref = find_table(scene, options.table);
    const Provenance provenance{*boot.journal(), checkpoint.journal_size};
    TableHistory history{provenance, scene.space.table(ref.address, ref.level)};
    if (options.step && *options.step > history.size()) {
        throw Error{"--step", fmt::format("the table was written {} times", history.size())};
    }
    print(options.json ? as_json(ref, provenance, history, options).dump(1) + '\n'
                       : painted(as_text(scene, ref, provenance, history, options)));
}

}  // namespace

void add_history(CLI::App& app) {
    auto options = std::make_shared<Options>();
    CLI::App* const command = app.add_subcommand(
        "history", "Every write into one table, in order; with --step the table as it was after so many");
    command->add_option("TABLE", options->table, "physical address, or name (init_top_pgt, level2_fixmap_pgt, ...)")
        ->required();
    command->add_option("--step", options->step,
                        "the table after this many writes, from 0 on, and the write before and next");
    command->add_option("--at", options->at, "the checkpoint up to which is looked; the last one if not given")
        ->type_name("CHECKPOINT");
    command->add_option("--root", options->root, "another root of the checkpoint, by name")->type_name("NAME");
    command->add_flag("--json", options->json, "machine-readable output");
    options->machine.add_to(*command);
    command->callback([options] { show(*options); });
}

}  // namespace pgsim::cli
