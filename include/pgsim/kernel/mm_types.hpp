// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "pgsim/base/address.hpp"
#include "pgsim/kernel/pgtable_64.hpp"
#include "pgsim/kernel/pgtable_types.hpp"

/// The objects of memory management that the slab allocator would hold: address spaces, their areas, reverse mapping,
/// files. Named as in the kernel. [linux-6.6 include/linux/mm_types.h, rmap.h, fs.h]

namespace pgsim::kernel {

/// VM_*: flags of an area. [linux-6.6 include/linux/mm.h]
namespace vm {
inline constexpr std::uint64_t read = 0x1;
inline constexpr std::uint64_t write = 0x2;
inline constexpr std::uint64_t exec = 0x4;
inline constexpr std::uint64_t shared = 0x8;
inline constexpr std::uint64_t mayread = 0x10;
inline constexpr std::uint64_t maywrite = 0x20;
inline constexpr std::uint64_t mayexec = 0x40;
inline constexpr std::uint64_t mayshare = 0x80;
inline constexpr std::uint64_t growsdown = 0x100;
inline constexpr std::uint64_t pfnmap = 0x400;
inline constexpr std::uint64_t locked = 0x2000;
inline constexpr std::uint64_t io = 0x4000;
inline constexpr std::uint64_t seq_read = 0x8000;
inline constexpr std::uint64_t rand_read = 0x1'0000;
inline constexpr std::uint64_t dontcopy = 0x2'0000;
inline constexpr std::uint64_t dontexpand = 0x4'0000;
inline constexpr std::uint64_t lockonfault = 0x8'0000;
inline constexpr std::uint64_t account = 0x10'0000;
inline constexpr std::uint64_t noreserve = 0x20'0000;
inline constexpr std::uint64_t wipeonfork = 0x200'0000;
inline constexpr std::uint64_t dontdump = 0x400'0000;
inline constexpr std::uint64_t hugepage = 0x2000'0000;
inline constexpr std::uint64_t nohugepage = 0x4000'0000;
inline constexpr std::uint64_t access_flags = read | write | exec;
}  // namespace vm

struct mm_struct;
struct vm_area_struct;

/// What pages of one origin have in common: the areas that may map them. [linux-6.6 include/linux/rmap.h]
struct anon_vma {
    std::uint64_t address = 0;  ///< of the object: what page->mapping holds, plus 1
    anon_vma* root = nullptr;
    anon_vma* parent = nullptr;
    unsigned num_children = 0;           ///< the root counts itself
    unsigned num_active_vmas = 0;        ///< areas whose anon_vma it is
    std::vector<vm_area_struct*> areas;  ///< linked through their chains
};

/// What a file's methods do. [fault-counts README, openfile]
enum class FileKind : std::uint8_t {
    tmpfs,  ///< shmem: no page_mkwrite, no dirty accounting; holes are filled on a fault
    ext4,   ///< page_mkwrite and write notification; pages come from a disk
};

/// The page cache of one file. [linux-6.6 include/linux/fs.h struct address_space]
struct address_space {
    std::uint64_t address = 0;  ///< of the object: what page->mapping holds
    std::string name;
    FileKind kind = FileKind::tmpfs;
    std::uint64_t i_size = 0;                                  ///< bytes
    std::unordered_map<std::uint64_t, std::uint64_t> pages;    ///< index -> frame
    std::unordered_map<std::uint64_t, std::uint64_t> shadows;  ///< index -> age at eviction [spec M-E21]
    std::unordered_map<std::uint64_t, swp_entry_t> swapped;    ///< tmpfs: index -> place in the swap area
    /// What the disk holds: index -> the first byte of each 8 of the page; absent pages read as zero.
    std::unordered_map<std::uint64_t, std::vector<std::byte>> disk;
    std::vector<vm_area_struct*> i_mmap;  ///< areas that map the file

    [[nodiscard]] bool has_page_mkwrite() const noexcept { return kind == FileKind::ext4; }
    [[nodiscard]] std::uint64_t size_in_pages() const noexcept { return (i_size + page_size - 1) >> page_shift; }
};

struct vm_area_struct {
    std::uint64_t vm_start = 0;
    std::uint64_t vm_end = 0;
    mm_struct* vm_mm = nullptr;
    pgprot_t vm_page_prot;
    std::uint64_t vm_flags = 0;
    std::uint64_t vm_pgoff = 0;              ///< pages; of an anonymous area that never moved: vm_start / 4096
    std::shared_ptr<address_space> vm_file;  ///< null: anonymous
    kernel::anon_vma* anon_vma = nullptr;
    std::vector<kernel::anon_vma*> anon_vma_chain;

    [[nodiscard]] std::uint64_t pages() const noexcept { return (vm_end - vm_start) >> page_shift; }
    [[nodiscard]] bool is_anonymous() const noexcept { return vm_file == nullptr; }
    [[nodiscard]] bool has(std::uint64_t flags) const noexcept { return (vm_flags & flags) != 0; }
    /// vma_is_accessible().
    [[nodiscard]] bool is_accessible() const noexcept { return has(vm::access_flags); }
    /// linear_page_index().
    [[nodiscard]] std::uint64_t page_index(std::uint64_t address) const noexcept {
        return ((address - vm_start) >> page_shift) + vm_pgoff;
    }
    /// is_cow_mapping().
    [[nodiscard]] bool is_cow() const noexcept { return (vm_flags & (vm::shared | vm::maywrite)) == vm::maywrite; }
};

/// What rss_stat counts. [linux-6.6 include/linux/mm_types_task.h]
enum class MmCounter : std::uint8_t { file = 0, anon = 1, swapents = 2, shmem = 3 };

struct mm_struct {
    pgd_ptr pgd;
    std::uint64_t pgd_pfn = 0;
    std::map<std::uint64_t, std::unique_ptr<vm_area_struct>> mm_mt;  ///< by vm_start
    std::array<std::int64_t, 4> rss_stat{};
    std::int64_t pgtables_bytes = 0;
    std::uint64_t total_vm = 0;   ///< pages
    std::uint64_t locked_vm = 0;  ///< pages
    std::uint64_t brk_start = 0;
    std::uint64_t brk = 0;
    std::uint64_t mmap_base = 0;
    vm_area_struct* last_found = nullptr;
    std::vector<std::uint64_t> deposits;  ///< page tables that wait below huge pmds: pmd_huge_pte

    [[nodiscard]] std::int64_t counter(MmCounter which) const noexcept {
        return rss_stat[static_cast<std::size_t>(which)];
    }
    void add_counter(MmCounter which, std::int64_t by) noexcept { rss_stat[static_cast<std::size_t>(which)] += by; }
};

/// A signal that a fault sent. [spec M-F8]
struct FaultSignal {
    int signo = 0;
    int si_code = 0;
    std::uint64_t si_addr = 0;
    friend bool operator==(const FaultSignal&, const FaultSignal&) = default;
};

inline constexpr int sigbus = 7;
inline constexpr int sigkill = 9;
inline constexpr int sigsegv = 11;
inline constexpr int segv_maperr = 1;
inline constexpr int segv_accerr = 2;
inline constexpr int segv_pkuerr = 4;
inline constexpr int si_kernel = 128;
inline constexpr int bus_adrerr = 2;

struct task_struct {
    std::string comm;
    std::unique_ptr<mm_struct> mm;
    std::uint64_t min_flt = 0;
    std::uint64_t maj_flt = 0;
    bool thp_disabled = false;  ///< prctl(PR_SET_THP_DISABLE)
    bool oom_killed = false;
    std::uint64_t rlimit_stack = 8 << 20;
    task_struct* parent = nullptr;
};

/// VM_FAULT_*. [spec M-F22]
namespace fault_ret {
inline constexpr unsigned oom = 1;
inline constexpr unsigned sigbus = 2;
inline constexpr unsigned major = 4;
inline constexpr unsigned hwpoison = 0x10;
inline constexpr unsigned hwpoison_large = 0x20;
inline constexpr unsigned sigsegv = 0x40;
inline constexpr unsigned nopage = 0x100;
inline constexpr unsigned locked = 0x200;
inline constexpr unsigned retry = 0x400;
inline constexpr unsigned fallback = 0x800;
inline constexpr unsigned done_cow = 0x1000;
inline constexpr unsigned completed = 0x4000;
inline constexpr unsigned error = oom | sigbus | sigsegv | hwpoison | hwpoison_large | fallback;
}  // namespace fault_ret

/// FAULT_FLAG_*. [spec M-F22]
namespace fault_flag {
inline constexpr unsigned write = 1;
inline constexpr unsigned mkwrite = 2;
inline constexpr unsigned allow_retry = 4;
inline constexpr unsigned killable = 0x10;
inline constexpr unsigned tried = 0x20;
inline constexpr unsigned user = 0x40;
inline constexpr unsigned remote = 0x80;
inline constexpr unsigned instruction = 0x100;
inline constexpr unsigned interruptible = 0x200;
inline constexpr unsigned unshare = 0x400;
inline constexpr unsigned vma_lock = 0x1000;
}  // namespace fault_flag

}  // namespace pgsim::kernel
