// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/processes.hpp"

#include <algorithm>

#include "filemap.hpp"
#include "lru.hpp"
#include "memory.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/kernel/fork.hpp"
#include "pgsim/kernel/pgtable_generic.hpp"
#include "rmap.hpp"

namespace pgsim::kernel {

task_struct& create_process(Mm& k, std::string name) {
    auto mm = mm_alloc(k);
    if (mm == nullptr) {
        throw Error{"process " + name, "no memory for its page tables"};
    }
    task_struct& task = k.tasks.emplace_back();
    task.comm = std::move(name);
    task.mm = std::move(mm);
    return task;
}

void switch_to(Mm& k, task_struct& task) {
    k.current = &task;
    switch_mm(k, task.mm.get());
}

task_struct* fork_process(Mm& k, task_struct& parent, std::string name) {
    switch_to(k, parent);
    auto mm = dup_mm(k, parent);
    if (mm == nullptr) {
        return nullptr;
    }
    task_struct& child = k.tasks.emplace_back();
    child.comm = std::move(name);
    child.mm = std::move(mm);
    child.parent = &parent;
    child.thp_disabled = parent.thp_disabled;
    child.rlimit_stack = parent.rlimit_stack;
    return &child;
}

void exit_process(Mm& k, task_struct& task) {
    switch_to(k, task);
    exit_mmap(k, *task.mm);
    task.mm.reset();
    if (k.current == &task) {
        k.current = nullptr;
    }
    for (task_struct& other : k.tasks) {
        if (other.parent == &task) {
            other.parent = nullptr;
        }
    }
    k.tasks.remove_if([&](const task_struct& other) { return &other == &task; });
}

void end_all_processes(Mm& k) {
    while (!k.tasks.empty()) {
        exit_process(k, k.tasks.back());
    }
    lru_add_drain(k);
}

long file_write(Mm& k, task_struct& task, const std::shared_ptr<address_space>& file, std::uint64_t offset,
                std::uint64_t pages) {
    switch_to(k, task);
    k.pass("generic_perform_write");
    for (std::uint64_t i = 0; i < pages; ++i) {
        const std::uint64_t index = (offset >> page_shift) + i;
        file->i_size = std::max(file->i_size, (index + 1) << page_shift);
        const std::uint64_t page = page_cache_page(k, *file, index);
        if (page == no_page) {
            return -enomem;
        }
        // What is written tells file page and place apart from others.
        k.memory.fill(VirtAddr{k.state.page_offset_base + (page << page_shift)}, page_size,
                      static_cast<std::uint8_t>(0x41 + index % 26));
        k.pages.set(page, PageFlag::dirty);
        folio_mark_accessed(k, page);
    }
    return 0;
}

void file_truncate(Mm& k, const std::shared_ptr<address_space>& file, std::uint64_t length) {
    k.pass("truncate_setsize");
    const bool shrinks = length < file->i_size;
    file->i_size = length;
    if (shrinks) {
        truncate_pages(k, *file, file->size_in_pages());
    }
}

void file_sync(Mm& k, const std::shared_ptr<address_space>& file) {
    if (file->kind != FileKind::ext4) {
        return;
    }
    for (const auto& [index, page] : file->pages) {
        folio_clear_dirty_for_io(k, *file, page);
    }
}

void drop_page_cache(Mm& k, const std::shared_ptr<address_space>& file) {
    if (file->kind != FileKind::ext4) {
        return;
    }
    lru_add_drain(k);
    std::vector<std::uint64_t> clean;
    for (const auto& [index, page] : file->pages) {
        if (!k.pages.test(page, PageFlag::dirty) && k.pages.refcount(page) == 1) {
            clean.push_back(index);
        }
    }
    std::sort(clean.begin(), clean.end());
    for (const std::uint64_t index : clean) {
        filemap_remove_folio(k, file->pages[index]);
    }
}

}  // namespace pgsim::kernel
