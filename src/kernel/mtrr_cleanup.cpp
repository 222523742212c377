// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/mtrr_cleanup.hpp"

#include <algorithm>
#include <boost/icl/interval_set.hpp>
#include <utility>
#include <vector>

#include "pgsim/base/units.hpp"
#include "pgsim/machine/machine.hpp"

namespace pgsim::kernel {

namespace {

constexpr std::uint64_t range_valid = 1U << 11;
constexpr std::uint64_t fixed_in_use = 3U << 10;  // FE and E of IA32_MTRR_DEF_TYPE

struct RangeState {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    MemoryType type = MemoryType::uc;
};

/// What the variable ranges say; a mask with holes counts up to its lowest bit. [generic_get_mtrr()]
std::vector<RangeState> range_states(const Mtrrs& mtrrs, unsigned phys_bits) {
    const std::uint64_t address_bits = (std::uint64_t{1} << phys_bits) - 1;
    std::vector<RangeState> states;
    for (const Mtrrs::Variable& variable : mtrrs.variable) {
        const std::uint64_t mask = variable.mask & address_bits & ~std::uint64_t{0xfff};
        const auto type = mtrr_type(static_cast<std::uint8_t>(variable.base));
        if ((variable.mask & range_valid) == 0 || mask == 0 || !type) {
            continue;
        }
        const std::uint64_t base = variable.base & address_bits & ~std::uint64_t{0xfff};
        states.push_back({base, base + (mask & (~mask + 1)), *type});
    }
    return states;
}

using Ranges = boost::icl::interval_set<std::uint64_t>;

Ranges::interval_type interval(std::uint64_t start, std::uint64_t end) {
    return Ranges::interval_type::right_open(start, end);
}

/// Where memory is write-back: the ranges that say so, and AMD's above 4 GiB, without those that are uncacheable.
Ranges x86_get_mtrr_mem_range(const std::vector<RangeState>& states, const Mtrrs& mtrrs) {
    Ranges ranges;
    if (mtrrs.top_mem2 > 4 * GiB) {
        ranges += interval(4 * GiB, mtrrs.top_mem2);
    }
    for (const RangeState& state : states) {
        if (state.type == MemoryType::wb) {
            ranges += interval(state.start, state.end);
        }
    }
    for (const RangeState& state : states) {
        if (state.type == MemoryType::uc || state.type == MemoryType::wp) {
            // Fixed ranges win below 1 MiB: an uncacheable range there is a mistake of the firmware.
            const bool strange = state.start < MiB && (mtrrs.def_type & fixed_in_use) == fixed_in_use;
            const std::uint64_t start = strange ? MiB : state.start;
            if (start < state.end) {
                ranges -= interval(start, state.end);
            }
        }
    }
    return ranges;
}

}  // namespace

std::uint64_t mtrr_trim_uncached_memory(const Mtrrs& mtrrs, unsigned phys_bits, std::uint64_t end_pfn, E820& e820) {
    constexpr std::uint64_t enabled = 1U << 11;
    if ((mtrrs.def_type & enabled) == 0 || mtrr_type(static_cast<std::uint8_t>(mtrrs.def_type)) != MemoryType::uc) {
        return 0;
    }
    const std::vector<RangeState> states = range_states(mtrrs, phys_bits);
    const auto count = [&states](MemoryType type) {
        return std::count_if(states.begin(), states.end(), [type](const RangeState& s) { return s.type == type; });
    };
    const auto write_back = count(MemoryType::wb);
    if (write_back == 0 || write_back + count(MemoryType::uc) != static_cast<std::ptrdiff_t>(states.size())) {
        return 0;
    }
    std::uint64_t trimmed = 0;
    std::uint64_t covered = 0;
    const auto trim = [&](std::uint64_t start, std::uint64_t end) {
        if (start < end) {
            trimmed += e820.range_update(start, end - start, firmware::E820Type::ram, firmware::E820Type::reserved);
        }
    };
    for (const auto& range : x86_get_mtrr_mem_range(states, mtrrs)) {
        trim(covered, range.lower());
        covered = range.upper();
    }
    trim(covered, end_pfn << 12);
    if (trimmed != 0) {
        e820.update_table();
    }
    return trimmed;
}

}  // namespace pgsim::kernel
