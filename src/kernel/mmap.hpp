// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "pgsim/kernel/processes.hpp"

/// What the system calls on areas share. [linux-6.6 mm/mmap.c, mm/gup.c]

namespace pgsim::kernel {

/// do_vmi_munmap(): splits at both ends, unmaps, frees tables.
long unmap_area(Mm& k, mm_struct& mm, std::uint64_t start, std::uint64_t end);
/// __mm_populate(): faults in what lies in the range, as a caller that touches it. [spec M-D27]
/// @param ignore_errors  goes on with the next area after a page that cannot be had. Else 0 or -errno.
long mm_populate(Mm& k, task_struct& task, std::uint64_t start, std::uint64_t end, bool ignore_errors = true);
/// One range of one area, with write faults if `write`. False at the first page that cannot be had.
bool populate_range(Mm& k, vm_area_struct& vma, std::uint64_t start, std::uint64_t end, bool write);
/// Top-down search below mmap_base. 0 when there is no room.
[[nodiscard]] std::uint64_t get_unmapped_area(const Mm& k, mm_struct& mm, std::uint64_t length);
/// madvise_vma and mprotect and mlock: gives [start, end) of `vma` new flags, splitting and joining areas.
vm_area_struct& change_flags(Mm& k, vm_area_struct& vma, std::uint64_t start, std::uint64_t end, std::uint64_t flags);
[[nodiscard]] constexpr std::uint64_t page_align(std::uint64_t length) noexcept {
    return (length + page_size - 1) & page_mask;
}

}  // namespace pgsim::kernel
