// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/mmu/lean_walker.hpp"

#include <cstring>

namespace pgsim {

namespace {

constexpr std::uint64_t bit_p = 1U << 0;
constexpr std::uint64_t bit_rw = 1U << 1;
constexpr std::uint64_t bit_us = 1U << 2;
constexpr std::uint64_t bit_a = 1U << 5;
constexpr std::uint64_t bit_d = 1U << 6;
constexpr std::uint64_t bit_ps = 1U << 7;
constexpr std::uint64_t bit_g = 1U << 8;
constexpr std::uint64_t bit_xd = std::uint64_t{1} << 63;

constexpr std::uint64_t bits(unsigned high, unsigned low) noexcept {
    return high < low ? 0 : (~std::uint64_t{0} << low) & (~std::uint64_t{0} >> (63 - high));
}

std::uint64_t entry_at(const std::byte* table, std::uint64_t index) noexcept {
    std::uint64_t value = 0;
    std::memcpy(&value, table + 8 * index, sizeof value);
    return value;
}

}  // namespace

LeanWalker::LeanWalker(const PhysicalMemory& memory, const PagingControls& controls)
    : walker_{memory, controls}, memory_{&memory}, generation_{memory.layout_generation()} {
    const PagingControls& c = controls;
    const bool ia32e = c.mode == PagingMode::four_level || c.mode == PagingMode::five_level;
    // What needs more than masks over the path goes the general way.
    const bool plain = ia32e && !c.lass && !c.lam_u48 && !c.lam_u57 && !c.lam_sup && !c.uai && !c.pke && !c.pks;
    bad_.fill(~std::uint64_t{0});
    if (!plain) {
        return;  // every entry is bad then
    }
    root_ = c.root.value();
    unused_bits_ = c.mode == PagingMode::five_level ? 7 : 16;
    const std::uint64_t c_bit = c.c_bit == 0 ? 0 : std::uint64_t{1} << c.c_bit;
    address_mask_ = bits(51, 12) & ~c_bit;
    const std::uint64_t reserved = (bits(51, c.maxphyaddr) & ~c_bit) | (c.nxe ? 0 : bit_xd);
    bad_.fill(bit_p | reserved);
    const std::uint64_t top_bits = bit_ps | (c.vendor == Vendor::amd ? bit_g : 0);
    bad_[5] |= top_bits;
    bad_[4] |= top_bits;
    bad_[3] |= c.pages_1g ? 0 : bit_ps;
    bad_page_[3] = bits(29, 13);
    bad_page_[2] = bits(20, 13);
    for (unsigned kind = 0; kind < 4; ++kind) {
        for (unsigned mode = 0; mode < 2; ++mode) {
            for (unsigned cpl = 0; cpl < 4; ++cpl) {
                const Access access{static_cast<AccessKind>(kind), static_cast<std::uint8_t>(cpl),
                                    static_cast<AccessMode>(mode)};
                rules_[rule_index(access)] = make_rule(access);
            }
        }
    }
}

// The rights of access_rules.hpp as masks; a page that they refuse gets its verdict from the general walker.
LeanWalker::Rule LeanWalker::make_rule(Access access) const noexcept {
    const PagingControls& c = walker_.controls();
    Rule rule;
    rule.checked = bit_a;
    rule.wanted = bit_a;
    if (access.user_mode()) {
        rule.checked |= bit_us;
        rule.wanted |= bit_us;
    } else if (access.fetches() ? c.smep : c.smap && (!c.ac || access.mode == AccessMode::implicit)) {
        rule.checked |= bit_us;
    }
    if (access.writes()) {
        if (access.user_mode() || c.cr0_wp) {
            rule.checked |= bit_rw;
            rule.wanted |= bit_rw;
        }
    }
    rule.leaf = access.writes() ? bit_d : 0;
    rule.leaf = access.writes() ? bit_d : 0;
    rule.forbidden = access.fetches() && c.nxe ? bit_xd : 0;
    return rule;
}

void LeanWalker::forget() const {
    roots_.fill({});
    pdpts_.fill({});
    pds_.fill({});
    pts_.fill({});
    generation_ = memory_->layout_generation();
}

bool LeanWalker::find(Guess& guess, std::uint64_t table) const {
    const std::byte* const bytes = memory_->resident_frame(Pfn{table >> 12});
    if (bytes == nullptr) {
        return false;
    }
    guess = {table, bytes};
    return true;
}

template <unsigned level>
LeanWalker::Guess& LeanWalker::guess_for(std::uint64_t linear) const {
    if constexpr (level >= 4) {
        return roots_[level - 4];
    } else if constexpr (level == 3) {
        return pdpts_[linear >> 39 & 15];
    } else if constexpr (level == 2) {
        return pds_[linear >> 30 & 255];
    } else {
        return pts_[linear >> 21 & 2047];
    }
}

template <unsigned level, bool fill>
inline bool LeanWalker::step(std::uint64_t linear, Path& path) const {
    Guess& guess = guess_for<level>(linear);
    if (guess.table != path.table) [[unlikely]] {
        if (!fill || !find(guess, path.table)) {
            return false;
        }
    }
    path.raw = entry_at(guess.bytes, linear >> (12 + 9 * (level - 1)) & 511);
    path.all &= path.raw;
    path.any |= path.raw;
    path.table = path.raw & address_mask_;
    return ((path.raw ^ bit_p) & bad_[level]) == 0;
}

/// log2 of the page size; 0: the general walker must look.
template <unsigned top, bool fill>
inline unsigned LeanWalker::descend(std::uint64_t linear, Path& path) const {
    if constexpr (top == 5) {
        if (!step<5, fill>(linear, path)) [[unlikely]] {
            return 0;
        }
    }
    if (!step<4, fill>(linear, path) || !step<3, fill>(linear, path)) [[unlikely]] {
        return 0;
    }
    if ((path.raw & bit_ps) != 0) {
        return (path.raw & bad_page_[3]) == 0 ? 30 : 0;
    }
    if (!step<2, fill>(linear, path)) [[unlikely]] {
        return 0;
    }
    if ((path.raw & bit_ps) != 0) {
        return (path.raw & bad_page_[2]) == 0 ? 21 : 0;
    }
    return step<1, fill>(linear, path) ? 12 : 0;
}

template <bool fill>
inline LeanWalker::Result LeanWalker::attempt(std::uint64_t linear, Access access) const {
    const bool canonical =
        static_cast<std::uint64_t>(static_cast<std::int64_t>(linear << unused_bits_) >> unused_bits_) == linear;
    Path path;
    path.table = root_;
    const unsigned page = !canonical           ? 0
                          : unused_bits_ == 16 ? descend<4, fill>(linear, path)
                                               : descend<5, fill>(linear, path);
    const Rule& rule = rules_[rule_index(access)];
    const std::uint64_t wrong =
        ((path.all ^ rule.wanted) & rule.checked) | (path.any & rule.forbidden) | (~path.raw & rule.leaf);
    if (page == 0 || wrong != 0) [[unlikely]] {
        return {};
    }
    const std::uint64_t offset = (std::uint64_t{1} << page) - 1;
    return Result{(path.table & ~offset) | (linear & offset)};
}

// Kept out of the fast path, which then calls nothing and saves no register.
LeanWalker::Result LeanWalker::decide(VirtAddr virt, Access access) const {
    if (generation_ != memory_->layout_generation()) {
        forget();
    }
    if (const Result result = attempt<true>(virt.value(), access)) {
        return result;
    }
    // A table without storage, or a page that the masks refuse: decided by the rules themselves.
    const auto phys = walker_.translate(virt, access);
    return phys ? Result{phys->value()} : Result{};
}

LeanWalker::Result LeanWalker::translate(VirtAddr virt, Access access) const {
    if (generation_ == memory_->layout_generation()) [[likely]] {
        if (const Result result = attempt<false>(virt.value(), access)) [[likely]] {
            return result;
        }
    }
    return decide(virt, access);
}

}  // namespace pgsim
