// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>

#include "pgsim/base/address.hpp"
#include "pgsim/kernel/kernel_memory.hpp"
#include "pgsim/kernel/kernel_series.hpp"

/// struct page as it lies in the memmap: 64 bytes for each frame. [spec chapter G]

namespace pgsim::kernel {

/// Offsets of the fields, bytes. [spec M-G7]
namespace page_field {
inline constexpr std::uint64_t flags = 0;
inline constexpr std::uint64_t lru_next = 8;       ///< also buddy_list and pcp_list
inline constexpr std::uint64_t compound_head = 8;  ///< of a tail page: address of the head | 1
inline constexpr std::uint64_t lru_prev = 16;
inline constexpr std::uint64_t mapping = 24;
inline constexpr std::uint64_t index = 32;
inline constexpr std::uint64_t private_ = 40;
inline constexpr std::uint64_t mapcount = 48;  ///< also page_type
inline constexpr std::uint64_t refcount = 52;
inline constexpr std::uint64_t memcg_data = 56;
// In the first tail page, which holds what concerns the folio as a whole.
inline constexpr std::uint64_t entire_mapcount = 24;
inline constexpr std::uint64_t nr_pages_mapped = 28;
inline constexpr std::uint64_t pincount = 32;
inline constexpr std::uint64_t folio_nr_pages = 36;
}  // namespace page_field

inline constexpr std::uint64_t sizeof_page = 64;

/// Bit numbers of page->flags in v6.6. [spec M-G2]
enum class PageFlag : unsigned {
    locked = 0,
    writeback = 1,
    referenced = 2,
    uptodate = 3,
    dirty = 4,
    lru = 5,
    head = 6,
    waiters = 7,
    active = 8,
    workingset = 9,
    error = 10,
    slab = 11,
    owner_priv_1 = 12,
    swapcache = 12,  ///< owner_priv_1 of a swapbacked page
    arch_1 = 13,
    reserved = 14,
    private_ = 15,
    private_2 = 16,
    mappedtodisk = 17,
    anon_exclusive = 17,  ///< mappedtodisk of an anonymous page
    reclaim = 18,
    readahead = 18,
    swapbacked = 19,
    unevictable = 20,
    mlocked = 21,
    uncached = 22,
    hwpoison = 23,
};

[[nodiscard]] constexpr std::uint64_t flag_bit(PageFlag flag) noexcept {
    return std::uint64_t{1} << static_cast<unsigned>(flag);
}

/// PAGE_FLAGS_CHECK_AT_PREP: what must not survive an allocation: all but hwpoison. [spec M-B10]
inline constexpr std::uint64_t page_flags_check_at_prep =
    ((std::uint64_t{1} << 24) - 1) & ~flag_bit(PageFlag::hwpoison);
/// PAGE_FLAGS_CHECK_AT_FREE: a page with one of these must not be freed.
inline constexpr std::uint64_t page_flags_check_at_free = flag_bit(PageFlag::lru) | flag_bit(PageFlag::locked) |
                                                          flag_bit(PageFlag::private_) | flag_bit(PageFlag::private_2) |
                                                          flag_bit(PageFlag::writeback) | flag_bit(PageFlag::reserved) |
                                                          flag_bit(PageFlag::slab) | flag_bit(PageFlag::active) |
                                                          flag_bit(PageFlag::unevictable) | flag_bit(PageFlag::mlocked);

/// Values of page_type up to 6.11: a type is set by clearing its bit of all ones. [spec M-G4]
namespace page_type {
inline constexpr std::uint32_t none = 0xffff'ffff;
inline constexpr std::uint32_t buddy = 0xffff'ff7f;
inline constexpr std::uint32_t offline = 0xffff'feff;
inline constexpr std::uint32_t table = 0xffff'fdff;
inline constexpr std::uint32_t guard = 0xffff'fbff;
}  // namespace page_type

/// What the low bits of page->mapping say.
inline constexpr std::uint64_t page_mapping_anon = 1;
inline constexpr std::uint64_t page_mapping_movable = 2;
/// TAIL_MAPPING: what page->mapping of a tail page holds.
inline constexpr std::uint64_t tail_mapping = 0xdead'0000'0000'0400;

/// Where node, zone and last CPU stand in page->flags, from the kernel's build. [spec M-G1, R8.15]
struct PageFlagsLayout {
    unsigned nodes_shift = 10;        ///< NODES_SHIFT
    unsigned zones_width = 3;         ///< ZONES_WIDTH: 3 with ZONE_DEVICE
    unsigned last_cpupid_width = 21;  ///< 8 + bits of NR_CPUS; 0 without CONFIG_NUMA_BALANCING

    [[nodiscard]] constexpr unsigned node_pgshift() const noexcept { return 64 - nodes_shift; }
    [[nodiscard]] constexpr unsigned zone_pgshift() const noexcept { return node_pgshift() - zones_width; }
    [[nodiscard]] constexpr unsigned last_cpupid_pgshift() const noexcept { return zone_pgshift() - last_cpupid_width; }

    /// set_page_links() of a fresh page.
    [[nodiscard]] constexpr std::uint64_t links(unsigned nid, unsigned zone) const noexcept {
        const std::uint64_t cpupid = (std::uint64_t{1} << last_cpupid_width) - 1;
        const std::uint64_t node_bits = nodes_shift == 0 ? 0 : std::uint64_t{nid} << node_pgshift();
        return node_bits | std::uint64_t{zone} << zone_pgshift() | cpupid << last_cpupid_pgshift();
    }
    [[nodiscard]] constexpr unsigned nid_of(std::uint64_t flags) const noexcept {
        return nodes_shift == 0 ? 0 : static_cast<unsigned>(flags >> node_pgshift());
    }
    [[nodiscard]] constexpr unsigned zone_of(std::uint64_t flags) const noexcept {
        return static_cast<unsigned>(flags >> zone_pgshift() & ((1U << zones_width) - 1));
    }
};
static_assert(PageFlagsLayout{}.links(0, 2) == 0x0017'ffff'c000'0000);

/// The struct pages of a running kernel, through the vmemmap mapping. Pages are named by their frame numbers.
class PageAccess {
public:
    PageAccess(KernelMemory& memory, VirtAddr vmemmap_base, PageFlagsLayout layout = {}) noexcept
        : memory_{&memory}, base_{vmemmap_base.value()}, layout_{layout} {}

    [[nodiscard]] VirtAddr address(std::uint64_t pfn) const noexcept { return VirtAddr{base_ + pfn * sizeof_page}; }
    [[nodiscard]] std::uint64_t pfn_of(VirtAddr page) const noexcept { return (page.value() - base_) / sizeof_page; }
    [[nodiscard]] const PageFlagsLayout& layout() const noexcept { return layout_; }
    [[nodiscard]] KernelMemory& memory() const noexcept { return *memory_; }

    [[nodiscard]] std::uint64_t word(std::uint64_t pfn, std::uint64_t field) const {
        return memory_->read64(VirtAddr{base_ + pfn * sizeof_page + field});
    }
    void set_word(std::uint64_t pfn, std::uint64_t field, std::uint64_t value) const {
        memory_->write64(VirtAddr{base_ + pfn * sizeof_page + field}, value);
    }
    [[nodiscard]] std::uint32_t half(std::uint64_t pfn, std::uint64_t field) const {
        return memory_->read32(VirtAddr{base_ + pfn * sizeof_page + field});
    }
    void set_half(std::uint64_t pfn, std::uint64_t field, std::uint32_t value) const {
        memory_->write32(VirtAddr{base_ + pfn * sizeof_page + field}, value);
    }

    [[nodiscard]] std::uint64_t flags(std::uint64_t pfn) const { return word(pfn, page_field::flags); }
    void set_flags(std::uint64_t pfn, std::uint64_t flags) const { set_word(pfn, page_field::flags, flags); }
    [[nodiscard]] bool test(std::uint64_t pfn, PageFlag flag) const { return (flags(pfn) & flag_bit(flag)) != 0; }
    void set(std::uint64_t pfn, PageFlag flag) const { set_flags(pfn, flags(pfn) | flag_bit(flag)); }
    void clear(std::uint64_t pfn, PageFlag flag) const { set_flags(pfn, flags(pfn) & ~flag_bit(flag)); }
    /// Clears the flag; returns whether it was set.
    bool test_and_clear(std::uint64_t pfn, PageFlag flag) const {
        const std::uint64_t old = flags(pfn);
        if ((old & flag_bit(flag)) == 0) {
            return false;
        }
        set_flags(pfn, old & ~flag_bit(flag));
        return true;
    }
    [[nodiscard]] unsigned nid(std::uint64_t pfn) const { return layout_.nid_of(flags(pfn)); }
    [[nodiscard]] unsigned zone(std::uint64_t pfn) const { return layout_.zone_of(flags(pfn)); }

    [[nodiscard]] std::int32_t refcount(std::uint64_t pfn) const {
        return static_cast<std::int32_t>(half(pfn, page_field::refcount));
    }
    void set_refcount(std::uint64_t pfn, std::int32_t count) const {
        set_half(pfn, page_field::refcount, static_cast<std::uint32_t>(count));
    }
    /// page_ref_add(); returns the new count.
    std::int32_t ref_add(std::uint64_t pfn, std::int32_t by) const {
        const std::int32_t count = refcount(pfn) + by;
        set_refcount(pfn, count);
        return count;
    }
    /// page->_mapcount as stored: -1 when the page itself is not mapped by a PTE.
    [[nodiscard]] std::int32_t raw_mapcount(std::uint64_t pfn) const {
        return static_cast<std::int32_t>(half(pfn, page_field::mapcount));
    }
    void set_raw_mapcount(std::uint64_t pfn, std::int32_t count) const {
        set_half(pfn, page_field::mapcount, static_cast<std::uint32_t>(count));
    }
    [[nodiscard]] std::uint32_t type(std::uint64_t pfn) const { return half(pfn, page_field::mapcount); }
    void set_type(std::uint64_t pfn, std::uint32_t type) const { set_half(pfn, page_field::mapcount, type); }
    [[nodiscard]] bool is_buddy(std::uint64_t pfn) const { return type(pfn) == page_type::buddy; }

    [[nodiscard]] std::uint64_t mapping(std::uint64_t pfn) const { return word(pfn, page_field::mapping); }
    void set_mapping(std::uint64_t pfn, std::uint64_t mapping) const { set_word(pfn, page_field::mapping, mapping); }
    [[nodiscard]] std::uint64_t index(std::uint64_t pfn) const { return word(pfn, page_field::index); }
    void set_index(std::uint64_t pfn, std::uint64_t index) const { set_word(pfn, page_field::index, index); }
    [[nodiscard]] std::uint64_t private_data(std::uint64_t pfn) const { return word(pfn, page_field::private_); }
    void set_private_data(std::uint64_t pfn, std::uint64_t value) const { set_word(pfn, page_field::private_, value); }

    /// compound_head(): the page itself, or the head of the compound page whose tail it is.
    [[nodiscard]] std::uint64_t compound_head(std::uint64_t pfn) const {
        const std::uint64_t head = word(pfn, page_field::compound_head);
        return (head & 1) != 0 ? pfn_of(VirtAddr{head - 1}) : pfn;
    }
    /// folio_test_large() of a head page.
    [[nodiscard]] bool is_large(std::uint64_t head) const { return test(head, PageFlag::head); }
    /// compound_order() of a head page; 0 for a single page.
    [[nodiscard]] unsigned order(std::uint64_t head) const {
        return is_large(head) ? static_cast<unsigned>(flags(head + 1) & 0xff) : 0;
    }

private:
    KernelMemory* memory_;
    std::uint64_t base_;
    PageFlagsLayout layout_;
};

}  // namespace pgsim::kernel
