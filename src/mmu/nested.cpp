// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/mmu/nested.hpp"

#include <algorithm>

#include "nested_tables.hpp"
#include "pgsim/base/units.hpp"

namespace pgsim {

namespace {

using detail::EptAccess;
using detail::EptWalk;

constexpr std::uint64_t info1_final = std::uint64_t{1} << 32;
constexpr std::uint64_t info1_table = std::uint64_t{1} << 33;
constexpr std::uint64_t qualification_linear_valid = 1U << 7;
constexpr std::uint64_t qualification_final = 1U << 8;

// Nested entries are read as the host reads its own, but every access is a user access. [APM-2 "Nested Table Walk"]
PagingControls host_controls(const NptControls& npt) {
    PagingControls host;
    host.mode = npt.mode;
    host.root = npt.root;
    host.cr0_wp = true;
    host.nxe = npt.nxe;
    host.pages_1g = npt.pages_1g;
    host.maxphyaddr = npt.maxphyaddr;
    host.c_bit = npt.c_bit;
    host.vendor = Vendor::amd;
    return host;
}

}  // namespace

PhysAddr NestedTables::entry_at(PhysAddr guest_phys) const {
    const auto found =
        std::find_if(entries_.begin(), entries_.end(), [&](const auto& entry) { return entry.first == guest_phys; });
    return found == entries_.end() ? PhysAddr{} : found->second;
}

void NestedTables::update(PhysAddr entry, std::uint64_t before, std::uint64_t set) const {
    if ((before & set) == set) {
        return;
    }
    auto& updates = result_->updates_;
    const auto known = std::find_if(updates.begin(), updates.end(),
                                    [&](const NestedFlagUpdate& earlier) { return earlier.entry_addr == entry; });
    if (known != updates.end()) {
        known->after |= set;
    } else {
        updates.push_back({entry, before, before | set});
    }
}

std::optional<NestedTables::Found> NestedTables::through_ept(const EptControls& ept, PhysAddr guest_phys,
                                                             NestedPurpose purpose, EptAccess access,
                                                             std::uint64_t advanced) const {
    const EptWalk walk = detail::walk_ept(*memory_, ept, guest_phys, access);
    for (unsigned i = 0; i < walk.count; ++i) {
        const EptWalk::Step& step = walk.steps[i];
        result_->steps_.push_back({NestedStep::Stage::nested, purpose, step.level, step.at, step.raw, guest_phys});
    }
    const Level last = walk.count == 0 ? ept.top : walk.steps[walk.count - 1].level;
    if (walk.end == EptWalk::End::misconfiguration) {
        stopped_ = true;
        result_->outcome_ = EptMisconfiguration{guest_phys, last};
        return std::nullopt;
    }
    if (walk.end == EptWalk::End::violation) {
        stopped_ = true;
        std::uint64_t qualification = detail::ept_qualification(ept, walk, access) | qualification_linear_valid;
        if (purpose == NestedPurpose::final) {
            qualification |= qualification_final | advanced;
        }
        result_->outcome_ = EptViolation{qualification, guest_phys, guest_linear_, purpose, last};
        return std::nullopt;
    }
    if (ept.accessed_dirty) {
        for (unsigned i = 0; i < walk.count; ++i) {
            const bool dirty = access.write && i + 1 == walk.count;
            update(walk.steps[i].at, walk.steps[i].raw, detail::ept_a | (dirty ? detail::ept_d : 0));
        }
    }
    return Found{walk.phys, walk.page_size, walk.steps[walk.count - 1].raw};
}

std::optional<NestedTables::Found> NestedTables::through_npt(const NptControls& npt, PhysAddr guest_phys,
                                                             NestedPurpose purpose, AccessKind kind) const {
    const Walker host{*memory_, host_controls(npt)};
    const std::uint64_t region = purpose == NestedPurpose::final ? info1_final : info1_table;
    const Access access{kind, 3};
    if (npt.mode == PagingMode::four_level && (guest_phys.value() >> 48) != 0) {
        stopped_ = true;
        std::uint64_t code = PageFaultError::us | (access.writes() ? PageFaultError::wr : 0);
        code |= access.fetches() && npt.nxe ? PageFaultError::id : 0;
        result_->outcome_ = NestedPageFault{region | code, guest_phys, purpose, FaultCause::not_present, Level::pml4};
        return std::nullopt;
    }
    const WalkResult walk = host.walk_from(host.root(), VirtAddr{guest_phys.value()}, access);
    for (const WalkStep& step : walk.steps()) {
        result_->steps_.push_back(
            {NestedStep::Stage::nested, purpose, step.entry.level(), step.entry_addr, step.entry.raw(), guest_phys});
    }
    for (const FlagUpdate& change : walk.flag_updates()) {
        update(change.entry_addr, change.before.raw(), change.after.raw());
    }
    if (const PageFault* const fault = walk.page_fault()) {
        stopped_ = true;
        result_->outcome_ =
            NestedPageFault{region | fault->error_code, guest_phys, purpose, fault->cause, fault->level};
        return std::nullopt;
    }
    return Found{walk.translation()->phys, walk.translation()->page_size, walk.steps().back().entry.raw()};
}

std::uint64_t NestedTables::read64(PhysAddr guest_phys) const {
    if (stopped_) {
        return 0;
    }
    std::optional<Found> found;
    if (const auto* ept = std::get_if<EptControls>(second_)) {
        // With accessed/dirty flags for EPT, accesses to guest paging structures count as writes.
        found = through_ept(*ept, guest_phys, NestedPurpose::guest_table, {true, ept->accessed_dirty, false, false}, 0);
    } else {
        found = through_npt(std::get<NptControls>(*second_), guest_phys, NestedPurpose::guest_table, AccessKind::write);
    }
    if (!found) {
        return 0;
    }
    const std::uint64_t raw = memory_->read64(found->phys);
    entries_.emplace_back(guest_phys, found->phys);
    result_->steps_.push_back(
        {NestedStep::Stage::guest, NestedPurpose::guest_table, Level::pt, found->phys, raw, guest_phys});
    return raw;
}

bool NestedTables::may_write_entry(PhysAddr guest_phys) {
    const auto* const ept = std::get_if<EptControls>(second_);
    if (ept == nullptr || ept->accessed_dirty) {
        return true;
    }
    return through_ept(*ept, guest_phys, NestedPurpose::guest_table, {false, true, false, false}, 0).has_value();
}

std::optional<PhysAddr> NestedTables::translate_final(const Translation& guest, Access access, NestedTranslation& to) {
    std::optional<Found> found;
    const bool reads = access.kind == AccessKind::read || access.kind == AccessKind::rmw ||
                       access.kind == AccessKind::shadow_stack_read;
    if (const auto* ept = std::get_if<EptControls>(second_)) {
        const std::uint64_t advanced = (guest.rights.user ? 1U << 9 : 0) | (guest.rights.writable ? 1U << 10 : 0) |
                                       (guest.rights.executable ? 0 : 1U << 11);
        const EptAccess needs{reads, access.writes(), access.fetches(), guest.rights.user};
        found = through_ept(*ept, guest.phys, NestedPurpose::final, needs, advanced);
        if (found) {
            to.ept_type = mtrr_type(static_cast<std::uint8_t>(found->leaf >> 3 & 7));
            to.ignore_pat = (found->leaf & detail::ept_ipat) != 0;
        }
    } else {
        found = through_npt(std::get<NptControls>(*second_), guest.phys, NestedPurpose::final, access.kind);
        if (found) {
            const unsigned pat_bit = found->page_size == PageSize::k4K ? 7 : 12;
            to.nested_pat_index = static_cast<std::uint8_t>((found->leaf >> pat_bit & 1) << 2 | (found->leaf >> 3 & 3));
        }
    }
    if (!found) {
        return std::nullopt;
    }
    to.phys = found->phys;
    to.nested_page_size = found->page_size;
    return found->phys;
}

NestedWalker::NestedWalker(const PhysicalMemory& memory, const PagingControls& guest, const EptControls& ept)
    : memory_{&memory}, guest_{guest}, second_{ept} {}

NestedWalker::NestedWalker(const PhysicalMemory& memory, const PagingControls& guest, const NptControls& npt)
    : memory_{&memory}, guest_{guest}, second_{npt} {}

NestedWalkResult NestedWalker::walk(VirtAddr guest_linear, Access access) const {
    NestedWalkResult result;
    NestedTables tables{*memory_, second_, guest_linear, result};
    const BasicWalker<NestedTables> guest_walker{tables, guest_};
    const WalkResult guest = guest_walker.walk(guest_linear, access);
    std::size_t next = guest_.mode == PagingMode::pae ? 1 : 0;  // a PDPTE register is no read
    for (NestedStep& step : result.steps_) {
        if (step.stage == NestedStep::Stage::guest) {
            step.level = guest.steps()[next++].entry.level();
        }
    }
    const auto update_guest = [&] {
        for (const FlagUpdate& change : guest.flag_updates()) {
            const PhysAddr word = change.entry_addr.align_down(8);
            const unsigned shift = change.entry_addr == word ? 0 : 32;
            tables.update(tables.entry_at(word), change.before.raw() << shift, change.after.raw() << shift);
        }
    };
    if (tables.stopped()) {
        update_guest();  // of the entries that the walk went through before
        return result;
    }
    if (const PageFault* const fault = guest.page_fault()) {
        result.outcome_ = *fault;
        update_guest();
        return result;
    }
    if (const AddressFault* const fault = guest.address_fault()) {
        result.outcome_ = *fault;
        return result;
    }
    for (const FlagUpdate& change : guest.flag_updates()) {
        if (!tables.may_write_entry(change.entry_addr.align_down(8))) {
            return result;
        }
    }
    update_guest();
    const Translation& through = *guest.translation();
    NestedTranslation translation;
    translation.guest_phys = through.phys;
    translation.guest_page_size = through.page_size;
    translation.guest_rights = through.rights;
    translation.guest_global = through.global;
    translation.guest_pat_index = through.pat_index;
    if (tables.translate_final(through, access, translation)) {
        result.outcome_ = translation;
    }
    return result;
}

void apply_flag_updates(PhysicalMemory& memory, const NestedWalkResult& walk) {
    for (const NestedFlagUpdate& update : walk.flag_updates()) {
        memory.write64(update.entry_addr, update.after);
    }
}

std::string to_string(const NestedWalkResult& walk) {
    std::string text;
    for (const NestedStep& step : walk.steps()) {
        const bool guest = step.stage == NestedStep::Stage::guest;
        text += guest ? "guest  " : "  nested ";
        text += std::string{entry_name(step.level)} + " at " + to_string(step.entry_addr) + " = " + hex(step.raw) +
                (guest ? ", guest-physical " : " for guest-physical ") + to_string(step.guest_phys) + "\n";
    }
    struct Says {
        std::string operator()(const NestedTranslation& t) const {
            return "= " + to_string(t.phys) + ", guest-physical " + to_string(t.guest_phys) + ", pages of " +
                   std::string{short_name(t.guest_page_size)} + " / " + std::string{short_name(t.nested_page_size)};
        }
        std::string operator()(const PageFault& f) const {
            return "guest #PF, error code " + hex(f.error_code) + ": " + std::string{to_string(f.cause)};
        }
        std::string operator()(const AddressFault& f) const {
            return f.stack_segment ? "guest #SS(0)" : "guest #GP(0)";
        }
        std::string operator()(const NestedPageFault& f) const {
            return "nested page fault, EXITINFO1 " + hex(f.info1) + ", guest-physical " + to_string(f.guest_phys);
        }
        std::string operator()(const EptViolation& f) const {
            return "EPT violation, qualification " + hex(f.qualification) + ", guest-physical " +
                   to_string(f.guest_phys);
        }
        std::string operator()(const EptMisconfiguration& f) const {
            return "EPT misconfiguration at the " + std::string{entry_name(f.level)} + ", guest-physical " +
                   to_string(f.guest_phys);
        }
    };
    return text + std::visit(Says{}, walk.outcome()) + "\n";
}

}  // namespace pgsim
