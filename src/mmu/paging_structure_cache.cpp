// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/mmu/paging_structure_cache.hpp"

#include <algorithm>
#include <cassert>

namespace pgsim {

std::optional<WalkStart> PagingStructureCache::find(VirtAddr virt, std::uint16_t pcid) noexcept {
    if (used_ == 0) {
        return std::nullopt;
    }
    for (std::size_t i = 0; i < levels_.size(); ++i) {
        const std::uint64_t prefix = virt.value() >> index_shift(static_cast<Level>(i + 2));
        for (Slot& slot : levels_[i]) {
            if (slot.stamp != 0 && slot.prefix == prefix && slot.pcid == pcid) {
                slot.stamp = ++clock_;
                return slot.start;
            }
        }
    }
    return std::nullopt;
}

void PagingStructureCache::insert(Level above, VirtAddr virt, std::uint16_t pcid, const WalkStart& start) {
    assert(above != Level::pt);
    Cache& cache = levels_[number(above) - 2];
    const std::uint64_t prefix = virt.value() >> index_shift(above);
    Slot* place = nullptr;
    for (Slot& slot : cache) {
        if (slot.stamp != 0 && slot.prefix == prefix && slot.pcid == pcid) {
            place = &slot;
        }
    }
    if (place == nullptr) {
        place = std::min_element(cache.begin(), cache.end(),
                                 [](const Slot& a, const Slot& b) { return a.stamp < b.stamp; });
        used_ += place->stamp == 0 ? 1U : 0U;
    }
    *place = {prefix, ++clock_, start, pcid};
}

void PagingStructureCache::invalidate_pcid(std::uint16_t pcid) noexcept {
    if (used_ == 0) {
        return;
    }
    for (Cache& cache : levels_) {
        for (Slot& slot : cache) {
            if (slot.stamp != 0 && slot.pcid == pcid) {
                slot.stamp = 0;
                --used_;
            }
        }
    }
}

void PagingStructureCache::invalidate_all() noexcept {
    if (used_ == 0) {
        return;
    }
    for (Cache& cache : levels_) {
        for (Slot& slot : cache) {
            slot.stamp = 0;
        }
    }
    used_ = 0;
}

}  // namespace pgsim
