// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/inspect/address_space.hpp"

#include <algorithm>

#include "inspect/space_walk.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/mmu/walker.hpp"

namespace pgsim {

namespace {

constexpr std::uint64_t address_bits = 0x000f'ffff'ffff'f000;
constexpr std::uint64_t ps_bit = 1U << 7;
constexpr std::uint64_t xd_bit = std::uint64_t{1} << 63;

PagingControls controls_for(RootRef root) {
    if (root.levels != 4 && root.levels != 5) {
        throw Error{"an address space has 4 or 5 levels, not " + std::to_string(root.levels)};
    }
    PagingControls controls;
    controls.mode = root.levels == 5 ? PagingMode::five_level : PagingMode::four_level;
    controls.root = root.address;
    controls.nxe = true;
    controls.pge = true;
    controls.cr0_wp = true;
    return controls;
}

// Adapts the public visitor to the walk.
struct EntryVisitor {
    static constexpr bool wants_absent = true;
    const std::function<VisitNext(const EntryVisit&)>& visit;

    VisitNext operator()(unsigned level, std::uint64_t virt, std::uint64_t raw, EntryKind kind, AccessRights rights,
                         std::uint64_t table, unsigned index) const {
        return visit({VirtAddr{virt}, PhysAddr{table + std::uint64_t{index} * 8}, Entry{static_cast<Level>(level), raw},
                      kind, rights});
    }
};

struct PageVisitor {
    static constexpr bool wants_absent = false;
    const PageFilter& filter;
    const std::function<bool(const Mapping&)>& visit;

    VisitNext operator()(unsigned level, std::uint64_t virt, std::uint64_t raw, EntryKind kind, AccessRights rights,
                         std::uint64_t table, unsigned index) const {
        if (kind != EntryKind::page) {
            return VisitNext::descend;
        }
        const Entry entry{static_cast<Level>(level), raw};
        const Mapping page{VirtAddr{virt}, entry.base(), *entry.page_size(),
                           rights,         entry,        PhysAddr{table + std::uint64_t{index} * 8}};
        if (!filter.accepts(page.virt, page.phys, page.size, rights)) {
            return VisitNext::skip;
        }
        return visit(page) ? VisitNext::skip : VisitNext::stop;
    }
};

}  // namespace

std::uint64_t reserved_bits(Entry entry, const PagingControls& controls) noexcept {
    const std::uint64_t beyond = address_bits & ~((std::uint64_t{1} << controls.maxphyaddr) - 1);
    std::uint64_t reserved = beyond | (controls.nxe ? 0 : xd_bit);
    if (controls.c_bit != 0) {
        reserved &= ~(std::uint64_t{1} << controls.c_bit);
    }
    switch (entry.level()) {
    case Level::pml5:
    case Level::pml4:
        // [APM-2 "Page-Translation Table Entry Formats"]: bit 8 must be zero here; Intel ignores it.
        return reserved | ps_bit | (controls.vendor == Vendor::amd ? static_cast<std::uint64_t>(EntryFlag::g) : 0);
    case Level::pdpt:
        if (!controls.pages_1g) {
            return reserved | ps_bit;
        }
        return reserved | ((entry.raw() & ps_bit) != 0 ? bytes(PageSize::k1G) - bytes(PageSize::k4K) * 2 : 0);
    case Level::pd:
        return reserved | ((entry.raw() & ps_bit) != 0 ? bytes(PageSize::k2M) - bytes(PageSize::k4K) * 2 : 0);
    case Level::pt: return reserved;
    }
    return reserved;
}

EntryKind kind_of(Entry entry, const PagingControls& controls) noexcept {
    if (!entry.present()) {
        return EntryKind::not_present;
    }
    if ((entry.raw() & reserved_bits(entry, controls)) != 0) {
        return EntryKind::reserved;
    }
    return entry.maps_page() ? EntryKind::page : EntryKind::table;
}

namespace detail {

KindMasks::KindMasks(const PagingControls& controls) noexcept {
    for (unsigned level = 1; level <= 5; ++level) {
        const auto of = static_cast<Level>(level);
        reserved_in_table[level] = reserved_bits(Entry{of, 0}, controls);
        reserved_in_page[level] = reserved_bits(Entry{of, ps_bit}, controls);
        leaf_bit[level] = level == 2 || level == 3 ? ps_bit : 0;
    }
    address_mask = address_bits;
    if (controls.c_bit != 0) {
        address_mask &= ~(std::uint64_t{1} << controls.c_bit);
    }
}

}  // namespace detail

AddressSpace::AddressSpace(MemorySnapshot memory, const PagingControls& controls)
    : memory_{std::move(memory)}, controls_{controls} {
    if (controls.mode != PagingMode::four_level && controls.mode != PagingMode::five_level) {
        throw Error{"an address space needs 4-level or 5-level paging"};
    }
    if (!controls.root.is_aligned(frame_bytes)) {
        throw Error{to_string(controls.root), "a root table is 4-KByte aligned"};
    }
}

AddressSpace::AddressSpace(MemorySnapshot memory, RootRef root) : AddressSpace{std::move(memory), controls_for(root)} {}

PageTable AddressSpace::table(PhysAddr address, Level level) const {
    if (!address.is_aligned(frame_bytes)) {
        throw Error{to_string(address), "a table is 4-KByte aligned"};
    }
    PageTable::Words words;
    memory_.read_frame(Pfn::of(address), std::as_writable_bytes(std::span{words}));
    return {address, level, words};
}

WalkResult AddressSpace::walk(VirtAddr virt, Access access) const {
    return SnapshotWalker{memory_, controls_}.walk(virt, access);
}

std::vector<TableRef> AddressSpace::tables() const {
    const RootRef root{controls_.root, levels()};
    return reachable_tables(memory_, std::span{&root, 1});
}

bool AddressSpace::for_each_entry(const std::function<VisitNext(const EntryVisit&)>& visit, VirtAddr first,
                                  VirtAddr last) const {
    EntryVisitor visitor{visit};
    detail::SpaceWalk<EntryVisitor> walk{*this, visitor, first, last};
    return walk.run(root());
}

bool AddressSpace::for_each_page(const PageFilter& filter, const std::function<bool(const Mapping&)>& visit) const {
    PageVisitor visitor{filter, visit};
    detail::SpaceWalk<PageVisitor> walk{*this, visitor, filter.first, filter.last};
    return walk.run(root());
}

std::vector<Mapping> AddressSpace::mappings_of(PhysAddr phys, std::size_t limit) const {
    PageFilter filter;
    filter.phys = PhysRange::sized(phys.align_down(8), 8);
    std::vector<Mapping> found;
    for_each_page(filter, [&](const Mapping& page) {
        if (found.size() < limit) {
            found.push_back(page);
        }
        return found.size() < limit;
    });
    return found;
}

std::vector<TableRef> reachable_tables(const MemorySnapshot& memory, std::span<const RootRef> roots) {
    struct Found {
        std::uint64_t address;
        std::uint64_t virt;
        unsigned levels;  // of the root it was found from: how its linear addresses are widened
    };
    std::array<std::vector<Found>, 6> found;
    for (const RootRef& root : roots) {
        if (root.levels != 4 && root.levels != 5) {
            throw Error{"an address space has 4 or 5 levels, not " + std::to_string(root.levels)};
        }
        found[root.levels].push_back({root.address.align_down(frame_bytes).value(), 0, root.levels});
    }
    std::vector<TableRef> tables;
    PageTable::Words words;
    for (unsigned level = 5; level >= 1; --level) {
        std::vector<Found>& here = found[level];
        std::stable_sort(here.begin(), here.end(),
                         [](const Found& a, const Found& b) { return a.address < b.address; });
        here.erase(std::unique(here.begin(), here.end(),
                               [](const Found& a, const Found& b) { return a.address == b.address; }),
                   here.end());
        const unsigned shift = 12 + 9 * (level - 1);
        for (const Found& table : here) {
            tables.push_back({PhysAddr{table.address}, static_cast<Level>(level),
                              VirtAddr{detail::canonical(table.virt, table.levels)}});
            if (level == 1) {
                continue;
            }
            memory.read_frame(Pfn::of(PhysAddr{table.address}), std::as_writable_bytes(std::span{words}));
            for (unsigned index = 0; index < PageTable::entry_count; ++index) {
                const Entry entry{static_cast<Level>(level), words[index]};
                if (entry.present() && !entry.maps_page()) {
                    found[level - 1].push_back(
                        {entry.base().value(), table.virt | std::uint64_t{index} << shift, table.levels});
                }
            }
        }
        here.clear();
        here.shrink_to_fit();
    }
    return tables;
}

}  // namespace pgsim
