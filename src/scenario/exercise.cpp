// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/scenario/exercise.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>

#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"
#include "scenario/exercise_parts.hpp"

namespace pgsim {

namespace {

using exercises::ExerciseEntry;

std::vector<ExerciseEntry> all_exercises() {
    std::vector<ExerciseEntry> all;
    for (const auto part :
         {exercises::address_exercises(), exercises::entry_exercises(), exercises::walk_exercises(),
          exercises::reference_exercises(), exercises::large_page_exercises(), exercises::tlb_exercises(),
          exercises::boot_exercises(), exercises::early_exercises(), exercises::buddy_exercises(),
          exercises::process_exercises(), exercises::reclaim_exercises()}) {
        all.insert(all.end(), part.begin(), part.end());
    }
    return all;
}

std::uint64_t fnv1a(std::string_view text) {
    std::uint64_t hash = 0xcbf2'9ce4'8422'2325;
    for (const char letter : text) {
        hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100'0000'01b3;
    }
    return hash;
}

std::optional<std::uint64_t> digits(std::string_view text, int base) {
    std::uint64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, value, base);
    return text.empty() || result.ec != std::errc{} || result.ptr != end ? std::nullopt : std::optional{value};
}

// 17, 0x11, 0b10001, 4K, 2M, 1G.
std::optional<std::uint64_t> parse_number(std::string_view text) {
    if (text.substr(0, 2) == "0x") {
        return digits(text.substr(2), 16);
    }
    if (text.substr(0, 2) == "0b") {
        return digits(text.substr(2), 2);
    }
    unsigned shift = 0;
    if (!text.empty()) {
        switch (text.back()) {
        case 'k': shift = 10; break;
        case 'm': shift = 20; break;
        case 'g': shift = 30; break;
        default: break;
        }
    }
    const auto value = digits(text.substr(0, text.size() - (shift != 0 ? 1 : 0)), 10);
    if (!value || *value > ~std::uint64_t{0} >> shift) {
        return std::nullopt;
    }
    return *value << shift;
}

std::string lower(std::string_view text) {
    std::string result{text};
    for (char& letter : result) {
        letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    }
    return result;
}

std::vector<std::string> split(std::string_view text, std::string_view separators) {
    std::vector<std::string> parts;
    while (true) {
        const auto from = text.find_first_not_of(separators);
        if (from == std::string_view::npos) {
            return parts;
        }
        const auto to = std::min(text.find_first_of(separators, from), text.size());
        parts.emplace_back(text.substr(from, to - from));
        text.remove_prefix(to);
    }
}

// One item of a list: numbers joined by - or :, or a word.
std::string normal_item(const std::string& item) {
    const auto at = item.find_first_of("-:");
    const auto one = [](const std::string& part) {
        const auto value = parse_number(part);
        return value ? hex(*value) : part;
    };
    return at == std::string::npos ? one(item) : one(item.substr(0, at)) + item[at] + one(item.substr(at + 1));
}

std::string normal_list(const std::string& text) {
    std::vector<std::string> items;
    for (const std::string& item : split(text, ",")) {
        if (item != "none") {
            items.push_back(normal_item(item));
        }
    }
    std::sort(items.begin(), items.end());
    std::string result;
    for (const std::string& item : items) {
        result += (result.empty() ? "" : ",") + item;
    }
    return result.empty() ? "none" : result;
}

// The one way to write a value. @throws Error  when it is none
std::string normal(const ExerciseField& field, std::string_view given) {
    const std::string text = lower(given);
    const auto refuse = [&](const std::string& why) {
        return Error{"answer, " + field.name, '"' + std::string{given} + "\" is " + why};
    };
    switch (field.kind) {
    case AnswerKind::number: {
        const auto value = parse_number(text);
        return value ? hex(*value) : throw refuse("not a number (17, 0x11, 0b10001 or 4K)");
    }
    case AnswerKind::address: {
        const auto value = digits(std::string_view{text}.substr(text.substr(0, 2) == "0x" ? 2 : 0), 16);
        return value ? hex(*value) : throw refuse("not a hexadecimal number");
    }
    case AnswerKind::word: {
        if (std::find(field.choices.begin(), field.choices.end(), text) == field.choices.end()) {
            std::string choices;
            for (const std::string& choice : field.choices) {
                choices += (choices.empty() ? "" : ", ") + choice;
            }
            throw refuse("none of: " + choices);
        }
        return text;
    }
    case AnswerKind::list: return normal_list(text);
    }
    return text;
}

FieldVerdict verdict(const ExerciseField& field, const std::string& given) {
    const std::string value = normal(field, given);
    if (value == normal(field, field.answer)) {
        return {field.name, true, {}};
    }
    for (const auto& [wrong, says] : field.slips) {
        if (value == normal(field, wrong)) {
            return {field.name, false, says};
        }
    }
    if (field.kind == AnswerKind::number) {
        const auto as_hex = digits(lower(given), 16);
        if (as_hex && hex(*as_hex) == normal(field, field.answer)) {
            return {field.name, false, "This is read as a decimal number; put 0x before hexadecimal ones."};
        }
    }
    return {field.name, false, field.hint};
}

}  // namespace

std::string_view to_string(AnswerKind kind) noexcept {
    switch (kind) {
    case AnswerKind::number: return "number";
    case AnswerKind::address: return "address";
    case AnswerKind::word: return "word";
    case AnswerKind::list: return "list";
    }
    return "?";
}

std::string Exercise::answer() const {
    std::string all;
    for (const ExerciseField& field : fields) {
        all += (all.empty() ? "" : " ") + field.name + '=' + field.answer;
    }
    return all;
}

std::vector<ExerciseInfo> exercise_list() {
    std::vector<ExerciseInfo> infos;
    for (const ExerciseEntry& entry : all_exercises()) {
        infos.push_back(entry.info);
    }
    return infos;
}

Exercise make_exercise(std::string_view name, std::uint64_t seed) {
    for (const ExerciseEntry& entry : all_exercises()) {
        if (entry.info.name == name) {
            Exercise exercise;
            exercise.name = name;
            exercise.title = entry.info.title;
            exercise.seed = seed;
            SplitMix64 random{seed ^ fnv1a(name)};
            entry.make(random, exercise);
            exercise.text = exercises::filled(exercise.text);
            exercise.solution = exercises::filled(exercise.solution);
            return exercise;
        }
    }
    throw Error{"there is no exercise \"" + std::string{name} + "\"; pgsim exercise lists them"};
}

bool AnswerVerdict::correct() const noexcept {
    return std::all_of(fields.begin(), fields.end(), [](const FieldVerdict& field) { return field.correct; });
}

AnswerVerdict check_answer(const Exercise& exercise, std::string_view answer) {
    std::vector<std::optional<std::string>> given(exercise.fields.size());
    std::size_t position = 0;
    for (const std::string& part : split(answer, " \t\r\n;")) {
        const auto equals = part.find('=');
        std::size_t index = position;
        if (equals == std::string::npos) {
            ++position;
            if (index >= given.size()) {
                throw Error{"answer", "more values than the " + std::to_string(given.size()) + " that are asked for"};
            }
        } else {
            const std::string name = lower(part.substr(0, equals));
            const auto found = std::find_if(exercise.fields.begin(), exercise.fields.end(),
                                            [&](const ExerciseField& field) { return field.name == name; });
            if (found == exercise.fields.end()) {
                throw Error{"answer", '"' + name + "\" is not asked for"};
            }
            index = static_cast<std::size_t>(found - exercise.fields.begin());
        }
        if (given[index]) {
            throw Error{"answer, " + exercise.fields[index].name, "given twice"};
        }
        given[index] = equals == std::string::npos ? part : part.substr(equals + 1);
    }
    AnswerVerdict result;
    for (std::size_t i = 0; i < given.size(); ++i) {
        const ExerciseField& field = exercise.fields[i];
        result.fields.push_back(given[i] ? verdict(field, *given[i])
                                         : FieldVerdict{field.name, false, "No answer: " + field.what + "."});
    }
    return result;
}

}  // namespace pgsim
