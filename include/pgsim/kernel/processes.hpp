// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "pgsim/kernel/mm.hpp"

/// Processes as a user sees them: accesses at CPL 3, and the system calls of memory. System calls return what the
/// kernel returns: a value or -errno.

namespace pgsim::kernel {

inline constexpr long enomem = 12;
inline constexpr long efault = 14;
inline constexpr long eexist = 17;
inline constexpr long einval = 22;
inline constexpr long eagain = 11;
inline constexpr long eacces = 13;

/// PROT_* and MAP_* as the system calls have them.
namespace prot {
inline constexpr unsigned read = 1;
inline constexpr unsigned write = 2;
inline constexpr unsigned exec = 4;
}  // namespace prot
namespace map {
inline constexpr unsigned shared = 0x01;
inline constexpr unsigned private_ = 0x02;
inline constexpr unsigned fixed = 0x10;
inline constexpr unsigned anonymous = 0x20;
inline constexpr unsigned growsdown = 0x100;
inline constexpr unsigned locked = 0x2000;
inline constexpr unsigned noreserve = 0x4000;
inline constexpr unsigned populate = 0x8000;
}  // namespace map
namespace mremap_flag {
inline constexpr unsigned maymove = 1;
inline constexpr unsigned fixed = 2;
inline constexpr unsigned dontunmap = 4;
}  // namespace mremap_flag

/// Advice to madvise(), by its number.
enum class Advice : std::uint8_t {
    normal = 0,
    random = 1,
    sequential = 2,
    willneed = 3,
    dontneed = 4,
    free = 8,
    remove = 9,
    dontfork = 10,
    dofork = 11,
    hugepage = 14,
    nohugepage = 15,
    dontdump = 16,
    dodump = 17,
    wipeonfork = 18,
    keeponfork = 19,
    cold = 20,
    pageout = 21,
    populate_read = 22,
    populate_write = 23,
};

/// Handlers of #PF and #GP: this kernel's.
void install_exception_handlers(Mm& k);

/// A process with an empty address space. @throws Error  when there is not even memory for that
task_struct& create_process(Mm& k, std::string name);
/// fork(): null when memory is out.
task_struct* fork_process(Mm& k, task_struct& parent, std::string name);
/// The process ends and is waited for.
void exit_process(Mm& k, task_struct& task);
void end_all_processes(Mm& k);
/// `task` runs from now on.
void switch_to(Mm& k, task_struct& task);

/// What a user-mode access came to.
struct UserAccess {
    std::uint64_t value = 0;            ///< of a load
    std::optional<FaultSignal> signal;  ///< the access was not made
};
UserAccess user_load(Mm& k, task_struct& task, VirtAddr address);
UserAccess user_store(Mm& k, task_struct& task, VirtAddr address, std::uint8_t value);
UserAccess user_fetch(Mm& k, task_struct& task, VirtAddr address);
/// The kernel writes zeros to user memory, as read(2) from /dev/zero does. Bytes written: fewer than wanted at a bad
/// address.
std::uint64_t clear_user(Mm& k, task_struct& task, VirtAddr address, std::uint64_t bytes);

long do_mmap(Mm& k, task_struct& task, std::uint64_t address, std::uint64_t length, unsigned prot, unsigned flags,
             std::shared_ptr<address_space> file, std::uint64_t pgoff);
long do_munmap(Mm& k, task_struct& task, std::uint64_t address, std::uint64_t length);
long do_mprotect(Mm& k, task_struct& task, std::uint64_t address, std::uint64_t length, unsigned prot);
long do_mremap(Mm& k, task_struct& task, std::uint64_t address, std::uint64_t old_length, std::uint64_t new_length,
               unsigned flags, std::uint64_t new_address);
long do_madvise(Mm& k, task_struct& task, std::uint64_t address, std::uint64_t length, Advice advice);
long do_mlock(Mm& k, task_struct& task, std::uint64_t address, std::uint64_t length);
long do_munlock(Mm& k, task_struct& task, std::uint64_t address, std::uint64_t length);
/// brk(): the new break, or the old one.
std::uint64_t do_brk(Mm& k, task_struct& task, std::uint64_t address);

/// write(2) of whole pages: they are in the page cache afterwards. -ENOMEM when memory is out.
long file_write(Mm& k, task_struct& task, const std::shared_ptr<address_space>& file, std::uint64_t offset,
                std::uint64_t pages);
void file_truncate(Mm& k, const std::shared_ptr<address_space>& file, std::uint64_t length);
/// Writes dirty pages of a disk file to the disk. (fsync)
void file_sync(Mm& k, const std::shared_ptr<address_space>& file);
/// Drops clean pages that nobody maps. (/proc/sys/vm/drop_caches 1)
void drop_page_cache(Mm& k, const std::shared_ptr<address_space>& file);

}  // namespace pgsim::kernel
