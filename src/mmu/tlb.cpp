// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/mmu/tlb.hpp"

namespace pgsim {

namespace {

/// As the lean path keeps it.
std::uint64_t lacks_of(const TlbEntry& entry) noexcept {
    return (entry.rights.writable ? 0U : 1U << 1) | (entry.rights.user ? 0U : 1U << 2) | (entry.dirty ? 0U : 1U << 6) |
           (entry.rights.executable ? 0 : std::uint64_t{1} << 63);
}

}  // namespace

Tlb::Array::Array(TagKind page_kind, std::string_view where, const TagArrayShape& shape)
    : kind{page_kind}, tags{where, shape}, entries(tags.slots()) {}

Tlb::Tlb(const TlbGeometry& geometry)
    : arrays_{Array{TagKind::k4K, "TLB array for 4K pages", geometry.k4K},
              Array{TagKind::k2M, "TLB array for 2M pages", geometry.k2M},
              Array{TagKind::k4M, "TLB array for 4M pages", geometry.k4M},
              Array{TagKind::k1G, "TLB array for 1G pages", geometry.k1G}} {}

void Tlb::insert(const TlbEntry& entry) {
    Array& array = array_of(entry.size);
    const unsigned known = array.find(entry.page << static_cast<unsigned>(entry.size), entry.pcid);
    if (known != TagArray::none) {
        array.tags.drop(known);
    }
    TlbEntry& place = new_entry(entry.page, entry.size, entry.pcid, entry.global);
    place = entry;
    place.lacks = lacks_of(entry);
}

void Tlb::invalidate_page(VirtAddr virt, std::uint16_t pcid, bool global_too) {
    for (Array& array : arrays_) {
        if (array.tags.used() == 0) {
            continue;
        }
        const std::uint64_t prefix = Tag::prefix(virt.value(), array.kind);
        const std::uint64_t ours = Tag::make(prefix, array.kind, pcid);
        const std::uint64_t global = global_too ? Tag::make_global(prefix, array.kind) : ours;
        for (unsigned slot; (slot = array.tags.find(prefix, ours, global)) != TagArray::none;) {
            array.tags.drop(slot);
        }
    }
}

void Tlb::invalidate_pcid(std::uint16_t pcid, bool global_too) {
    for (Array& array : arrays_) {
        array.tags.drop_if(
            [&](std::uint64_t tag) { return Tag::is_global(tag) ? global_too : Tag::pcid(tag) == pcid; });
    }
}

void Tlb::invalidate_all(bool global_too) {
    for (Array& array : arrays_) {
        array.tags.drop_if([&](std::uint64_t tag) { return global_too || !Tag::is_global(tag); });
    }
}

std::vector<TlbEntry> Tlb::entries() const {
    std::vector<TlbEntry> list;
    for (const Array& array : arrays_) {
        for (unsigned slot = 0; slot < array.tags.slots(); ++slot) {
            if (array.tags.tag(slot) != 0) {
                list.push_back(array.entries[slot]);
            }
        }
    }
    return list;
}

}  // namespace pgsim
