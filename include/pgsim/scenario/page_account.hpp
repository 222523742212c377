// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "pgsim/base/address.hpp"
#include "pgsim/kernel/struct_page.hpp"
#include "pgsim/mmu/walk_result.hpp"
#include "pgsim/scenario/boot.hpp"

namespace pgsim {

/// The struct page of one frame at a checkpoint, as it lies in simulated memory behind vmemmap.
struct StructPageView {
    Pfn pfn;
    VirtAddr address;  ///< of the struct page: vmemmap_base + 64 * pfn
    WalkResult walk;   ///< of that address
    /// The eight words; nullopt when vmemmap does not map the frame (no section there, or before sparse_init).
    std::optional<std::array<std::uint64_t, 8>> words;
    kernel::PageFlagsLayout layout;
    unsigned pg_reserved_bit = 14;

    [[nodiscard]] bool reserved() const noexcept { return words && ((*words)[0] >> pg_reserved_bit & 1) != 0; }
    [[nodiscard]] unsigned nid() const noexcept { return layout.nid_of((*words)[0]); }    ///< only with words
    [[nodiscard]] unsigned zone() const noexcept { return layout.zone_of((*words)[0]); }  ///< only with words
    [[nodiscard]] std::uint32_t refcount() const noexcept { return static_cast<std::uint32_t>((*words)[6] >> 32); }
    [[nodiscard]] std::uint32_t page_type() const noexcept { return static_cast<std::uint32_t>((*words)[6]); }
    /// The order of the free block that this page leads; nullopt when it leads none.
    [[nodiscard]] std::optional<std::uint64_t> buddy_order() const noexcept;
};

/// @throws Error  when the frame lies beyond the direct map's reach [spec R8.13 ff.]
[[nodiscard]] StructPageView struct_page(const Boot& boot, const Checkpoint& checkpoint, Pfn pfn);

/// The same for people: address, entries on the way, each field with its meaning.
[[nodiscard]] std::string to_string(const StructPageView& page);

/// What /proc/zoneinfo would say of each populated zone: free pages, watermarks, protection, counts.
/// Empty before free_area_init. [spec M-A26–M-A31]
[[nodiscard]] std::string zoneinfo(const Checkpoint& checkpoint);

}  // namespace pgsim
