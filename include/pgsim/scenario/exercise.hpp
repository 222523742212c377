// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pgsim {

/// The generator behind exercises: SplitMix64, by Sebastiano Vigna. Defined by its arithmetic alone, so that a seed
/// means the same with every compiler and library.
class SplitMix64 {
public:
    constexpr explicit SplitMix64(std::uint64_t seed) noexcept : state_{seed} {}

    constexpr std::uint64_t next() noexcept {
        state_ += 0x9e37'79b9'7f4a'7c15;
        std::uint64_t z = state_;
        z = (z ^ z >> 30) * 0xbf58'476d'1ce4'e5b9;
        z = (z ^ z >> 27) * 0x94d0'49bb'1331'11eb;
        return z ^ z >> 31;
    }
    /// next() modulo `n`: 0 ..= n - 1. `n` > 0.
    constexpr std::uint64_t below(std::uint64_t n) noexcept { return next() % n; }
    /// first ..= last.
    constexpr std::uint64_t between(std::uint64_t first, std::uint64_t last) noexcept {
        return first + below(last - first + 1);
    }
    constexpr bool chance(std::uint64_t one_in) noexcept { return below(one_in) == 0; }

private:
    std::uint64_t state_;
};

/// How a value is written in an answer.
enum class AnswerKind : std::uint8_t {
    number,   ///< 17, 0x11, 0b10001, 4K
    address,  ///< hexadecimal, with or without 0x
    word,     ///< one of `ExerciseField::choices`
    list,     ///< items with commas between them, in any order, or "none"
};
/// "number", "address", "word", "list".
[[nodiscard]] std::string_view to_string(AnswerKind kind) noexcept;

/// One value that an exercise asks for.
struct ExerciseField {
    std::string name;  ///< "pml4"
    std::string what;  ///< for people: "index into the PML4"
    AnswerKind kind = AnswerKind::number;
    std::string answer;                ///< the right one, as `check_answer` reads it
    std::string hint;                  ///< what to look at again; does not give the answer
    std::vector<std::string> choices;  ///< of a word
    /// Wrong answers that people give, and what they then overlooked.
    std::vector<std::pair<std::string, std::string>> slips;
};

/// A question about paging with its answer, which the simulator found.
struct Exercise {
    std::string name;
    std::string title;
    std::uint64_t seed = 0;
    std::string text;      ///< the question, several lines
    std::string solution;  ///< solved step by step, several lines
    std::vector<ExerciseField> fields;

    /// "pml4=273 pdpt=0": what `check_answer` accepts.
    [[nodiscard]] std::string answer() const;
};

struct ExerciseInfo {
    std::string_view name;
    std::string_view title;
};

/// All exercises, easy ones first.
[[nodiscard]] std::vector<ExerciseInfo> exercise_list();

/// The exercise of this name and seed: always the same. Its generator is SplitMix64, seeded with the seed XOR the
/// FNV-1a hash of the name. Takes milliseconds.
/// @throws Error  for a name that does not exist
[[nodiscard]] Exercise make_exercise(std::string_view name, std::uint64_t seed);

/// What is to be said of one value of an answer.
struct FieldVerdict {
    std::string name;
    bool correct = false;
    std::string says;  ///< when wrong: what to look at, never the answer
};
struct AnswerVerdict {
    std::vector<FieldVerdict> fields;  ///< in the order of the exercise
    [[nodiscard]] bool correct() const noexcept;
};

/// @param answer  "pml4=273 pdpt=0", in any order, or the values alone in the order of the exercise; blanks or
///                semicolons between them
/// @throws Error  when a value cannot be read or a name is not asked for, or there are more values than questions
[[nodiscard]] AnswerVerdict check_answer(const Exercise& exercise, std::string_view answer);

}  // namespace pgsim
