// SPDX-License-Identifier: GPL-2.0-only
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "diff_boots.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/inspect/space_diff.hpp"
#include "source.hpp"

namespace pgsim::cli {

namespace {

struct Options {
    std::string before;
    std::string after;
    std::string at;
    std::string root;
    bool accessed_dirty = false;
    bool entries = false;
    bool boot = false;
    std::size_t lines = 12;
    bool json = false;
};

nlohmann::ordered_json half(const std::optional<MappedRange>& range) {
    if (!range) {
        return nullptr;
    }
    return {{"pa", hex(range->phys.value())},
            {"page_size", bytes(range->page_size)},
            {"writable", range->rights.writable},
            {"executable", range->rights.executable},
            {"user", range->rights.user}};
}

std::string as_json(const SpaceDiff& result) {
    auto entries = nlohmann::ordered_json::array();
    for (const EntryChange& change : result.entries) {
        entries.push_back({{"change", std::string{to_string(change.kind)}},
                           {"pa", hex(change.entry_addr.value())},
                           {"level", number(change.level)},
                           {"va", hex(change.virt.value())},
                           {"before", hex(change.before)},
                           {"after", hex(change.after)}});
    }
    auto ranges = nlohmann::ordered_json::array();
    for (const RangeChange& change : result.ranges) {
        ranges.push_back({{"change", std::string{to_string(change.kind)}},
                          {"va", hex(change.virt.value())},
                          {"bytes", change.bytes},
                          {"before", half(change.before)},
                          {"after", half(change.after)}});
    }
    return nlohmann::ordered_json{
               {"entries", std::move(entries)}, {"ranges", std::move(ranges)}, {"complete", result.complete}}
               .dump(1) +
           '\n';
}

int colour_of(ChangeKind kind) {
    switch (kind) {
    case ChangeKind::added: return 32;
    case ChangeKind::removed: return 31;
    case ChangeKind::changed: return 33;
    }
    return 0;
}

std::string as_text(const Scene& before, const Scene& after, const SpaceDiff& result, bool entries) {
    std::string text = before.title + "\n  -> " + after.title + '\n';
    std::array<std::uint64_t, 3> counts{};
    for (const EntryChange& change : result.entries) {
        ++counts[static_cast<std::size_t>(change.kind)];
        if (entries) {
            text += in_colour(fmt::format("{:<7} {} {} (va {}): {} -> {}", to_string(change.kind),
                                          entry_name(change.level), hex(change.entry_addr.value()),
                                          hex(change.virt.value()), hex(change.before), hex(change.after)),
                              colour_of(change.kind)) +
                    '\n';
        }
    }
    for (const RangeChange& change : result.ranges) {
        text += in_colour(to_string(change), colour_of(change.kind)) + '\n';
    }
    text += fmt::format("{} entries added, {} removed, {} changed; {} ranges differ{}\n", counts[0], counts[1],
                        counts[2], result.ranges.size(), result.complete ? "" : "; the search reached its limit");
    return text;
}

// A preset's name, or a file from which a machine can be booted but no tables can be read.
bool is_machine(const std::string& text) {
    if (!std::filesystem::exists(text)) {
        return text.find(':') == std::string::npos;
    }
    return std::filesystem::is_directory(text) || !has_tables(text);
}

BootScenario machine_of(const std::string& text) {
    MachineOptions machine;
    (std::filesystem::exists(text) ? machine.e820 : machine.preset) = text;
    return machine.scenario();
}

void diff_machines(const Options& options) {
    const Boot before = boot_with_progress(machine_of(options.before), {.until = options.at});
    const Boot after = boot_with_progress(machine_of(options.after), {.until = options.at});
    const BootDiff result = diff_boots(
        before, after, {.accessed_dirty = options.accessed_dirty, .lines = options.lines, .json = options.json});
    print(result.text);
    if (result.differs) {
        throw Differs{};
    }
}

void diff_scenes(const Options& options) {
    if (options.boot || (is_machine(options.before) && is_machine(options.after))) {
        diff_machines(options);
        return;
    }
    std::vector<std::string> notes;
    const Scene before = scene_of_file(options.before, options.at, options.root, {}, notes);
    const Scene after = scene_of_file(options.after, options.at, options.root, {}, notes);
    const SpaceDiff result = diff(before.space, after.space, {.accessed_dirty = options.accessed_dirty});
    print(options.json ? as_json(result) : as_text(before, after, result, options.entries));
    if (!result.empty()) {
        throw Differs{};
    }
}

}  // namespace

void add_diff(CLI::App& app) {
    auto options = std::make_shared<Options>();
    CLI::App* command =
        app.add_subcommand("diff", "What differs between two checkpoints, captures or boots; 1 if anything does");
    command
        ->add_option("A", options->before, "FILE[:CHECKPOINT] with tables, or a machine to boot: a preset, log or map")
        ->required();
    command->add_option("B", options->after, "what A is compared with")->required();
    command->add_flag("--boot", options->boot, "boot both, also captures (of which only the inputs are taken)");
    command->add_option("--lines", options->lines, "of two boots: so many ranges a checkpoint; 0: all")
        ->capture_default_str();
    command->add_option("--at", options->at, "the checkpoint, where A or B names none; else the last one");
    command->add_option("--root", options->root, "another root of the checkpoints, by name");
    command->add_flag("--accessed-dirty", options->accessed_dirty, "A and D count as differences");
    command->add_flag("--entries", options->entries, "list the entries too, not only the ranges");
    command->add_flag("--json", options->json, "machine-readable output");
    command->callback([options] { diff_scenes(*options); });
}

}  // namespace pgsim::cli
