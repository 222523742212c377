// SPDX-License-Identifier: GPL-2.0-only
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "common.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/scenario/exercise.hpp"

namespace pgsim::cli {

namespace {

using Json = nlohmann::ordered_json;

struct Options {
    std::string name;
    std::uint64_t seed = 1;
    std::optional<std::string> answer;
    bool solve = false;
    bool json = false;
};

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) {
        text += (text.empty() ? "" : ", ") + word;
    }
    return text;
}

std::string command_of(const Exercise& exercise) {
    return fmt::format("pgsim exercise {} --seed {}", exercise.name, exercise.seed);
}

void list_exercises(bool json) {
    Json all = Json::array();
    std::string text;
    for (const ExerciseInfo& info : exercise_list()) {
        all.push_back({{"name", info.name}, {"title", info.title}});
        text += fmt::format("{:<24} {}\n", info.name, info.title);
    }
    print(json ? all.dump(1) + '\n' : text);
}

std::string question(const Exercise& exercise) {
    std::string text = in_colour(fmt::format("{} (seed {})", exercise.title, exercise.seed), 1) + "\n\n" +
                       exercise.text + "\nAnswer with:\n\n";
    std::string example;
    for (const ExerciseField& field : exercise.fields) {
        const std::string kind =
            field.kind == AnswerKind::word ? joined(field.choices) : std::string{to_string(field.kind)};
        text += fmt::format("  {:<12} {} ({})\n", field.name, field.what, kind);
        example += (example.empty() ? "" : " ") + field.name + "=...";
    }
    return text + fmt::format("\n  {} --check '{}'\n", command_of(exercise), example);
}

Json as_json(const Exercise& exercise, bool with_solution) {
    Json json{{"format", "pgsim-exercise/1"}, {"name", exercise.name}, {"seed", exercise.seed},
              {"title", exercise.title},      {"text", exercise.text}, {"fields", Json::array()}};
    for (const ExerciseField& field : exercise.fields) {
        Json entry{{"name", field.name}, {"what", field.what}, {"kind", to_string(field.kind)}};
        if (!field.choices.empty()) {
            entry["choices"] = field.choices;
        }
        if (with_solution) {
            entry["answer"] = field.answer;
        }
        json["fields"].push_back(std::move(entry));
    }
    if (with_solution) {
        json["answer"] = exercise.answer();
        json["solution"] = exercise.solution;
    }
    return json;
}

void check(const Exercise& exercise, const Options& options) {
    const AnswerVerdict verdict = check_answer(exercise, *options.answer);
    std::string text;
    Json fields = Json::array();
    for (const FieldVerdict& field : verdict.fields) {
        const std::string mark = field.correct ? in_colour("right", 32) : in_colour("wrong", 31);
        text += fmt::format("  {:<12} {}{}\n", field.name, mark, field.correct ? "" : "  " + field.says);
        fields.push_back({{"name", field.name}, {"correct", field.correct}, {"says", field.says}});
    }
    if (options.json) {
        print(Json{{"correct", verdict.correct()}, {"fields", fields}}.dump(1) + '\n');
    } else {
        print(text + (verdict.correct()
                          ? "All right.\n"
                          : fmt::format("Try again, or see it solved: {} --solve\n", command_of(exercise))));
    }
    if (!verdict.correct()) {
        throw Differs{};
    }
}

void exercise(const Options& options) {
    if (options.name.empty()) {
        if (options.answer || options.solve) {
            throw Error{"exercise", "--check and --solve need the name of one"};
        }
        list_exercises(options.json);
        return;
    }
    const Exercise made = make_exercise(options.name, options.seed);
    if (options.answer) {
        check(made, options);
    } else if (options.json) {
        print(as_json(made, options.solve).dump(1) + '\n');
    } else if (options.solve) {
        print(question(made) + '\n' + in_colour("Solution", 1) + "\n\n" + made.solution + "\nAnswer: " + made.answer() +
              '\n');
    } else {
        print(question(made));
    }
}

}  // namespace

void add_exercise(CLI::App& app) {
    auto options = std::make_shared<Options>();
    CLI::App* const command = app.add_subcommand(
        "exercise",
        "An exercise on paging, made from a seed; checks answers and shows solutions. Without NAME: the list");
    command->add_option("NAME", options->name, "which exercise");
    command->add_option("--seed", options->seed, "the same seed gives the same exercise everywhere")
        ->capture_default_str();
    CLI::Option* const check_option =
        command
            ->add_option_function<std::string>(
                "--check", [options](const std::string& answer) { options->answer = answer; },
                "check an answer: exit code 0 if it is right, 1 if not")
            ->type_name("ANSWER");
    command->add_flag("--solve", options->solve, "show it solved, step by step")->excludes(check_option);
    command->add_flag("--json", options->json, "machine-readable output");
    command->callback([options] { exercise(*options); });
}

}  // namespace pgsim::cli
