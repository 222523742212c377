// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>

#include "pgsim/kernel/pgtable_types.hpp"

/// Frames of entries that are not present are stored inverted, so that a processor that ignores P while it speculates
/// reaches no memory. [linux-6.6 arch/x86/include/asm/pgtable-invert.h]

namespace pgsim::kernel {

/// __pte_needs_invert(): a value that is neither empty nor present.
[[nodiscard]] constexpr bool pte_needs_invert(std::uint64_t value) noexcept {
    return value != 0 && (value & page_present) == 0;
}

/// All ones when the frame bits of `value` are inverted.
[[nodiscard]] constexpr std::uint64_t protnone_mask(std::uint64_t value) noexcept {
    return pte_needs_invert(value) ? ~std::uint64_t{0} : 0;
}

/// `value` with its frame bits (`mask`) turned over if it is inverted and `old` was not, or the other way round.
[[nodiscard]] constexpr std::uint64_t flip_protnone_guard(std::uint64_t old, std::uint64_t value,
                                                          std::uint64_t mask) noexcept {
    return pte_needs_invert(old) != pte_needs_invert(value) ? (value & ~mask) | (~value & mask) : value;
}

}  // namespace pgsim::kernel
