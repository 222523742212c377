// SPDX-License-Identifier: GPL-2.0-only
#include "oom.hpp"

#include "memory.hpp"

namespace pgsim::kernel {

std::int64_t oom_badness(const task_struct& task) {
    const mm_struct& mm = *task.mm;
    return mm.counter(MmCounter::file) + mm.counter(MmCounter::anon) + mm.counter(MmCounter::shmem) +
           mm.counter(MmCounter::swapents) + mm.pgtables_bytes / static_cast<std::int64_t>(page_size);
}

bool out_of_memory(Mm& k, gfp_t gfp, unsigned order) {
    (void)gfp;
    (void)order;
    task_struct* victim = nullptr;
    std::int64_t worst = -1;
    for (task_struct& task : k.tasks) {
        if (task.oom_killed) {
            if (&task == k.current) {
                return false;  // it is on its way out already
            }
            continue;
        }
        if (const std::int64_t points = oom_badness(task); points > worst) {
            worst = points;
            victim = &task;
        }
    }
    if (victim == nullptr) {
        return false;
    }
    victim->oom_killed = true;
    ++k.vmstat.oom_kill;
    k.pass("oom_kill_process", victim->comm);
    if (victim == k.current) {
        return false;
    }
    // The OOM reaper: private memory goes now, the rest when the process ends.
    for (auto& [start, vma] : victim->mm->mm_mt) {
        if (!vma->has(vm::shared | vm::locked)) {
            zap_page_range(k, *vma, vma->vm_start, vma->vm_end);
        }
    }
    return true;
}

}  // namespace pgsim::kernel
