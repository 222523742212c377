// SPDX-License-Identifier: GPL-2.0-only
// The rules of the vectors' READMEs for when an observation passes.
#include <algorithm>
#include <map>

#include "mmu_vector_runners.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/mmu/entry.hpp"

namespace pgsim::formats::vectors {

namespace {

constexpr std::uint64_t flag_a = static_cast<std::uint64_t>(EntryFlag::a);
constexpr std::uint64_t flag_d = static_cast<std::uint64_t>(EntryFlag::d);

using Entries = std::map<std::uint64_t, std::uint64_t>;

Entries entries_of(const Json& list) {
    Entries entries;
    for (const Json& entry : list) {
        entries[number(entry.at(0))] = number(entry.at(1));
    }
    return entries;
}

void differ(std::string& text, const std::string& field, const std::string& expected, const std::string& observed) {
    text += (text.empty() ? "" : "; ") + field + ": expected " + expected + ", observed " + observed;
}

bool same(const Json& expected, const Json& observed) {
    if (expected.is_array()) {
        return observed.is_array() && expected.size() == observed.size() &&
               std::equal(expected.begin(), expected.end(), observed.begin(), same);
    }
    if (expected.is_string() && expected.get_ref<const std::string&>().substr(0, 2) != "0x") {
        return expected == observed;
    }
    return !observed.is_null() && !observed.is_array() && number(expected) == number(observed);
}

const Json& or_null(const Json& object, const char* key) {
    static const Json null;
    const auto found = object.find(key);
    return found == object.end() ? null : *found;
}

/// A field of the expectation, when it is there, against the same field of the observation.
void compare_field(std::string& text, const Json& expected, const Json& observed, const char* key) {
    const auto wanted = expected.find(key);
    if (wanted == expected.end()) {
        return;
    }
    const Json& got = or_null(observed, key);
    if (!same(*wanted, got)) {
        differ(text, key, wanted->dump(), got.dump());
    }
}

bool outcome_matches(const Json& expected, const Json& observed) {
    std::string text;
    for (const char* key : {"r", "pa", "err", "cr2"}) {
        compare_field(text, expected, observed, key);
    }
    return text.empty();
}

std::string listed(const Entries& entries) {
    std::string text = "[";
    for (const auto& [at, value] : entries) {
        text += (text.size() == 1 ? "" : " ") + hex_string(at) + "=" + hex_string(value);
    }
    return text + "]";
}

/// After a fault: only flags that "amay" (A) and "dmay" (D) list may have become set.
void compare_may(std::string& text, const Json& vector, const Json& observed) {
    const Entries before = entries_of(member(vector, "mem"));
    Entries may;
    for (const Json& at : or_null(vector, "amay")) {
        may[number(at)] |= flag_a;
    }
    for (const Json& at : or_null(vector, "dmay")) {
        may[number(at)] |= flag_d;
    }
    for (const auto& [at, value] : entries_of(observed["set"])) {
        const auto old = before.find(at);
        const std::uint64_t changed = value ^ (old == before.end() ? 0 : old->second);
        if ((changed & ~may[at]) != 0 || (changed & value) != changed) {
            differ(text, "set", "no such change", hex_string(at) + "=" + hex_string(value));
        }
    }
}

std::string access_differences(const Json& vector, const Json& observed) {
    std::string text;
    if (member(vector, "r") == "ok") {
        for (const char* key : {"r", "pa", "page"}) {
            compare_field(text, vector, observed, key);
        }
        const Entries expected = entries_of(member(vector, "set"));
        const Entries got = entries_of(observed["set"]);
        if (expected != got) {
            differ(text, "set", listed(expected), listed(got));
        }
        return text;
    }
    bool alternative = false;
    if (vector.contains("alt")) {
        const Json& alt = vector["alt"];
        alternative =
            std::any_of(alt.begin(), alt.end(), [&](const Json& one) { return outcome_matches(one, observed); });
    }
    if (!alternative) {
        for (const char* key : {"r", "err", "cr2"}) {
            compare_field(text, vector, observed, key);
        }
    }
    compare_may(text, vector, observed);
    return text;
}

/// "set" must happen, "may" can: every other bit stays.
void compare_set_and_may(std::string& text, const Json& vector, const Json& observed, const char* const* tables,
                         std::size_t count) {
    Entries expected;
    for (std::size_t i = 0; i < count; ++i) {
        expected.merge(entries_of(member(vector, tables[i])));
    }
    Entries got = expected;
    for (const auto& [at, value] : entries_of(member(vector, "set"))) {
        expected[at] = value;
    }
    for (const auto& [at, value] : entries_of(observed["set"])) {
        got[at] = value;
    }
    Entries may;
    for (const Json& entry : member(vector, "may")) {
        may[number(entry.at(0))] |= number(entry.at(1));
    }
    for (const auto& [at, value] : got) {
        const std::uint64_t changed = value ^ expected[at];
        if ((changed & ~may[at]) != 0 || (changed & value) != changed) {
            differ(text, "set " + hex_string(at), hex_string(expected[at]), hex_string(value));
        }
    }
}

std::string detailed_differences(const Json& vector, const Json& observed, bool nested) {
    std::string text;
    for (const char* key : {"r", "pa", "page", "gpa", "gpage", "npage", "err", "cr2", "info1", "info2", "gla"}) {
        compare_field(text, vector, observed, key);
    }
    if (vector.contains("qual") && observed.contains("qual")) {
        const std::uint64_t mask = number_at(vector, "qmask");
        const std::uint64_t expected = number_at(vector, "qual") & mask;
        const std::uint64_t got = number_at(observed, "qual") & mask;
        if (expected != got) {
            differ(text, "qual", hex_string(expected), hex_string(got));
        }
    }
    static const char* const one_stage[] = {"mem"};
    static const char* const two_stages[] = {"gmem", "nmem"};
    compare_set_and_may(text, vector, observed, nested ? two_stages : one_stage, nested ? 2 : 1);
    return text;
}

std::string sequence_differences(const Json& vector, const Json& observed) {
    std::string text;
    const Json& got = observed["steps"];
    std::size_t next = 0;
    std::size_t index = 0;
    for (const Json& step : member(vector, "steps")) {
        const auto& op = step.at("op").get_ref<const std::string&>();
        if (op == "acc" || op == "wr" || op == "rd") {
            const Json& allow = member(step, "allow");
            const Json& result = got.at(next++);
            const bool allowed = std::any_of(allow.begin(), allow.end(), [&](const Json& one) {
                return op == "rd" ? same(one, result["val"]) : outcome_matches(one, result);
            });
            if (!allowed) {
                differ(text, "step " + std::to_string(index), allow.dump(), result.dump());
            }
        }
        ++index;
    }
    return text;
}

std::string control_differences(const Json& vector, const Json& observed) {
    std::string text;
    compare_field(text, vector, observed, "r");
    compare_field(text, vector, observed, "err");
    for (const auto& [name, value] : member(vector, "state").items()) {
        const Json& got = or_null(observed["state"], name.c_str());
        if (!same(value, got)) {
            differ(text, name, value.dump(), got.dump());
        }
    }
    return text;
}

}  // namespace

std::string differences(const Json& vector, const Json& observed) {
    const auto& kind = member(vector, "t").get_ref<const std::string&>();
    if (kind == "s") {
        return sequence_differences(vector, observed);
    }
    if (!vector.contains("r")) {
        throw Error{"r", "the vector holds no expectation; only its results can be written"};
    }
    if (kind == "v") {
        return access_differences(vector, observed);
    }
    return kind == "c" ? control_differences(vector, observed)
                       : detailed_differences(vector, observed, kind == "npt" || kind == "ept");
}

}  // namespace pgsim::formats::vectors
