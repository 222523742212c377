// SPDX-License-Identifier: GPL-2.0-only
#include <memory>

#include "commands.hpp"
#include "pgsim/formats/dump.hpp"
#include "source.hpp"

namespace pgsim::cli {

namespace {

struct Options {
    std::string address;
    SourceOptions source;
    std::string access = "r";
    std::string style = "plain";
    bool user = false;
    bool json = false;
};

void walk(const Options& options) {
    const VirtAddr virt{parse_address(options.address, "address")};
    const Scene scene = options.source.load();
    Access access;
    access.kind = options.access == "w"   ? AccessKind::write
                  : options.access == "x" ? AccessKind::fetch
                                          : AccessKind::read;
    access.cpl = options.user ? 3 : 0;
    const WalkResult result = scene.space.walk(virt, access);
    if (options.json) {
        print(formats::walk_to_json(result));
        return;
    }
    print(painted(
        formats::format_walk(result, scene.space.levels(), *formats::find_walk_style(options.style), scene.names)));
}

}  // namespace

void add_walk(CLI::App& app) {
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("walk", "Translate one linear address, step by step");
    command->add_option("VA", options->address, "linear address, hexadecimal")->required();
    options->source.add_to(*command);
    command->add_option("--access", options->access, "what the access does: r, w or x")
        ->check(CLI::IsMember({"r", "w", "x"}))
        ->capture_default_str();
    command->add_flag("--user", options->user, "an access at CPL 3");
    command->add_option("--style", options->style, "plain, crash (as its vtop) or bochs (as its page command)")
        ->check(CLI::IsMember({"plain", "crash", "bochs"}))
        ->capture_default_str();
    command->add_flag("--json", options->json, "machine-readable output");
    command->callback([options] { walk(*options); });
}

}  // namespace pgsim::cli
