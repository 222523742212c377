// SPDX-License-Identifier: GPL-2.0-only
// The one traversal behind everything in this room.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "pgsim/inspect/address_space.hpp"

namespace pgsim::detail {

/// Tables that a search reads before it gives up: shared tables can make more ways than anybody waits for.
inline constexpr std::uint64_t max_table_visits = std::uint64_t{1} << 22;

/// Widens the index bits of a linear address to a canonical one.
[[nodiscard]] constexpr std::uint64_t canonical(std::uint64_t linear, unsigned levels) noexcept {
    const unsigned unused = levels == 5 ? 7 : 16;
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(linear << unused) >> unused);
}

[[nodiscard]] inline AccessRights combine(AccessRights rights, std::uint64_t entry, bool nxe) noexcept {
    return {rights.writable && (entry & 2) != 0, rights.user && (entry & 4) != 0,
            rights.executable && !(nxe && (entry >> 63) != 0)};
}

/// The bits that decide what an entry is, worked out once for a whole search.
struct KindMasks {
    explicit KindMasks(const PagingControls& controls) noexcept;
    [[nodiscard]] EntryKind of(unsigned level, std::uint64_t raw) const noexcept {
        if ((raw & 1) == 0) {
            return EntryKind::not_present;
        }
        const bool page = level == 1 || (leaf_bit[level] & raw) != 0;
        if ((raw & (page ? reserved_in_page : reserved_in_table)[level]) != 0) {
            return EntryKind::reserved;
        }
        return page ? EntryKind::page : EntryKind::table;
    }
    std::array<std::uint64_t, 6> leaf_bit{};
    std::array<std::uint64_t, 6> reserved_in_table{};
    std::array<std::uint64_t, 6> reserved_in_page{};
    std::uint64_t address_mask = 0;
};

/// Depth-first over one address space, in the order of linear addresses.
///
/// `visit(level, index_base, raw, kind, rights, table, index)` returns a VisitNext. A visitor type with
/// `static constexpr bool wants_absent = false` does not see entries that are 0.
template <class Visitor>
class SpaceWalk {
public:
    SpaceWalk(const AddressSpace& space, Visitor& visitor, VirtAddr first, VirtAddr last)
        : memory_{space.memory()},
          masks_{space.controls()},
          nxe_{space.controls().nxe},
          levels_{space.levels()},
          visitor_{visitor},
          first_{first.value()},
          last_{last.value()} {}

    /// False when the visitor stopped or a limit was reached.
    [[nodiscard]] bool run(PhysAddr root) { return first_ > last_ || table(root.value(), levels_, 0, AccessRights{}); }
    [[nodiscard]] bool limit_reached() const noexcept { return visits_ >= max_table_visits; }
    /// Tables from the root to the present one, for visitors that look for loops. path()[level].
    [[nodiscard]] const std::array<std::uint64_t, 6>& path() const noexcept { return path_; }
    [[nodiscard]] unsigned levels() const noexcept { return levels_; }

private:
    // NOLINTNEXTLINE(misc-no-recursion): at most five levels
    bool table(std::uint64_t address, unsigned level, std::uint64_t linear, AccessRights rights) {
        if (++visits_ >= max_table_visits) {
            return false;
        }
        path_[level] = address;
        std::array<std::uint64_t, PageTable::entry_count>& words = words_[level];
        memory_.read_frame(Pfn::of(PhysAddr{address}), std::as_writable_bytes(std::span{words}));
        const unsigned shift = 12 + 9 * (level - 1);
        const std::uint64_t span_mask = (std::uint64_t{1} << shift) - 1;
        for (unsigned index = 0; index < PageTable::entry_count; ++index) {
            const std::uint64_t raw = words[index];
            if (!Visitor::wants_absent && raw == 0) {
                continue;
            }
            const std::uint64_t virt = canonical(linear | std::uint64_t{index} << shift, levels_);
            if (virt > last_ || (virt | span_mask) < first_) {
                continue;
            }
            const EntryKind kind = masks_.of(level, raw);
            const AccessRights mine = combine(rights, raw, nxe_);
            const VisitNext next = visitor_(level, virt, raw, kind, mine, address, index);
            if (next == VisitNext::stop) {
                return false;
            }
            if (next == VisitNext::descend && kind == EntryKind::table &&
                !table(raw & masks_.address_mask, level - 1, linear | std::uint64_t{index} << shift, mine)) {
                return false;
            }
        }
        return true;
    }

    const MemorySnapshot& memory_;
    KindMasks masks_;
    bool nxe_;
    unsigned levels_;
    Visitor& visitor_;
    std::uint64_t first_;
    std::uint64_t last_;
    std::uint64_t visits_ = 0;
    std::array<std::uint64_t, 6> path_{};
    std::array<std::array<std::uint64_t, PageTable::entry_count>, 6> words_;
};

}  // namespace pgsim::detail
