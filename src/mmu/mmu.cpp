// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/mmu/mmu.hpp"

#include "access_rules.hpp"

namespace pgsim {

namespace {

/// While it lives, writes to memory are the MMU's in the journal.
class MmuOrigin {
public:
    explicit MmuOrigin(WriteJournal* journal) : journal_{journal} {
        if (journal_ != nullptr) {
            outer_ = journal_->current_origin();
            journal_->set_origin({"MMU", {}, {}});
        }
    }
    MmuOrigin(const MmuOrigin&) = delete;
    MmuOrigin& operator=(const MmuOrigin&) = delete;
    ~MmuOrigin() {
        if (journal_ != nullptr) {
            journal_->set_current_origin(outer_);
        }
    }

private:
    WriteJournal* journal_;
    std::uint32_t outer_ = 0;
};

bool ia32e(PagingMode mode) noexcept {
    return mode == PagingMode::four_level || mode == PagingMode::five_level;
}

}  // namespace

Mmu::Mmu() = default;
Mmu::~Mmu() = default;
Mmu::Mmu(Mmu&&) noexcept = default;
Mmu& Mmu::operator=(Mmu&&) noexcept = default;

void Mmu::set_core(const std::optional<CoreDescription>& core) {
    forget_lean();
    timing_ = core ? std::make_unique<TimingModel>(*core) : nullptr;
    flush({TranslationFlush::Scope::all, 0});
    if (timing_) {
        timing_->switch_pcid(pcid_);
    }
}

void Mmu::switch_pcid(std::uint16_t pcid) {
    pcid_ = pcid;
    if (timing_) {
        timing_->switch_pcid(pcid);
    }
}

void Mmu::set_policy(CachePolicy policy) {
    forget_lean();
    policy_ = policy;
    flush({TranslationFlush::Scope::all, 0});
}

std::optional<PhysAddr> Mmu::try_tlb(VirtAddr virt, Access access) noexcept {
    if (policy_ != CachePolicy::on || controls_.mode == PagingMode::none || timing_) {
        return std::nullopt;
    }
    const VirtAddr linear = strip_metadata(controls_, virt, access);
    if (check_address(controls_, linear, access)) {
        return std::nullopt;
    }
    const CachedPage page = tlb_.find(linear, pcid_);
    if (!page || (access.writes() && !page.dirty())) {
        return std::nullopt;
    }
    if (detail::violation(controls_, {page.rights(), page.shadow_stack(), page.protection_key()}, access)) {
        return std::nullopt;
    }
    ++statistics_.accesses;
    ++statistics_.tlb_hits;
    return page.at(linear);
}

std::optional<WalkResult> Mmu::from_tlb(const PhysicalMemory& memory, VirtAddr virt, Access access) {
    const VirtAddr linear = strip_metadata(controls_, virt, access);
    if (policy_ == CachePolicy::off || check_address(controls_, linear, access)) {
        return std::nullopt;
    }
    return from_entry(tlb_.find(linear, pcid_), memory, virt, linear, access);
}

std::optional<WalkResult> Mmu::from_entry(CachedPage page, const PhysicalMemory& memory, VirtAddr virt, VirtAddr linear,
                                          Access access) {
    if (!page || (access.writes() && !page.dirty())) {
        return std::nullopt;
    }
    if (detail::violation(controls_, {page.rights(), page.shadow_stack(), page.protection_key()}, access)) {
        // A processor may fault on what the TLB says; ours walks again, which is always allowed.
        return std::nullopt;
    }
    WalkResult result;
    result.virt_ = linear;
    result.access_ = access;
    result.outcome_ = page.translation(linear, TranslationSource::tlb);
    if (policy_ == CachePolicy::strict) {
        const WalkResult fresh = QuietWalker{QuietMemory{memory}, controls_}.walk(virt, access);
        const Translation* const now = fresh.translation();
        const Translation& cached = *result.translation();
        if (now == nullptr || fresh.updates_flags() || now->phys != cached.phys || now->rights != cached.rights ||
            now->page_size != cached.page_size || now->protection_key != cached.protection_key) {
            ++statistics_.stale_refused;
            return std::nullopt;
        }
    }
    return result;
}

WalkResult Mmu::walk(PhysicalMemory& memory, VirtAddr virt, Access access) {
    const Walker& rules = walker(memory);
    if (policy_ == CachePolicy::on && ia32e(controls_.mode)) {
        const VirtAddr linear = strip_metadata(controls_, virt, access);
        if (!check_address(controls_, linear, access)) {
            if (const auto start = structures_.find(linear, pcid_)) {
                WalkResult partial = rules.walk_from(*start, linear, access);
                if (partial.translation() != nullptr) {
                    ++statistics_.structure_hits;
                    return partial;
                }
            }
        }
    }
    return rules.walk(virt, access);
}

WalkResult Mmu::access(PhysicalMemory& memory, VirtAddr virt, Access access) {
    ++statistics_.accesses;
    if (timing_) {
        timing_->begin();
        const WalkResult result = timed_translation(memory, virt, access);
        if (const Translation* const translation = result.translation()) {
            timing_->data(translation->phys, access);
        }
        timing_->end();
        return result;
    }
    if (controls_.mode == PagingMode::none) {
        return Walker{memory, controls_}.walk(virt, access);
    }
    if (auto hit = from_tlb(memory, virt, access)) {
        ++statistics_.tlb_hits;
        return *hit;
    }
    WalkResult result = walk(memory, virt, access);
    finish_walk(memory, result);
    return result;
}

void Mmu::finish_walk(PhysicalMemory& memory, const WalkResult& walk) {
    ++statistics_.walks;
    statistics_.walk_steps += walk.count_;
    if (walk.updates_flags()) {
        const MmuOrigin origin{memory.journal()};
        apply_flag_updates(memory, walk);
        const std::size_t updates = walk.flag_updates().count;
        statistics_.flag_updates += updates;
        if (timing_) {
            timing_->set_flags(updates);
        }
    }
    if (policy_ != CachePolicy::off) {
        fill(walk);
    }
}

void Mmu::fill(const WalkResult& walk) {
    if (const Translation* const t = walk.translation()) {
        const CachedPage page = CachedPage::make(t->phys.align_down(bytes(t->page_size)), *t, walk.shadow_stack_);
        if (timing_) {
            timing_->fill(walk.virt(), pcid_, page, walk.access());
        } else {
            tlb_.insert(walk.virt(), pcid_, page);
        }
    }
    if (!ia32e(controls_.mode) || walk.count_ == 0) {
        return;
    }
    // Each entry but the last named the table of the next; its accessed flag is set by now, unless the walk faulted on
    // a processor that leaves it clear then: such an entry may not be cached.
    for (unsigned i = 0; i + 1 < walk.count_; ++i) {
        const WalkStep& step = walk.steps_[i];
        const bool accessed = step.entry.has(EntryFlag::a) || (walk.accessed_ >> i & 1) != 0;
        if (!accessed) {
            return;
        }
        const WalkStep& next = walk.steps_[i + 1];
        const CachedTable table = CachedTable::make(next.entry_addr.align_down(4096), step.rights);
        if (timing_) {
            timing_->fill_structure(step.entry.level(), walk.virt(), pcid_, table);
        } else {
            structures_.insert(step.entry.level(), walk.virt(), pcid_, table);
        }
    }
}

void Mmu::invalidate_page(VirtAddr virt) {
    ++statistics_.invalidations;
    tlb_.invalidate_page(virt, pcid_, true);
    structures_.invalidate_pcid(pcid_);
    if (timing_) {
        timing_->invalidate_page(virt, pcid_, true);
    }
}

void Mmu::invalidate_page(VirtAddr virt, std::uint16_t pcid) {
    ++statistics_.invalidations;
    tlb_.invalidate_page(virt, pcid, false);
    structures_.invalidate_pcid(pcid);
    if (timing_) {
        timing_->invalidate_page(virt, pcid, false);
    }
}

void Mmu::flush(const TranslationFlush& what) {
    using Scope = TranslationFlush::Scope;
    statistics_.invalidations += what.scope == Scope::nothing ? 0U : 1U;
    switch (what.scope) {
    case Scope::nothing: break;
    case Scope::pcid:
    case Scope::pcid_and_global:
        tlb_.invalidate_pcid(what.pcid, what.scope == Scope::pcid_and_global);
        structures_.invalidate_pcid(what.pcid);
        if (timing_) {
            timing_->invalidate_pcid(what.pcid, what.scope == Scope::pcid_and_global);
        }
        break;
    case Scope::all_but_global:
    case Scope::all:
        tlb_.invalidate_all(what.scope == Scope::all);
        structures_.invalidate_all();
        if (timing_) {
            timing_->invalidate_all(what.scope == Scope::all);
        }
        break;
    }
}

}  // namespace pgsim
