// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/mmu/tlb.hpp"

namespace pgsim {

namespace {

constexpr std::array page_kinds{TagKind::k4K, TagKind::k2M, TagKind::k4M, TagKind::k1G};

}  // namespace

Tlb::Tlb(const TlbGeometry& geometry)
    : arrays_{
          FourWays{"TLB array for 4K pages", geometry.sets_4k}, FourWays{"TLB array for 2M pages", geometry.sets_2m},
          FourWays{"TLB array for 4M pages", geometry.sets_4m}, FourWays{"TLB array for 1G pages", geometry.sets_1g}} {}

void Tlb::insert(VirtAddr virt, std::uint16_t pcid, CachedPage page) {
    const TagKind kind = tag_kind(page.size());
    const std::uint64_t prefix = Tag::prefix(virt.value(), kind);
    array_of(kind).drop(prefix, Tag::make(prefix, kind, pcid));
    array_of(kind).drop(prefix, Tag::make_global(prefix, kind));
    switch (page.size()) {
    case PageSize::k4K: insert_new<TagKind::k4K>(virt, pcid, page); break;
    case PageSize::k2M: insert_new<TagKind::k2M>(virt, pcid, page); break;
    case PageSize::k4M: insert_new<TagKind::k4M>(virt, pcid, page); break;
    case PageSize::k1G: insert_new<TagKind::k1G>(virt, pcid, page); break;
    }
}

void Tlb::invalidate_page(VirtAddr virt, std::uint16_t pcid, bool global_too) noexcept {
    for (const TagKind kind : page_kinds) {
        const std::uint64_t prefix = Tag::prefix(virt.value(), kind);
        array_of(kind).drop(prefix, Tag::make(prefix, kind, pcid));
        if (global_too) {
            array_of(kind).drop(prefix, Tag::make_global(prefix, kind));
        }
    }
}

template <class Predicate>
void Tlb::drop_if(Predicate predicate) {
    for (const TagKind kind : page_kinds) {
        if ((in_use_ & bit(kind)) != 0) {
            array_of(kind).drop_if(predicate);
            in_use_ = array_of(kind).in_use() ? in_use_ : in_use_ & ~(bit(kind) | global_bit(kind));
        }
    }
}

void Tlb::invalidate_pcid(std::uint16_t pcid, bool global_too) noexcept {
    drop_if([&](std::uint64_t tag) { return Tag::is_global(tag) ? global_too : Tag::pcid(tag) == pcid; });
}

void Tlb::invalidate_all(bool global_too) noexcept {
    if (!global_too) {
        drop_if([](std::uint64_t tag) { return !Tag::is_global(tag); });
        return;
    }
    for (FourWays& array : arrays_) {
        array.clear();
    }
    in_use_ = 0;
}

std::vector<TlbEntry> Tlb::entries() const {
    std::vector<TlbEntry> list;
    for (const FourWays& array : arrays_) {
        array.each([&](std::uint64_t tag, std::uint64_t word) {
            const CachedPage page{word};
            list.push_back({tag & Tag::prefix_mask, page.base(), page.size(), page.rights(), Tag::pcid(tag),
                            page.global(), page.dirty(), page.shadow_stack(), page.protection_key(), page.pat_index()});
        });
    }
    return list;
}

}  // namespace pgsim
