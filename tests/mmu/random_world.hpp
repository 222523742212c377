// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>
#include <random>

#include "pgsim/memory/physical_memory.hpp"
#include "pgsim/mmu/access.hpp"
#include "pgsim/mmu/paging_controls.hpp"

namespace pgsim::test {

/// Random paging structures that point at each other, so that walks of any length and any end are frequent.
class RandomWorld {
public:
    static constexpr std::uint64_t first_table = 0x10'0000;
    static constexpr std::uint64_t tables = 12;

    explicit RandomWorld(std::uint64_t seed) : random_{seed} {
        memory_.map_region({PhysAddr{0}, PhysAddr{PhysSpace::last}}, RegionKind::ram);
    }

    /// Tables of 8-byte entries (PAE, 4-level, 5-level). One entry in `bad_one_in` has reserved bits or the like.
    void fill_wide(unsigned maxphyaddr, std::uint64_t bad_one_in) {
        for (std::uint64_t at = first_table; at < first_table + tables * 4096; at += 8) {
            memory_.write64(PhysAddr{at}, wide_entry(maxphyaddr, bad_one_in));
        }
    }
    /// Tables of 4-byte entries (32-bit paging).
    void fill_narrow(std::uint64_t bad_one_in) {
        for (std::uint64_t at = first_table; at < first_table + tables * 4096; at += 4) {
            std::uint64_t entry = flags() | table();
            if (one_in(3)) {
                entry = (next() & 0xffc0'0000) | flags() | (next() & 0x1e'0000) | 0x80;
            }
            if (one_in(bad_one_in)) {
                entry ^= next() & 0x3f'f000;
            }
            memory_.write32(PhysAddr{at}, static_cast<std::uint32_t>(entry));
        }
    }

    [[nodiscard]] PagingControls controls(PagingMode mode) {
        PagingControls c;
        c.mode = mode;
        c.root = PhysAddr{table()};
        const bool ia32e = mode == PagingMode::four_level || mode == PagingMode::five_level;
        c.cr0_wp = one_in(2);
        c.nxe = one_in(2) && mode != PagingMode::bits32 && mode != PagingMode::none;
        c.pge = one_in(2);
        c.smep = one_in(3);
        c.smap = one_in(3);
        c.ac = one_in(2);
        c.pke = ia32e && one_in(3);
        c.pks = ia32e && one_in(3);
        c.cet = one_in(3);
        c.lass = ia32e && one_in(8);
        c.pse = !one_in(4);
        c.pse36 = !one_in(4);
        c.pages_1g = !one_in(4);
        c.lam_u48 = ia32e && one_in(8);
        c.lam_u57 = ia32e && one_in(8);
        c.lam_sup = ia32e && one_in(8);
        c.uai = ia32e && one_in(16);
        c.vendor = one_in(2) ? Vendor::amd : Vendor::intel;
        c.fault_accessed = one_in(2) ? FaultAccessed::none : FaultAccessed::non_leaf;
        constexpr std::array<std::uint8_t, 6> widths{36, 39, 40, 46, 48, 52};
        c.maxphyaddr = widths[next() % widths.size()];
        c.c_bit = ia32e && one_in(8) ? 47 : 0;
        c.pkru = static_cast<std::uint32_t>(next() & next());
        c.pkrs = static_cast<std::uint32_t>(next() & next());
        for (std::uint64_t& pdpte : c.pdptes) {
            pdpte = table() | (one_in(8) ? next() & 0xfff : 1) | (one_in(20) ? next() & ~std::uint64_t{0xfff} : 0);
        }
        return c;
    }

    [[nodiscard]] std::uint64_t linear(PagingMode mode) {
        const std::uint64_t value = next();
        switch (mode) {
        case PagingMode::none:
        case PagingMode::bits32:
        case PagingMode::pae: return value & 0xffff'ffff;
        case PagingMode::four_level:
        case PagingMode::five_level: break;
        }
        const unsigned shift = mode == PagingMode::five_level ? 7 : 16;
        const auto canonical = static_cast<std::uint64_t>(static_cast<std::int64_t>(value << shift) >> shift);
        return one_in(8) ? canonical ^ (next() & next() & (std::uint64_t{0xffff} << 48)) : canonical;
    }

    [[nodiscard]] Access access() {
        Access a;
        a.kind = static_cast<AccessKind>(next() % 6);
        a.cpl = one_in(2) ? 3 : static_cast<std::uint8_t>(next() % 3);
        const bool shadow_stack = a.on_shadow_stack();
        if (a.kind == AccessKind::shadow_stack_write && one_in(3)) {
            a.mode = AccessMode::user_shadow_stack;
            a.cpl = 0;
        } else if (!shadow_stack && !a.fetches() && one_in(5)) {
            a.mode = AccessMode::implicit;
        }
        a.stack_segment = a.mode == AccessMode::by_cpl && !shadow_stack && !a.fetches() && one_in(5);
        return a;
    }

    [[nodiscard]] std::uint64_t next() { return random_(); }
    [[nodiscard]] bool one_in(std::uint64_t n) { return next() % n == 0; }
    [[nodiscard]] PhysicalMemory& memory() noexcept { return memory_; }

private:
    [[nodiscard]] std::uint64_t table() { return first_table + next() % tables * 4096; }
    /// P, R/W, U/S, A, D mostly set; the others at random.
    [[nodiscard]] std::uint64_t flags() {
        std::uint64_t flags = next() & 0xf1e;
        flags |= one_in(4) ? 0 : 0x6;
        flags |= one_in(3) ? next() & 0x60 : 0x60;
        return flags | (one_in(30) ? 0 : 1);
    }
    [[nodiscard]] std::uint64_t wide_entry(unsigned maxphyaddr, std::uint64_t bad_one_in) {
        const std::uint64_t in_width = (std::uint64_t{1} << maxphyaddr) - 1;
        std::uint64_t entry = table();
        switch (next() % 12) {
        case 0: entry = (next() & in_width & ~std::uint64_t{0x1f'ffff}) | 0x80 | (next() & 0x1000); break;
        case 1: entry = (next() & in_width & ~std::uint64_t{0x3fff'ffff}) | 0x80; break;
        default: break;
        }
        entry |= flags();
        entry |= one_in(5) ? std::uint64_t{1} << 63 : 0;
        entry |= one_in(4) ? (next() & 0xf) << 59 : 0;
        if (one_in(bad_one_in)) {
            entry ^= next() & next() & next();
        }
        // Bit 8 would end every walk of an AMD processor at the top.
        return one_in(4) ? entry : entry & ~std::uint64_t{0x100};
    }

    std::mt19937_64 random_;
    PhysicalMemory memory_;
};

}  // namespace pgsim::test
