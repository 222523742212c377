// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "pgsim/base/address.hpp"
#include "pgsim/base/level.hpp"
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
};

/// Number of sets (a power of two) and ways of one array.
struct TlbArrayShape {
    unsigned sets = 1;
    unsigned ways = 1;
};

/// One array a page size. The default is large enough that capacity plays no part in teaching examples.
struct TlbGeometry {
    TlbArrayShape k4K{128, 8};
    TlbArrayShape k2M{32, 4};
    TlbArrayShape k4M{32, 4};
    TlbArrayShape k1G{4, 4};
};

/// The translations of one processor, tagged by PCID, set-associative, least recently used out first. Functional: what
/// may be cached and what invalidations take away. Knows nothing of time.
class Tlb {
public:
    /// @throws Error  when a number of sets is no power of two or there are no ways
    explicit Tlb(const TlbGeometry& geometry = {});

    /// The translation of `virt` in `pcid` (a global one matches in any); null when there is none.
    [[nodiscard]] const TlbEntry* find(VirtAddr virt, std::uint16_t pcid) noexcept {
        for (Array& array : arrays_) {
            if (array.used != 0) {
                if (Slot* slot = array.find(virt.value(), pcid)) {
                    slot->stamp = ++clock_;
                    return &slot->entry;
                }
            }
        }
        return nullptr;
    }

    void insert(const TlbEntry& entry);

    /// Every translation of a page that contains `virt`, of any size, in `pcid`; global ones only if `global_too`.
    void invalidate_page(VirtAddr virt, std::uint16_t pcid, bool global_too);
    /// Every translation of `pcid`; global ones (of all PCIDs) only if `global_too`.
    void invalidate_pcid(std::uint16_t pcid, bool global_too);
    void invalidate_all(bool global_too);

    /// Everything that is cached, in the order of the arrays.
    [[nodiscard]] std::vector<TlbEntry> entries() const;

private:
    struct Slot {
        TlbEntry entry;
        std::uint64_t stamp = 0;  // 0: empty
    };
    struct Array {
        PageSize size = PageSize::k4K;
        unsigned ways = 1;
        std::uint64_t set_mask = 0;
        unsigned used = 0;
        std::vector<Slot> slots;

        [[nodiscard]] Slot* set_of(std::uint64_t page) noexcept { return &slots[(page & set_mask) * ways]; }
        [[nodiscard]] Slot* find(std::uint64_t virt, std::uint16_t pcid) noexcept {
            const std::uint64_t page = virt >> static_cast<unsigned>(size);
            Slot* const set = set_of(page);
            for (unsigned way = 0; way < ways; ++way) {
                Slot& slot = set[way];
                if (slot.stamp != 0 && slot.entry.page == page && (slot.entry.global || slot.entry.pcid == pcid)) {
                    return &slot;
                }
            }
            return nullptr;
        }
        template <class Predicate>
        void drop_if(Predicate predicate);
    };

    [[nodiscard]] Array& array_of(PageSize size) noexcept;

    std::array<Array, 4> arrays_;
    std::uint64_t clock_ = 0;
};

}  // namespace pgsim
