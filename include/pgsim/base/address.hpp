// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>

#include "pgsim/base/error.hpp"

namespace pgsim {

/// Linear addresses: any 64-bit value, canonical or not.
struct VirtSpace {
    static constexpr std::uint64_t last = ~std::uint64_t{0};
    static constexpr const char* range_message = "linear address out of range";
};

/// Physical addresses: the architectural limit of 52 bits; MAXPHYADDR of a CPU may be lower.
struct PhysSpace {
    static constexpr std::uint64_t last = (std::uint64_t{1} << 52) - 1;
    static constexpr const char* range_message = "physical address does not fit in 52 bits";
};

/// A byte address in one address space; the two spaces never convert into each other.
template <class Space>
class Address {
public:
    constexpr Address() noexcept = default;

    /// @param value  byte address, 0 ..= Space::last
    /// @throws Error  if value > Space::last
    constexpr explicit Address(std::uint64_t value)
        : value_{value <= Space::last ? value : throw Error{Space::range_message}} {}

    /// The same check for values that may well be wrong: nullopt where the constructor throws.
    [[nodiscard]] static constexpr std::optional<Address> try_from(std::uint64_t value) noexcept {
        if (value > Space::last) {
            return std::nullopt;
        }
        return Address{value};
    }

    [[nodiscard]] constexpr std::uint64_t value() const noexcept { return value_; }

    /// The address rounded down to a multiple of `alignment`, a power of two.
    [[nodiscard]] constexpr Address align_down(std::uint64_t alignment) const noexcept {
        Address result;
        result.value_ = value_ & ~(alignment - 1);
        return result;
    }

    /// The address rounded up to a multiple of `alignment`, a power of two.
    /// @throws Error  if the result leaves the space
    [[nodiscard]] constexpr Address align_up(std::uint64_t alignment) const {
        const std::uint64_t excess = value_ & (alignment - 1);
        return excess == 0 ? *this : *this + (alignment - excess);
    }

    [[nodiscard]] constexpr bool is_aligned(std::uint64_t alignment) const noexcept {
        return (value_ & (alignment - 1)) == 0;
    }

    /// Distance from the start of the surrounding block of `alignment` bytes, a power of two.
    [[nodiscard]] constexpr std::uint64_t offset_in(std::uint64_t alignment) const noexcept {
        return value_ & (alignment - 1);
    }

    friend constexpr auto operator<=>(Address, Address) noexcept = default;

    /// Address + distance in bytes. Address + address does not compile.
    /// @throws Error  if the sum leaves the space
    friend constexpr Address operator+(Address base, std::uint64_t bytes) {
        return bytes <= Space::last - base.value_ ? Address{base.value_ + bytes} : throw Error{Space::range_message};
    }

    /// @throws Error  if the difference leaves the space
    friend constexpr Address operator-(Address base, std::uint64_t bytes) {
        return bytes <= base.value_ ? Address{base.value_ - bytes} : throw Error{Space::range_message};
    }

    /// Distance in bytes from `from` to `to`, modulo 2^64.
    friend constexpr std::uint64_t operator-(Address to, Address from) noexcept { return to.value_ - from.value_; }

    constexpr Address& operator+=(std::uint64_t bytes) { return *this = *this + bytes; }
    constexpr Address& operator-=(std::uint64_t bytes) { return *this = *this - bytes; }

private:
    std::uint64_t value_ = 0;
};

using VirtAddr = Address<VirtSpace>;
using PhysAddr = Address<PhysSpace>;

/// "0x1000", lower case, no leading zeros.
[[nodiscard]] std::string to_string(PhysAddr address);
[[nodiscard]] std::string to_string(VirtAddr address);

/// A page frame number: physical address / 4096.
class Pfn {
public:
    /// One past the highest page frame of the physical address space.
    static constexpr std::uint64_t limit = (PhysSpace::last >> 12) + 1;

    constexpr Pfn() noexcept = default;

    /// @param value  0 ..= limit (the limit itself is the end of a range, it names no frame)
    /// @throws Error  if value > limit
    constexpr explicit Pfn(std::uint64_t value)
        : value_{value <= limit ? value : throw Error{"page frame number does not fit in 40 bits"}} {}

    /// The frame that holds `address`.
    [[nodiscard]] static constexpr Pfn of(PhysAddr address) noexcept {
        Pfn pfn;
        pfn.value_ = address.value() >> 12;
        return pfn;
    }

    [[nodiscard]] constexpr std::uint64_t value() const noexcept { return value_; }

    /// First byte of the frame. @throws Error  for the limit itself
    [[nodiscard]] constexpr PhysAddr address() const { return PhysAddr{value_ << 12}; }

    friend constexpr auto operator<=>(Pfn, Pfn) noexcept = default;
    friend constexpr Pfn operator+(Pfn pfn, std::uint64_t frames) { return Pfn{pfn.value_ + frames}; }
    friend constexpr std::uint64_t operator-(Pfn to, Pfn from) noexcept { return to.value_ - from.value_; }

private:
    std::uint64_t value_ = 0;
};

inline namespace literals {

/// Checked by the compiler: 0x1'0000'0000'0000'0_pa does not compile.
consteval PhysAddr operator""_pa(unsigned long long value) {
    return PhysAddr{value};
}

consteval VirtAddr operator""_va(unsigned long long value) {
    return VirtAddr{value};
}

}  // namespace literals

}  // namespace pgsim
