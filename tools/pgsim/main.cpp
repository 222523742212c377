// SPDX-License-Identifier: GPL-2.0-only
#include <csignal>
#include <cstdio>
#include <new>

#include "commands.hpp"
#include "common.hpp"
#include "pgsim/base/error.hpp"

namespace {

int complain(const char* what) {
    std::fprintf(stderr, "pgsim: %s\n", what);
    return pgsim::cli::exit_bad_input;
}

int run(int argc, char** argv) {
    CLI::App app{"x86_64 MMU and Linux boot-time paging, simulated bit for bit", "pgsim"};
    app.set_version_flag("--version", "pgsim " PGSIM_VERSION);
    app.require_subcommand(1);
    app.set_help_all_flag("--help-all", "Help for all commands");
    app.footer("Exit codes: 0 done, 1 a comparison differs, 2 bad input.");
    pgsim::cli::add_boot(app);
    pgsim::cli::add_walk(app);
    pgsim::cli::add_explain(app);
    pgsim::cli::add_history(app);
    pgsim::cli::add_dump(app);
    pgsim::cli::add_stats(app);
    pgsim::cli::add_diff(app);
    pgsim::cli::add_compare(app);
    pgsim::cli::add_machine(app);
    pgsim::cli::add_import(app);
    pgsim::cli::add_vectors(app);
    pgsim::cli::add_exercise(app);
    pgsim::cli::add_faults(app);
    pgsim::cli::add_run(app);
    pgsim::cli::add_page(app);
    pgsim::cli::add_buddy(app);
    pgsim::cli::add_presets(app);
    pgsim::cli::add_meminfo(app);
    pgsim::cli::add_manual(app);
    pgsim::cli::add_replay(app);
    pgsim::cli::add_cores(app);
    const auto is_called = [&](const CLI::App* command) { return command->check_name(argv[1]); };
    if (argc > 1 && argv[1][0] != '-' && app.get_subcommands(is_called).empty()) {
        return complain(("there is no command \"" + std::string{argv[1]} + "\"; pgsim --help lists them").c_str());
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& help_or_version) {
        return app.exit(help_or_version);
    } catch (const CLI::ParseError& error) {
        complain(error.what());
        std::fputs("Try: pgsim --help\n", stderr);
        return pgsim::cli::exit_bad_input;
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    // `pgsim dump … | head` ends quietly.
    std::signal(SIGPIPE, SIG_DFL);
    try {
        return run(argc, argv);
    } catch (const pgsim::cli::Differs&) {
        return pgsim::cli::exit_differs;
    } catch (const pgsim::Error& error) {
        return complain(error.what());
    } catch (const std::bad_alloc&) {
        return complain("out of memory");
    } catch (const std::exception& error) {
        return complain(error.what());
    }
}
