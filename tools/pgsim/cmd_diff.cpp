// SPDX-License-Identifier: GPL-2.0-only
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
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

void diff_scenes(const Options& options) {
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
        app.add_subcommand("diff", "What differs between two checkpoints or captures; 1 if anything does");
    command->add_option("A", options->before, "before: FILE[:CHECKPOINT]")->required();
    command->add_option("B", options->after, "after: FILE[:CHECKPOINT]")->required();
    command->add_option("--at", options->at, "the checkpoint, where A or B names none; else the last one");
    command->add_option("--root", options->root, "another root of the checkpoints, by name");
    command->add_flag("--accessed-dirty", options->accessed_dirty, "A and D count as differences");
    command->add_flag("--entries", options->entries, "list the entries too, not only the ranges");
    command->add_flag("--json", options->json, "machine-readable output");
    command->callback([options] { diff_scenes(*options); });
}

}  // namespace pgsim::cli
