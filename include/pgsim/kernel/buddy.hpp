// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "pgsim/base/address.hpp"
#include "pgsim/kernel/gfp.hpp"
#include "pgsim/kernel/struct_page.hpp"
#include "pgsim/kernel/zonelists.hpp"
#include "pgsim/kernel/zones.hpp"

namespace pgsim::kernel {

struct FreedMemory;

inline constexpr unsigned max_order = 10;  ///< MAX_ORDER, inclusive
inline constexpr unsigned pageblock_order = 9;
inline constexpr std::uint64_t pageblock_nr_pages = 512;

/// Which watermark an allocation must leave untouched.
enum class Wmark : std::uint8_t { min = 0, low = 1, high = 2, promo = 3 };

/// ALLOC_*: how hard an allocation may try. [linux-6.6 mm/internal.h]
namespace alloc_flag {
inline constexpr unsigned wmark_mask = 0x3;
inline constexpr unsigned no_watermarks = 0x4;
inline constexpr unsigned oom = 0x8;
inline constexpr unsigned non_block = 0x10;
inline constexpr unsigned min_reserve = 0x20;
inline constexpr unsigned cpuset = 0x40;
inline constexpr unsigned nofragment = 0x100;
inline constexpr unsigned highatomic = 0x200;
inline constexpr unsigned kswapd = 0x800;
inline constexpr unsigned reserves = non_block | min_reserve | highatomic | oom;
}  // namespace alloc_flag

/// The per-CPU lists of one zone on the one CPU that allocates. [spec M-B19]
struct PerCpuPages {
    std::uint64_t count = 0;  ///< pages on all lists
    std::uint64_t high = 0;
    std::uint64_t batch = 1;
    unsigned free_factor = 0;
    VirtAddr lists;  ///< list heads: 13 times two pointers
};
inline constexpr unsigned nr_pcp_lists = 13;

/// struct zone as the allocator uses it. Its free lists (heads and nr_free) lie in simulated memory at `address`.
struct BuddyZone {
    Zone span;
    VirtAddr address;  ///< of struct zone in the direct map
    std::uint64_t managed_pages = 0;
    std::uint64_t nr_free_pages = 0;  ///< NR_FREE_PAGES; pages on per-CPU lists are not free
    std::array<std::uint64_t, 4> watermark{};
    std::uint64_t watermark_boost = 0;
    std::array<std::uint64_t, max_nr_zones> lowmem_reserve{};
    std::uint64_t nr_reserved_highatomic = 0;
    bool boosted_watermark = false;  ///< ZONE_BOOSTED_WATERMARK
    bool reclaim_active = false;     ///< ZONE_RECLAIM_ACTIVE
    PerCpuPages pcp;

    [[nodiscard]] unsigned index() const noexcept { return static_cast<unsigned>(span.type); }
};

/// What the allocator asks of whoever can make memory free: kswapd, direct reclaim, the OOM killer. [spec M-E1]
class PageReclaimer {
public:
    virtual ~PageReclaimer() = default;
    /// wakeup_kswapd() for one zone.
    virtual void wakeup_kswapd(BuddyZone& zone, unsigned order, unsigned highest_zoneidx) = 0;
    /// try_to_free_pages(): pages made free.
    virtual std::uint64_t try_to_free_pages(unsigned order, gfp_t gfp) = 0;
    /// Pages that reclaim could take from the zone: zone_reclaimable_pages().
    virtual std::uint64_t zone_reclaimable_pages(const BuddyZone& zone) = 0;
    /// out_of_memory(): whether something was killed.
    virtual bool out_of_memory(gfp_t gfp, unsigned order) = 0;
    /// Whether the allocating task has PF_MEMALLOC: it reclaims right now.
    [[nodiscard]] virtual bool is_reclaiming() const = 0;
};

/// One step that an allocation or a free took, for whoever watches.
struct BuddyEvent {
    enum class Kind : std::uint8_t {
        take,         ///< a block leaves a free list
        split,        ///< its upper half becomes free
        put,          ///< a block becomes free
        merge,        ///< it was joined with its buddy
        steal,        ///< a block of another mobility was taken
        claim_block,  ///< a pageblock changed its mobility
        pcp_take,
        pcp_put,
        pcp_refill,
        pcp_drain,
        allocated,  ///< alloc_pages() gives the block to who asked
        freed,      ///< its last reference went
    };
    Kind kind = Kind::take;
    std::uint64_t pfn = 0;
    unsigned order = 0;
    MigrateType type = MigrateType::movable;
    unsigned zone = 0;
    int nid = 0;
};
class BuddyObserver {
public:
    virtual ~BuddyObserver() = default;
    virtual void on_event(const BuddyEvent& event) = 0;
};

struct BuddySetup {
    PageFlagsLayout flags;
    std::uint64_t zone_size = 1664;  ///< sizeof(struct zone)
    unsigned cpus = 1;               ///< CPUs of the machine; only one allocates
    bool pcp = true;                 ///< per-CPU lists in use
    VirtAddr page_offset_base;       ///< where the direct map begins
    /// Address of NODE_DATA of each node, by nid; zones follow each other from there.
    std::vector<VirtAddr> node_data;
    /// Room for the per-CPU list heads: 256 bytes for each zone of each node, nodes ascending.
    VirtAddr pcp_area;
    /// Of build_all_zonelists; empty: one node.
    std::vector<NodeOrder> node_orders;
};

/// The buddy allocator of a running kernel. All blocks lie in simulated struct pages: flags, refcount, page type,
/// order and list links; the list heads in simulated struct zones. [linux-6.6 mm/page_alloc.c] [spec chapter B]
class Buddy {
public:
    Buddy(KernelMemory& memory, VirtAddr vmemmap_base, const ZoneState& zones, BuddySetup setup);

    // --- the way in: boot ---
    /// Empties all lists. Their heads are written.
    void init_free_lists();
    /// memblock_free_pages() of one chunk: 2^order pages from `pfn` on become free and managed. [spec M-A18]
    void free_pages_core(std::uint64_t pfn, unsigned order);
    /// __free_pages_memory(): frames [start, end) in the largest aligned chunks. [spec M-A17]
    void free_pages_memory(std::uint64_t start, std::uint64_t end);
    /// Takes over what memblock_free_all left, in one step; the struct pages say the same (see Memmap::free_all).
    void adopt(const FreedMemory& freed);
    /// Takes over the lists that lie in memory already, as after a boot: the zones' `managed` and the lists' lengths
    /// say how much is free; all pageblocks are MOVABLE. Per-CPU lists, if in use, become empty.
    void adopt_lists();
    void set_watermarks(const Watermarks& watermarks);
    void set_reclaimer(PageReclaimer* reclaimer) noexcept { reclaimer_ = reclaimer; }
    void set_observer(BuddyObserver* observer) noexcept { observer_ = observer; }

    // --- allocation ---
    /// __alloc_pages(): the frame number of the first page. nullopt: the kernel's NULL.
    [[nodiscard]] std::optional<std::uint64_t> alloc_pages(gfp_t gfp, unsigned order, int nid = 0);
    /// __free_pages(): drops a reference and frees at zero. [spec M-B9]
    void free_pages(std::uint64_t pfn, unsigned order);
    /// What folio_put() does once the count is zero and the page has left the LRU.
    void free_unref_page(std::uint64_t pfn, unsigned order);
    /// drain_all_pages(): per-CPU pages go back to the free lists. [spec M-B21]
    void drain_all_pages();

    // --- looking ---
    [[nodiscard]] std::span<BuddyZone> zones() noexcept { return zones_; }
    [[nodiscard]] std::span<const BuddyZone> zones() const noexcept { return zones_; }
    [[nodiscard]] BuddyZone& page_zone(std::uint64_t pfn);
    [[nodiscard]] const PageAccess& pages() const noexcept { return pages_; }
    /// Whether per-CPU lists are in use.
    [[nodiscard]] bool has_pcp() const noexcept { return setup_.pcp; }
    /// The zone that spans the frame; null when none does.
    [[nodiscard]] const BuddyZone* find_zone(std::uint64_t pfn) const noexcept;
    /// free_area[order].nr_free.
    [[nodiscard]] std::uint64_t nr_free(const BuddyZone& zone, unsigned order) const;
    /// First frames of the blocks on one free list, head first. @param limit  at most so many
    [[nodiscard]] std::vector<std::uint64_t> free_list(const BuddyZone& zone, unsigned order, MigrateType type,
                                                       std::size_t limit = ~std::size_t{0}) const;
    /// Frames on one per-CPU list, head first.
    [[nodiscard]] std::vector<std::uint64_t> pcp_list(const BuddyZone& zone, unsigned list) const;
    [[nodiscard]] MigrateType pageblock_migratetype(std::uint64_t pfn) const;
    void set_pageblock_migratetype(std::uint64_t pfn, MigrateType type);
    /// zone_watermark_ok(). [spec M-B7]
    [[nodiscard]] bool zone_watermark_ok(const BuddyZone& zone, unsigned order, std::uint64_t mark,
                                         unsigned highest_zoneidx, unsigned flags) const;
    /// wmark_pages(): with the boost.
    [[nodiscard]] static std::uint64_t wmark_pages(const BuddyZone& zone, Wmark mark) noexcept {
        return zone.watermark[static_cast<std::size_t>(mark)] + zone.watermark_boost;
    }
    /// Populated zones in the order in which an allocation on `nid` tries them. [spec M-B5]
    [[nodiscard]] const std::vector<BuddyZone*>& zonelist(int nid) const;
    /// All free pages: of free lists and of per-CPU lists.
    [[nodiscard]] std::uint64_t free_page_count() const noexcept;
    /// Pages that were not freed because their state was wrong ("Bad page state"). [spec M-B10]
    [[nodiscard]] std::uint64_t bad_pages() const noexcept { return bad_pages_; }
    /// page_group_by_mobility_disabled. [spec M-A9]
    [[nodiscard]] bool mobility_disabled() const noexcept { return mobility_disabled_; }

    // Link of a list at an address: next, then previous. For those who keep other lists in struct pages.
    void list_init(VirtAddr head);
    void list_add(VirtAddr entry, VirtAddr head);
    void list_add_tail(VirtAddr entry, VirtAddr head);
    void list_del(VirtAddr entry);

private:
    // free lists (buddy.cpp)
    void decide_mobility();
    [[nodiscard]] VirtAddr free_list_head(const BuddyZone& zone, unsigned order, MigrateType type) const;
    [[nodiscard]] VirtAddr lru_of(std::uint64_t pfn) const { return VirtAddr{pages_.address(pfn).value() + 8}; }
    [[nodiscard]] std::uint64_t pfn_of_lru(std::uint64_t link) const { return pages_.pfn_of(VirtAddr{link - 8}); }
    [[nodiscard]] std::optional<std::uint64_t> first_of(VirtAddr head) const;
    void change_nr_free(const BuddyZone& zone, unsigned order, std::int64_t by);
    void add_to_free_list(const BuddyZone& zone, std::uint64_t pfn, unsigned order, MigrateType type, bool tail);
    void del_page_from_free_list(const BuddyZone& zone, std::uint64_t pfn, unsigned order);
    void move_to_free_list(std::uint64_t pfn, const BuddyZone& zone, unsigned order, MigrateType type);
    [[nodiscard]] bool is_free_buddy(const BuddyZone& zone, std::uint64_t buddy, unsigned order);
    void free_one_page(std::uint64_t pfn, BuddyZone& zone, unsigned order, MigrateType type, bool to_tail);
    std::optional<std::uint64_t> rmqueue_smallest(BuddyZone& zone, unsigned order, MigrateType type);
    void expand(BuddyZone& zone, std::uint64_t pfn, unsigned low, unsigned high, MigrateType type);
    std::optional<std::uint64_t> rmqueue(BuddyZone& zone, unsigned order, MigrateType type, unsigned flags);

    // fallback between mobilities (buddy_fallback.cpp)
    bool rmqueue_fallback(BuddyZone& zone, unsigned order, MigrateType start_type, unsigned flags);
    void steal_suitable_fallback(BuddyZone& zone, std::uint64_t pfn, unsigned order, MigrateType start_type,
                                 bool can_steal, unsigned flags);
    unsigned move_freepages_block(BuddyZone& zone, std::uint64_t pfn, MigrateType type, unsigned* movable);
    static bool boost_watermark(BuddyZone& zone);

    // per-CPU lists (pcp.cpp)
    [[nodiscard]] VirtAddr pcp_head(const BuddyZone& zone, unsigned list) const;
    [[nodiscard]] static bool pcp_allowed_order(unsigned order) noexcept { return order <= 3 || order == 9; }
    [[nodiscard]] static unsigned order_to_pindex(MigrateType type, unsigned order) noexcept;
    std::optional<std::uint64_t> rmqueue_pcplist(BuddyZone& zone, unsigned order, MigrateType type, unsigned flags);
    void free_unref_page_commit(BuddyZone& zone, std::uint64_t pfn, unsigned order, MigrateType type);
    void free_pcppages_bulk(BuddyZone& zone, std::uint64_t count, unsigned pindex);

    // allocation paths (page_alloc.cpp)
    struct AllocContext {
        gfp_t gfp = 0;
        unsigned order = 0;
        unsigned highest_zoneidx = 2;
        MigrateType type = MigrateType::movable;
        int nid = 0;
    };
    std::optional<std::uint64_t> get_page_from_freelist(const AllocContext& context, unsigned flags);
    std::optional<std::uint64_t> alloc_pages_slowpath(const AllocContext& context);
    std::optional<std::uint64_t> rmqueue_any(BuddyZone& preferred, BuddyZone& zone, const AllocContext& context,
                                             unsigned flags);
    [[nodiscard]] bool zone_watermark_fast(const BuddyZone& zone, const AllocContext& context, std::uint64_t mark,
                                           unsigned flags) const;
    [[nodiscard]] bool should_reclaim_retry(const AllocContext& context, unsigned flags) const;
    void prep_new_page(std::uint64_t pfn, const AllocContext& context);
    void prep_compound_page(std::uint64_t pfn, unsigned order);
    bool free_pages_prepare(std::uint64_t pfn, unsigned order);
    void wake_all_kswapds(const AllocContext& context);
    void reserve_highatomic_pageblock(std::uint64_t pfn, BuddyZone& zone);
    bool unreserve_highatomic_pageblock(const AllocContext& context);
    void build_zonelists();
    void emit(BuddyEvent::Kind kind, const BuddyZone& zone, std::uint64_t pfn, unsigned order, MigrateType type) {
        if (observer_ != nullptr) {
            observer_->on_event({kind, pfn, order, type, zone.index(), zone.span.nid});
        }
    }

    KernelMemory* memory_;
    PageAccess pages_;
    BuddySetup setup_;
    std::vector<BuddyZone> zones_;
    std::vector<std::vector<BuddyZone*>> zonelists_;
    std::vector<std::unique_ptr<std::array<MigrateType, 64>>> usemaps_;  ///< by section; null: all MOVABLE
    std::vector<std::uint64_t> first_deferred_pfn_;                      ///< by nid
    PageReclaimer* reclaimer_ = nullptr;
    BuddyObserver* observer_ = nullptr;
    bool mobility_disabled_ = false;
    std::uint64_t bad_pages_ = 0;
};

}  // namespace pgsim::kernel
