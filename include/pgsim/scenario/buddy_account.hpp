// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pgsim/kernel/buddy.hpp"

/// The buddy allocator for people: its free lists as text and picture, and what one allocation or free changes. All of
/// it is read from the simulated struct zones and struct pages.

namespace pgsim {

/// How many blocks lie on one free list.
struct FreeListLength {
    int nid = 0;
    kernel::ZoneType zone = kernel::ZoneType::dma;
    unsigned order = 0;
    kernel::MigrateType type = kernel::MigrateType::movable;
    std::int64_t blocks = 0;
    friend bool operator==(const FreeListLength&, const FreeListLength&) = default;
};
/// All lists that are not empty, by node, zone, order and mobility.
[[nodiscard]] std::vector<FreeListLength> free_list_lengths(const kernel::Buddy& buddy);

/// "Unmovable", "Movable" …
[[nodiscard]] std::string_view to_string(kernel::MigrateType type) noexcept;

/// An allocation or a free that somebody asks for.
struct BuddyRequest {
    bool free = false;
    unsigned order = 0;
    kernel::gfp_t gfp = kernel::gfp::kernel;
    int nid = 0;
    std::optional<std::uint64_t> pfn;      ///< of a free
    std::optional<std::size_t> result_of;  ///< of a free: what the allocation of this number (from 0) gave
};
/// "ORDER[,GFP[,NODE]]". GFP: kernel, user, highuser_movable, atomic, nowait, or words joined by a bar: dma, dma32,
/// highmem, movable, reclaimable, high, zero, comp, noretry …; or a number. @throws Error
[[nodiscard]] BuddyRequest parse_alloc_request(std::string_view text);
/// "PFN,ORDER", or "@N[,ORDER]" for what allocation N gave, counted from 1. @throws Error
[[nodiscard]] BuddyRequest parse_free_request(std::string_view text);

/// What one request did.
struct BuddyChange {
    BuddyRequest request;
    std::optional<std::uint64_t> pfn;        ///< allocated or freed; nullopt: the allocation failed
    std::vector<kernel::BuddyEvent> events;  ///< in their order
    std::vector<FreeListLength> changed;     ///< lists that are longer (> 0) or shorter by so many blocks
    std::string picture;                     ///< the 4-MByte block around `pfn` before and after, as pieces
};
/// Does them one after the other.
/// @throws Error  for a free of what is not an allocated block of this order; those before it have been done
[[nodiscard]] std::vector<BuddyChange> apply_requests(kernel::Buddy& buddy, const std::vector<BuddyRequest>& requests);

/// Per zone: pages, watermarks, and the free lists by mobility and order, as in /proc/pagetypeinfo.
[[nodiscard]] std::string free_lists_text(const kernel::Buddy& buddy);
/// Per zone a drawing: a character a stretch of memory, which tells the largest free block in it: '0' to '9', 'A' for
/// order 10, '.' where nothing is free.
[[nodiscard]] std::string free_lists_picture(const kernel::Buddy& buddy);
/// The same as SVG, with the lists as bars beside it.
[[nodiscard]] std::string free_lists_svg(const kernel::Buddy& buddy);
[[nodiscard]] std::string to_string(const BuddyChange& change);
/// Lists, zones and changes for programs.
[[nodiscard]] std::string buddy_json(const kernel::Buddy& buddy, const std::vector<BuddyChange>& changes);

}  // namespace pgsim
