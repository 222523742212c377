// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/formats/mmu_vectors.hpp"

#include "mmu_vector_runners.hpp"
#include "pgsim/base/error.hpp"

namespace pgsim::formats {

namespace {

using vectors::Json;
using vectors::VectorMemory;

Json observe(const Json& vector, VectorMemory& tables) {
    const std::string kind = vectors::member(vector, "t").get<std::string>();
    Json observed;
    if (kind == "v") {
        observed =
            vector.contains("size") ? vectors::run_crossing(vector, tables) : vectors::run_access(vector, tables);
    } else if (kind == "s") {
        observed = vectors::run_sequence(vector);
    } else if (kind == "c") {
        observed = vectors::run_control(vector);
    } else if (kind == "npt") {
        observed = vectors::run_npt(vector, tables);
    } else if (kind == "ept") {
        observed = vectors::run_ept(vector, tables);
    } else if (kind == "cet" || kind == "lass") {
        observed = vectors::run_access(vector, tables);
    } else {
        throw Error{"t", "no such kind of vector: \"" + kind + "\""};
    }
    tables.clear();
    observed["id"] = vectors::member(vector, "id").get_ref<const std::string&>();
    return observed;
}

/// Vectors are flat; a hostile line must not exhaust the stack of what walks the parsed value.
void refuse_deep_nesting(std::string_view line) {
    constexpr int deepest = 64;
    int depth = 0;
    for (const char c : line) {
        depth += c == '[' || c == '{' ? 1 : c == ']' || c == '}' ? -1 : 0;
        if (depth > deepest) {
            throw Error{"more than 64 brackets within each other"};
        }
    }
}

/// Calls `each(number, line)` for every line that is not blank; an Error from it gets the line's number.
template <class Each>
void each_line(std::string_view text, Each each) {
    std::size_t number = 0;
    while (!text.empty()) {
        ++number;
        const std::size_t end = text.find('\n');
        const std::string_view line = text.substr(0, end);
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
        if (line.find_first_not_of(" \t\r") == std::string_view::npos) {
            continue;
        }
        try {
            refuse_deep_nesting(line);
            each(number, line);
        } catch (const Error& error) {
            throw error.within("line " + std::to_string(number));
        } catch (const Json::exception& error) {
            throw Error{"line " + std::to_string(number), error.what()};
        }
    }
}

}  // namespace

VectorReport check_vectors(std::string_view text) {
    VectorReport report;
    VectorMemory tables;
    each_line(text, [&](std::size_t number, std::string_view line) {
        const Json vector = Json::parse(line);
        const Json observed = observe(vector, tables);
        ++report.vectors;
        std::string what = vectors::differences(vector, observed);
        if (what.empty()) {
            return;
        }
        ++report.mismatched;
        if (report.mismatches.size() < max_kept_mismatches) {
            report.mismatches.push_back({number, observed["id"].get<std::string>(), std::move(what), observed.dump()});
        }
    });
    return report;
}

std::uint64_t observe_vectors(std::string_view text, const std::function<void(std::string_view)>& write) {
    std::uint64_t count = 0;
    VectorMemory tables;
    each_line(text, [&](std::size_t, std::string_view line) {
        write(observe(Json::parse(line), tables).dump());
        ++count;
    });
    return count;
}

}  // namespace pgsim::formats
