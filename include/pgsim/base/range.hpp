// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <algorithm>
#include <cstdint>

#include "pgsim/base/address.hpp"
#include "pgsim/base/error.hpp"

namespace pgsim {

/// Half-open range [start, end) of addresses or page frame numbers; start == end is the empty range.
template <class T>
class Range {
public:
    constexpr Range() noexcept = default;

    /// @throws Error  if end < begin
    constexpr Range(T start, T end)
        : start_{start}, end_{start <= end ? end : throw Error{"the end of a range lies below its start"}} {}

    /// The `size` bytes (or frames) from `start` on. @throws Error  if the end leaves the space
    [[nodiscard]] static constexpr Range sized(T start, std::uint64_t size) { return Range{start, start + size}; }

    [[nodiscard]] constexpr T start() const noexcept { return start_; }
    [[nodiscard]] constexpr T end() const noexcept { return end_; }
    [[nodiscard]] constexpr std::uint64_t size() const noexcept { return end_ - start_; }
    [[nodiscard]] constexpr bool empty() const noexcept { return start_ == end_; }
    [[nodiscard]] constexpr bool contains(T point) const noexcept { return start_ <= point && point < end_; }
    [[nodiscard]] constexpr bool contains(Range other) const noexcept {
        return start_ <= other.start_ && other.end_ <= end_;
    }
    [[nodiscard]] constexpr bool overlaps(Range other) const noexcept {
        return start_ < other.end_ && other.start_ < end_;
    }
    /// What both have in common; empty when they do not overlap.
    [[nodiscard]] constexpr Range intersect(Range other) const {
        const T low = std::max(start_, other.start_);
        const T high = std::min(end_, other.end_);
        return low < high ? Range{low, high} : Range{low, low};
    }

    friend constexpr bool operator==(Range, Range) noexcept = default;

private:
    T start_{};
    T end_{};
};

using PhysRange = Range<PhysAddr>;
using VirtRange = Range<VirtAddr>;
using PfnRange = Range<Pfn>;

}  // namespace pgsim
