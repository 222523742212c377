// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "pgsim/kernel/mm.hpp"

namespace pgsim::kernel {

/// out_of_memory(): the process with most pages is killed. Another process's memory is free at once; the current one
/// fails its allocation and dies when it leaves the kernel. Whether anything was killed. [linux-6.6 mm/oom_kill.c]
bool out_of_memory(Mm& k, gfp_t gfp, unsigned order);
/// oom_badness() of a task without adjustment, pages.
[[nodiscard]] std::int64_t oom_badness(const task_struct& task);

}  // namespace pgsim::kernel
