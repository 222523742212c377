// SPDX-License-Identifier: GPL-2.0-only
#include "commands.hpp"
#include "common.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/formats/text_file.hpp"
#include "pgsim/scenario/process_script.hpp"

namespace pgsim::cli {

namespace {

struct Options {
    std::string file;
    int levels = 4;
    std::uint64_t memory_mib = 1024;
    std::uint64_t free_mib = 0;
    std::uint64_t swap_mib = 256;
    std::string thp = "madvise";
    std::string left_out = "none";
    bool brief = false;
    bool check = false;
};

void run(const Options& options) {
    ProcessWorld::Options world;
    world.five_levels = options.levels == 5;
    world.memory_bytes = options.memory_mib << 20;
    world.free_bytes = options.free_mib << 20;
    world.mm.swap_slots = options.swap_mib << 8;
    world.mm.thp = options.thp == "always"  ? kernel::ThpSetting::always
                   : options.thp == "never" ? kernel::ThpSetting::never
                                            : kernel::ThpSetting::madvise;
    using kernel::LeftOutFlush;
    world.mm.left_out = options.left_out == "fork"            ? LeftOutFlush::fork
                        : options.left_out == "munmap"        ? LeftOutFlush::munmap
                        : options.left_out == "mprotect"      ? LeftOutFlush::mprotect
                        : options.left_out == "copy-on-write" ? LeftOutFlush::copy_on_write
                                                              : LeftOutFlush::none;
    const std::string script = formats::read_text_maybe_xz(options.file);
    StoryOptions story;
    story.steps = story.entries = !options.brief;
    story.check = options.check;
    try {
        print(tell_process_story(script, world, story));
    } catch (const Error& error) {
        throw error.within(options.file);
    }
}

}  // namespace

void add_run(CLI::App& app) {
    auto options = std::make_shared<Options>();
    CLI::App* const command =
        app.add_subcommand("run", "Runs a script of processes and tells step by step what the kernel does and why");
    command->add_option("SCRIPT", options->file, "lines such as: P mmap 0x100000000000 64K rw private|anon|fixed")
        ->required();
    command->add_option("--levels", options->levels, "Paging levels")->check(CLI::IsMember({4, 5}));
    command->add_option("--memory", options->memory_mib, "RAM, MiB")->check(CLI::Range(16, 1 << 20));
    command->add_option("--free", options->free_mib, "What of it is free for the processes, MiB; 0: all");
    command->add_option("--swap", options->swap_mib, "Swap area, MiB")->check(CLI::Range(0, 65536));
    command->add_option("--thp", options->thp, "Huge pages")->check(CLI::IsMember({"never", "madvise", "always"}));
    command->add_option("--leave-out-flush", options->left_out, "Shows what goes wrong without this TLB flush")
        ->check(CLI::IsMember({"none", "fork", "munmap", "mprotect", "copy-on-write"}));
    command->add_flag("--brief", options->brief, "Only what each line came to");
    command->add_flag("--check", options->check, "Checks all invariants after each line");
    command->callback([options] { run(*options); });
}

}  // namespace pgsim::cli
