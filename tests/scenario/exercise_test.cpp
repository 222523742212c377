// SPDX-License-Identifier: GPL-2.0-only
// Exercises: the generator that they come from, and what must hold for each of them and every seed.
#include "pgsim/scenario/exercise.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

#include "pgsim/base/error.hpp"
#include "support/catch.hpp"
#include "support/data.hpp"

using namespace pgsim;

namespace {

// A value of the same kind that is not the answer.
std::string other_value(const ExerciseField& field) {
    switch (field.kind) {
    case AnswerKind::number: return std::to_string(std::stoull(field.answer, nullptr, 0) + 1);
    case AnswerKind::address: return "0x" + std::string{field.answer == "0x1" ? "2" : "1"};
    case AnswerKind::word: return field.choices[0] == field.answer ? field.choices[1] : field.choices[0];
    case AnswerKind::list: return field.answer == "none" ? "0x1" : field.answer + ",0xdeadbeef";
    }
    return {};
}

std::string with_other_value(const Exercise& exercise, std::size_t wrong) {
    std::string answer;
    for (std::size_t i = 0; i < exercise.fields.size(); ++i) {
        const ExerciseField& field = exercise.fields[i];
        answer += field.name + '=' + (i == wrong ? other_value(field) : field.answer) + ' ';
    }
    return answer;
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

// Seed 0: the first outputs of Vigna's splitmix64.c, as ports of it pin them; 1234567: Rosetta Code, "Pseudo-random
// numbers/Splitmix64".
TEST_CASE("SplitMix64 gives the published numbers", "[scenario][exercise]") {
    SplitMix64 zero{0};
    CHECK(zero.next() == 0xe220'a839'7b1d'cdaf);
    CHECK(zero.next() == 0x6e78'9e6a'a1b9'65f4);
    CHECK(zero.next() == 0x06c4'5d18'8009'454f);
    SplitMix64 other{1234567};
    for (const std::uint64_t expected : {6457827717110365317U, 3203168211198807973U, 9817491932198370423U,
                                         4593380528125082431U, 16408922859458223821U}) {
        CHECK(other.next() == expected);
    }
}

TEST_CASE("There are exercises, each with a name and a title of its own", "[scenario][exercise]") {
    std::set<std::string_view> names;
    std::set<std::string_view> titles;
    for (const ExerciseInfo& info : exercise_list()) {
        CHECK(names.insert(info.name).second);
        CHECK(titles.insert(info.title).second);
    }
    CHECK(names.size() >= 15);
    CHECK_THROWS_AS(make_exercise("juggling", 1), Error);
}

TEST_CASE("Every exercise: its answer is right, any other is not, and a seed means one exercise",
          "[scenario][exercise]") {
    for (const ExerciseInfo& info : exercise_list()) {
        std::set<std::string> texts;
        // Programs that thrash take their time.
        const std::uint64_t seeds = info.name == "thrashing" ? 40 : 200;
        for (std::uint64_t seed = 0; seed < seeds; ++seed) {
            INFO(info.name << " --seed " << seed);
            const Exercise exercise = make_exercise(info.name, seed);
            INFO(exercise.text << exercise.answer());
            REQUIRE_FALSE(exercise.fields.empty());
            REQUIRE_FALSE(exercise.solution.empty());
            REQUIRE(exercise.text.back() == '\n');
            REQUIRE(check_answer(exercise, exercise.answer()).correct());
            std::string values;
            for (const ExerciseField& field : exercise.fields) {
                values += field.answer + ' ';
            }
            REQUIRE(check_answer(exercise, values).correct());
            for (std::size_t i = 0; i < exercise.fields.size(); ++i) {
                const AnswerVerdict verdict = check_answer(exercise, with_other_value(exercise, i));
                REQUIRE_FALSE(verdict.correct());
                for (std::size_t j = 0; j < exercise.fields.size(); ++j) {
                    REQUIRE(verdict.fields[j].correct == (i != j));
                }
                REQUIRE_FALSE(verdict.fields[i].says.empty());
            }
            REQUIRE_FALSE(check_answer(exercise, "").correct());
            // A second time, from nothing: nothing but the seed may matter.
            if (seed % 20 == 0) {
                const Exercise again = make_exercise(info.name, seed);
                REQUIRE(again.text == exercise.text);
                REQUIRE(again.solution == exercise.solution);
                REQUIRE(again.answer() == exercise.answer());
            }
            texts.insert(exercise.text + exercise.answer());
        }
        INFO(info.name);
        CHECK(texts.size() >= seeds / 2);  // seeds make a difference
    }
}

TEST_CASE("What is said of a wrong value does not give the right one away", "[scenario][exercise]") {
    for (const ExerciseInfo& info : exercise_list()) {
        for (std::uint64_t seed = 0; seed < 20; ++seed) {
            const Exercise exercise = make_exercise(info.name, seed);
            for (const ExerciseField& field : exercise.fields) {
                // Short answers (2, a,b) may be in any sentence, and the words to choose from are explained there.
                if (field.answer.size() > 5 && field.kind != AnswerKind::word) {
                    INFO(info.name << " --seed " << seed << ' ' << field.name);
                    CHECK_FALSE(contains(field.hint, field.answer));
                    for (const auto& [wrong, says] : field.slips) {
                        CHECK_FALSE(contains(says, field.answer));
                        CHECK(wrong != field.answer);
                    }
                }
            }
        }
    }
}

std::uint64_t value_of(const Exercise& exercise, std::string_view name) {
    for (const ExerciseField& field : exercise.fields) {
        if (field.name == name) {
            return std::stoull(field.answer, nullptr, 0);
        }
    }
    FAIL("no field " << name);
    return 0;
}

// The first hexadecimal number of 16 digits in the question.
std::uint64_t asked(const Exercise& exercise) {
    const auto at = exercise.text.find("\n  0x");
    REQUIRE(at != std::string::npos);
    return std::stoull(exercise.text.substr(at + 3), nullptr, 16);
}

// [SDM-3A "4-Level Paging and 5-Level Paging"]: bits 56:48, 47:39, 38:30, 29:21, 20:12, 11:0.
TEST_CASE("split-address: what the simulated walk used is what the manual says", "[scenario][exercise]") {
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        for (const char* name : {"split-address", "split-address-5"}) {
            const Exercise exercise = make_exercise(name, seed);
            const std::uint64_t address = asked(exercise);
            INFO(exercise.text);
            if (exercise.fields.size() == 6) {
                CHECK(value_of(exercise, "pml5") == (address >> 48 & 511));
            }
            CHECK(value_of(exercise, "pml4") == (address >> 39 & 511));
            CHECK(value_of(exercise, "pdpt") == (address >> 30 & 511));
            CHECK(value_of(exercise, "pd") == (address >> 21 & 511));
            CHECK(value_of(exercise, "pt") == (address >> 12 & 511));
            CHECK(value_of(exercise, "offset") == (address & 4095));
        }
    }
}

// A two-dimensional walk reads g guest entries, and an EPT walk of n entries for each of them and for the page:
// g + (g + 1) * n. With 4-KByte pages everywhere the well-known 24.
TEST_CASE("count-references-nested: the counts are those of a two-dimensional walk", "[scenario][exercise]") {
    bool seen_24 = false;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        const Exercise exercise = make_exercise("count-references-nested", seed);
        INFO(exercise.text);
        std::string flat = exercise.text;
        std::replace(flat.begin(), flat.end(), '\n', ' ');
        const auto levels = [&](const char* sign) { return static_cast<unsigned>(flat[flat.find(sign) - 1] - '0'); };
        const auto skipped = [&](const std::string& before) {
            const char first = flat[flat.find(before) + before.size()];
            return first == '4' ? 0U : first == '2' ? 1U : 2U;
        };
        const std::uint64_t guest = levels("-level paging") - skipped("in one of its pages of ");
        const std::uint64_t nested = levels("-level EPT") - skipped("mapped by EPT pages of ");
        CHECK(value_of(exercise, "guest") == guest);
        CHECK(value_of(exercise, "total") == guest + (guest + 1) * nested);
        seen_24 = seen_24 || value_of(exercise, "total") == 24;
    }
    CHECK(seen_24);
}

// Chapter B of the kernel's own rules: buddies are equal but for the bit of their order, and nothing gets lost.
TEST_CASE("buddy-split: blocks given and blocks left are the 1024 pages", "[scenario][exercise]") {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        const Exercise exercise = make_exercise("buddy-split", seed);
        INFO(exercise.text << exercise.answer());
        std::uint64_t pages = 0;
        for (std::size_t at = exercise.text.find("a block of order "); at != std::string::npos;
             at = exercise.text.find("a block of order ", at + 1)) {
            pages += std::uint64_t{1} << (exercise.text[at + 17] - '0');
        }
        const std::string& free = exercise.fields.back().answer;
        for (std::size_t at = free.find(':'); at != std::string::npos; at = free.find(':', at + 1)) {
            pages += std::uint64_t{1} << std::stoul(free.substr(at + 1));
        }
        CHECK(pages == 1024);
    }
}

TEST_CASE("Every exercise has its lesson in the documentation", "[scenario][exercise][docs]") {
    std::string pages;
    for (const auto& entry : std::filesystem::directory_iterator{test::source_dir() + "/docs/exercises"}) {
        pages += test::read_file(entry.path().string());
    }
    for (const ExerciseInfo& info : exercise_list()) {
        INFO(info.name);
        CHECK(contains(pages, "\n## " + std::string{info.name} + "\n"));
        CHECK(contains(pages, "$ pgsim exercise " + std::string{info.name} + " --seed "));
    }
}

TEST_CASE("Answers may be written in many ways", "[scenario][exercise]") {
    Exercise exercise;
    exercise.fields = {{"n", "a number", AnswerKind::number, "4096", "hint n", {}, {{"8", "that is a slip"}}},
                       {"a", "an address", AnswerKind::address, "0x1f000", "hint a", {}, {}},
                       {"w", "a word", AnswerKind::word, "yes", "hint w", {"yes", "no"}, {}},
                       {"l", "a list", AnswerKind::list, "0x10-0x1f,0x40:2", "hint l", {}, {}}};
    for (const char* right : {"n=4096 a=0x1f000 w=yes l=0x10-0x1f,0x40:2", "4096 1f000 yes 0x10-0x1f,0x40:2",
                              "l=64:2,16-31; w=YES; a=0x1F000; n=4K", "n=0x1000 a=0001f000 w=Yes l=0x40:2,0x10-0x1f,",
                              "n=0b1000000000000 0x1f000 yes l=0x40:0x2,0x10-31"}) {
        INFO(right);
        // Values without a name fill the places in order, so the last form gives n twice.
        if (std::string_view{right}.substr(0, 4) == "n=0b") {
            CHECK_THROWS_AS(check_answer(exercise, right), Error);
        } else {
            CHECK(check_answer(exercise, right).correct());
        }
    }
    const AnswerVerdict slip = check_answer(exercise, "n=8 a=1f001 w=no l=none");
    CHECK(slip.fields[0].says == "that is a slip");
    CHECK(slip.fields[1].says == "hint a");
    CHECK(contains(check_answer(exercise, "n=1000").fields[0].says, "0x before hexadecimal"));
    CHECK(contains(check_answer(exercise, "n=4096").fields[3].says, "No answer: a list"));
}

TEST_CASE("Answers that cannot be read are refused, with the place and the reason", "[scenario][exercise]") {
    const Exercise exercise = make_exercise("effective-rights", 1);
    CHECK_THROWS_WITH(check_answer(exercise, "user-read=maybe"), "answer, user-read: \"maybe\" is none of: yes, no");
    CHECK_THROWS_WITH(check_answer(exercise, "colour=red"), "answer: \"colour\" is not asked for");
    CHECK_THROWS_WITH(check_answer(exercise, "user-read=yes user-read=no"), "answer, user-read: given twice");
    CHECK_THROWS_AS(check_answer(exercise, "yes yes yes yes yes yes yes"), Error);
    const Exercise split = make_exercise("split-address", 1);
    CHECK_THROWS_AS(check_answer(split, "pml4=0x10000000000000000"), Error);
    CHECK_THROWS_AS(check_answer(split, "pml4=99999999999999999999G"), Error);
    CHECK_THROWS_AS(check_answer(split, "offset="), Error);
}
