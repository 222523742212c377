// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/scenario/process_view.hpp"

#include <algorithm>

#include "pgsim/kernel/pgtable_generic.hpp"
#include "pgsim/machine/machine.hpp"

namespace pgsim {

namespace {

using namespace kernel;

constexpr std::uint64_t user_half = 256;

AreaView view_of(const vm_area_struct& vma) {
    static constexpr std::array<std::pair<std::uint64_t, std::string_view>, 11> names{{
        {vm::growsdown, "growsdown"},
        {vm::locked, "locked"},
        {vm::seq_read, "sequential"},
        {vm::rand_read, "random"},
        {vm::dontcopy, "dontfork"},
        {vm::wipeonfork, "wipeonfork"},
        {vm::dontdump, "dontdump"},
        {vm::noreserve, "noreserve"},
        {vm::hugepage, "hugepage"},
        {vm::nohugepage, "nohugepage"},
        {vm::dontexpand, "dontexpand"},
    }};
    AreaView view;
    view.start = VirtAddr{vma.vm_start};
    view.end = VirtAddr{vma.vm_end};
    view.rights = {vma.has(vm::read) ? 'r' : '-', vma.has(vm::write) ? 'w' : '-', vma.has(vm::exec) ? 'x' : '-',
                   vma.has(vm::mayshare) ? 's' : 'p'};
    view.backing = vma.vm_file == nullptr ? "anonymous" : vma.vm_file->name;
    view.offset = vma.vm_file == nullptr ? 0 : vma.vm_pgoff << page_shift;
    for (const auto& [flag, name] : names) {
        if (vma.has(flag)) {
            view.flags.emplace_back(name);
        }
    }
    return view;
}

MappedPageView view_of(const Mm& k, std::uint64_t address, const ProcessWorld::PageView& page) {
    MappedPageView view;
    view.address = VirtAddr{address};
    view.entry = page.entry;
    view.huge = page.huge;
    if (!page.present) {
        const swp_entry_t swap = pte_to_swp_entry(pte_t{page.entry});
        view.kind = swap.type == 0 ? MappedKind::swapped : MappedKind::other;
        view.swap_slot = swap.offset;
        return view;
    }
    const bool zero = page.pfn == k.zero_pfn || (k.huge_zero_pfn != 0 && page.pfn - k.huge_zero_pfn < ptrs_per_pte);
    view.kind = zero ? MappedKind::zero_page : MappedKind::page;
    view.pfn = Pfn{page.pfn};
    view.present = (page.entry & page_present) != 0;
    view.writable = page.writable;
    view.accessed = (page.entry & page_accessed) != 0;
    view.dirty = pte_dirty(pte_t{page.entry});
    return view;
}

// The paging structures below one table's entries.
void collect_tables(const PhysicalMemory& memory, Level level, std::uint64_t table_pfn, VirtAddr base,
                    std::uint64_t entries, std::vector<TablePageView>& out) {
    const std::size_t here = out.size();
    out.push_back({level, base, Pfn{table_pfn}, 0});
    unsigned used = 0;
    for (std::uint64_t i = 0; i < entries; ++i) {
        const std::uint64_t entry = memory.peek64(PhysAddr{(table_pfn << page_shift) + 8 * i});
        if (entry == 0) {
            continue;
        }
        ++used;
        const auto lower = below(level);
        const bool maps_page = level == Level::pt || (entry & page_pse) != 0 || (entry & page_present) == 0;
        if (!maps_page && lower) {
            collect_tables(memory, *lower, (entry & pte_pfn_mask) >> page_shift, base + i * span_of(level), 512, out);
        }
    }
    out[here].entries = used;
}

std::string list_of(const Mm& k, std::uint64_t head) {
    if (!k.pages.test(head, PageFlag::lru)) {
        return "batch";
    }
    if (k.pages.test(head, PageFlag::unevictable)) {
        return "unevictable";
    }
    return std::string{k.pages.test(head, PageFlag::active) ? "active " : "inactive "} +
           (k.pages.test(head, PageFlag::swapbacked) ? "anon" : "file");
}

FrameView frame_of(const Mm& k, std::uint64_t pfn) {
    FrameView view;
    const std::uint64_t head = k.pages.compound_head(pfn);
    view.pfn = Pfn{pfn};
    view.head = Pfn{head};
    view.refcount = k.pages.refcount(head);
    if (pfn == k.zero_pfn || (k.huge_zero_pfn != 0 && head == k.huge_zero_pfn)) {
        view.kind = "zero page";
        return view;
    }
    view.mapcount = k.pages.raw_mapcount(pfn) + 1;
    if (k.pages.is_large(head)) {
        view.mapcount += static_cast<std::int32_t>(k.pages.half(head + 1, page_field::entire_mapcount)) + 1;
    }
    const std::uint64_t mapping = k.pages.mapping(head);
    if ((mapping & page_mapping_anon) != 0) {
        view.kind = "anonymous";
        view.exclusive = k.pages.test(pfn, PageFlag::anon_exclusive);
    } else {
        const address_space* const file = k.file_at(mapping);
        view.kind = file == nullptr ? "no file" : file->name;
    }
    view.index = k.pages.index(head);
    view.dirty = k.pages.test(head, PageFlag::dirty);
    view.referenced = k.pages.test(head, PageFlag::referenced);
    view.in_swap_cache = k.pages.test(head, PageFlag::swapbacked) && k.pages.test(head, PageFlag::swapcache);
    view.list = list_of(k, head);
    return view;
}

// Pages of the user half that the TLB translates otherwise than the tables of `now` do.
std::vector<StaleTranslation> stale_translations(const Mm& k, const ProcessView& now) {
    std::vector<StaleTranslation> found;
    for (const TlbEntry& cached : k.machine.mmu().tlb().entries()) {
        const std::uint64_t size = bytes(cached.size);
        const VirtAddr address{cached.page * size};
        if (address.value() >= task_size_max(k.state)) {
            continue;
        }
        const auto page = std::lower_bound(now.pages.begin(), now.pages.end(), address,
                                           [](const MappedPageView& p, VirtAddr a) { return p.address < a; });
        const bool mapped = page != now.pages.end() && page->address == address && page->present;
        const Pfn pfn{cached.base.value() >> page_shift};
        if (!mapped || page->pfn != pfn || (cached.rights.writable && !page->writable)) {
            const std::uint64_t entry = page != now.pages.end() && page->address == address ? page->entry : 0;
            found.push_back({address, pfn, cached.rights.writable, entry});
        }
    }
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.address < b.address; });
    return found;
}

}  // namespace

std::string_view to_string(MappedKind kind) noexcept {
    switch (kind) {
    case MappedKind::page: return "page";
    case MappedKind::zero_page: return "zero page";
    case MappedKind::swapped: return "swapped";
    case MappedKind::other: return "other";
    }
    return "other";
}

ProcessesView look_at(ProcessWorld& world) {
    Mm& k = world.mm();
    ProcessesView view;
    const Level top = pgtable_l5_enabled(k.state) ? Level::pml5 : Level::pml4;
    for (const std::string& name : world.processes()) {
        const task_struct& task = world.task(name);
        const std::size_t number = view.processes.size();
        ProcessView& process = view.processes.emplace_back();
        process.name = name;
        for (const auto& [start, vma] : task.mm->mm_mt) {
            process.areas.push_back(view_of(*vma));
        }
        for (const auto& [address, page] : world.pages(name)) {
            process.pages.push_back(view_of(k, address, page));
            if (page.present) {
                auto found = view.frames.find(page.pfn);
                if (found == view.frames.end()) {
                    found = view.frames.emplace(page.pfn, frame_of(k, page.pfn)).first;
                }
                found->second.mapped_by.emplace_back(number, VirtAddr{address});
            }
        }
        collect_tables(k.machine.memory(), top, task.mm->pgd_pfn, VirtAddr{0}, user_half, process.tables);
        process.state = world.state(name);
        process.minflt = task.min_flt;
        process.majflt = task.maj_flt;
        process.in_cr3 = k.loaded_mm == task.mm.get();
        if (process.in_cr3) {
            view.stale = stale_translations(k, process);
        }
    }
    const auto add_cached = [&](std::uint64_t pfn) {
        if (view.frames.count(pfn) == 0) {
            view.frames.emplace(pfn, frame_of(k, pfn));
        }
    };
    k.for_each_file([&](const address_space& file) {
        for (const auto& [index, pfn] : file.pages) {
            add_cached(pfn);
        }
    });
    for (const auto& [slot, pfn] : k.swap.cache) {
        add_cached(pfn);
    }
    view.free_pages = k.buddy.free_page_count();
    view.lru = k.lruvec.nr_pages;
    view.swap_slots = k.swap.total;
    view.free_swap_slots = k.swap.free_slots;
    return view;
}

std::vector<std::pair<std::string_view, std::uint64_t>> counters(const VmStat& stat) {
    return {{"pgfault", stat.pgfault},
            {"pgmajfault", stat.pgmajfault},
            {"pgreuse", stat.pgreuse},
            {"pgfree", stat.pgfree},
            {"pgactivate", stat.pgactivate},
            {"pgdeactivate", stat.pgdeactivate},
            {"pgrefill", stat.pgrefill},
            {"pgrotated", stat.pgrotated},
            {"pgscan_kswapd", stat.pgscan_kswapd},
            {"pgscan_direct", stat.pgscan_direct},
            {"pgsteal_kswapd", stat.pgsteal_kswapd},
            {"pgsteal_direct", stat.pgsteal_direct},
            {"pswpin", stat.pswpin},
            {"pswpout", stat.pswpout},
            {"workingset_refault", stat.workingset_refault},
            {"workingset_activate", stat.workingset_activate},
            {"workingset_restore", stat.workingset_restore},
            {"thp_fault_alloc", stat.thp_fault_alloc},
            {"thp_fault_fallback", stat.thp_fault_fallback},
            {"thp_split_pmd", stat.thp_split_pmd},
            {"thp_split_page", stat.thp_split_page},
            {"kswapd_wakeups", stat.kswapd_wakeups},
            {"oom_kill", stat.oom_kill},
            {"vma_lock_success", stat.vma_lock_success},
            {"vma_lock_abort", stat.vma_lock_abort},
            {"vma_lock_retry", stat.vma_lock_retry},
            {"tlb_flush_pages", stat.tlb_flush_pages},
            {"tlb_flush_all", stat.tlb_flush_all}};
}

}  // namespace pgsim
