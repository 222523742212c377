// SPDX-License-Identifier: GPL-2.0-only
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "commands.hpp"
#include "common.hpp"
#include "pgsim/scenario/page_account.hpp"
#include "source.hpp"

namespace pgsim::cli {

namespace {

struct Options {
    MachineOptions machine;
    std::string pfn;
    std::string at = "buddy.exit";
    bool json = false;
};

void page(const Options& options) {
    const Pfn pfn{parse_address(options.pfn, "page frame number")};
    BootOptions boot_options;
    boot_options.until = options.at;
    const Boot boot = boot_with_progress(options.machine.scenario(), std::move(boot_options));
    const StructPageView view = struct_page(boot, boot.at(options.at), pfn);
    if (!options.json) {
        print(to_string(view));
        return;
    }
    nlohmann::ordered_json out{
        {"pfn", pfn.value()}, {"address", to_string(view.address)}, {"mapped", view.words.has_value()}};
    if (view.words) {
        for (const std::uint64_t word : *view.words) {
            out["words"].push_back(fmt::format("{:#x}", word));
        }
        out["node"] = view.nid();
        out["zone"] = view.zone();
        out["reserved"] = view.reserved();
        out["refcount"] = view.refcount();
        if (const auto order = view.buddy_order()) {
            out["free_block_order"] = *order;
        }
    }
    print(out.dump(1) + '\n');
}

// The lines of zoneinfo as objects, one a zone: "pages free     12" becomes "pages_free": 12.
nlohmann::ordered_json zoneinfo_as_json(const std::string& text) {
    auto zones = nlohmann::ordered_json::array();
    std::istringstream lines{text};
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words{line};
        std::string key;
        std::string word;
        std::vector<std::uint64_t> values;
        while (words >> word) {
            const auto digits = word.find_first_of("0123456789");
            if (digits == std::string::npos) {
                key += (key.empty() ? "" : "_") + word.substr(0, word.find_first_of(":("));
            } else {
                values.push_back(std::stoull(word.substr(digits)));
            }
        }
        if (line.rfind("Node", 0) == 0) {
            // "Node 0, zone    DMA32": the name may end in digits.
            zones.push_back({{"node", values.at(0)}, {"zone", line.substr(line.rfind(' ') + 1)}});
        } else if (key == "protection") {
            zones.back()[key] = values;
        } else {
            zones.back()[key] = values.at(0);
        }
    }
    return zones;
}

void show_zoneinfo(const Options& options) {
    const Boot boot = boot_with_progress(options.machine.scenario(), {});
    const std::string text = zoneinfo(boot.at(options.at));
    print(options.json ? zoneinfo_as_json(text).dump(1) + '\n' : text);
}

}  // namespace

void add_page(CLI::App& app) {
    auto options = std::make_shared<Options>();
    CLI::App* command =
        app.add_subcommand("page", "The struct page of one frame, decoded, and the entries that map it");
    command->add_option("PFN", options->pfn, "page frame number, hexadecimal, or decimal after \"=\"")->required();
    options->machine.add_to(*command);
    command->add_option("--at", options->at, "the checkpoint")->type_name("CHECKPOINT")->capture_default_str();
    command->add_flag("--json", options->json, "machine-readable output");
    command->callback([options] { page(*options); });

    auto zones = std::make_shared<Options>();
    CLI::App* zoneinfo_command = app.add_subcommand("zoneinfo", "What /proc/zoneinfo would say of each zone");
    zones->machine.add_to(*zoneinfo_command);
    zoneinfo_command->add_option("--at", zones->at, "the checkpoint")->type_name("CHECKPOINT")->capture_default_str();
    zoneinfo_command->add_flag("--json", zones->json, "machine-readable output");
    zoneinfo_command->callback([zones] { show_zoneinfo(*zones); });
}

}  // namespace pgsim::cli
