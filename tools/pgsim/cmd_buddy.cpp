// SPDX-License-Identifier: GPL-2.0-only
#include "commands.hpp"
#include "common.hpp"
#include "pgsim/scenario/booted_kernel.hpp"
#include "pgsim/scenario/buddy_account.hpp"
#include "source.hpp"

namespace pgsim::cli {

namespace {

struct Options {
    MachineOptions machine;
    std::vector<std::string> allocations;
    std::vector<std::string> frees;
    std::string svg;
    bool late = false;
    bool no_pcp = false;
    bool picture = false;
    bool json = false;
};

void buddy(const Options& options) {
    std::vector<BuddyRequest> requests;
    for (const std::string& text : options.allocations) {
        requests.push_back(parse_alloc_request(text));
    }
    for (const std::string& text : options.frees) {
        requests.push_back(parse_free_request(text));
    }
    BootOptions boot_options;
    boot_options.until = "buddy.exit";
    const Boot boot = boot_with_progress(options.machine.scenario(), std::move(boot_options));
    BootedKernel kernel{boot, {.late = options.late, .pcp = !options.no_pcp}};
    const std::vector<BuddyChange> changes = apply_requests(kernel.buddy(), requests);
    if (!options.svg.empty()) {
        deliver(options.svg, free_lists_svg(kernel.buddy()));
    }
    if (options.json) {
        print(buddy_json(kernel.buddy(), changes));
        return;
    }
    std::string text;
    for (const BuddyChange& change : changes) {
        text += to_string(change);
    }
    text += (text.empty() ? "" : "\n") + free_lists_text(kernel.buddy());
    if (options.picture) {
        text += '\n' + free_lists_picture(kernel.buddy());
    }
    print(text);
}

}  // namespace

void add_buddy(CLI::App& app) {
    auto options = std::make_shared<Options>();
    CLI::App* const command = app.add_subcommand(
        "buddy", "The free lists of the buddy allocator after a boot, and what an allocation or a free changes");
    options->machine.add_to(*command);
    command
        ->add_option("--alloc", options->allocations,
                     "allocates 2^ORDER pages; GFP: kernel, highuser_movable, atomic, dma32|movable …; may be repeated")
        ->type_name("ORDER[,GFP[,NODE]]")
        ->take_all()
        ->expected(1);
    command
        ->add_option("--free", options->frees,
                     "frees a block, after all allocations: a frame and its order, or @N: what allocation N gave")
        ->type_name("PFN,ORDER")
        ->take_all()
        ->expected(1);
    command->add_flag("--late", options->late,
                      "when init starts: deferred pages free too, watermarks set, per-CPU lists in use");
    command->add_flag("--no-pcp", options->no_pcp, "with --late: without per-CPU lists");
    command->add_flag("--picture", options->picture, "draws each zone");
    command->add_option("--svg", options->svg, "writes a drawing of all zones, as SVG")->type_name("FILE");
    command->add_flag("--json", options->json, "machine-readable output");
    command->callback([options] { buddy(*options); });
}

}  // namespace pgsim::cli
