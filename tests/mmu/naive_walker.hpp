// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>

#include "pgsim/mmu/access.hpp"
#include "pgsim/mmu/paging_controls.hpp"

namespace pgsim::test {

/// What the naive walker says about one access.
struct NaiveResult {
    enum class Kind { ok, page_fault, general_protection, stack_fault };
    Kind kind = Kind::ok;
    std::uint64_t phys = 0;
    unsigned page_bits = 0;  ///< 0: no paging
    std::uint32_t error_code = 0;
    std::map<std::uint64_t, std::uint64_t> changed;  ///< entry address -> value with A and D set

    friend bool operator==(const NaiveResult&, const NaiveResult&) = default;
};

/// A second reading of the manual, for comparison only: one function a paging mode, every level written out, every bit
/// taken out by its number, no tables and no masks shared with the library. Slow on purpose.
/// @param read8  the aligned 8 bytes at a physical address
[[nodiscard]] NaiveResult naive_walk(const std::function<std::uint64_t(std::uint64_t)>& read8,
                                     const PagingControls& controls, std::uint64_t linear, Access access);

}  // namespace pgsim::test
