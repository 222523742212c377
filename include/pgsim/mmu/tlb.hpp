// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "pgsim/base/address.hpp"
#include "pgsim/base/level.hpp"
#include "pgsim/mmu/cached_entry.hpp"
#include "pgsim/mmu/four_ways.hpp"
#include "pgsim/mmu/tag_array.hpp"
#include "pgsim/mmu/walk_result.hpp"

namespace pgsim {

/// One cached translation of a page, for people. [SDM-3A "Translation Lookaside Buffers (TLBs)"]
struct TlbEntry {
    std::uint64_t page = 0;  ///< linear page number: linear address >> log2 of the page size
    PhysAddr base;           ///< of the page
    PageSize size = PageSize::k4K;
    AccessRights rights;
    std::uint16_t pcid = 0;  ///< of a global translation 0
    bool global = false;     ///< used in every PCID
    bool dirty = false;      ///< D was set: a write need not set it again
    bool shadow_stack = false;
    std::uint8_t protection_key = 0;
    std::uint8_t pat_index = 0;
};

/// One array a page size, each of so many sets of four ways. The default, 1024 translations of 4-KByte pages and 128 of
/// each larger size, is large enough that capacity plays no part in teaching examples.
struct TlbGeometry {
    unsigned sets_4k = 256;
    unsigned sets_2m = 32;
    unsigned sets_4m = 32;
    unsigned sets_1g = 32;
};

/// The translations of one processor, tagged by PCID, in set-associative arrays. Functional: what may be cached and
/// what invalidations take away. Knows nothing of time: see `TimingModel`.
class Tlb {
public:
    /// @throws Error  when a number of sets is no power of two
    explicit Tlb(const TlbGeometry& geometry = {});

    /// The translation of `virt` in `pcid` (a global one matches in any); none (false) when there is none.
    [[nodiscard]] CachedPage find(VirtAddr virt, std::uint16_t pcid) noexcept {
        const CachedPage found = find_small(virt, pcid);
        return found ? found : find_other(virt, pcid);
    }
    /// `find` in two parts: of a 4-KByte page that is not global, and of what is left. Looking for each in turn is what
    /// costs time: `others_in_use` tells whether there is anything of the second kind.
    [[nodiscard]] CachedPage find_small(VirtAddr virt, std::uint16_t pcid) noexcept {
        return CachedPage{(in_use_ & 1U) != 0 ? find_in<TagKind::k4K>(virt.value(), pcid) : 0};
    }
    [[nodiscard]] bool others_in_use() const noexcept { return (in_use_ & ~1U) != 0; }
    [[nodiscard]] CachedPage find_other(VirtAddr virt, std::uint16_t pcid) noexcept {
        std::uint64_t found = 0;
        const auto look_for = [&]<TagKind kind>(std::integral_constant<TagKind, kind>) {
            if (kind != TagKind::k4K && found == 0 && (in_use_ & bit(kind)) != 0) {
                found = find_in<kind>(virt.value(), pcid);
            }
            if (found == 0 && (in_use_ & global_bit(kind)) != 0) {
                found = find_global<kind>(virt.value());
            }
        };
        look_for(std::integral_constant<TagKind, TagKind::k4K>{});
        look_for(std::integral_constant<TagKind, TagKind::k2M>{});
        look_for(std::integral_constant<TagKind, TagKind::k1G>{});
        look_for(std::integral_constant<TagKind, TagKind::k4M>{});
        return CachedPage{found};
    }

    /// Replaces what there was for the page.
    void insert(VirtAddr virt, std::uint16_t pcid, CachedPage page);
    /// The same for a page that `find` has just missed.
    template <TagKind kind>
    void insert_new(VirtAddr virt, std::uint16_t pcid, CachedPage page) noexcept {
        const std::uint64_t prefix = Tag::prefix(virt.value(), kind);
        const bool global = page.global();
        in_use_ |= global ? bit(kind) | global_bit(kind) : bit(kind);
        array_of(kind).put(prefix, global ? Tag::make_global(prefix, kind) : Tag::make(prefix, kind, pcid),
                           page.word());
    }

    /// Every translation of a page that contains `virt`, of any size, in `pcid`; global ones only if `global_too`.
    void invalidate_page(VirtAddr virt, std::uint16_t pcid, bool global_too) noexcept;
    /// Every translation of `pcid`; global ones (of all PCIDs) only if `global_too`.
    void invalidate_pcid(std::uint16_t pcid, bool global_too) noexcept;
    void invalidate_all(bool global_too) noexcept;

    /// Everything that is cached, in the order of the arrays.
    [[nodiscard]] std::vector<TlbEntry> entries() const;

private:
    [[nodiscard]] static constexpr unsigned bit(TagKind kind) noexcept { return 1U << static_cast<unsigned>(kind); }
    [[nodiscard]] static constexpr unsigned global_bit(TagKind kind) noexcept { return bit(kind) << 4; }
    [[nodiscard]] FourWays& array_of(TagKind kind) noexcept { return arrays_[static_cast<std::size_t>(kind)]; }
    template <TagKind kind>
    [[nodiscard]] std::uint64_t find_in(std::uint64_t linear, std::uint16_t pcid) noexcept {
        const std::uint64_t prefix = Tag::prefix(linear, kind);
        return array_of(kind).find(prefix, Tag::make(prefix, kind, pcid));
    }
    template <TagKind kind>
    [[nodiscard]] std::uint64_t find_global(std::uint64_t linear) noexcept {
        const std::uint64_t prefix = Tag::prefix(linear, kind);
        return array_of(kind).find(prefix, Tag::make_global(prefix, kind));
    }
    template <class Predicate>
    void drop_if(Predicate predicate);

    std::array<FourWays, 4> arrays_;  // in the order of TagKind
    unsigned in_use_ = 0;             // kinds of pages that there may be, `bit`, and global ones, `global_bit`
};

}  // namespace pgsim
