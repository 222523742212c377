// SPDX-License-Identifier: GPL-2.0-only
#include <filesystem>
#include <utility>

#include "commands.hpp"
#include "common.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/formats/explorer_html.hpp"
#include "pgsim/formats/text_file.hpp"
#include "pgsim/scenario/process_explorer.hpp"
#include "pgsim/scenario/process_script.hpp"
#include "source.hpp"

namespace pgsim::cli {

namespace {

using kernel::LeftOutFlush;
using kernel::ThpSetting;

struct Options {
    std::string file;
    int levels = 4;
    std::uint64_t memory_mib = 1024;
    std::uint64_t free_mib = 0;
    std::uint64_t swap_mib = 256;
    ThpSetting thp = ThpSetting::madvise;
    LeftOutFlush left_out = LeftOutFlush::none;
    bool brief = false;
    bool check = false;
    bool json = false;
    bool views = false;
    std::string html;
    MachineOptions machine;
    bool booted = false;
};

ProcessWorld::Options world_of(const Options& options) {
    ProcessWorld::Options world;
    world.five_levels = options.levels == 5;
    world.memory_bytes = options.memory_mib << 20;
    world.free_bytes = options.free_mib << 20;
    world.mm.swap_slots = options.swap_mib << 8;
    world.mm.thp = options.thp;
    world.mm.left_out = options.left_out;
    return world;
}

// The machine that a boot leaves, or one built by hand.
std::unique_ptr<ProcessWorld> make_world(const Options& options) {
    if (!options.booted) {
        return std::make_unique<ProcessWorld>(world_of(options));
    }
    BootOptions boot_options;
    boot_options.until = "buddy.exit";
    const Boot boot = boot_with_progress(options.machine.scenario(), std::move(boot_options));
    return std::make_unique<ProcessWorld>(boot, world_of(options));
}

ProcessStory run_to_page(const std::string& script, const Options& options, ProcessWorld& world,
                         const StoryOptions& wanted) {
    ProcessRecording recording{world};
    ProcessStory told = run_process_script(script, world, recording.story_options(wanted));
    const std::string title = std::filesystem::path{options.file}.stem().string();
    deliver(options.html, formats::explorer_html(recording.document(told, title)));
    // What only the page asked for is not told in the terminal.
    told.before = wanted.views ? std::move(told.before) : ProcessesView{};
    for (StoryStep& step : told.steps) {
        if (!wanted.views) {
            step.after = {};
        }
        if (!wanted.trace) {
            step.trace.clear();
            step.trace_left_out = 0;
        }
    }
    return told;
}

void run(const Options& options) {
    const std::string script = formats::read_text_maybe_xz(options.file);
    StoryOptions story;
    story.trace = story.entries = !options.brief;
    story.check = options.check;
    story.views = options.views;
    ProcessStory told;
    try {
        (void)parse_process_script(script);  // before a machine is made
        const std::unique_ptr<ProcessWorld> world = make_world(options);
        told = options.html.empty() ? run_process_script(script, *world, story)
                                    : run_to_page(script, options, *world, story);
    } catch (const Error& error) {
        throw error.within(options.file);
    }
    print(options.json ? to_json(told) : to_text(told));
    for (const StoryStep& step : told.steps) {
        if (!step.broken.empty() || !step.stopped.empty()) {
            throw Differs{};
        }
    }
}

}  // namespace

void add_run(CLI::App& app) {
    static const std::map<std::string, ThpSetting> thp_settings{
        {"never", ThpSetting::never}, {"madvise", ThpSetting::madvise}, {"always", ThpSetting::always}};
    static const std::map<std::string, LeftOutFlush> flushes{{"none", LeftOutFlush::none},
                                                             {"fork", LeftOutFlush::fork},
                                                             {"munmap", LeftOutFlush::munmap},
                                                             {"mprotect", LeftOutFlush::mprotect},
                                                             {"copy-on-write", LeftOutFlush::copy_on_write}};
    auto options = std::make_shared<Options>();
    CLI::App* const command =
        app.add_subcommand("run", "Runs a script of processes and tells step by step what the kernel does and why");
    command
        ->add_option("SCRIPT", options->file,
                     "a line an operation, such as: P mmap 0x100000000000 64K rw private|anon|fixed")
        ->required();
    command->add_option("--levels", options->levels, "paging levels")->check(CLI::IsMember({4, 5}));
    command->add_option("--memory", options->memory_mib, "RAM, MiB")->check(CLI::Range(16, 1 << 20));
    command->add_option("--free", options->free_mib, "what of it is free for the processes, MiB; 0: all")
        ->check(CLI::Range(0, 1 << 20));
    command->add_option("--swap", options->swap_mib, "swap area, MiB")->check(CLI::Range(0, 65536));
    command->add_option("--thp", options->thp, "huge pages: never, madvise, always")
        ->transform(CLI::CheckedTransformer(thp_settings))
        ->type_name("SETTING");
    command
        ->add_option("--leave-out-flush", options->left_out,
                     "shows what goes wrong without this TLB flush: fork, munmap, mprotect, copy-on-write")
        ->transform(CLI::CheckedTransformer(flushes))
        ->type_name("FLUSH");
    command->add_flag("--brief", options->brief, "only what each line came to");
    command->add_flag("--check", options->check,
                      "checks all invariants after each line; exit code 1 when one is broken");
    command->add_flag("--json", options->json, "machine-readable output");
    command->add_flag("--views", options->views,
                      "with --json: areas, pages, tables and frames of all processes after each line");
    command->add_option("--html", options->html, "write the explorer page of this run")->type_name("FILE");
    options->machine.add_to(*command);
    command->callback([options, command] {
        static const char* const of_machine[] = {"--preset", "--e820",   "--like",    "--this-machine",
                                                 "--cpu",    "--kernel", "--cmdline", "--numa"};
        for (const char* const name : of_machine) {
            const CLI::Option* const option = command->get_option_no_throw(name);
            options->booted = options->booted || (option != nullptr && option->count() != 0);
        }
        for (const char* const name : {"--levels", "--memory", "--free"}) {
            if (options->booted && command->count(name) != 0) {
                throw Error{name, "the machine that is booted decides that"};
            }
        }
        run(*options);
    });
}

}  // namespace pgsim::cli
