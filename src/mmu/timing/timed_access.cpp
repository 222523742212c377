// SPDX-License-Identifier: GPL-2.0-only
// A translation on the caches of a core, each step of it charged. The rules are those of `Mmu::access`.
#include "pgsim/mmu/mmu.hpp"

namespace pgsim {

namespace {

void charge_steps(TimingModel& model, const WalkResult& walk, std::optional<Level> below) {
    for (const WalkStep& step : walk.steps()) {
        const Entry entry = step.entry;
        const bool in_register = entry.format() == EntryFormat::pae && entry.level() == Level::pdpt;
        if (!in_register && (!below || entry.level() <= *below)) {
            model.reference(step.entry_addr);
        }
    }
}

}  // namespace

WalkResult Mmu::timed_translation(PhysicalMemory& memory, VirtAddr virt, Access access) {
    const VirtAddr linear = strip_metadata(controls_, virt, access);
    if (controls_.mode == PagingMode::none || check_address(controls_, linear, access)) {
        return walker(memory).walk(virt, access);
    }
    const CachedPage page = timing_->lookup(linear, pcid_, access);
    if (auto hit = from_entry(page, memory, virt, linear, access)) {
        ++statistics_.tlb_hits;
        return *hit;
    }
    WalkResult result = timed_walk(memory, virt, linear, access);
    finish_walk(memory, result);
    return result;
}

WalkResult Mmu::timed_walk(PhysicalMemory& memory, VirtAddr virt, VirtAddr linear, Access access) {
    const Walker& rules = walker(memory);
    const std::optional<WalkStart> start = timing_->start_walk(linear, pcid_, access);
    if (start && policy_ == CachePolicy::on) {
        WalkResult partial = rules.walk_from(*start, linear, access);
        charge_steps(*timing_, partial, std::nullopt);
        if (partial.translation() != nullptr) {
            ++statistics_.structure_hits;
            return partial;
        }
        // What the cached entry led to is no reason to fault: the processor walks again from the root.
        timing_->restart_walk();
        WalkResult full = rules.walk(virt, access);
        charge_steps(*timing_, full, std::nullopt);
        return full;
    }
    // Strict: the whole path is read to be sure of it, and costs what the cached entry leaves to be read.
    WalkResult full = rules.walk(virt, access);
    charge_steps(*timing_, full, start ? std::optional{start->level} : std::nullopt);
    return full;
}

}  // namespace pgsim
