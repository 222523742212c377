// SPDX-License-Identifier: GPL-2.0-only
// The manual page and the shell completions, made from the commands themselves so that they cannot disagree.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "commands.hpp"
#include "common.hpp"

namespace pgsim::cli {

namespace {

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
    std::vector<const CLI::App*> commands = app.get_subcommands([](const CLI::App*) { return true; });
    std::sort(commands.begin(), commands.end(),
              [](const CLI::App* a, const CLI::App* b) { return a->get_name() < b->get_name(); });
    return commands;
}

std::vector<const CLI::Option*> options_of(const CLI::App& app) {
    return app.get_options([](const CLI::Option*) { return true; });
}

// roff treats a leading dot or quote, backslashes and hyphens specially.
std::string roff(const std::string& text) {
    std::string result;
    for (const char letter : text) {
        if (letter == '\\') {
            result += "\\e";
        } else if (letter == '-') {
            result += "\\-";
        } else {
            result += letter;
        }
    }
    return !result.empty() && (result[0] == '.' || result[0] == '\'') ? "\\&" + result : result;
}

void roff_options(std::string& text, const CLI::App& command) {
    for (const CLI::Option* option : options_of(command)) {
        const bool positional = option->get_positional();
        const std::string type = positional ? "" : option->get_type_size() == 0 ? "" : ' ' + option->get_type_name();
        text += ".TP\n\\fB" + roff(option->get_name(positional, true)) + "\\fR" + roff(type) + '\n' +
                roff(option->get_description()) + '\n';
    }
}

std::string manual(const CLI::App& app) {
    std::string text = ".TH PGSIM 1 \"\" \"pgsim " PGSIM_VERSION "\" \"User Commands\"\n.SH NAME\npgsim \\- " +
                       roff(app.get_description()) +
                       "\n.SH SYNOPSIS\n\\fBpgsim\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR]...\n.SH DESCRIPTION\n"
                       "pgsim runs Linux's boot code, re-implemented, on a simulated x86_64 machine, and shows what it "
                       "leaves in memory: page tables, memblock, zones.\n"
                       "Every command has \\fB\\-\\-help\\fR.\n.SH COMMANDS\n";
    for (const CLI::App* command : commands_of(app)) {
        text += ".SS pgsim " + roff(command->get_name()) + '\n' + roff(command->get_description()) + ".\n";
        roff_options(text, *command);
    }
    return text +
           ".SH EXIT STATUS\n.TP\n0\nDone; a comparison found no difference.\n.TP\n1\nA comparison found differences.\n"
           ".TP\n2\nBad input; standard error says where and why.\n.SH ENVIRONMENT\n.TP\nNO_COLOR\n"
           "If set and not empty, output is never coloured.\n";
}

// The long and short names of a command's options, for completion.
std::vector<std::string> flags_of(const CLI::App& command) {
    std::vector<std::string> flags;
    for (const CLI::Option* option : options_of(command)) {
        for (const std::string& name : option->get_lnames()) {
            flags.push_back("--" + name);
        }
        for (const std::string& name : option->get_snames()) {
            flags.push_back('-' + name);
        }
    }
    return flags;
}

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) {
        text += (text.empty() ? "" : " ") + word;
    }
    return text;
}

std::string bash_completion(const CLI::App& app) {
    std::vector<std::string> names;
    std::string cases;
    for (const CLI::App* command : commands_of(app)) {
        names.push_back(command->get_name());
        cases += fmt::format("        {}) words=\"{}\" ;;\n", command->get_name(), joined(flags_of(*command)));
    }
    return fmt::format(
        "# bash completion for pgsim; load it with: source <(pgsim completion bash)\n"
        "_pgsim() {{\n"
        "    local current=\"${{COMP_WORDS[COMP_CWORD]}}\" words=\"\"\n"
        "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
        "        COMPREPLY=($(compgen -W \"{}\" -- \"$current\"))\n"
        "        return\n"
        "    fi\n"
        "    case \"${{COMP_WORDS[1]}}\" in\n{}"
        "    esac\n"
        "    if [[ \"$current\" == -* ]]; then\n"
        "        COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
        "    else\n"
        "        COMPREPLY=($(compgen -f -- \"$current\"))\n"
        "    fi\n"
        "}}\n"
        "complete -o filenames -F _pgsim pgsim\n",
        joined(names), cases);
}

std::string zsh_completion(const CLI::App& app) {
    return "# zsh completion for pgsim; load it with: source <(pgsim completion zsh)\n"
           "autoload -Uz bashcompinit && bashcompinit\n" +
           bash_completion(app);
}

// A text in single quotes, as fish reads it.
std::string fish_quoted(const std::string& text) {
    std::string result = "'";
    for (const char letter : text) {
        if (letter == '\'' || letter == '\\') {
            result += '\\';
        }
        result += letter;
    }
    return result + '\'';
}

std::string fish_completion(const CLI::App& app) {
    std::string text = "# fish completion for pgsim; load it with: pgsim completion fish | source\n";
    for (const CLI::App* command : commands_of(app)) {
        text += fmt::format("complete -c pgsim -n __fish_use_subcommand -a {} -d {}\n", command->get_name(),
                            fish_quoted(command->get_description()));
        for (const CLI::Option* option : options_of(*command)) {
            for (const std::string& name : option->get_lnames()) {
                text += fmt::format("complete -c pgsim -n '__fish_seen_subcommand_from {}' -l {} {}-d {}\n",
                                    command->get_name(), name, option->get_type_size() == 0 ? "" : "-r ",
                                    fish_quoted(option->get_description()));
            }
        }
    }
    return text;
}

}  // namespace

void add_manual(CLI::App& app) {
    app.add_subcommand("man", "Print the manual page (roff), made from the commands")->callback([&app] {
        print(manual(app));
    });
    auto shell = std::make_shared<std::string>();
    CLI::App* command = app.add_subcommand("completion", "Print the completions for a shell");
    command->add_option("SHELL", *shell, "bash, zsh or fish")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}));
    command->callback([&app, shell] {
        print(*shell == "bash" ? bash_completion(app) : *shell == "zsh" ? zsh_completion(app) : fish_completion(app));
    });
}

}  // namespace pgsim::cli
