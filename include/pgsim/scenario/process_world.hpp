// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pgsim/kernel/mm.hpp"
#include "pgsim/kernel/processes.hpp"

namespace pgsim {

class Boot;
class BootedKernel;

/// One operation of one process. Only the members that `op` names matter; see perform().
struct ProcessOperation {
    std::string proc = "P";
    std::string op;
    std::uint64_t addr = 0;
    std::uint64_t len = 0;
    std::uint64_t count = 1;
    std::uint64_t stride = 0x1000;
    std::uint64_t value = 1;
    std::string prot;   ///< none r w rw rx rwx x …
    std::string flags;  ///< of mmap: private|anon|fixed|…
    std::optional<std::uint64_t> file;
    std::uint64_t offset = 0;
    std::string kind;    ///< of openfile: tmpfs, ext4
    std::string advice;  ///< of madvise: dontneed, hugepage, …
    std::string child;   ///< of fork
    std::uint64_t new_len = 0;
    std::uint64_t new_addr = 0;
    unsigned remap_flags = 0;
};

/// What an operation did to the process that made it. [fault-counts README]
struct OperationOutcome {
    std::uint64_t minflt = 0;
    std::uint64_t majflt = 0;
    std::optional<kernel::FaultSignal> signal;
    std::uint64_t pages_became_present = 0;
    std::uint64_t pages_no_longer_present = 0;
    std::uint64_t pages_frame_changed = 0;
    std::int64_t result = 0;           ///< of a system call: the value, or -errno
    std::vector<std::uint8_t> loaded;  ///< what reads loaded, at most the first 16 bytes
    bool killed = false;               ///< the OOM killer took the process
};

/// One process as it stands. Counts are 4-KByte pages. [fault-counts README]
struct ProcessState {
    std::uint64_t pgtable_pages = 0;
    std::uint64_t present = 0;
    std::uint64_t rss = 0;
    std::uint64_t zero_page = 0;
    std::uint64_t anon = 0;
    std::uint64_t swap = 0;
    std::uint64_t exclusive = 0;
    std::uint64_t pfn_shared_with_others = 0;
    std::uint64_t thp = 0;
    std::uint64_t vmas = 0;
};

/// The kernel under the processes: one built by hand, or that of a boot.
class RunningKernel {
public:
    template <class Kernel>
    explicit RunningKernel(std::shared_ptr<Kernel> of)
        : machine_{&of->machine()},
          memory_{&of->memory()},
          state_{&of->state()},
          buddy_{&of->buddy()},
          init_top_pgt_{of->init_top_pgt()},
          zero_page_{of->zero_page()},
          lists_{of->lists()},
          owner_{std::move(of)} {}

    [[nodiscard]] Machine& machine() const noexcept { return *machine_; }
    [[nodiscard]] kernel::KernelMemory& memory() const noexcept { return *memory_; }
    [[nodiscard]] kernel::KernelState& state() const noexcept { return *state_; }
    [[nodiscard]] kernel::Buddy& buddy() const noexcept { return *buddy_; }
    /// swapper_pg_dir.
    [[nodiscard]] PhysAddr init_top_pgt() const noexcept { return init_top_pgt_; }
    [[nodiscard]] Pfn zero_page() const noexcept { return zero_page_; }
    [[nodiscard]] VirtAddr lists() const noexcept { return lists_; }

private:
    Machine* machine_;
    kernel::KernelMemory* memory_;
    kernel::KernelState* state_;
    kernel::Buddy* buddy_;
    PhysAddr init_top_pgt_;
    Pfn zero_page_;
    VirtAddr lists_;
    std::shared_ptr<void> owner_;
};

/// A simulated machine with processes that have names, and files that have numbers. The first process is P.
class ProcessWorld {
public:
    struct Options {
        std::uint64_t memory_bytes = std::uint64_t{1} << 30;
        std::uint64_t free_bytes = 0;  ///< 0: all of it
        bool five_levels = false;
        bool pcp = true;
        kernel::MmSetup mm;
    };
    explicit ProcessWorld(const Options& options);
    ProcessWorld() : ProcessWorld{Options{}} {}
    /// On the machine of a boot, with the boot's tables in the kernel half and memory from its allocator; of the
    /// options only `mm` and `pcp` matter. @throws Error  when the boot did not come to buddy.exit, or is of another
    ///                                                     series than 6.6, which these processes are of
    ProcessWorld(const Boot& boot, const Options& options);
    ~ProcessWorld();
    ProcessWorld(const ProcessWorld&) = delete;
    ProcessWorld& operator=(const ProcessWorld&) = delete;

    /// Does it. @throws Error  for an unknown operation, process or file, and for arguments that make no sense; nothing
    ///                         has changed then
    OperationOutcome perform(const ProcessOperation& operation);

    /// The living processes by name, in the order of their birth.
    [[nodiscard]] std::vector<std::string> processes() const;
    [[nodiscard]] ProcessState state(const std::string& name) const;
    [[nodiscard]] kernel::task_struct& task(const std::string& name) const;

    [[nodiscard]] kernel::Mm& mm() noexcept { return *mm_; }
    [[nodiscard]] const RunningKernel& kernel() const noexcept { return kernel_; }

    /// One page that a process sees.
    struct PageView {
        std::uint64_t pfn = 0;
        bool present = false;  ///< else a swap entry
        bool huge = false;     ///< part of a 2-MByte mapping
        bool writable = false;
        std::uint64_t entry = 0;  ///< the entry's value
    };
    /// All pages of a process, by address, from its tables.
    [[nodiscard]] std::map<std::uint64_t, PageView> pages(const std::string& name) const;

private:
    struct Process {
        std::string name;
        kernel::task_struct* task;
    };
    OperationOutcome access(kernel::task_struct& task, const ProcessOperation& operation);
    void file_operation(kernel::task_struct& task, const ProcessOperation& operation, OperationOutcome& outcome);
    [[nodiscard]] std::shared_ptr<kernel::address_space> file(const ProcessOperation& operation) const;
    void bury_killed();

    ProcessWorld(const std::shared_ptr<BootedKernel>& kernel, const kernel::MmSetup& setup);
    ProcessWorld(RunningKernel kernel, std::uint64_t kernel_pages, const kernel::MmSetup& setup);

    RunningKernel kernel_;
    std::map<std::uint64_t, std::shared_ptr<kernel::address_space>> files_;
    std::unique_ptr<kernel::Mm> mm_;
    std::vector<Process> processes_;
};

}  // namespace pgsim
