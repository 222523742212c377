// SPDX-License-Identifier: GPL-2.0-only
// A small scanner over one line of text.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace pgsim::firmware {

/// Reads a line from left to right. A reader that does not find what it looks for consumes nothing.
class TextScan {
public:
    explicit TextScan(std::string_view text) noexcept : rest_{text} {}

    [[nodiscard]] std::string_view rest() const noexcept { return rest_; }
    [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }

    bool literal(std::string_view word) noexcept {
        if (rest_.substr(0, word.size()) != word) {
            return false;
        }
        rest_.remove_prefix(word.size());
        return true;
    }

    void blanks() noexcept {
        while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t')) {
            rest_.remove_prefix(1);
        }
    }

    /// Skips everything up to and including `word`.
    bool past(std::string_view word) noexcept {
        const std::size_t at = rest_.find(word);
        if (at == std::string_view::npos) {
            return false;
        }
        rest_.remove_prefix(at + word.size());
        return true;
    }

    /// Digits of the base, no sign, no prefix. nullopt: none there, or more than 64 bits.
    std::optional<std::uint64_t> number(int base = 10) noexcept {
        std::uint64_t value = 0;
        const auto result = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value, base);
        if (result.ec != std::errc{}) {
            return std::nullopt;
        }
        rest_.remove_prefix(static_cast<std::size_t>(result.ptr - rest_.data()));
        return value;
    }

    /// "0x1f". nullopt: not that.
    std::optional<std::uint64_t> hex() noexcept {
        const std::string_view before = rest_;
        if (literal("0x")) {
            if (const auto value = number(16)) {
                return value;
            }
        }
        rest_ = before;
        return std::nullopt;
    }

    /// Characters up to a blank or one of `stops`.
    std::string_view word(std::string_view stops = {}) noexcept {
        std::size_t length = 0;
        while (length < rest_.size() && rest_[length] != ' ' && rest_[length] != '\t' &&
               stops.find(rest_[length]) == std::string_view::npos) {
            ++length;
        }
        const std::string_view found = rest_.substr(0, length);
        rest_.remove_prefix(length);
        return found;
    }

private:
    std::string_view rest_;
};

/// Without blanks at either end.
[[nodiscard]] inline std::string_view trimmed(std::string_view text) noexcept {
    constexpr std::string_view blanks = " \t\r\n";
    const std::size_t first = text.find_first_not_of(blanks);
    return first == std::string_view::npos ? std::string_view{}
                                           : text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

}  // namespace pgsim::firmware
