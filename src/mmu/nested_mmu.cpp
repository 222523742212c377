// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/mmu/nested_mmu.hpp"

#include <algorithm>

namespace pgsim {

namespace {

constexpr std::size_t capacity = 512;

// One bit for each kind of access that rights tell apart.
std::uint16_t proof_of(Access access) noexcept {
    const unsigned kind = access.fetches() ? 2 : access.writes() ? 1 : 0;
    const unsigned who = access.user_mode() ? 1 : access.mode == AccessMode::implicit ? 2 : 0;
    return static_cast<std::uint16_t>(1U << (kind + 3 * who));
}

std::uint64_t page_number(VirtAddr virt, PageSize size) noexcept {
    return virt.value() >> static_cast<unsigned>(size);
}

}  // namespace

void NestedMmu::switch_guest(const PagingControls& guest, std::uint16_t pcid, std::uint16_t vpid) {
    PagingControls comparable = guest;
    comparable.root = guest_.root;
    if (!(comparable == guest_)) {
        mappings_.clear();
    }
    guest_ = guest;
    pcid_ = pcid;
    vpid_ = vpid;
}

void NestedMmu::enter(const PagingControls& guest, std::uint16_t pcid, std::uint16_t vpid, const EptControls& ept) {
    switch_guest(guest, pcid, vpid);
    second_ = ept;
    second_root_ = ept.root;
}

void NestedMmu::enter(const PagingControls& guest, std::uint16_t pcid, std::uint16_t asid, const NptControls& npt,
                      TlbControl control) {
    switch_guest(guest, pcid, asid);
    second_ = npt;
    second_root_ = {};
    switch (control) {
    case TlbControl::nothing: break;
    case TlbControl::all: mappings_.clear(); break;
    case TlbControl::this_guest: drop_if([&](const Mapping& m) { return m.vpid == asid; }); break;
    case TlbControl::this_guest_non_global:
        drop_if([&](const Mapping& m) { return m.vpid == asid && !m.global; });
        break;
    }
}

NestedMmu::Mapping* NestedMmu::find(VirtAddr guest_linear) {
    const auto found = std::find_if(mappings_.begin(), mappings_.end(), [&](const Mapping& m) {
        return m.page == page_number(guest_linear, m.size) && m.vpid == vpid_ && m.second_root == second_root_ &&
               (m.global || m.pcid == pcid_);
    });
    return found == mappings_.end() ? nullptr : &*found;
}

void NestedMmu::remember(VirtAddr guest_linear, Access access, const NestedTranslation& translation) {
    const PageSize size = std::min(translation.guest_page_size, translation.nested_page_size);
    Mapping fresh;
    fresh.page = page_number(guest_linear, size);
    fresh.size = size;
    fresh.translation = translation;
    fresh.translation.phys = translation.phys.align_down(bytes(size));
    fresh.translation.guest_phys = translation.guest_phys.align_down(bytes(size));
    fresh.vpid = vpid_;
    fresh.pcid = pcid_;
    fresh.second_root = second_root_;
    fresh.global = translation.guest_global;
    fresh.proved = proof_of(access);
    if (Mapping* const known = find(guest_linear)) {
        const bool same = known->size == size && known->translation.phys == fresh.translation.phys;
        fresh.proved = static_cast<std::uint16_t>(fresh.proved | (same ? known->proved : 0));
        *known = fresh;
    } else if (mappings_.size() < capacity) {
        mappings_.push_back(fresh);
    } else {
        mappings_[next_++ % capacity] = fresh;
    }
}

NestedWalkResult NestedMmu::access(PhysicalMemory& memory, VirtAddr guest_linear, Access access) {
    const VirtAddr linear = strip_metadata(guest_, guest_linear, access);
    const Mapping* const known = check_address(guest_, linear, access) ? nullptr : find(linear);
    if (known != nullptr && (known->proved & proof_of(access)) != 0 && !access.on_shadow_stack()) {
        ++hits_;
        NestedTranslation translation = known->translation;
        translation.phys += linear.offset_in(bytes(known->size));
        translation.guest_phys += linear.offset_in(bytes(known->size));
        translation.source = TranslationSource::tlb;
        NestedWalkResult result;
        result.outcome_ = translation;
        return result;
    }
    const auto walk = std::visit(
        [&](const auto& second) {
            return NestedWalker{memory, guest_, second}.walk(guest_linear, access);
        },
        second_);
    apply_flag_updates(memory, walk);
    if (const NestedTranslation* const translation = walk.translation(); translation && !access.on_shadow_stack()) {
        remember(linear, access, *translation);
    }
    return walk;
}

template <class Predicate>
void NestedMmu::drop_if(Predicate predicate) {
    std::erase_if(mappings_, predicate);
}

void NestedMmu::invlpg(VirtAddr guest_linear) {
    drop_if([&](const Mapping& m) {
        return m.vpid == vpid_ && (m.global || m.pcid == pcid_) && m.page == page_number(guest_linear, m.size);
    });
}

void NestedMmu::mov_cr3(PhysAddr root, std::uint16_t pcid) {
    guest_.root = root;
    pcid_ = pcid;
    drop_if([&](const Mapping& m) { return m.vpid == vpid_ && m.pcid == pcid && !m.global; });
}

void NestedMmu::invept(InveptType type, PhysAddr root) {
    drop_if(
        [&](const Mapping& m) { return type == InveptType::all_context || m.second_root == root.align_down(4096); });
}

void NestedMmu::invvpid(InvvpidType type, std::uint16_t vpid, VirtAddr guest_linear) {
    drop_if([&](const Mapping& m) {
        switch (type) {
        case InvvpidType::address: return m.vpid == vpid && m.page == page_number(guest_linear, m.size);
        case InvvpidType::single_context: return m.vpid == vpid;
        case InvvpidType::all_context: return m.vpid != 0;
        case InvvpidType::retaining_globals: return m.vpid == vpid && !m.global;
        }
        return true;
    });
}

void NestedMmu::invlpga(VirtAddr guest_linear, std::uint16_t asid) {
    drop_if([&](const Mapping& m) { return m.vpid == asid && m.page == page_number(guest_linear, m.size); });
}

}  // namespace pgsim
