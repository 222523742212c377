// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/mmu/walk_result.hpp"

#include "pgsim/base/units.hpp"

namespace pgsim {

WalkResult::FlagUpdates WalkResult::flag_updates() const noexcept {
    FlagUpdates updates;
    for (unsigned i = 0; i < count_; ++i) {
        Entry after = steps_[i].entry;
        if ((accessed_ >> i & 1) != 0) {
            after = after.with(EntryFlag::a);
        }
        if (dirty_ && i + 1 == count_) {
            after = after.with(EntryFlag::d);
        }
        if (after != steps_[i].entry) {
            updates.items[updates.count++] = {steps_[i].entry_addr, steps_[i].entry, after};
        }
    }
    return updates;
}

std::string_view to_string(TranslationSource source) noexcept {
    switch (source) {
    case TranslationSource::none: return "no paging";
    case TranslationSource::walk: return "walk";
    case TranslationSource::paging_structure_cache: return "paging-structure cache";
    case TranslationSource::tlb: return "TLB";
    }
    return "?";
}

std::string_view to_string(FaultCause cause) noexcept {
    switch (cause) {
    case FaultCause::not_present: return "not present";
    case FaultCause::reserved_bit: return "reserved bit set";
    case FaultCause::user_access_to_supervisor_page: return "user-mode access to a supervisor page";
    case FaultCause::shadow_stack_access_to_user_page: return "supervisor shadow-stack access to a user page";
    case FaultCause::smep: return "supervisor fetch from a user page (SMEP)";
    case FaultCause::smap: return "supervisor access to a user page (SMAP)";
    case FaultCause::execute_disable: return "fetch from an execute-disable page";
    case FaultCause::not_writable: return "write to a read-only page";
    case FaultCause::not_a_shadow_stack_page: return "shadow-stack access to a page that is no shadow stack";
    case FaultCause::protection_key: return "forbidden by a protection key";
    }
    return "?";
}

std::string to_string(Access access) {
    std::string text;
    if (access.mode == AccessMode::implicit) {
        text = "implicit supervisor ";
    } else if (access.mode == AccessMode::user_shadow_stack) {
        text = "user ";
    }
    switch (access.kind) {
    case AccessKind::read: text += "read"; break;
    case AccessKind::write: text += "write"; break;
    case AccessKind::rmw: text += "read-modify-write"; break;
    case AccessKind::fetch: text += "fetch"; break;
    case AccessKind::shadow_stack_read: text += "shadow-stack read"; break;
    case AccessKind::shadow_stack_write: text += "shadow-stack write"; break;
    }
    text += " at CPL " + std::to_string(access.cpl);
    return access.stack_segment ? text + " through SS" : text;
}

std::string to_string(Entry entry) {
    std::string text{entry_name(entry.level())};
    text += " " + hex(entry.raw());
    if (!entry.present()) {
        return text + " not present";
    }
    text += " -> " + to_string(entry.base()) + " P";
    const auto add = [&](EntryFlag flag, const char* name) { text += entry.has(flag) ? name : ""; };
    add(EntryFlag::rw, " RW");
    add(EntryFlag::us, " US");
    add(EntryFlag::pwt, " PWT");
    add(EntryFlag::pcd, " PCD");
    add(EntryFlag::a, " A");
    if (entry.maps_page()) {
        add(EntryFlag::d, " D");
        text += entry.ps().value_or(false) ? " PS" : "";
        text += entry.pat().value_or(false) ? " PAT" : "";
        add(EntryFlag::g, " G");
    }
    if (entry.format() != EntryFormat::bits32) {
        add(EntryFlag::xd, " XD");
    }
    return text;
}

std::string to_string(const WalkResult& walk) {
    std::string text = to_string(walk.virt()) + ", " + to_string(walk.access()) + "\n";
    for (const WalkStep& step : walk.steps()) {
        text += "  " + to_string(step.entry_addr) + ": " + to_string(step.entry) + "\n";
    }
    if (const auto* translation = walk.translation()) {
        text += "  = " + to_string(translation->phys) + ", " + std::string{short_name(translation->page_size)} +
                " page, " + (translation->rights.writable ? "writable" : "read-only") +
                (translation->rights.user ? ", user" : ", supervisor") +
                (translation->rights.executable ? ", executable" : ", not executable") + " (" +
                std::string{to_string(translation->source)} + ")\n";
    } else if (const auto* fault = walk.page_fault()) {
        text += "  #PF, error code " + hex(fault->error_code) + ": " + std::string{to_string(fault->cause)} +
                " at the " + std::string{entry_name(fault->level)} + "\n";
    } else if (const auto* refused = walk.address_fault()) {
        text += std::string{refused->stack_segment ? "  #SS(0)" : "  #GP(0)"} +
                (refused->cause == AddressFault::Cause::non_canonical ? ": not canonical\n"
                                                                      : ": LASS forbids the address\n");
    }
    return text;
}

}  // namespace pgsim
