// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/cpu/mtrr.hpp"

#include <cassert>

namespace pgsim {

namespace {

constexpr std::uint64_t enabled = 1U << 11;
constexpr std::uint64_t fixed_enabled = 1U << 10;
constexpr std::uint64_t valid = 1U << 11;

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
    return found ? found : mtrr_type(static_cast<std::uint8_t>(def_type));
}

}  // namespace pgsim
