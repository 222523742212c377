// SPDX-License-Identifier: GPL-2.0-only
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "common.hpp"
#include "pgsim/cpu/cpu_features.hpp"
#include "pgsim/scenario/presets.hpp"

namespace pgsim::cli {

namespace {

std::string as_json() {
    auto machines = nlohmann::ordered_json::array();
    for (const PresetInfo& info : preset_list()) {
        machines.push_back({{"name", info.name}, {"description", info.description}});
    }
    auto cpus = nlohmann::ordered_json::array();
    for (const CpuProfile& profile : cpu_profiles()) {
        auto features = nlohmann::ordered_json::array();
        for (const std::string_view feature : profile.features.names()) {
            features.push_back(std::string{feature});
        }
        cpus.push_back({{"name", std::string{profile.name}},
                        {"description", std::string{profile.description}},
                        {"phys_bits", profile.features.maxphyaddr()},
                        {"features", std::move(features)}});
    }
    return nlohmann::ordered_json{{"machines", std::move(machines)}, {"cpus", std::move(cpus)}}.dump(1) + '\n';
}

std::string as_text() {
    std::string text = "Machines (--preset):\n";
    for (const PresetInfo& info : preset_list()) {
        text += fmt::format("  {:<20} {}\n", info.name, info.description);
    }
    text += "\nProcessors (--cpu NAME[,+feature][,-feature][,phys-bits=N]):\n";
    for (const CpuProfile& profile : cpu_profiles()) {
        text += fmt::format("  {:<20} {}\n", profile.name, profile.description);
    }
    return text;
}

}  // namespace

void add_presets(CLI::App& app) {
    auto json = std::make_shared<bool>(false);
    CLI::App* command = app.add_subcommand("presets", "Machines and processors known by name");
    command->add_flag("--json", *json, "machine-readable output");
    command->callback([json] { print(*json ? as_json() : as_text()); });
}

}  // namespace pgsim::cli
