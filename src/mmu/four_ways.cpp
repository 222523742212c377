// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/mmu/four_ways.hpp"

#include <algorithm>

#include "pgsim/base/error.hpp"

namespace pgsim {

FourWays::FourWays(std::string_view where, unsigned sets)
    : fold_{static_cast<unsigned>(std::countr_zero(sets))}, set_mask_{sets - std::uint64_t{1}} {
    if (!std::has_single_bit(sets) || sets > 1U << 16) {
        throw Error{where, "the number of sets must be a power of two, at most 65536"};
    }
    sets_.resize(sets);
    younger_.resize(sets);
}

void FourWays::forget(std::size_t number, unsigned way) noexcept {
    Set& set = sets_[number];
    set.keys[way] = empty;
    unsigned younger = younger_[number];
    for (unsigned other = 0; other < ways; ++other) {
        const unsigned row = other * ways;
        younger = set.keys[other] == empty ? younger & ~(15U << row) : younger | 1U << (row + way);
    }
    younger_[number] = static_cast<std::uint16_t>(younger);
}

void FourWays::drop(std::uint64_t prefix, std::uint64_t key) noexcept {
    const std::size_t number = set_of(prefix);
    for (unsigned way = 0; way < ways; ++way) {
        if (sets_[number].keys[way] == key) {
            forget(number, way);
        }
    }
}

void FourWays::clear() noexcept {
    if (in_use_) {
        std::fill(sets_.begin(), sets_.end(), Set{});
        std::fill(younger_.begin(), younger_.end(), std::uint16_t{0});
        in_use_ = false;
    }
}

}  // namespace pgsim
