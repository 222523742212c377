// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "pgsim/kernel/mm.hpp"

/// The memory side of fork and exit. [linux-6.6 kernel/fork.c, mm/memory.c copy_page_range(), mm/mmap.c exit_mmap()]
/// [spec D.1, D.2, D.4]

namespace pgsim::kernel {

/// An empty address space. Null when memory is out.
[[nodiscard]] std::unique_ptr<mm_struct> mm_alloc(Mm& k);
/// dup_mm(): a copy of the task's address space. Null when memory is out; nothing is left behind then.
[[nodiscard]] std::unique_ptr<mm_struct> dup_mm(Mm& k, task_struct& parent);
/// exit_mmap(): everything that the address space holds goes.
void exit_mmap(Mm& k, mm_struct& mm);

}  // namespace pgsim::kernel
