// SPDX-License-Identifier: GPL-2.0-only
#include <memory>

#include "commands.hpp"
#include "pgsim/formats/dump.hpp"
#include "pgsim/formats/explorer_html.hpp"
#include "source.hpp"

namespace pgsim::cli {

namespace {

struct Options {
    SourceOptions source;
    FilterOptions filter;
    std::string format = "tree";
    std::string out;
    bool json = false;
};

void dump(const Options& options) {
    formats::DumpOptions dump_options;
    dump_options.filter = options.filter.filter();
    Scene scene = options.source.load();
    if (options.format == "html") {
        deliver(options.out, formats::explorer_html(formats::capture_to_json(capture_of(scene))));
        return;
    }
    dump_options.names = std::move(scene.names);
    dump_options.markers = std::move(scene.markers);
    const auto format = options.json ? formats::DumpFormat::json : *formats::find_dump_format(options.format);
    const bool to_people = (options.out.empty() || options.out == "-") && shows_people(format);
    std::string text = formats::dump(scene.space, format, dump_options);
    deliver(options.out, to_people ? painted(std::move(text)) : text);
}

}  // namespace

void add_dump(CLI::App& app) {
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("dump", "Write the tables of a checkpoint in one of many formats");
    options->source.add_to(*command);
    command->add_option("--format", options->format)
        ->description(
            "tree, ranges, ptdump (as Linux), qemu-tlb, qemu-mem (as QEMU's info tlb, info mem), json, dot, "
            "svg, vmprint (as xv6), boxes, html (the explorer page)")
        ->check([](const std::string& name) {
            return name == "html" || formats::find_dump_format(name) ? std::string{}
                                                                     : "there is no format \"" + name + '"';
        })
        ->capture_default_str();
    command->add_flag("--json", options->json, "the same as --format json");
    command->add_option("-o,--out", options->out, "write to this file")->type_name("FILE");
    options->filter.add_to(*command);
    command->callback([options] { dump(*options); });
}

}  // namespace pgsim::cli
