// SPDX-License-Identifier: GPL-2.0-only
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "common.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/formats/mmu_vectors.hpp"
#include "pgsim/formats/text_file.hpp"

namespace pgsim::cli {

namespace {

struct Options {
    std::vector<std::string> files;
    std::string results;
    std::size_t show = 20;
    bool json = false;
};

/// Runs `body` with the contents of each file; an Error from it gets the file's name.
template <class Body>
void each_file(const Options& options, Body body) {
    for (const std::string& file : options.files) {
        const std::string text = formats::read_text_maybe_xz(file);
        try {
            body(file, text);
        } catch (const Error& error) {
            throw error.within(file);
        }
    }
}

void write_results(const Options& options) {
    std::string lines;
    each_file(options, [&](const std::string&, const std::string& text) {
        formats::observe_vectors(text, [&](std::string_view observation) {
            lines += observation;
            lines += '\n';
        });
    });
    formats::write_file_whole(options.results, lines);
}

nlohmann::ordered_json as_json(const std::string& file, const formats::VectorReport& report) {
    auto mismatches = nlohmann::ordered_json::array();
    for (const formats::VectorMismatch& mismatch : report.mismatches) {
        mismatches.push_back({{"line", mismatch.line},
                              {"id", mismatch.id},
                              {"what", mismatch.what},
                              {"observed", nlohmann::ordered_json::parse(mismatch.observation)}});
    }
    return {{"file", file},
            {"vectors", report.vectors},
            {"mismatched", report.mismatched},
            {"mismatches", std::move(mismatches)}};
}

void check(const Options& options) {
    std::uint64_t mismatched = 0;
    auto all = nlohmann::ordered_json::array();
    each_file(options, [&](const std::string& file, const std::string& text) {
        const formats::VectorReport report = formats::check_vectors(text);
        mismatched += report.mismatched;
        if (options.json) {
            all.push_back(as_json(file, report));
            return;
        }
        std::string out;
        for (std::size_t i = 0; i < report.mismatches.size() && i < options.show; ++i) {
            const formats::VectorMismatch& mismatch = report.mismatches[i];
            out += fmt::format("{}:{}: {}: {}\n", file, mismatch.line, mismatch.id, mismatch.what);
        }
        if (report.mismatched > options.show) {
            out += fmt::format("{}: {} more\n", file, report.mismatched - options.show);
        }
        print(out + fmt::format("{}: {} vectors, {} mismatched\n", file, report.vectors, report.mismatched));
    });
    if (options.json) {
        print(all.dump(1) + '\n');
    }
    if (mismatched != 0) {
        throw Differs{};
    }
}

}  // namespace

void add_vectors(CLI::App& app) {
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("vectors", "Run MMU test vectors and compare, or write what was observed");
    command
        ->add_option("FILE", options->files,
                     "vectors, one JSON object a line (.jsonl or .jsonl.xz); - is standard input")
        ->required();
    command->add_option("--results", options->results,
                        "write one observation a vector to this file (- is standard output) and compare nothing");
    command->add_option("--show", options->show, "mismatches to print a file (at most 100)")->capture_default_str();
    command->add_flag("--json", options->json, "machine-readable output");
    command->callback([options] {
        if (options->results.empty()) {
            check(*options);
        } else {
            write_results(*options);
        }
    });
}

}  // namespace pgsim::cli
