// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace pgsim {

inline constexpr std::uint64_t KiB = std::uint64_t{1} << 10;
inline constexpr std::uint64_t MiB = std::uint64_t{1} << 20;
inline constexpr std::uint64_t GiB = std::uint64_t{1} << 30;
inline constexpr std::uint64_t TiB = std::uint64_t{1} << 40;

/// Simulated processor core cycles.
class Cycles {
public:
    constexpr Cycles() noexcept = default;
    constexpr explicit Cycles(std::uint64_t count) noexcept : count_{count} {}

    [[nodiscard]] constexpr std::uint64_t count() const noexcept { return count_; }

    friend constexpr auto operator<=>(Cycles, Cycles) noexcept = default;
    friend constexpr Cycles operator+(Cycles a, Cycles b) noexcept { return Cycles{a.count_ + b.count_}; }
    friend constexpr Cycles operator-(Cycles a, Cycles b) noexcept { return Cycles{a.count_ - b.count_}; }
    constexpr Cycles& operator+=(Cycles other) noexcept {
        count_ += other.count_;
        return *this;
    }

private:
    std::uint64_t count_ = 0;
};

/// A byte count as people write it: "2 MiB", "639 KiB", "1.5 TiB", "17 bytes".
[[nodiscard]] std::string human_bytes(std::uint64_t bytes);

/// "0x1f", lower case, no leading zeros.
[[nodiscard]] std::string hex(std::uint64_t value);

}  // namespace pgsim
