// SPDX-License-Identifier: GPL-2.0-only
#include <memory>

#include "commands.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/scenario/machine_facts.hpp"
#include "pgsim/scenario/machine_json.hpp"
#include "source.hpp"

namespace pgsim::cli {

namespace {

struct Options {
    std::string file;
    bool json = false;
};

/// The record of a log or machine file; for anything else that can be booted, the boot's facts.
firmware::MachineRecord simulated(const Options& options, const std::optional<firmware::MachineRecord>& logged) {
    if (logged) {
        return simulate_machine(*logged);
    }
    return facts_of(boot_with_progress(load_scenario(options.file), {.until = "buddy.exit"}));
}

std::string heading(const firmware::MachineRecord& record) {
    std::string text = record.name + ", Linux " + record.kernel;
    if (record.machine) {
        text += '\n' + *record.machine;
    }
    return text + "\n  = as logged   !sim, !log different   ~ only logged, and why   (no mark) not in the log\n";
}

}  // namespace

void add_machine(CLI::App& app) {
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("machine", "What the boot of a machine would log, beside what it did log");
    command->add_option("FILE", options->file, "a machine file, a boot log, a memory map or a capture")->required();
    command->add_flag("--json", options->json, "the simulated facts under the field names of the machine files");
    command->callback([options] {
        const auto logged = load_machine_record(options->file);
        const firmware::MachineRecord record = simulated(*options, logged);
        if (options->json) {
            print(machine_record_to_json(record));
            return;
        }
        const auto facts = compare_machine(record, logged.value_or(firmware::MachineRecord{}));
        print(heading(record) + machine_report(facts));
        if (has_difference(facts)) {
            throw Differs{};
        }
    });
}

}  // namespace pgsim::cli
