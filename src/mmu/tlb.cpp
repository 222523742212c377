// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/mmu/tlb.hpp"

#include <algorithm>

#include "pgsim/base/error.hpp"

namespace pgsim {

Tlb::Tlb(const TlbGeometry& geometry) {
    const std::array<std::pair<PageSize, TlbArrayShape>, 4> shapes{{{PageSize::k4K, geometry.k4K},
                                                                    {PageSize::k2M, geometry.k2M},
                                                                    {PageSize::k4M, geometry.k4M},
                                                                    {PageSize::k1G, geometry.k1G}}};
    for (std::size_t i = 0; i < shapes.size(); ++i) {
        const auto [size, shape] = shapes[i];
        if (shape.sets == 0 || (shape.sets & (shape.sets - 1)) != 0 || shape.ways == 0) {
            throw Error{"TLB array for " + std::string{short_name(size)} + " pages",
                        "sets must be a power of two and ways at least 1"};
        }
        arrays_[i].size = size;
        arrays_[i].ways = shape.ways;
        arrays_[i].set_mask = shape.sets - 1;
        arrays_[i].slots.resize(std::size_t{shape.sets} * shape.ways);
    }
}

Tlb::Array& Tlb::array_of(PageSize size) noexcept {
    switch (size) {
    case PageSize::k4K: return arrays_[0];
    case PageSize::k2M: return arrays_[1];
    case PageSize::k4M: return arrays_[2];
    case PageSize::k1G: return arrays_[3];
    }
    return arrays_[0];
}

void Tlb::insert(const TlbEntry& entry) {
    Array& array = array_of(entry.size);
    Slot* place = array.find(entry.page << static_cast<unsigned>(entry.size), entry.pcid);
    if (place == nullptr) {
        Slot* const set = array.set_of(entry.page);
        place = std::min_element(set, set + array.ways, [](const Slot& a, const Slot& b) { return a.stamp < b.stamp; });
        array.used += place->stamp == 0 ? 1U : 0U;
    }
    place->entry = entry;
    place->stamp = ++clock_;
}

template <class Predicate>
void Tlb::Array::drop_if(Predicate predicate) {
    if (used == 0) {
        return;
    }
    for (Slot& slot : slots) {
        if (slot.stamp != 0 && predicate(slot.entry)) {
            slot.stamp = 0;
            --used;
        }
    }
}

void Tlb::invalidate_page(VirtAddr virt, std::uint16_t pcid, bool global_too) {
    for (Array& array : arrays_) {
        if (array.used == 0) {
            continue;
        }
        const std::uint64_t page = virt.value() >> static_cast<unsigned>(array.size);
        Slot* const set = array.set_of(page);
        for (unsigned way = 0; way < array.ways; ++way) {
            const TlbEntry& entry = set[way].entry;
            const bool ours = entry.global ? global_too : entry.pcid == pcid;
            if (set[way].stamp != 0 && entry.page == page && ours) {
                set[way].stamp = 0;
                --array.used;
            }
        }
    }
}

void Tlb::invalidate_pcid(std::uint16_t pcid, bool global_too) {
    for (Array& array : arrays_) {
        array.drop_if([&](const TlbEntry& entry) { return entry.global ? global_too : entry.pcid == pcid; });
    }
}

void Tlb::invalidate_all(bool global_too) {
    for (Array& array : arrays_) {
        array.drop_if([&](const TlbEntry& entry) { return global_too || !entry.global; });
    }
}

std::vector<TlbEntry> Tlb::entries() const {
    std::vector<TlbEntry> list;
    for (const Array& array : arrays_) {
        for (const Slot& slot : array.slots) {
            if (slot.stamp != 0) {
                list.push_back(slot.entry);
            }
        }
    }
    return list;
}

}  // namespace pgsim
