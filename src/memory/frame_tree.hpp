// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "pgsim/memory/physical_memory.hpp"

namespace pgsim::detail {

inline constexpr unsigned tree_bits = 10;
inline constexpr unsigned tree_depth = 4;  // 4 x 10 bits = the 40 bits of a page frame number
inline constexpr std::size_t tree_fanout = std::size_t{1} << tree_bits;

/// A frame of 4096 bytes, shared between snapshots until somebody writes.
struct Frame {
    std::atomic<std::uint32_t> references{1};
    std::atomic<bool> hinted{false};  ///< some memory may have a hint of it
    alignas(64) std::array<std::byte, frame_bytes> bytes;
};

/// Inner node of the tree; the children of the lowest nodes are `Frame`s.
struct MemoryNode {
    std::atomic<std::uint32_t> references{1};
    std::array<void*, tree_fanout> children{};
};

/// The frame of `pfn`, or null.
[[nodiscard]] Frame* find_frame(const MemoryNode* root, std::uint64_t pfn) noexcept;

/// The place for the frame of `pfn`, with every node on the path (not the frame) owned by this tree alone.
[[nodiscard]] Frame*& frame_place(MemoryNode*& root, std::uint64_t pfn);

void release_node(MemoryNode* node, unsigned height) noexcept;
void release_frame(Frame* frame) noexcept;
[[nodiscard]] std::uint64_t count_frames(const MemoryNode* node, unsigned height) noexcept;

}  // namespace pgsim::detail
