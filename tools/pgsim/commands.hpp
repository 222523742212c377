// SPDX-License-Identifier: GPL-2.0-only
// Each command adds itself to the command line; what it does runs when the line is parsed.
#pragma once

#include <CLI/CLI.hpp>

namespace pgsim::cli {

void add_boot(CLI::App& app);
void add_buddy(CLI::App& app);
void add_compare(CLI::App& app);
void add_cores(CLI::App& app);
void add_diff(CLI::App& app);
void add_dump(CLI::App& app);
void add_machine(CLI::App& app);
void add_exercise(CLI::App& app);
void add_explain(CLI::App& app);
void add_history(CLI::App& app);
void add_import(CLI::App& app);
void add_manual(CLI::App& app);
void add_meminfo(CLI::App& app);
void add_page(CLI::App& app);
void add_presets(CLI::App& app);
void add_faults(CLI::App& app);
void add_replay(CLI::App& app);
void add_run(CLI::App& app);
void add_stats(CLI::App& app);
void add_vectors(CLI::App& app);
void add_walk(CLI::App& app);

}  // namespace pgsim::cli
