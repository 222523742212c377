// SPDX-License-Identifier: GPL-2.0-only
#include "naive_walker.hpp"

#include <vector>

namespace pgsim::test {

namespace {

using u64 = std::uint64_t;
using Read = std::function<u64(u64)>;

bool bit(u64 value, int number) {
    return (value >> number) % 2 == 1;
}

/// Bits high..low of a value, moved to bit 0.
u64 field(u64 value, int high, int low) {
    u64 result = 0;
    for (int i = high; i >= low; --i) {
        result = result * 2 + (bit(value, i) ? 1 : 0);
    }
    return result;
}

bool any(u64 value, int high, int low) {
    for (int i = low; i <= high; ++i) {
        if (bit(value, i)) {
            return true;
        }
    }
    return false;
}

struct Seen {
    u64 address = 0;
    u64 value = 0;
    bool has_flags = true;
};

struct Walk {
    const PagingControls& c;
    Access access;
    u64 linear = 0;
    std::vector<Seen> seen = {};

    bool user() const {
        return access.mode == AccessMode::user_shadow_stack || (access.cpl == 3 && access.mode != AccessMode::implicit);
    }
    bool write() const {
        return access.kind == AccessKind::write || access.kind == AccessKind::rmw ||
               access.kind == AccessKind::shadow_stack_write;
    }
    bool fetch() const { return access.kind == AccessKind::fetch; }
    bool shadow() const {
        return access.kind == AccessKind::shadow_stack_read || access.kind == AccessKind::shadow_stack_write;
    }

    NaiveResult fault(bool present, bool reserved, bool key) const {
        NaiveResult r;
        r.kind = NaiveResult::Kind::page_fault;
        r.error_code = (present ? 1U : 0U) + (write() ? 2U : 0U) + (user() ? 4U : 0U) + (reserved ? 8U : 0U) +
                       (fetch() && (c.smep || c.nxe) ? 16U : 0U) + (key ? 32U : 0U) + (shadow() ? 64U : 0U);
        if (c.fault_accessed == FaultAccessed::non_leaf) {
            for (std::size_t i = 0; i + 1 < seen.size(); ++i) {
                if (seen[i].has_flags && !bit(seen[i].value, 5)) {
                    r.changed[seen[i].address] = seen[i].value + 32;
                }
            }
        }
        return r;
    }

    NaiveResult page(u64 phys, unsigned page_bits, bool has_keys) const {
        bool writable = true;
        bool user_page = true;
        bool no_execute = false;
        bool upper_writable = true;
        for (std::size_t i = 0; i < seen.size(); ++i) {
            if (!seen[i].has_flags) {
                continue;
            }
            if (i + 1 < seen.size() && !bit(seen[i].value, 1)) {
                upper_writable = false;
            }
            writable = writable && bit(seen[i].value, 1);
            user_page = user_page && bit(seen[i].value, 2);
            no_execute = no_execute || (c.nxe && bit(seen[i].value, 63));
        }
        const u64 leaf = seen.back().value;
        const bool shadow_page = c.cet && upper_writable && !bit(leaf, 1) && bit(leaf, 6);

        bool key_denies = false;
        if (has_keys && !fetch()) {
            const u64 key = field(leaf, 62, 59);
            const u64 bits = user_page ? c.pkru : c.pkrs;
            const bool on = user_page ? c.pke : c.pks;
            const bool access_disable = bit(bits, static_cast<int>(2 * key));
            const bool write_disable = bit(bits, static_cast<int>(2 * key + 1));
            key_denies = on && (access_disable || (write_disable && write() && (user() || c.cr0_wp)));
        }

        bool denied = key_denies;
        if (user() && !user_page) {
            denied = true;
        }
        if (shadow()) {
            denied = denied || !shadow_page || (!user() && user_page);
        } else if (fetch()) {
            denied = denied || no_execute || (c.smep && !user() && user_page);
        } else {
            const bool ac_lifts = c.ac && access.mode != AccessMode::implicit;
            denied = denied || (c.smap && !user() && user_page && !ac_lifts);
            denied = denied || (write() && !writable && (user() || c.cr0_wp));
        }
        if (denied) {
            return fault(true, false, key_denies);
        }

        NaiveResult r;
        r.phys = phys;
        r.page_bits = page_bits;
        for (std::size_t i = 0; i < seen.size(); ++i) {
            u64 value = seen[i].value;
            if (!bit(value, 5)) {
                value += 32;
            }
            if (i + 1 == seen.size() && write() && !bit(value, 6)) {
                value += 64;
            }
            if (seen[i].has_flags && value != seen[i].value) {
                r.changed[seen[i].address] = value;
            }
        }
        return r;
    }
};

/// `value` with the C-bit taken out.
u64 without_c_bit(const PagingControls& c, u64 value) {
    return c.c_bit != 0 && bit(value, c.c_bit) ? value - (u64{1} << c.c_bit) : value;
}

bool wide_reserved(const PagingControls& c, u64 value, int top) {
    const u64 entry = without_c_bit(c, value);
    return any(entry, top, c.maxphyaddr) || (!c.nxe && bit(entry, 63));
}

/// The page directory and the page table, the same in PAE and IA-32e paging.
NaiveResult from_page_directory(const Read& read8, Walk& w, u64 directory, int top, bool has_keys) {
    const u64 pde_at = directory + field(w.linear, 29, 21) * 8;
    const u64 pde = read8(pde_at);
    w.seen.push_back({pde_at, pde});
    if (!bit(pde, 0)) {
        return w.fault(false, false, false);
    }
    if (wide_reserved(w.c, pde, top)) {
        return w.fault(true, true, false);
    }
    if (bit(pde, 7)) {
        if (any(pde, 20, 13)) {
            return w.fault(true, true, false);
        }
        return w.page(field(without_c_bit(w.c, pde), 51, 21) * 0x200000 + field(w.linear, 20, 0), 21, has_keys);
    }
    const u64 pte_at = field(without_c_bit(w.c, pde), 51, 12) * 4096 + field(w.linear, 20, 12) * 8;
    const u64 pte = read8(pte_at);
    w.seen.push_back({pte_at, pte});
    if (!bit(pte, 0)) {
        return w.fault(false, false, false);
    }
    if (wide_reserved(w.c, pte, top)) {
        return w.fault(true, true, false);
    }
    return w.page(field(without_c_bit(w.c, pte), 51, 12) * 4096 + field(w.linear, 11, 0), 12, has_keys);
}

NaiveResult ia32e(const Read& read8, Walk& w, bool five_level) {
    u64 table = w.c.root.value();
    for (int level = five_level ? 5 : 4; level >= 4; --level) {
        const u64 at = table + (level == 5 ? field(w.linear, 56, 48) : field(w.linear, 47, 39)) * 8;
        const u64 entry = read8(at);
        w.seen.push_back({at, entry});
        if (!bit(entry, 0)) {
            return w.fault(false, false, false);
        }
        if (wide_reserved(w.c, entry, 51) || bit(entry, 7) || (w.c.vendor == Vendor::amd && bit(entry, 8))) {
            return w.fault(true, true, false);
        }
        table = field(without_c_bit(w.c, entry), 51, 12) * 4096;
    }
    const u64 at = table + field(w.linear, 38, 30) * 8;
    const u64 pdpte = read8(at);
    w.seen.push_back({at, pdpte});
    if (!bit(pdpte, 0)) {
        return w.fault(false, false, false);
    }
    if (wide_reserved(w.c, pdpte, 51)) {
        return w.fault(true, true, false);
    }
    if (bit(pdpte, 7)) {
        if (!w.c.pages_1g || any(pdpte, 29, 13)) {
            return w.fault(true, true, false);
        }
        return w.page(field(without_c_bit(w.c, pdpte), 51, 30) * 0x40000000 + field(w.linear, 29, 0), 30, true);
    }
    return from_page_directory(read8, w, field(without_c_bit(w.c, pdpte), 51, 12) * 4096, 51, true);
}

NaiveResult pae(const Read& read8, Walk& w) {
    const u64 pdpte = w.c.pdptes[field(w.linear, 31, 30)];
    w.seen.push_back({0, pdpte, false});
    if (!bit(pdpte, 0)) {
        return w.fault(false, false, false);
    }
    const u64 address = without_c_bit(w.c, pdpte);
    if (any(pdpte, 2, 1) || any(pdpte, 8, 5) || any(address, 63, w.c.maxphyaddr)) {
        return w.fault(true, true, false);
    }
    return from_page_directory(read8, w, field(address, 51, 12) * 4096, 62, false);
}

NaiveResult bits32(const Read& read8, Walk& w) {
    const auto read4 = [&](u64 at) { return field(read8(at - at % 8), at % 8 == 4 ? 63 : 31, at % 8 == 4 ? 32 : 0); };
    const u64 pde_at = w.c.root.value() + field(w.linear, 31, 22) * 4;
    const u64 pde = read4(pde_at);
    w.seen.push_back({pde_at, pde});
    if (!bit(pde, 0)) {
        return w.fault(false, false, false);
    }
    if (bit(pde, 7) && w.c.pse) {
        const int width = w.c.pse36 ? (w.c.maxphyaddr < 40 ? w.c.maxphyaddr : 40) : 32;
        for (int i = width - 19; i <= 21; ++i) {
            if (bit(pde, i)) {
                return w.fault(true, true, false);
            }
        }
        return w.page(field(pde, 20, 13) * 0x1'0000'0000 + field(pde, 31, 22) * 0x400000 + field(w.linear, 21, 0), 22,
                      false);
    }
    const u64 pte_at = field(pde, 31, 12) * 4096 + field(w.linear, 21, 12) * 4;
    const u64 pte = read4(pte_at);
    w.seen.push_back({pte_at, pte});
    if (!bit(pte, 0)) {
        return w.fault(false, false, false);
    }
    return w.page(field(pte, 31, 12) * 4096 + field(w.linear, 11, 0), 12, false);
}

/// Bits above `last` become copies of it, up to and with bit `up_to`.
u64 spread(u64 value, int last, int up_to) {
    for (int i = last + 1; i <= up_to; ++i) {
        const u64 mask = u64{1} << i;
        value = bit(value, last) ? value | mask : value & ~mask;
    }
    return value;
}

u64 unmasked(const PagingControls& c, u64 linear, Access access) {
    if (access.kind == AccessKind::fetch || access.mode == AccessMode::implicit) {
        return linear;
    }
    if (c.uai) {
        linear = spread(linear, 56, 63);
    }
    if (bit(linear, 63)) {
        if (c.lam_sup) {
            return spread(linear, c.mode == PagingMode::five_level ? 56 : 47, 62);
        }
    } else if (c.lam_u57) {
        return spread(linear, 56, 62);
    } else if (c.lam_u48) {
        return spread(linear, 47, 62);
    }
    return linear;
}

}  // namespace

NaiveResult naive_walk(const Read& read8, const PagingControls& c, std::uint64_t linear, Access access) {
    Walk w{c, access};
    w.linear = unmasked(c, linear, access);

    bool refused = false;
    if (c.mode == PagingMode::four_level || c.mode == PagingMode::five_level) {
        const int sign = c.mode == PagingMode::five_level ? 56 : 47;
        for (int i = sign; i < 63; ++i) {
            refused = refused || bit(w.linear, i) != bit(w.linear, 63);
        }
    } else {
        refused = any(w.linear, 63, 32);
    }
    if (!refused && c.lass) {
        if (w.user()) {
            refused = bit(w.linear, 63);
        } else if (!bit(w.linear, 63)) {
            const bool ac_lifts = c.ac && access.mode != AccessMode::implicit;
            refused = w.fetch() || (c.smap && !ac_lifts);
        }
    }
    if (refused) {
        NaiveResult r;
        r.kind =
            access.stack_segment && !w.fetch() ? NaiveResult::Kind::stack_fault : NaiveResult::Kind::general_protection;
        return r;
    }
    switch (c.mode) {
    case PagingMode::none: {
        NaiveResult r;
        r.phys = w.linear;
        return r;
    }
    case PagingMode::bits32: return bits32(read8, w);
    case PagingMode::pae: return pae(read8, w);
    case PagingMode::four_level: return ia32e(read8, w, false);
    case PagingMode::five_level: return ia32e(read8, w, true);
    }
    return {};
}

}  // namespace pgsim::test
