// SPDX-License-Identifier: GPL-2.0-only
#include "frame_tree.hpp"

namespace pgsim::detail {

namespace {

constexpr std::size_t slot_of(std::uint64_t pfn, unsigned height) noexcept {
    return static_cast<std::size_t>(pfn >> (tree_bits * height)) % tree_fanout;
}

void retain(void* child, unsigned height_of_child) noexcept {
    if (height_of_child == 0) {
        static_cast<Frame*>(child)->references.fetch_add(1, std::memory_order_relaxed);
    } else {
        static_cast<MemoryNode*>(child)->references.fetch_add(1, std::memory_order_relaxed);
    }
}

// A node whose children are at `height - 1`; height 0 is a frame.
MemoryNode* own_node(MemoryNode* node, unsigned height) {
    if (node == nullptr) {
        return new MemoryNode;
    }
    if (node->references.load(std::memory_order_acquire) == 1) {
        return node;
    }
    auto* copy = new MemoryNode;
    copy->children = node->children;
    for (void* child : copy->children) {
        if (child != nullptr) {
            retain(child, height - 1);
        }
    }
    release_node(node, height);
    return copy;
}

}  // namespace

Frame* find_frame(const MemoryNode* root, std::uint64_t pfn) noexcept {
    const MemoryNode* node = root;
    for (unsigned height = tree_depth - 1; node != nullptr && height > 0; --height) {
        node = static_cast<const MemoryNode*>(node->children[slot_of(pfn, height)]);
    }
    return node == nullptr ? nullptr : static_cast<Frame*>(node->children[slot_of(pfn, 0)]);
}

Frame*& frame_place(MemoryNode*& root, std::uint64_t pfn) {
    root = own_node(root, tree_depth);
    MemoryNode* node = root;
    for (unsigned height = tree_depth - 1; height > 0; --height) {
        void*& slot = node->children[slot_of(pfn, height)];
        slot = own_node(static_cast<MemoryNode*>(slot), height);
        node = static_cast<MemoryNode*>(slot);
    }
    return reinterpret_cast<Frame*&>(node->children[slot_of(pfn, 0)]);
}

void release_frame(Frame* frame) noexcept {
    if (frame->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        delete frame;
    }
}

void release_node(MemoryNode* node, unsigned height) noexcept {
    if (node->references.fetch_sub(1, std::memory_order_acq_rel) != 1) {
        return;
    }
    for (void* child : node->children) {
        if (child == nullptr) {
            continue;
        }
        if (height == 1) {
            release_frame(static_cast<Frame*>(child));
        } else {
            release_node(static_cast<MemoryNode*>(child), height - 1);
        }
    }
    delete node;
}

std::uint64_t count_frames(const MemoryNode* node, unsigned height) noexcept {
    std::uint64_t count = 0;
    for (const void* child : node->children) {
        if (child != nullptr) {
            count += height == 1 ? 1 : count_frames(static_cast<const MemoryNode*>(child), height - 1);
        }
    }
    return count;
}

}  // namespace pgsim::detail
