// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/cpu/mtrr.hpp"

#include <array>
#include <cassert>

namespace pgsim {

namespace {

constexpr std::uint64_t four_gib = std::uint64_t{1} << 32;
constexpr std::uint64_t enabled = 1U << 11;
constexpr std::uint64_t fixed_enabled = 1U << 10;
constexpr std::uint64_t valid = 1U << 11;

constexpr std::uint32_t msr_variable = 0x200;  // PHYSBASE0, PHYSMASK0, PHYSBASE1, …
constexpr std::uint32_t msr_def_type = 0x2ff;
constexpr std::array<std::uint32_t, 11> msr_fixed{0x250, 0x258, 0x259, 0x268, 0x269, 0x26a,
                                                  0x26b, 0x26c, 0x26d, 0x26e, 0x26f};

// The byte of the fixed-range registers that speaks for an address below 1 MiB.
std::uint8_t fixed_type(const Mtrrs& mtrrs, std::uint64_t address) noexcept {
    std::size_t reg = 0;
    std::uint64_t offset = 0;
    if (address < 0x80000) {
        offset = address >> 16;
    } else if (address < 0xc0000) {
        offset = (address - 0x80000) >> 14;
        reg = 1;
    } else {
        offset = (address - 0xc0000) >> 12;
        reg = 3;
    }
    return static_cast<std::uint8_t>(mtrrs.fixed[reg + offset / 8] >> (8 * (offset % 8)));
}

}  // namespace

std::string_view to_string(MemoryType type) noexcept {
    switch (type) {
    case MemoryType::uc: return "UC";
    case MemoryType::wc: return "WC";
    case MemoryType::wt: return "WT";
    case MemoryType::wp: return "WP";
    case MemoryType::wb: return "WB";
    case MemoryType::uc_minus: return "UC-";
    case MemoryType::cd: return "CD";
    }
    return "?";
}

std::optional<MemoryType> pat_type(std::uint8_t encoding) noexcept {
    if (encoding > 7 || encoding == 2 || encoding == 3) {
        return std::nullopt;
    }
    return static_cast<MemoryType>(encoding);
}

std::optional<MemoryType> mtrr_type(std::uint8_t encoding) noexcept {
    return encoding == 7 ? std::nullopt : pat_type(encoding);
}

MemoryType pat_entry(std::uint64_t pat, unsigned index) noexcept {
    const auto type = pat_type(static_cast<std::uint8_t>(pat >> (8 * (index & 7))));
    assert(type);
    return type.value_or(MemoryType::uc);
}

std::optional<MemoryType> Mtrrs::type_of(PhysAddr address, unsigned maxphyaddr) const noexcept {
    if ((def_type & enabled) == 0) {
        return MemoryType::uc;
    }
    if ((def_type & fixed_enabled) != 0 && address.value() < 0x100000) {
        return mtrr_type(fixed_type(*this, address.value()));
    }
    const std::uint64_t address_bits = ((std::uint64_t{1} << maxphyaddr) - 1) & ~std::uint64_t{0xfff};
    std::optional<MemoryType> found;
    bool undefined = false;
    bool any_uc = false;
    for (const Variable& range : variable) {
        const std::uint64_t mask = range.mask & address_bits;
        if ((range.mask & valid) == 0 || (address.value() & mask) != (range.base & mask)) {
            continue;
        }
        const auto type = mtrr_type(static_cast<std::uint8_t>(range.base));
        any_uc = any_uc || type == MemoryType::uc;
        if (!found) {
            found = type;
        } else if (found != type) {
            const bool wb_and_wt = (found == MemoryType::wb || found == MemoryType::wt) &&
                                   (type == MemoryType::wb || type == MemoryType::wt);
            undefined = undefined || !wb_and_wt;
            found = MemoryType::wt;
        }
    }
    if (any_uc) {
        return MemoryType::uc;
    }
    if (undefined) {
        return std::nullopt;
    }
    if (found) {
        return found;
    }
    const bool forced = address.value() >= four_gib && address.value() < top_mem2;
    return forced ? MemoryType::wb : mtrr_type(static_cast<std::uint8_t>(def_type));
}

std::uint64_t* Mtrrs::find(std::uint32_t msr) noexcept {
    if (msr == msr_def_type) {
        return &def_type;
    }
    if (msr >= msr_variable && msr < msr_variable + 2 * variable.size()) {
        Variable& range = variable[(msr - msr_variable) / 2];
        return msr % 2 == 0 ? &range.base : &range.mask;
    }
    for (std::size_t i = 0; i < msr_fixed.size(); ++i) {
        if (msr_fixed[i] == msr) {
            return &fixed[i];
        }
    }
    return nullptr;
}

bool Mtrrs::may_write(std::uint32_t msr, std::uint64_t value, unsigned maxphyaddr) noexcept {
    const std::uint64_t above = maxphyaddr >= 64 ? 0 : ~std::uint64_t{0} << maxphyaddr;
    if (msr == msr_def_type) {
        constexpr std::uint64_t defined = 0xff | enabled | fixed_enabled;
        return (value & ~defined) == 0 && mtrr_type(static_cast<std::uint8_t>(value)).has_value();
    }
    if (msr < msr_fixed[0]) {
        if (msr % 2 != 0) {
            return (value & (above | 0x7ff)) == 0;
        }
        return (value & (above | 0xf00)) == 0 && mtrr_type(static_cast<std::uint8_t>(value)).has_value();
    }
    for (unsigned byte = 0; byte < 8; ++byte) {
        if (!mtrr_type(static_cast<std::uint8_t>(value >> (8 * byte)))) {
            return false;
        }
    }
    return true;
}

}  // namespace pgsim
