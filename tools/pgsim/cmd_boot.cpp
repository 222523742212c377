// SPDX-License-Identifier: GPL-2.0-only
#include <filesystem>
#include <memory>

#include "commands.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/formats/capture.hpp"
#include "pgsim/formats/explorer_html.hpp"
#include "pgsim/scenario/account.hpp"
#include "pgsim/scenario/boot_capture.hpp"
#include "pgsim/scenario/boot_explorer.hpp"
#include "source.hpp"

namespace pgsim::cli {

namespace {

struct Options {
    MachineOptions machine;
    std::string positional;
    std::string until;
    std::string only;
    std::string out;
    std::string html;
    std::size_t lines = 24;
    bool quiet = false;
    bool json = false;
};

// A machine without an option in front: a file of any kind, or a preset's name.
MachineOptions machine_of(const Options& options) {
    MachineOptions machine = options.machine;
    if (!options.positional.empty()) {
        if (!machine.preset.empty() || !machine.e820.empty() || !machine.like.empty() || machine.this_machine) {
            throw Error{options.positional, "the machine is given twice"};
        }
        (std::filesystem::exists(options.positional) ? machine.e820 : machine.preset) = options.positional;
    }
    return machine;
}

void boot(const Options& options) {
    BootOptions boot_options;
    boot_options.until = options.until;
    boot_options.journal = !options.html.empty();  // the page says who wrote each entry
    const Boot result = boot_with_progress(machine_of(options).scenario(), std::move(boot_options));
    if (!options.out.empty()) {
        formats::write_capture(options.out, to_capture(result));
    }
    if (!options.html.empty()) {
        deliver(options.html, formats::explorer_html(explorer_document(result)));
    }
    if (options.json) {
        print(formats::capture_to_json(to_capture(result)) + '\n');
    } else if (!options.quiet) {
        AccountOptions account_options;
        account_options.max_lines = options.lines;
        if (options.only.empty()) {
            print(account_of_inputs(result) + '\n');
            for (const Checkpoint& checkpoint : result.checkpoints()) {
                print(account(result, checkpoint, account_options) + '\n');
            }
        } else {
            print(account(result, result.at(options.only), account_options));
        }
    }
    if (!options.json) {
        print(account_of_end(result));
    }
    for (const std::string& file : {options.out, options.html}) {
        if (!file.empty() && !options.json) {
            print("Written: " + file + '\n');
        }
    }
}

}  // namespace

void add_boot(CLI::App& app) {
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("boot", "Boot a machine and tell what each checkpoint leaves");
    command->add_option("MACHINE", options->positional, "boot log, machine file, map, capture, or a preset's name")
        ->type_name("FILE|NAME");
    options->machine.add_to(*command);
    command->add_option("--until", options->until, "stop after this checkpoint")->type_name("CHECKPOINT");
    command->add_option("--only", options->only, "tell of this checkpoint alone")->type_name("CHECKPOINT");
    command->add_option("--out", options->out, "write a capture file (.json or .json.xz)")->type_name("FILE");
    command->add_option("--html", options->html, "write the explorer page of this boot")->type_name("FILE");
    command->add_option("--lines", options->lines, "at most so many lines of a list; 0: all")->capture_default_str();
    command->add_flag("--quiet", options->quiet, "only how it ended");
    command->add_flag("--json", options->json, "the capture on standard output");
    command->callback([options] { boot(*options); });
}

}  // namespace pgsim::cli
