// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "pgsim/base/address.hpp"
#include "pgsim/base/level.hpp"
#include "pgsim/mmu/tag_array.hpp"
#include "pgsim/mmu/walk_result.hpp"

namespace pgsim {

/// One cached translation of a page. [SDM-3A "Translation Lookaside Buffers (TLBs)"]
struct TlbEntry {
    std::uint64_t page = 0;  ///< linear page number: linear address >> log2 of the page size
    PhysAddr base;           ///< of the page
    PageSize size = PageSize::k4K;
    AccessRights rights;
    std::uint16_t pcid = 0;
    bool global = false;  ///< used in every PCID
    bool dirty = false;   ///< D was set: a write need not set it again
    bool shadow_stack = false;
    std::uint8_t protection_key = 0;
    std::uint8_t pat_index = 0;
    /// Made by the TLB of the rights and `dirty`: R/W, U/S and D set where they lack, XD where execution is disabled.
    std::uint64_t lacks = 0;
};

/// One array a page size. The default is large enough that capacity plays no part in teaching examples.
struct TlbGeometry {
    TagArrayShape k4K{128, 8};
    TagArrayShape k2M{32, 4};
    TagArrayShape k4M{32, 4};
    TagArrayShape k1G{4, 4};
};

/// The translations of one processor, tagged by PCID, in set-associative arrays. Functional: what may be cached and
/// what invalidations take away. Knows nothing of time: see `TimingModel`.
class Tlb {
public:
    /// @throws Error  when a number of sets is no power of two or there are no ways
    explicit Tlb(const TlbGeometry& geometry = {});

    /// The translation of `virt` in `pcid` (a global one matches in any); null when there is none.
    [[nodiscard]] const TlbEntry* find(VirtAddr virt, std::uint16_t pcid) noexcept {
        for (Array& array : arrays_) {
            if (array.tags.used() != 0) {
                const unsigned slot = array.find(virt.value(), pcid);
                if (slot != TagArray::none) {
                    array.tags.touch(slot, ++clock_);
                    return &array.entries[slot];
                }
            }
        }
        return nullptr;
    }

    void insert(const TlbEntry& entry);
    /// A place for a translation that `find` has just missed; base, rights and the rest are for the caller to fill in.
    [[nodiscard]] TlbEntry& new_entry(std::uint64_t page, PageSize size, std::uint16_t pcid, bool global) {
        Array& array = array_of(size);
        const std::uint64_t prefix = Tag::prefix(page << static_cast<unsigned>(size), array.kind);
        const unsigned slot = array.tags.place_for(prefix);
        array.tags.put(slot, global ? Tag::make_global(prefix, array.kind) : Tag::make(prefix, array.kind, pcid),
                       ++clock_);
        TlbEntry& entry = array.entries[slot];
        entry.page = page;
        entry.size = size;
        entry.pcid = pcid;
        entry.global = global;
        return entry;
    }

    /// Every translation of a page that contains `virt`, of any size, in `pcid`; global ones only if `global_too`.
    void invalidate_page(VirtAddr virt, std::uint16_t pcid, bool global_too);
    /// Every translation of `pcid`; global ones (of all PCIDs) only if `global_too`.
    void invalidate_pcid(std::uint16_t pcid, bool global_too);
    void invalidate_all(bool global_too);

    /// Everything that is cached, in the order of the arrays.
    [[nodiscard]] std::vector<TlbEntry> entries() const;

private:
    struct Array {
        TagKind kind;
        TagArray tags;
        std::vector<TlbEntry> entries;

        Array(TagKind kind, std::string_view where, const TagArrayShape& shape);
        [[nodiscard]] unsigned find(std::uint64_t linear, std::uint16_t pcid) const noexcept {
            const std::uint64_t prefix = Tag::prefix(linear, kind);
            return tags.find(prefix, Tag::make(prefix, kind, pcid), Tag::make_global(prefix, kind));
        }
    };

    [[nodiscard]] Array& array_of(PageSize size) noexcept { return arrays_[static_cast<std::size_t>(tag_kind(size))]; }

    std::array<Array, 4> arrays_;  // in the order of TagKind
    std::uint64_t clock_ = 0;
};

}  // namespace pgsim
