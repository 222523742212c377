// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pgsim/base/address.hpp"

namespace pgsim::kernel {

/// Flags of a region, as the kernel's bits. [spec R5.13]
namespace memblock_flag {
inline constexpr std::uint32_t hotplug = 0x1;
inline constexpr std::uint32_t mirror = 0x2;
inline constexpr std::uint32_t nomap = 0x4;
inline constexpr std::uint32_t driver_managed = 0x8;
inline constexpr std::uint32_t rsrv_noinit = 0x10;
}  // namespace memblock_flag

/// Any node, as an argument: NUMA_NO_NODE.
inline constexpr int numa_no_node = -1;

/// [base, base + size) in bytes. `base` is a phys_addr_t: what an E820 entry said, which may lie beyond 52 bits.
struct MemblockRegion {
    std::uint64_t base = 0;
    std::uint64_t size = 0;
    std::uint32_t flags = 0;
    int nid = 0;  ///< MAX_NUMNODES (6.12 after initmem_init: -1) for a region without a node

    [[nodiscard]] constexpr std::uint64_t end() const noexcept { return base + size; }
    friend bool operator==(const MemblockRegion&, const MemblockRegion&) = default;
};

/// One of the two arrays.
struct MemblockType {
    std::vector<MemblockRegion> regions;  ///< sorted, not overlapping; without the dummy region of an empty array
    std::uint64_t max = 128;              ///< capacity
    std::uint64_t total_size = 0;         ///< bytes
    VirtAddr array;                       ///< where the kernel has the regions; moves when the array is doubled
    friend bool operator==(const MemblockType&, const MemblockType&) = default;
};

enum class MemblockArray : std::uint8_t { memory, reserved };

/// What a memblock function that returns int returns.
enum class MemblockStatus : std::uint8_t {
    ok,
    no_memory,  ///< -ENOMEM: the array is full and cannot grow
    panic,      ///< the kernel stops; see Memblock::panic()
};

/// One line that memblock=debug prints: a range ("reserve", "add", "remove", "phys_free"), a request
/// ("alloc_try_nid", "alloc_try_nid_raw", "alloc_exact_nid_raw", "phys_alloc_range") or a text ("memblock").
struct MemblockCall {
    std::string op{};
    std::uint64_t base = 0;  ///< ranges only
    std::uint64_t size = 0;
    std::uint64_t align = 0;     ///< requests only, as the next three
    std::optional<int> nid{};    ///< absent for phys_alloc_range
    std::uint64_t from = 0;      ///< lower bound
    std::uint64_t max_addr = 0;  ///< upper bound, 0: current_limit
    std::string text{};          ///< op "memblock" only
    std::string by{};            ///< the calling function
    [[nodiscard]] bool is_request() const noexcept { return op == "phys_alloc_range" || op.substr(0, 6) == "alloc_"; }
    friend bool operator==(const MemblockCall&, const MemblockCall&) = default;
};

/// The boot-time allocator: two sorted arrays of regions, memory and reserved.
///
/// All functions carry the kernel's names without `memblock_`. Sizes and addresses in bytes. Functions that find
/// nothing return nullopt (the kernel's 0). A value: a copy is a snapshot. [linux-6.6 mm/memblock.c, spec R5.13-R5.15]
class Memblock {
public:
    /// In what kernels differ, and where the arrays lie.
    struct Setup {
        int max_numnodes = 1024;          ///< the nid of a region without a node
        bool empty_has_dummy = true;      ///< R5.13: an empty array has cnt 1
        bool fixed_array_panics = false;  ///< R5.14: growth before resizing is allowed panics (6.12)
        VirtAddr memory_array;            ///< memblock_memory_init_regions
        VirtAddr reserved_array;          ///< memblock_reserved_init_regions
        VirtAddr page_offset_base;        ///< of the direct map, where doubled arrays are
    };

    explicit Memblock(const Setup& setup);
    Memblock() : Memblock{Setup{}} {}

    MemblockType memory;
    MemblockType reserved;
    std::uint64_t current_limit = ~std::uint64_t{0};
    bool bottom_up = false;
    bool can_resize = false;       ///< memblock_allow_resize() was called
    bool movable_node = false;     ///< movable_node_is_enabled(): searches skip HOTPLUG regions
    bool has_some_mirror = false;  ///< searches try mirrored memory first
    bool debug = true;             ///< memblock_debug: calls are logged

    /// The kernel's cnt, which counts the dummy region of an empty array.
    [[nodiscard]] std::size_t cnt(MemblockArray array) const noexcept;

    /// KASLR chose another direct map. Concerns arrays doubled from now on.
    void set_page_offset_base(VirtAddr base) noexcept { setup_.page_offset_base = base; }
    [[nodiscard]] const Setup& setup() const noexcept { return setup_; }

    // Ranges. `by` is the caller as memblock=debug would name it.
    MemblockStatus add(std::uint64_t base, std::uint64_t size, std::string_view by = {});
    MemblockStatus reserve(std::uint64_t base, std::uint64_t size, std::string_view by = {});
    MemblockStatus remove(std::uint64_t base, std::uint64_t size, std::string_view by = {});
    MemblockStatus phys_free(std::uint64_t base, std::uint64_t size, std::string_view by = {});
    MemblockStatus set_node(std::uint64_t base, std::uint64_t size, MemblockArray array, int nid);
    MemblockStatus mark_hotplug(std::uint64_t base, std::uint64_t size);
    MemblockStatus clear_hotplug(std::uint64_t base, std::uint64_t size);
    MemblockStatus mark_mirror(std::uint64_t base, std::uint64_t size);
    MemblockStatus mark_nomap(std::uint64_t base, std::uint64_t size);
    /// Shrinks every memory region to multiples of `align` (a power of two); an empty one goes.
    void trim_memory(std::uint64_t align);

    // Allocating; nothing is zeroed here, that is the caller's work.
    /// Any free block as memblock_find_in_range does: nothing is reserved.
    [[nodiscard]] std::optional<PhysAddr> find_in_range(std::uint64_t start, std::uint64_t end, std::uint64_t size,
                                                        std::uint64_t align) const;
    /// @param start, end  bounds in bytes; end 0 means current_limit
    std::optional<PhysAddr> phys_alloc_range(std::uint64_t size, std::uint64_t align, std::uint64_t start,
                                             std::uint64_t end, std::string_view by = {});
    /// Anywhere below current_limit, node `nid` preferred. Prints no request, only its reserve.
    std::optional<PhysAddr> phys_alloc_try_nid(std::uint64_t size, std::uint64_t align, int nid);

    /// The virtual allocators: max_addr is lowered to current_limit, and without success the lower bound is dropped.
    std::optional<PhysAddr> alloc_try_nid(std::uint64_t size, std::uint64_t align, std::uint64_t min_addr,
                                          std::uint64_t max_addr, int nid, std::string_view by = {});
    std::optional<PhysAddr> alloc_try_nid_raw(std::uint64_t size, std::uint64_t align, std::uint64_t min_addr,
                                              std::uint64_t max_addr, int nid, std::string_view by = {});
    /// No fallback to other nodes.
    std::optional<PhysAddr> alloc_exact_nid_raw(std::uint64_t size, std::uint64_t align, std::uint64_t min_addr,
                                                std::uint64_t max_addr, int nid, std::string_view by = {});
    /// memblock_alloc: no bounds, any node.
    std::optional<PhysAddr> alloc(std::uint64_t size, std::uint64_t align, std::string_view by = {}) {
        return alloc_try_nid(size, align, 0, 0, numa_no_node, by);
    }
    std::optional<PhysAddr> alloc_node(std::uint64_t size, std::uint64_t align, int nid, std::string_view by = {}) {
        return alloc_try_nid(size, align, 0, 0, nid, by);
    }

    // Questions.
    [[nodiscard]] std::uint64_t phys_mem_size() const noexcept { return memory.total_size; }
    [[nodiscard]] std::uint64_t start_of_dram() const noexcept;  ///< memblock_start_of_DRAM, 0 without memory
    [[nodiscard]] std::uint64_t end_of_dram() const noexcept;    ///< memblock_end_of_DRAM, 0 without memory
    /// True iff one memory region holds all of [base, base + size).
    [[nodiscard]] bool is_region_memory(std::uint64_t base, std::uint64_t size) const noexcept;
    [[nodiscard]] bool is_memory(std::uint64_t address) const noexcept;
    [[nodiscard]] bool is_reserved(std::uint64_t address) const noexcept;
    [[nodiscard]] bool overlaps_memory(std::uint64_t base, std::uint64_t size) const noexcept;
    /// Node of the memory region that holds the frame; nullopt when none does.
    [[nodiscard]] std::optional<int> search_pfn_nid(std::uint64_t pfn) const noexcept;

    /// Calls f(start, end, nid) for each free range upwards: memory minus reserved, each within one memory region.
    /// @param nid    numa_no_node: all
    /// @param flags  of memblock_flag: mirror wants mirrored memory only, hotplug takes hotpluggable regions too
    template <class F>
    void for_each_free_mem_range(int nid, std::uint32_t flags, F&& f) const {
        for (const MemblockRegion& region : memory.regions) {
            if (should_skip_region(region, nid, flags)) {
                continue;
            }
            std::uint64_t start = region.base;
            for (auto r = first_reaching(reserved, region.base); r != reserved.regions.end() && r->base < region.end();
                 ++r) {
                if (start < r->base) {
                    f(start, r->base, region.nid);
                }
                start = std::max(start, r->end());
            }
            if (start < region.end()) {
                f(start, region.end(), region.nid);
            }
        }
    }

    /// Calls f(start_pfn, end_pfn, nid) for each memory region of `nid` (numa_no_node: all), rounded inward to pages;
    /// regions without a whole page are passed over.
    template <class F>
    void for_each_mem_pfn_range(int nid, F&& f) const {
        for (const MemblockRegion& region : memory.regions) {
            const std::uint64_t start = (region.base + 0xfff) >> 12;
            const std::uint64_t end = region.end() >> 12;
            if (start < end && (nid < 0 || nid == setup_.max_numnodes || nid == region.nid)) {
                f(start, end, region.nid);
            }
        }
    }

    /// The message, once the kernel has stopped here.
    [[nodiscard]] const std::optional<std::string>& panic() const noexcept { return panic_; }

    /// The log since the last take_calls().
    [[nodiscard]] const std::vector<MemblockCall>& calls() const noexcept { return calls_; }
    std::vector<MemblockCall> take_calls();

private:
    using Iterator = std::vector<MemblockRegion>::const_iterator;
    struct Slice {
        std::size_t first = 0;
        std::size_t last = 0;
        MemblockStatus status = MemblockStatus::ok;
    };

    [[nodiscard]] static Iterator first_reaching(const MemblockType& type, std::uint64_t address) noexcept;
    [[nodiscard]] bool should_skip_region(const MemblockRegion& region, int nid, std::uint32_t flags) const noexcept;
    [[nodiscard]] bool numa_valid_node(int nid) const noexcept { return nid >= 0 && nid < setup_.max_numnodes; }
    MemblockType& type_of(MemblockArray array) noexcept { return array == MemblockArray::memory ? memory : reserved; }

    MemblockStatus add_range(MemblockType& type, std::uint64_t base, std::uint64_t size, int nid, std::uint32_t flags);
    Slice isolate_range(MemblockType& type, std::uint64_t base, std::uint64_t size);
    MemblockStatus remove_range(MemblockType& type, std::uint64_t base, std::uint64_t size);
    MemblockStatus setclr_flag(std::uint64_t base, std::uint64_t size, bool set, std::uint32_t flag);
    MemblockStatus double_array(MemblockType& type, std::uint64_t new_area_start, std::uint64_t new_area_size);
    static void merge_regions(MemblockType& type, std::size_t first, std::size_t last);

    [[nodiscard]] std::uint64_t find_in_range_node(std::uint64_t size, std::uint64_t align, std::uint64_t start,
                                                   std::uint64_t end, int nid, std::uint32_t flags) const;
    std::uint64_t alloc_range_nid(std::uint64_t size, std::uint64_t align, std::uint64_t start, std::uint64_t end,
                                  int nid, bool exact_nid);
    std::uint64_t alloc_internal(std::uint64_t size, std::uint64_t align, std::uint64_t min_addr,
                                 std::uint64_t max_addr, int nid, bool exact_nid);
    void log_range(const char* op, std::uint64_t base, std::uint64_t size, std::string_view by);
    void log_request(const char* op, std::uint64_t size, std::uint64_t align, std::optional<int> nid,
                     std::uint64_t from, std::uint64_t max_addr, std::string_view by);

    Setup setup_;
    std::optional<std::string> panic_;
    std::vector<MemblockCall> calls_;
};

}  // namespace pgsim::kernel
