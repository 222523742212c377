// SPDX-License-Identifier: GPL-2.0-only
// Every vector that processors and emulators were measured with, field by field.
#include "support/catch.hpp"
#include "support/data.hpp"

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
