// SPDX-License-Identifier: GPL-2.0-only
#include "rmap.hpp"

#include <algorithm>

#include "huge_memory.hpp"
#include "lru.hpp"
#include "vma.hpp"

namespace pgsim::kernel {

namespace {

void chain_link(vm_area_struct& vma, anon_vma& anon) {
    vma.anon_vma_chain.push_back(&anon);
    anon.areas.push_back(&vma);
}

// [linux-6.6 anon_vma_compatible(), reusable_anon_vma()]
anon_vma* reusable_anon_vma(const vm_area_struct& old, const vm_area_struct& a, const vm_area_struct& b) {
    const bool compatible = a.vm_end == b.vm_start && a.vm_file == b.vm_file &&
                            ((a.vm_flags ^ b.vm_flags) & ~vm::access_flags) == 0 &&
                            b.vm_pgoff == a.vm_pgoff + a.pages();
    return compatible && old.anon_vma != nullptr && old.anon_vma_chain.size() == 1 ? old.anon_vma : nullptr;
}

anon_vma* find_mergeable_anon_vma(vm_area_struct& vma) {
    if (vm_area_struct* const next = vma_next(vma)) {
        if (anon_vma* const anon = reusable_anon_vma(*next, vma, *next)) {
            return anon;
        }
    }
    vm_area_struct* const prev = vma_before(*vma.vm_mm, vma.vm_start);
    return prev == nullptr ? nullptr : reusable_anon_vma(*prev, *prev, vma);
}

// __page_set_anon_rmap()
void set_anon_rmap(Mm& k, std::uint64_t folio, const vm_area_struct& vma, std::uint64_t address, bool exclusive) {
    const anon_vma* anon = vma.anon_vma;
    if (!exclusive) {
        anon = anon->root;  // nobody knows to whom the page belonged: the oldest ancestor finds all
    }
    k.pages.set_mapping(folio, anon->address | page_mapping_anon);
    k.pages.set_index(folio, vma.page_index(address));
}

void change_nr_mapped(const Mm& k, std::uint64_t folio, std::int32_t by) {
    k.pages.set_half(folio + 1, page_field::nr_pages_mapped,
                     k.pages.half(folio + 1, page_field::nr_pages_mapped) + static_cast<std::uint32_t>(by));
}

void set_entire_mapcount(const Mm& k, std::uint64_t folio, std::int32_t count) {
    k.pages.set_half(folio + 1, page_field::entire_mapcount, static_cast<std::uint32_t>(count));
}

}  // namespace

void anon_vma_prepare(Mm& k, vm_area_struct& vma) {
    if (vma.anon_vma != nullptr) {
        return;
    }
    anon_vma* anon = find_mergeable_anon_vma(vma);
    k.pass("anon_vma_prepare", anon != nullptr ? "a neighbour's anon_vma" : "a new anon_vma");
    if (anon == nullptr) {
        anon = k.new_anon_vma();
        anon->num_children = 1;  // its own parent
    }
    vma.anon_vma = anon;
    chain_link(vma, *anon);
    ++anon->num_active_vmas;
}

void anon_vma_clone(Mm& k, vm_area_struct& to, const vm_area_struct& from) {
    (void)k;
    for (anon_vma* const anon : from.anon_vma_chain) {
        chain_link(to, *anon);
        if (to.anon_vma == nullptr && from.anon_vma != nullptr && anon->num_children < 2 &&
            anon->num_active_vmas == 0) {
            to.anon_vma = anon;  // whose area is gone, and whose only heir this is
        }
    }
}

// [spec M-D4]
void anon_vma_fork(Mm& k, vm_area_struct& child, const vm_area_struct& parent) {
    child.anon_vma = nullptr;
    child.anon_vma_chain.clear();
    if (parent.anon_vma == nullptr) {
        return;
    }
    anon_vma_clone(k, child, parent);
    if (child.anon_vma != nullptr) {
        ++child.anon_vma->num_active_vmas;
        return;
    }
    anon_vma* const anon = k.new_anon_vma();
    anon->root = parent.anon_vma->root;
    anon->parent = parent.anon_vma;
    ++anon->num_active_vmas;
    ++parent.anon_vma->num_children;
    child.anon_vma = anon;
    chain_link(child, *anon);
}

void unlink_anon_vmas(Mm& k, vm_area_struct& vma) {
    std::vector<anon_vma*> emptied;
    for (anon_vma* const anon : vma.anon_vma_chain) {
        std::erase(anon->areas, &vma);
        if (anon->areas.empty()) {
            emptied.push_back(anon);
        }
    }
    if (vma.anon_vma != nullptr) {
        --vma.anon_vma->num_active_vmas;
    }
    vma.anon_vma = nullptr;
    vma.anon_vma_chain.clear();
    // Children before their parents: a parent lives as long as a child names it.
    for (anon_vma* const anon : emptied) {
        --anon->parent->num_children;
    }
    for (anon_vma* const anon : emptied) {
        k.free_anon_vma(anon);
    }
}

bool folio_test_anon(const Mm& k, std::uint64_t folio) {
    return (k.pages.mapping(folio) & page_mapping_anon) != 0;
}

std::int32_t entire_mapcount(const Mm& k, std::uint64_t folio) {
    return static_cast<std::int32_t>(k.pages.half(folio + 1, page_field::entire_mapcount)) + 1;
}

std::int32_t page_mapcount(const Mm& k, std::uint64_t page) {
    const std::uint64_t folio = k.pages.compound_head(page);
    return k.pages.raw_mapcount(page) + 1 + (k.pages.is_large(folio) ? entire_mapcount(k, folio) : 0);
}

std::int32_t folio_mapcount(const Mm& k, std::uint64_t folio) {
    if (!k.pages.is_large(folio)) {
        return k.pages.raw_mapcount(folio) + 1;
    }
    std::int32_t count = entire_mapcount(k, folio);
    if ((k.pages.half(folio + 1, page_field::nr_pages_mapped) & (compound_mapped - 1)) != 0) {
        for (std::uint64_t i = 0; i < std::uint64_t{1} << k.pages.order(folio); ++i) {
            count += k.pages.raw_mapcount(folio + i) + 1;
        }
    }
    return count;
}

bool folio_mapped(const Mm& k, std::uint64_t folio) {
    return folio_mapcount(k, folio) > 0;
}

void page_add_new_anon_rmap(Mm& k, std::uint64_t page, const vm_area_struct& vma, std::uint64_t address, bool huge) {
    if (huge) {
        set_entire_mapcount(k, page, 0);
        k.pages.set_half(page + 1, page_field::nr_pages_mapped, compound_mapped);
    } else {
        k.pages.set_raw_mapcount(page, 0);
    }
    k.pages.set_flags(page, k.pages.flags(page) | flag_bit(PageFlag::swapbacked) | flag_bit(PageFlag::anon_exclusive));
    set_anon_rmap(k, page, vma, address, true);
}

void page_add_anon_rmap(Mm& k, std::uint64_t page, const vm_area_struct& vma, std::uint64_t address, bool exclusive) {
    const std::uint64_t folio = k.pages.compound_head(page);
    const std::int32_t count = k.pages.raw_mapcount(page) + 1;
    k.pages.set_raw_mapcount(page, count);
    if (count == 0 && k.pages.is_large(folio)) {
        change_nr_mapped(k, folio, 1);
    }
    if (!folio_test_anon(k, folio) || count == 0) {
        if (!folio_test_anon(k, folio)) {
            set_anon_rmap(k, folio, vma, address, exclusive);
        }
    }
    if (exclusive) {
        k.pages.set(page, PageFlag::anon_exclusive);
    }
}

void page_add_file_rmap(Mm& k, std::uint64_t page) {
    k.pages.set_raw_mapcount(page, k.pages.raw_mapcount(page) + 1);
}

void page_dup_anon_rmap(Mm& k, std::uint64_t page, bool huge) {
    k.pages.test_and_clear(page, PageFlag::anon_exclusive);
    if (huge) {
        set_entire_mapcount(k, page, entire_mapcount(k, page));
    } else {
        k.pages.set_raw_mapcount(page, k.pages.raw_mapcount(page) + 1);
    }
}

void page_remove_rmap(Mm& k, std::uint64_t page, const vm_area_struct* vma, bool huge) {
    const std::uint64_t folio = huge ? page : k.pages.compound_head(page);
    bool partly = false;  // some of it unmapped now, some not
    if (huge) {
        const std::int32_t count = entire_mapcount(k, folio) - 2;
        set_entire_mapcount(k, folio, count);
        if (count < 0) {
            change_nr_mapped(k, folio, -static_cast<std::int32_t>(compound_mapped));
            partly = (k.pages.half(folio + 1, page_field::nr_pages_mapped) & (compound_mapped - 1)) != 0;
        }
    } else {
        const std::int32_t count = k.pages.raw_mapcount(page) - 1;
        k.pages.set_raw_mapcount(page, count);
        if (count < 0 && k.pages.is_large(folio)) {
            change_nr_mapped(k, folio, -1);
            partly = k.pages.half(folio + 1, page_field::nr_pages_mapped) < compound_mapped;
        }
    }
    if (partly && folio_test_anon(k, folio)) {
        deferred_split_folio(k, folio);
    }
    if (vma != nullptr && vma->has(vm::locked)) {
        munlock_folio(k, folio, vma);
    }
}

void page_move_anon_rmap(Mm& k, std::uint64_t page, const vm_area_struct& vma) {
    const std::uint64_t folio = k.pages.compound_head(page);
    k.pages.set_mapping(folio, vma.anon_vma->address | page_mapping_anon);
    k.pages.set(page, PageFlag::anon_exclusive);
}

std::vector<PageMapping> rmap_walk(const Mm& k, std::uint64_t folio) {
    std::vector<PageMapping> found;
    const std::uint64_t mapping = k.pages.mapping(folio);
    const std::uint64_t index = k.pages.index(folio);
    const std::uint64_t count = std::uint64_t{1} << k.pages.order(folio);
    const std::vector<vm_area_struct*>* areas = nullptr;
    if ((mapping & page_mapping_anon) != 0) {
        const anon_vma* const anon = k.anon_vma_at(mapping);
        areas = anon != nullptr ? &anon->areas : nullptr;
    } else if (const address_space* const file = k.file_at(mapping)) {
        areas = &file->i_mmap;
    }
    if (areas == nullptr) {
        return found;
    }
    for (vm_area_struct* const vma : *areas) {
        if (index + count > vma->vm_pgoff && index < vma->vm_pgoff + vma->pages()) {
            // Of a huge page whose first part lies before the area, the address is where that part would be.
            found.push_back({vma, vma->vm_start + ((index - vma->vm_pgoff) << page_shift)});
        }
    }
    return found;
}

}  // namespace pgsim::kernel
