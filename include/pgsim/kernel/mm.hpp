// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pgsim/kernel/buddy.hpp"
#include "pgsim/kernel/kernel_state.hpp"
#include "pgsim/kernel/mm_types.hpp"
#include "pgsim/kernel/pgtable_context.hpp"
#include "pgsim/machine/machine.hpp"

namespace pgsim::kernel {

/// One step of a fault or a system call, for people: the function passed and what it decided there.
struct TraceStep {
    std::string function;
    std::string what;
    Cycles at{};  ///< the machine's clock then
};

/// A TLB flush that a run leaves out, to show what then goes wrong.
enum class LeftOutFlush : std::uint8_t { none, fork, munmap, mprotect, copy_on_write };

/// How transparent huge pages are set in sysfs.
enum class ThpSetting : std::uint8_t { never, madvise, always };

struct MmSetup {
    ThpSetting thp = ThpSetting::madvise;
    bool use_zero_page = true;  ///< huge zero page for read faults
    unsigned fault_around_pages = 16;
    unsigned swappiness = 60;
    std::uint64_t swap_slots = 0;  ///< pages of the swap area; 0: none
    bool vma_lock = true;          ///< CONFIG_PER_VMA_LOCK
    LeftOutFlush left_out = LeftOutFlush::none;
};

/// One per-CPU batch of folios on their way to the LRU. [spec M-E6]
struct FolioBatch {
    std::vector<std::uint64_t> folios;
};
inline constexpr std::size_t pagevec_size = 15;

enum class LruList : std::uint8_t { inactive_anon = 0, active_anon, inactive_file, active_file, unevictable };
inline constexpr unsigned nr_lru_lists = 5;

/// struct lruvec of a node; the list heads lie in simulated memory.
struct LruVec {
    VirtAddr lists;  ///< heads: two pointers each
    std::array<std::uint64_t, nr_lru_lists> nr_pages{};
    std::uint64_t anon_cost = 0;
    std::uint64_t file_cost = 0;
    std::uint64_t nonresident_age = 0;
    std::array<std::uint64_t, 2> refaults{};         ///< WORKINGSET_ACTIVATE anon, file
    std::array<std::uint64_t, 2> refaults_at_end{};  ///< when the last reclaim ended
};

/// The swap area. [spec M-E20]
struct SwapInfo {
    std::vector<std::uint8_t> swap_map;                        ///< by slot; 0x40: has cache; slot 0 is the header
    std::vector<std::vector<std::byte>> slots;                 ///< contents written; empty: nothing yet
    std::unordered_map<std::uint64_t, std::uint64_t> cache;    ///< swap cache: offset -> frame
    std::unordered_map<std::uint64_t, std::uint64_t> shadows;  ///< offset -> age at eviction
    std::uint64_t next = 1;                                    ///< where the search for a free slot begins
    std::uint64_t free_slots = 0;
    std::uint64_t total = 0;
};

/// What happened, counted as /proc/vmstat does.
struct VmStat {
    std::uint64_t pgfault = 0, pgmajfault = 0, pgreuse = 0, pswpin = 0, pswpout = 0, pgsteal_kswapd = 0,
                  pgsteal_direct = 0, pgscan_kswapd = 0, pgscan_direct = 0, pgactivate = 0, pgdeactivate = 0,
                  pgrefill = 0, pgrotated = 0, pgfree = 0, thp_fault_alloc = 0, thp_fault_fallback = 0,
                  thp_split_pmd = 0, thp_split_page = 0, workingset_refault = 0, workingset_activate = 0,
                  workingset_restore = 0, oom_kill = 0, tlb_flush_pages = 0, tlb_flush_all = 0, kswapd_wakeups = 0,
                  vma_lock_success = 0, vma_lock_abort = 0, vma_lock_retry = 0;
};

/// Memory management of a running kernel: processes, their address spaces, the page cache, reclaim. The ported
/// functions are free functions over it, named as in the kernel; page tables and struct pages lie in simulated memory.
class Mm {
public:
    /// @param machine, memory, state, buddy  outlive this object
    /// @param init_top_pgt  swapper_pg_dir: the kernel half of every process
    /// @param lists         2 KiB in the direct map for list heads
    Mm(Machine& machine, KernelMemory& memory, const KernelState& state, Buddy& buddy, PhysAddr init_top_pgt,
       Pfn zero_page, VirtAddr lists, const MmSetup& setup = {});
    ~Mm();
    Mm(const Mm&) = delete;
    Mm& operator=(const Mm&) = delete;

    Machine& machine;
    KernelMemory& memory;
    const KernelState& state;
    Buddy& buddy;
    const PageAccess& pages;
    Pgtable pt;
    MmSetup setup;
    PhysAddr init_top_pgt;
    std::uint64_t zero_pfn = 0;
    std::uint64_t huge_zero_pfn = 0;  ///< 0: not allocated
    std::uint64_t huge_zero_refcount = 0;

    std::list<task_struct> tasks;
    task_struct* current = nullptr;
    mm_struct* loaded_mm = nullptr;  ///< whose tables CR3 names; null: the kernel's own
    /// What to do with a signal that a fault raises; the default remembers the last one.
    std::optional<FaultSignal> pending_signal;

    FolioBatch lru_add;
    LruVec lruvec;
    SwapInfo swap;
    VmStat vmstat;
    std::unique_ptr<PageReclaimer> reclaim;
    std::uint64_t kernel_pages = 0;  ///< pages from the allocator that the kernel itself holds for good
    std::uint64_t nr_deferred_split = 0;
    VirtAddr split_queue;  ///< head of the deferred split list

    /// Set: each step of a port is reported.
    std::function<void(const TraceStep&)> trace;
    void pass(std::string_view function, std::string_view what = {}) {
        if (trace) [[unlikely]] {
            trace({std::string{function}, std::string{what}, machine.now()});
        }
    }
    [[nodiscard]] bool tracing() const noexcept { return static_cast<bool>(trace); }

    // objects whose addresses stand in page->mapping
    [[nodiscard]] anon_vma* new_anon_vma();
    void free_anon_vma(anon_vma* object);
    [[nodiscard]] anon_vma* anon_vma_at(std::uint64_t mapping) const;
    [[nodiscard]] std::shared_ptr<address_space> new_file(FileKind kind, std::string name);
    [[nodiscard]] address_space* file_at(std::uint64_t mapping) const;
    template <class F>
    void for_each_file(F&& f) const {
        for (const address_space* const file : files_) {
            if (file != nullptr) {
                f(*file);
            }
        }
    }

private:
    std::uint64_t object_base_;
    std::vector<std::unique_ptr<anon_vma>> anon_vmas_;
    std::vector<std::size_t> free_anon_vmas_;
    std::vector<address_space*> files_;
    std::vector<std::uint64_t> free_files_;
};

}  // namespace pgsim::kernel
