// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/mm.hpp"

#include <algorithm>

#include "filemap.hpp"
#include "lru.hpp"
#include "pgsim/kernel/processes.hpp"
#include "pgsim/kernel/vmscan.hpp"

namespace pgsim::kernel {

namespace {

// Objects of the slab allocator, which is not simulated: each has an address of its own in the vmalloc area. Anonymous
// ones and files lie in separate stretches, so that an address tells which it is.
constexpr std::uint64_t object_size = 128;
constexpr std::uint64_t files_offset = std::uint64_t{1} << 40;

}  // namespace

Mm::Mm(Machine& the_machine, KernelMemory& the_memory, const KernelState& the_state, Buddy& the_buddy,
       PhysAddr top_table, Pfn zero_page, VirtAddr lists, const MmSetup& the_setup)
    : machine{the_machine},
      memory{the_memory},
      state{the_state},
      buddy{the_buddy},
      pages{the_buddy.pages()},
      pt{the_memory, the_state},
      setup{the_setup},
      init_top_pgt{top_table},
      zero_pfn{zero_page.value()},
      reclaim{make_reclaim(*this)},
      object_base_{the_state.vmalloc_base} {
    memory.remember_translations();
    lruvec.lists = lists;
    split_queue = lists + 128;
    for (unsigned list = 0; list < nr_lru_lists; ++list) {
        buddy.list_init(lru_head(*this, static_cast<LruList>(list)));
    }
    buddy.list_init(split_queue);
    lru_add.folios.reserve(pagevec_size);
    if (setup.swap_slots != 0) {
        swap.swap_map.assign(setup.swap_slots + 1, 0);
        swap.slots.resize(setup.swap_slots + 1);
        swap.swap_map[0] = 0x3f;  // the header
        swap.total = swap.free_slots = setup.swap_slots;
    }
    buddy.set_reclaimer(reclaim.get());
    install_exception_handlers(*this);
}

Mm::~Mm() {
    // What can fail here has failed before: the machine stopped, and its memory goes with it.
    try {
        trace = nullptr;
        if (!machine.stopped()) {
            end_all_processes(*this);
        }
    } catch (...) {  // NOLINT(bugprone-empty-catch)
    }
    machine.set_exception_handler(Vector::pf, {});
    machine.set_exception_handler(Vector::gp, {});
    buddy.set_reclaimer(nullptr);
}

anon_vma* Mm::new_anon_vma() {
    std::size_t slot = anon_vmas_.size();
    if (free_anon_vmas_.empty()) {
        anon_vmas_.push_back(std::make_unique<anon_vma>());
    } else {
        slot = free_anon_vmas_.back();
        free_anon_vmas_.pop_back();
        *anon_vmas_[slot] = {};
    }
    anon_vma& object = *anon_vmas_[slot];
    object.address = object_base_ + slot * object_size;
    object.root = object.parent = &object;
    return &object;
}

void Mm::free_anon_vma(anon_vma* object) {
    free_anon_vmas_.push_back((object->address - object_base_) / object_size);
}

anon_vma* Mm::anon_vma_at(std::uint64_t mapping) const {
    const std::uint64_t slot = ((mapping & ~std::uint64_t{3}) - object_base_) / object_size;
    return slot < anon_vmas_.size() ? anon_vmas_[slot].get() : nullptr;
}

std::shared_ptr<address_space> Mm::new_file(FileKind kind, std::string name) {
    std::size_t slot = files_.size();
    if (free_files_.empty()) {
        files_.push_back(nullptr);
    } else {
        slot = free_files_.back();
        free_files_.pop_back();
    }
    auto object = std::make_unique<address_space>();
    object->address = object_base_ + files_offset + slot * object_size;
    object->kind = kind;
    object->name = std::move(name);
    files_[slot] = object.get();
    return {object.release(), [this, slot](address_space* file) {
                const std::unique_ptr<address_space> owned{file};
                if (!machine.stopped()) {
                    evict_inode(*this, *file);
                }
                files_[slot] = nullptr;
                free_files_.push_back(slot);
            }};
}

address_space* Mm::file_at(std::uint64_t mapping) const {
    const std::uint64_t slot = (mapping - object_base_ - files_offset) / object_size;
    return slot < files_.size() ? files_[slot] : nullptr;
}

}  // namespace pgsim::kernel
