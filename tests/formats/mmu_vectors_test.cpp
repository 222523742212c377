// SPDX-License-Identifier: GPL-2.0-only
// Every vector that processors and emulators were measured with, field by field.
#include "support/catch.hpp"
#include "support/data.hpp"

#include <nlohmann/json.hpp>
#include <sstream>

#include "pgsim/base/error.hpp"
#include "pgsim/formats/mmu_vectors.hpp"
#include "pgsim/formats/text_file.hpp"

using namespace pgsim;
using formats::check_vectors;

namespace {

std::string vectors(const std::string& name) {
    return formats::read_text_maybe_xz(test::data_path("mmu-vectors/" + name));
}

std::string first_mismatches(const formats::VectorReport& report) {
    std::string text;
    for (const auto& mismatch : report.mismatches) {
        text += mismatch.id + ": " + mismatch.what + "\n";
    }
    return text;
}

}  // namespace

TEST_CASE("Every published MMU vector gives the expected result in every field", "[formats][vectors]") {
    const auto [file, count] = GENERATE(table<std::string, std::uint64_t>({
        {"public.jsonl.xz", 21000},
        {"legacy-public.jsonl.xz", 5330},
        {"control-public.jsonl.xz", 2709},
        {"crossing-public.jsonl.xz", 3000},
        {"cet-public.jsonl.xz", 2000},
        {"lass-public.jsonl.xz", 1600},
        {"npt-public.jsonl.xz", 2500},
        {"ept-public.jsonl.xz", 2500},
    }));
    const formats::VectorReport report = check_vectors(vectors(file));
    INFO(file << "\n" << first_mismatches(report));
    CHECK(report.vectors == count);
    CHECK(report.mismatched == 0);
}

namespace {

// The vector without anything that says what should happen.
nlohmann::json stripped(nlohmann::json vector) {
    for (const char* key : {"r",   "pa",  "page",  "set", "err",   "cr2",   "amay",  "dmay",  "alt",  "may",   "why",
                            "eng", "dev", "state", "gpa", "gpage", "npage", "info1", "info2", "qual", "qmask", "gla"}) {
        vector.erase(key);
    }
    if (vector.contains("steps")) {
        for (auto& step : vector["steps"]) {
            step.erase("allow");
            step.erase("obs");
        }
    }
    return vector;
}

std::string observations(const std::string& text) {
    std::string all;
    formats::observe_vectors(text, [&](std::string_view line) { all += std::string{line} + "\n"; });
    return all;
}

}  // namespace

TEST_CASE("Observations do not depend on the expectations", "[formats][vectors]") {
    const auto file =
        GENERATE(as<std::string>{}, "legacy-public.jsonl.xz", "control-public.jsonl.xz", "crossing-public.jsonl.xz",
                 "cet-public.jsonl.xz", "npt-public.jsonl.xz", "ept-public.jsonl.xz");
    const std::string text = vectors(file);
    std::string without;
    std::istringstream lines{text};
    for (std::string line; std::getline(lines, line);) {
        without += stripped(nlohmann::json::parse(line)).dump() + "\n";
    }
    INFO(file);
    CHECK((observations(text) == observations(without)));
}

TEST_CASE("A wrong expectation is a mismatch that names the field", "[formats][vectors]") {
    // p001655 of the public file with another error code, another CR2, or an accessed flag that may not be set.
    const std::string good =
        R"({"id":"x","t":"v","levels":4,"maxphy":40,"vendor":"any","st":{"cr0":"0x80010011","cr3":"0x405000",)"
        R"("cr4":"0x20","efer":"0x500","ac":0},"mem":[["0x405628","0x5b3007"]],"acc":"read","cpl":0,)"
        R"("va":"0x62b5a1ab0ff8","r":"PF","err":0,"cr2":"0x62b5a1ab0ff8","amay":["0x405628"]})";
    CHECK(check_vectors(good).mismatched == 0);
    const auto changed = [&](const char* key, const nlohmann::json& value) {
        auto vector = nlohmann::json::parse(good);
        vector[key] = value;
        const auto report = check_vectors(vector.dump());
        return report.mismatches.empty() ? std::string{} : report.mismatches[0].what;
    };
    CHECK(changed("err", 2).substr(0, 4) == "err:");
    CHECK(changed("cr2", "0x0").substr(0, 4) == "cr2:");
    CHECK(changed("r", "GP").substr(0, 2) == "r:");
    CHECK(changed("amay", nlohmann::json::array()).substr(0, 4) == "set:");
}

TEST_CASE("Malformed vectors are refused with their line", "[formats][vectors][errors]") {
    const auto line =
        GENERATE(as<std::string>{}, "{", "[]", "{}", R"({"t":"x","id":"a"})", R"({"t":"v","id":"a"})",
                 R"({"t":"c","id":"a","st":{"cr0":"0x1","cr3":"z","cr4":0,"efer":0}})", std::string(100000, '['));
    try {
        static_cast<void>(check_vectors("\n" + line));
        FAIL("accepted: " << line.substr(0, 80));
    } catch (const Error& error) {
        CHECK(error.where().substr(0, 6) == "line 2");
    }
}
