// SPDX-License-Identifier: GPL-2.0-only
// `walk`, and for each entry who wrote it, when, and what was there before: in sentences.
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

struct Options {
    std::string address;
    MachineOptions machine;
    std::string at;
    std::string root;
    std::string access = "r";
    bool user = false;
    bool json = false;
};

Access access_of(const Options& options) {
    Access access;
    access.kind = options.access == "w"   ? AccessKind::write
                  : options.access == "x" ? AccessKind::fetch
                                          : AccessKind::read;
    access.cpl = options.user ? 3 : 0;
    return access;
}

std::string table_text(const Scene& scene, PhysAddr table) {
    const auto found = scene.names.find(table);
    return found == scene.names.end() ? "the table at " + hex(table.value())
                                      : found->second + " (at " + hex(table.value()) + ')';
}

// What this entry does to the access.
std::string meaning(const WalkStep& step) {
    const Entry entry = step.entry;
    if (!entry.present()) {
        return entry.raw() == 0 ? "It is zero: nothing is mapped here."
                                : "Its P bit is clear: the processor looks no further, the other bits are software's.";
    }
    std::string text = entry.maps_page() ? fmt::format("It maps a {} page at {}", short_name(*entry.page_size()),
                                                       hex(entry.base().value()))
                                         : "It names the next table, at " + hex(entry.base().value());
    std::vector<std::string> limits;
    if (!entry.has(EntryFlag::rw)) {
        limits.emplace_back("R/W is clear, so nothing below can be written to");
    }
    if (!entry.has(EntryFlag::us)) {
        limits.emplace_back("U/S is clear, so it is for the supervisor only");
    }
    if (entry.has(EntryFlag::xd)) {
        limits.emplace_back("XD is set, so nothing below can be executed");
    }
    for (const std::string& limit : limits) {
        text += "; " + limit;
    }
    return text + '.';
}

std::string history_text(const Provenance& provenance, PhysAddr entry) {
    const auto writes = provenance.writes_of(entry);
    if (writes.empty()) {
        return "    Nobody has written it since the machine was switched on: it is as the loader left it.\n";
    }
    std::string text;
    for (const std::uint32_t index : writes) {
        const WriteRecord& write = provenance.record(index);
        text += "    - " + describe_write(write, provenance.origin(write)) + '\n';
    }
    return text;
}

std::string outcome_text(const WalkResult& walk) {
    if (const Translation* translation = walk.translation()) {
        return fmt::format("So {} is at {}, in a {} page that can be {}{} by {}.\n", hex(walk.virt().value()),
                           hex(translation->phys.value()), short_name(translation->page_size),
                           translation->rights.writable ? "read and written" : "read",
                           translation->rights.executable ? " and executed" : "",
                           translation->rights.user ? "user mode and the supervisor" : "the supervisor");
    }
    if (const PageFault* fault = walk.page_fault()) {
        return fmt::format("So this {} raises #PF with error code 0x{:x} ({} at the {}); CR2 gets {}.\n",
                           to_string(walk.access()), fault->error_code, to_string(fault->cause),
                           entry_name(fault->level), hex(fault->virt.value()));
    }
    return fmt::format("{} is not canonical: #GP before any table is read.\n", hex(walk.virt().value()));
}

std::string as_text(const Scene& scene, const WalkResult& walk, const Provenance& provenance) {
    std::string text = scene.title + ", " + to_string(walk.access()) + " of " + hex(walk.virt().value()) + "\n\n";
    unsigned number_of_step = 0;
    for (const WalkStep& step : walk.steps()) {
        const std::uint64_t index = step.entry_addr.offset_in(4096) / 8;
        const unsigned shift = index_shift(step.entry.level());
        text += in_colour(fmt::format("{}. {}", ++number_of_step, to_string(step.entry)), 1) + '\n';
        text += fmt::format("    Bits {}:{} of the address are {}: entry {} of {}. {}\n", shift + 8, shift, index,
                            index, table_text(scene, step.entry_addr.align_down(4096)), meaning(step));
        text += history_text(provenance, step.entry_addr);
    }
    return text + '\n' + outcome_text(walk);
}

std::string as_json(const Scene& scene, const WalkResult& walk, const Provenance& provenance) {
    auto json = nlohmann::ordered_json::parse(formats::walk_to_json(walk));
    json["title"] = scene.title;
    std::size_t i = 0;
    for (const WalkStep& step : walk.steps()) {
        auto history = nlohmann::ordered_json::array();
        for (const std::uint32_t index : provenance.writes_of(step.entry_addr)) {
            const WriteRecord& write = provenance.record(index);
            const WriteOrigin& origin = provenance.origin(write);
            history.push_back({{"function", origin.function},
                               {"stage", origin.stage},
                               {"rule", origin.rule},
                               {"cycle", write.when.count()},
                               {"before", hex(write.before)},
                               {"after", hex(write.after)}});
        }
        json["steps"][i++]["writes"] = std::move(history);
    }
    return json.dump(1) + '\n';
}

void explain(const Options& options) {
    const VirtAddr virt{parse_address(options.address, "address")};
    const Boot boot = boot_with_progress(options.machine.scenario(), {.until = options.at, .journal = true});
    const Checkpoint& checkpoint = options.at.empty() ? boot.last() : boot.at(options.at);
    const Scene scene = scene_of_boot(boot, checkpoint, options.root);
    const Provenance provenance{*boot.journal(), checkpoint.journal_size};
    const WalkResult walk = scene.space.walk(virt, access_of(options));
    print(options.json ? as_json(scene, walk, provenance) : as_text(scene, walk, provenance));
}

}  // namespace

void add_explain(CLI::App& app) {
    auto options = std::make_shared<Options>();
    CLI::App* command =
        app.add_subcommand("explain", "A walk, and for each entry who wrote it, when, and what was there before");
    command->add_option("VA", options->address, "linear address, hexadecimal")->required();
    command->add_option("--at", options->at, "the checkpoint; the last one if not given")->type_name("CHECKPOINT");
    command->add_option("--root", options->root, "another root of the checkpoint, by name")->type_name("NAME");
    command->add_option("--access", options->access, "what the access does: r, w or x")
        ->check(CLI::IsMember({"r", "w", "x"}))
        ->capture_default_str();
    command->add_flag("--user", options->user, "an access at CPL 3");
    command->add_flag("--json", options->json, "machine-readable output");
    options->machine.add_to(*command);
    command->callback([options] { explain(*options); });
}

}  // namespace pgsim::cli
