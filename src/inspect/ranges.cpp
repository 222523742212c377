// SPDX-License-Identifier: GPL-2.0-only
#include <fmt/format.h>

#include "inspect/space_walk.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/inspect/address_space.hpp"

namespace pgsim {

namespace {

constexpr std::uint64_t accessed_dirty_bits = 0x60;
constexpr std::uint64_t key_bits = std::uint64_t{0xf} << 59;

// Joins pages to ranges. Each page is told by a key that holds everything that must be equal in a range.
class Joiner {
public:
    static constexpr bool wants_absent = false;

    Joiner(const RangeOptions& options, RangeList& list)
        : options_{options},
          list_{list},
          filters_pages_{options.filter.writable || options.filter.executable || options.filter.user ||
                         options.filter.size || options.filter.phys},
          // PWT, PCD, G and the protection key stand at the same place in every leaf.
          kept_bits_{0x118 | key_bits | (options.by_accessed_dirty ? accessed_dirty_bits : 0)} {}

    VisitNext operator()(unsigned level, std::uint64_t virt, std::uint64_t raw, EntryKind kind, AccessRights rights,
                         std::uint64_t, unsigned) {
        if (kind != EntryKind::page) {
            return VisitNext::descend;
        }
        const std::uint64_t size = std::uint64_t{1} << (12 + 9 * (level - 1));
        const std::uint64_t phys = raw & PhysSpace::last & ~(size - 1);
        if (filters_pages_ && !options_.filter.accepts(VirtAddr{virt}, PhysAddr{phys},
                                                       *page_size_at(static_cast<Level>(level)), rights)) {
            return VisitNext::skip;
        }
        const std::uint64_t pat = raw >> (level == 1 ? 7 : 12) & 1;
        const std::uint64_t key = (raw & kept_bits_) | pat << 7 | std::uint64_t{rights.writable} |
                                  std::uint64_t{rights.user} << 1 | std::uint64_t{rights.executable} << 2 |
                                  (options_.by_page_size ? std::uint64_t{level} << 12 : 0);
        if (bytes_ != 0 && key == key_ && virt == virt_ + bytes_) {
            const bool contiguous = phys == phys_ + bytes_;
            if (contiguous || !options_.contiguous) {
                contiguous_ = contiguous_ && contiguous;
                bytes_ += size;
                return VisitNext::skip;
            }
        }
        flush();
        if (list_.ranges.size() >= options_.max_ranges) {
            return VisitNext::stop;
        }
        key_ = key;
        virt_ = virt;
        phys_ = phys;
        bytes_ = size;
        contiguous_ = true;
        first_ = Entry{static_cast<Level>(level), raw};
        rights_ = rights;
        return VisitNext::skip;
    }

    void flush() {
        if (bytes_ != 0) {
            list_.ranges.push_back({VirtAddr{virt_}, PhysAddr{phys_}, bytes_, *first_.page_size(), rights_,
                                    PageAttributes::of(first_), contiguous_});
            bytes_ = 0;
        }
    }

private:
    const RangeOptions& options_;
    RangeList& list_;
    bool filters_pages_;
    std::uint64_t kept_bits_;
    std::uint64_t key_ = 0;
    std::uint64_t virt_ = 0;
    std::uint64_t phys_ = 0;
    std::uint64_t bytes_ = 0;
    bool contiguous_ = true;
    Entry first_{Level::pt, 0};
    AccessRights rights_;
};

}  // namespace

PageAttributes PageAttributes::of(Entry leaf) noexcept {
    PageAttributes result;
    result.global = leaf.has(EntryFlag::g);
    result.pat_index = static_cast<std::uint8_t>(static_cast<unsigned>(leaf.pat().value_or(false)) << 2 |
                                                 static_cast<unsigned>(leaf.has(EntryFlag::pcd)) << 1 |
                                                 static_cast<unsigned>(leaf.has(EntryFlag::pwt)));
    result.protection_key = static_cast<std::uint8_t>(leaf.protection_key().value_or(0));
    result.accessed = leaf.has(EntryFlag::a);
    result.dirty = leaf.has(EntryFlag::d);
    return result;
}

bool PageFilter::accepts(VirtAddr virt, PhysAddr phys_addr, PageSize page_size, AccessRights rights) const {
    const std::uint64_t page_bytes = bytes(page_size);
    return virt <= last && virt.value() + (page_bytes - 1) >= first.value() &&
           (!writable || *writable == rights.writable) && (!executable || *executable == rights.executable) &&
           (!user || *user == rights.user) && (!size || *size == page_size) &&
           (!phys || (phys_addr < phys->end() && phys->start().value() - phys_addr.value() < page_bytes) ||
            phys->contains(phys_addr));
}

RangeList AddressSpace::ranges(const RangeOptions& options) const {
    RangeList list;
    Joiner joiner{options, list};
    detail::SpaceWalk<Joiner> walk{*this, joiner, options.filter.first, options.filter.last};
    list.complete = walk.run(root());
    joiner.flush();
    return list;
}

std::string to_string(const MappedRange& range) {
    const char* const to = range.contiguous ? "->" : "->*";
    return fmt::format("{}-{} {} {} {} {} pages {}{}{} {}", hex(range.virt.value()), hex(range.last().value()), to,
                       hex(range.phys.value()), human_bytes(range.bytes), short_name(range.page_size), 'r',
                       range.rights.writable ? 'w' : '-', range.rights.executable ? 'x' : '-',
                       range.rights.user ? "user" : "supervisor");
}

}  // namespace pgsim
