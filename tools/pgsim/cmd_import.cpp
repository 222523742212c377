// SPDX-License-Identifier: GPL-2.0-only
#include <memory>

#include "commands.hpp"
#include "pgsim/formats/capture.hpp"
#include "pgsim/formats/dump.hpp"
#include "source.hpp"

namespace pgsim::cli {

namespace {

struct Options {
    std::string file;
    FileOptions reading;
    FilterOptions filter;
    std::string at;
    std::string root;
    std::string format = "ranges";
    std::string out;
    bool json = false;
};

void import_file(const Options& options) {
    formats::DumpOptions dump_options;
    dump_options.filter = options.filter.filter();
    std::vector<std::string> notes;
    const Scene scene = scene_of_file(options.file, options.at, options.root, options.reading, notes);
    for (const std::string& note : notes) {
        std::fprintf(stderr, "pgsim: note: %s\n", note.c_str());
    }
    if (!options.out.empty()) {
        formats::write_capture(options.out, capture_of(scene));
        return;
    }
    dump_options.names = scene.names;
    dump_options.markers = scene.markers;
    const auto format = options.json ? formats::DumpFormat::json : *formats::find_dump_format(options.format);
    std::string text = formats::dump(scene.space, format, dump_options);
    print(shows_people(format) ? painted(std::move(text)) : text);
}

}  // namespace

void add_import(CLI::App& app) {
    auto options = std::make_shared<Options>();
    CLI::App* command =
        app.add_subcommand("import", "Read another tool's tables: QEMU's info tlb, Linux's ptdump, a memory image");
    command->add_option("FILE", options->file, "text, an ELF core (dump-guest-memory), a raw image, or a capture")
        ->required();
    command->add_option("--format", options->format, "how to show it, as in dump")
        ->check([](const std::string& name) {
            return formats::find_dump_format(name) ? std::string{} : "there is no format \"" + name + '"';
        })
        ->capture_default_str();
    command->add_flag("--json", options->json, "the same as --format json");
    command->add_option("-o,--out", options->out, "write it as a capture that walk, dump and diff can read")
        ->type_name("FILE");
    command->add_option("--at", options->at, "the checkpoint of a capture")->type_name("CHECKPOINT");
    command->add_option("--root", options->root, "another root of a capture's checkpoint")->type_name("NAME");
    options->reading.add_to(*command);
    options->filter.add_to(*command);
    command->callback([options] { import_file(*options); });
}

}  // namespace pgsim::cli
