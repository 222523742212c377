// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/scenario/process_world.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <utility>

#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/kernel/bare_kernel.hpp"
#include "pgsim/kernel/pgtable_generic.hpp"
#include "pgsim/scenario/boot.hpp"
#include "pgsim/scenario/booted_kernel.hpp"

namespace pgsim {

namespace {

using namespace kernel;

constexpr std::uint64_t most_accesses = std::uint64_t{1} << 26;

unsigned parse_prot(const std::string& text) {
    if (text == "none") {
        return 0;
    }
    unsigned bits = 0;
    for (const char c : text) {
        switch (c) {
        case 'r': bits |= prot::read; break;
        case 'w': bits |= prot::write; break;
        case 'x': bits |= prot::exec; break;
        default: throw Error{"prot", "\"" + text + "\" is not made of r, w, x, and not \"none\""};
        }
    }
    if (text.empty()) {
        throw Error{"prot", "it is empty"};
    }
    return bits;
}

unsigned parse_map_flags(const std::string& text) {
    static constexpr std::array<std::pair<std::string_view, unsigned>, 8> names{{
        {"private", map::private_},
        {"shared", map::shared},
        {"anon", map::anonymous},
        {"fixed", map::fixed},
        {"populate", map::populate},
        {"growsdown", map::growsdown},
        {"noreserve", map::noreserve},
        {"locked", map::locked},
    }};
    unsigned flags = 0;
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t bar = std::min(text.find('|', at), text.size());
        const std::string_view word = std::string_view{text}.substr(at, bar - at);
        const auto known = std::find_if(names.begin(), names.end(), [&](const auto& n) { return n.first == word; });
        if (known == names.end()) {
            throw Error{"flags", "\"" + std::string{word} + "\" is no flag of mmap"};
        }
        flags |= known->second;
        at = bar + 1;
    }
    return flags;
}

Advice parse_advice(const std::string& text) {
    static constexpr std::array<std::pair<std::string_view, Advice>, 19> names{{
        {"normal", Advice::normal},
        {"random", Advice::random},
        {"sequential", Advice::sequential},
        {"willneed", Advice::willneed},
        {"dontneed", Advice::dontneed},
        {"free", Advice::free},
        {"remove", Advice::remove},
        {"dontfork", Advice::dontfork},
        {"dofork", Advice::dofork},
        {"hugepage", Advice::hugepage},
        {"nohugepage", Advice::nohugepage},
        {"dontdump", Advice::dontdump},
        {"dodump", Advice::dodump},
        {"wipeonfork", Advice::wipeonfork},
        {"keeponfork", Advice::keeponfork},
        {"cold", Advice::cold},
        {"pageout", Advice::pageout},
        {"populate_read", Advice::populate_read},
        {"populate_write", Advice::populate_write},
    }};
    const auto known = std::find_if(names.begin(), names.end(), [&](const auto& n) { return n.first == text; });
    if (known == names.end()) {
        throw Error{"advice", "\"" + text + "\" is no advice of madvise"};
    }
    return known->second;
}

// Calls f(address, view) for each entry that is not none.
template <class F>
void walk_user_pages(Mm& k, const mm_struct& mm, F&& f) {
    for (const auto& [start, vma] : mm.mm_mt) {
        for (VirtAddr at{vma->vm_start}; at < VirtAddr{vma->vm_end};) {
            const VirtAddr end{vma->vm_end};
            const pgd_ptr pgd = pgd_offset_pgd(k.pt, mm.pgd, at);
            if (pgd_none(k.state, pgdp_get(k.pt, pgd))) {
                at = pgd_addr_end(k.state, at, end);
                continue;
            }
            const p4d_ptr p4d = p4d_offset(k.pt, pgd, at);
            if (p4d_none(p4dp_get(k.pt, p4d))) {
                at = std::min(VirtAddr{(at.value() + p4d_size) & p4d_mask}, end);
                continue;
            }
            const pud_ptr pud = pud_offset(k.pt, p4d, at);
            if (pud_none(pudp_get(k.pt, pud))) {
                at = pud_addr_end(at, end);
                continue;
            }
            const VirtAddr stop = pmd_addr_end(at, end);
            const pmd_ptr pmdp = pmd_offset(k.pt, pud, at);
            const pmd_t pmd = pmdp_get(k.pt, pmdp);
            if (pmd_trans_huge(pmd)) {
                for (; at < stop; at += page_size) {
                    const std::uint64_t pfn = pmd_pfn(pmd) + pte_index(at);
                    f(at.value(), ProcessWorld::PageView{pfn, true, true, pmd_write(pmd), pmd.pmd});
                }
            } else if (!pmd_none(pmd)) {
                pte_ptr ptep = pte_offset_map(k.pt, pmdp, at);
                for (; at < stop; at += page_size, ++ptep) {
                    const pte_t pte = ptep_get(k.pt, ptep);
                    if (!pte_none(pte)) {
                        f(at.value(),
                          ProcessWorld::PageView{pte_pfn(pte), pte_present(pte), false, pte_write(pte), pte.pte});
                    }
                }
            }
            at = stop;
        }
    }
}

void compare_pages(const std::map<std::uint64_t, ProcessWorld::PageView>& before,
                   const std::map<std::uint64_t, ProcessWorld::PageView>& after, OperationOutcome& outcome) {
    for (const auto& [address, view] : before) {
        const auto now = after.find(address);
        const bool still = now != after.end() && now->second.present;
        if (view.present && !still) {
            ++outcome.pages_no_longer_present;
        } else if (view.present && now->second.pfn != view.pfn) {
            ++outcome.pages_frame_changed;
        }
    }
    for (const auto& [address, view] : after) {
        const auto old = before.find(address);
        if (view.present && (old == before.end() || !old->second.present)) {
            ++outcome.pages_became_present;
        }
    }
}

BareKernelSetup kernel_setup(const ProcessWorld::Options& options) {
    BareKernelSetup setup;
    setup.memory_bytes = options.memory_bytes;
    setup.free_bytes = options.free_bytes;
    setup.five_levels = options.five_levels;
    setup.pcp = options.pcp;
    return setup;
}

std::shared_ptr<BootedKernel> boot_kernel(const Boot& boot, const ProcessWorld::Options& options) {
    if (boot.scenario().inputs.series.name != "6.6") {
        throw Error{"kernel", "processes are those of Linux 6.6; this boot is of " +
                                  std::string{boot.scenario().inputs.series.name}};
    }
    return std::make_shared<BootedKernel>(boot, BootedKernelOptions{.late = true, .pcp = options.pcp});
}

}  // namespace

ProcessWorld::ProcessWorld(RunningKernel kernel, std::uint64_t kernel_pages, const MmSetup& setup)
    : kernel_{std::move(kernel)} {
    mm_ = std::make_unique<Mm>(kernel_.machine(), kernel_.memory(), kernel_.state(), kernel_.buddy(),
                               kernel_.init_top_pgt(), kernel_.zero_page(), kernel_.lists(), setup);
    mm_->kernel_pages = kernel_pages;
    task_struct& first = create_process(*mm_, "P");
    first.thp_disabled = true;
    processes_.push_back({"P", &first});
}

ProcessWorld::ProcessWorld(const Options& options)
    : ProcessWorld{RunningKernel{std::make_shared<BareKernel>(kernel_setup(options))}, 0, options.mm} {}

ProcessWorld::ProcessWorld(const Boot& boot, const Options& options)
    : ProcessWorld{boot_kernel(boot, options), options.mm} {}

ProcessWorld::ProcessWorld(const std::shared_ptr<BootedKernel>& kernel, const MmSetup& setup)
    : ProcessWorld{RunningKernel{kernel}, kernel->own_pages(), setup} {}

ProcessWorld::~ProcessWorld() {
    if (mm_->machine.stopped()) {
        files_.clear();
        return;
    }
    end_all_processes(*mm_);
    files_.clear();
}

std::vector<std::string> ProcessWorld::processes() const {
    std::vector<std::string> names;
    for (const Process& process : processes_) {
        names.push_back(process.name);
    }
    return names;
}

task_struct& ProcessWorld::task(const std::string& name) const {
    for (const Process& process : processes_) {
        if (process.name == name) {
            return *process.task;
        }
    }
    throw Error{"process " + name, "there is no living process of this name"};
}

std::shared_ptr<address_space> ProcessWorld::file(const ProcessOperation& operation) const {
    const auto found = files_.find(operation.file.value_or(~std::uint64_t{0}));
    if (found == files_.end()) {
        throw Error{"file", "it was not opened before"};
    }
    return found->second;
}

std::map<std::uint64_t, ProcessWorld::PageView> ProcessWorld::pages(const std::string& name) const {
    std::map<std::uint64_t, PageView> found;
    walk_user_pages(*mm_, *task(name).mm, [&](std::uint64_t address, const PageView& view) {
        found.emplace_hint(found.end(), address, view);
    });
    return found;
}

ProcessState ProcessWorld::state(const std::string& name) const {
    Mm& k = *mm_;
    const task_struct& who = task(name);
    std::set<std::uint64_t> others;
    for (const Process& process : processes_) {
        if (process.task != &who) {
            walk_user_pages(k, *process.task->mm, [&](std::uint64_t, const PageView& view) {
                if (view.present) {
                    others.insert(view.pfn);
                }
            });
        }
    }
    ProcessState state;
    state.pgtable_pages = static_cast<std::uint64_t>(who.mm->pgtables_bytes) / page_size;
    state.vmas = who.mm->mm_mt.size();
    walk_user_pages(k, *who.mm, [&](std::uint64_t, const PageView& view) {
        if (!view.present) {
            ++state.swap;
            return;
        }
        ++state.present;
        state.pfn_shared_with_others += others.count(view.pfn);
        const std::uint64_t head = k.pages.compound_head(view.pfn);
        if (view.pfn == k.zero_pfn || (k.huge_zero_pfn != 0 && head == k.huge_zero_pfn)) {
            ++state.zero_page;
            return;
        }
        ++state.rss;
        state.thp += view.huge ? 1 : 0;
        state.anon += (k.pages.mapping(head) & page_mapping_anon) != 0 ? 1 : 0;
        // As pagemap shows it: of a 2-MByte mapping the first page speaks for all.
        const std::uint64_t page = view.huge ? head : view.pfn;
        std::int32_t mapcount = k.pages.raw_mapcount(page) + 1;
        if (k.pages.is_large(head)) {
            mapcount += static_cast<std::int32_t>(k.pages.half(head + 1, page_field::entire_mapcount)) + 1;
        }
        state.exclusive += mapcount == 1 ? 1 : 0;
    });
    return state;
}

OperationOutcome ProcessWorld::access(task_struct& who, const ProcessOperation& operation) {
    OperationOutcome outcome;
    const bool reads = operation.op == "read" || operation.op == "rdwr";
    const bool writes = operation.op == "write" || operation.op == "rdwr";
    for (std::uint64_t i = 0; i < operation.count && !outcome.signal; ++i) {
        const VirtAddr address{operation.addr + i * operation.stride};
        if (operation.op == "call") {
            outcome.signal = user_fetch(*mm_, who, address).signal;
        }
        if (reads) {
            const UserAccess load = user_load(*mm_, who, address);
            outcome.signal = load.signal;
            if (!load.signal && outcome.loaded.size() < 16) {
                outcome.loaded.push_back(static_cast<std::uint8_t>(load.value));
            }
        }
        if (writes && !outcome.signal) {
            outcome.signal = user_store(*mm_, who, address, static_cast<std::uint8_t>(operation.value)).signal;
        }
    }
    return outcome;
}

void ProcessWorld::file_operation(task_struct& who, const ProcessOperation& operation, OperationOutcome& outcome) {
    if (operation.op == "openfile") {
        if (!operation.file || files_.count(*operation.file) != 0) {
            throw Error{"openfile", "a file needs a number of its own"};
        }
        if (operation.kind != "tmpfs" && operation.kind != "ext4") {
            throw Error{"kind", "\"" + operation.kind + "\" is neither tmpfs nor ext4"};
        }
        const FileKind kind = operation.kind == "ext4" ? FileKind::ext4 : FileKind::tmpfs;
        files_[*operation.file] = mm_->new_file(kind, "file " + std::to_string(*operation.file));
    } else if (operation.op == "filewrite") {
        if (operation.offset % page_size != 0 || operation.count > most_accesses) {
            throw Error{"filewrite", "whole pages from a page boundary on"};
        }
        outcome.result = file_write(*mm_, who, file(operation), operation.offset, operation.count);
    } else if (operation.op == "ftruncate") {
        file_truncate(*mm_, file(operation), operation.len);
    } else if (operation.op == "fsync") {
        file_sync(*mm_, file(operation));
    } else if (operation.op == "dropcache") {
        drop_page_cache(*mm_, file(operation));
    } else {
        throw Error{"op", "\"" + operation.op + "\" is no operation that this program knows"};
    }
}

// Processes that the OOM killer took are gone when the operation is over.
void ProcessWorld::bury_killed() {
    for (std::size_t i = 0; i < processes_.size();) {
        if (processes_[i].task->oom_killed) {
            exit_process(*mm_, *processes_[i].task);
            processes_.erase(processes_.begin() + static_cast<std::ptrdiff_t>(i));
        } else {
            ++i;
        }
    }
}

OperationOutcome ProcessWorld::perform(const ProcessOperation& operation) {
    Mm& k = *mm_;
    task_struct& who = task(operation.proc);
    const std::string& op = operation.op;
    if (operation.count > most_accesses) {
        throw Error{"count", "more than " + std::to_string(most_accesses) + " accesses"};
    }
    if (op == "fork") {
        if (operation.child.empty() || std::any_of(processes_.begin(), processes_.end(),
                                                   [&](const Process& p) { return p.name == operation.child; })) {
            throw Error{"child", "it needs a name that no living process has"};
        }
        OperationOutcome outcome;
        if (task_struct* const child = fork_process(k, who, operation.child)) {
            processes_.push_back({operation.child, child});
        } else {
            outcome.result = -enomem;
        }
        bury_killed();
        return outcome;
    }
    if (op == "exit") {
        exit_process(k, who);
        std::erase_if(processes_, [&](const Process& process) { return process.task == &who; });
        return {};
    }
    const auto before = pages(operation.proc);
    const std::uint64_t minor = who.min_flt;
    const std::uint64_t major = who.maj_flt;
    OperationOutcome outcome;
    if (op == "read" || op == "write" || op == "rdwr" || op == "call") {
        outcome = access(who, operation);
    } else if (op == "kwrite") {
        outcome.result = static_cast<std::int64_t>(clear_user(k, who, VirtAddr{operation.addr}, operation.len));
    } else if (op == "kread") {
        outcome.result = static_cast<std::int64_t>(operation.len);  // /dev/null looks at nothing
    } else if (op == "mmap") {
        unsigned flags = parse_map_flags(operation.flags);
        std::shared_ptr<address_space> backing;
        if (operation.file) {
            backing = file(operation);
        } else {
            flags |= map::anonymous;
        }
        outcome.result = do_mmap(k, who, operation.addr, operation.len, parse_prot(operation.prot), flags, backing,
                                 operation.offset >> page_shift);
    } else if (op == "munmap") {
        outcome.result = do_munmap(k, who, operation.addr, operation.len);
    } else if (op == "mprotect") {
        outcome.result = do_mprotect(k, who, operation.addr, operation.len, parse_prot(operation.prot));
    } else if (op == "madvise") {
        outcome.result = do_madvise(k, who, operation.addr, operation.len, parse_advice(operation.advice));
    } else if (op == "mlock") {
        outcome.result = do_mlock(k, who, operation.addr, operation.len);
    } else if (op == "munlock") {
        outcome.result = do_munlock(k, who, operation.addr, operation.len);
    } else if (op == "mremap") {
        outcome.result = do_mremap(k, who, operation.addr, operation.len, operation.new_len, operation.remap_flags,
                                   operation.new_addr);
    } else if (op == "thp_off") {
        who.thp_disabled = operation.value != 0;
    } else if (op == "brk") {
        outcome.result = static_cast<std::int64_t>(do_brk(k, who, operation.addr));
    } else {
        file_operation(who, operation, outcome);
    }
    outcome.minflt = who.min_flt - minor;
    outcome.majflt = who.maj_flt - major;
    outcome.killed = who.oom_killed;
    bury_killed();
    if (!outcome.killed) {
        compare_pages(before, pages(operation.proc), outcome);
    }
    return outcome;
}

}  // namespace pgsim
