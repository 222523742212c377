// SPDX-License-Identifier: GPL-2.0-only
// Writes to control registers and MSRs, and what they do to the translation caches.
#include <algorithm>

#include "pgsim/machine/machine.hpp"

namespace pgsim {

namespace {

using Scope = TranslationFlush::Scope;

constexpr bool changed(std::uint64_t before, std::uint64_t after, std::uint64_t bits) noexcept {
    return ((before ^ after) & bits) != 0;
}

constexpr std::uint64_t page_present = 1;

// [SDM-3A "PDPTE Registers"]: bits 2:1, 8:5 and 63:MAXPHYADDR of a present PDPTE are reserved.
bool reserved_pdpte(std::uint64_t pdpte, unsigned maxphyaddr) noexcept {
    const std::uint64_t reserved = 0x1e6 | ~((std::uint64_t{1} << maxphyaddr) - 1);
    return (pdpte & page_present) != 0 && (pdpte & reserved) != 0;
}

}  // namespace

RegisterResult Machine::refuse(RegisterFault fault) {
    ExceptionFrame frame;
    frame.vector = Vector::gp;
    frame.register_fault = fault;
    raise(frame, WalkResult{});
    return {fault, stop_.get()};
}

RegisterResult Machine::commit(const CpuState& next, bool cr3_written, const TranslationFlush& flush) {
    new_epoch();
    CpuState state = next;
    if (loads_pdptes(cpu(), state, cr3_written)) {
        const PhysAddr table{state.cr3 & 0xffff'ffe0};
        for (std::size_t i = 0; i < state.pdptes.size(); ++i) {
            state.pdptes[i] = memory_->read64(table + 8 * i);
            if (reserved_pdpte(state.pdptes[i], features_.maxphyaddr())) {
                return refuse(RegisterFault::pdpte_reserved);
            }
        }
    }
    cpus_[current_].state = state;
    state_changed();
    mmu().flush(flush);
    return {};
}

// [SDM-3A "Operations that Invalidate TLBs and Paging-Structure Caches"]
RegisterResult Machine::mov_cr0(std::uint64_t value) {
    if (stop_) {
        return {std::nullopt, stop_.get()};
    }
    const RegisterWrite checked = check_cr0(cpu(), features_, value);
    if (!checked.ok()) {
        return refuse(*checked.fault);
    }
    CpuState next = cpu();
    apply_cr0(next, checked);
    const bool paging_switched = changed(cpu().cr0, next.cr0, Cr0::pg);
    return commit(next, false, {paging_switched ? Scope::all : Scope::nothing, 0});
}

RegisterResult Machine::mov_cr3(std::uint64_t value) {
    if (stop_) {
        return {std::nullopt, stop_.get()};
    }
    const RegisterWrite checked = check_cr3(cpu(), features_, value);
    if (!checked.ok()) {
        return refuse(*checked.fault);
    }
    CpuState next = cpu();
    next.cr3 = checked.value;
    const bool keep = (cpu().cr4 & Cr4::pcide) != 0 && (value & Cr3::no_flush) != 0;
    charge(keep ? TimedEvent::mov_cr3_keep : TimedEvent::mov_cr3_flush);
    return commit(next, true, {keep ? Scope::nothing : Scope::pcid, next.pcid()});
}

RegisterResult Machine::mov_cr4(std::uint64_t value) {
    if (stop_) {
        return {std::nullopt, stop_.get()};
    }
    const RegisterWrite checked = check_cr4(cpu(), features_, value);
    if (!checked.ok()) {
        return refuse(*checked.fault);
    }
    CpuState next = cpu();
    next.cr4 = checked.value;
    TranslationFlush flush{Scope::nothing, next.pcid()};
    const bool smep_set = (next.cr4 & ~cpu().cr4 & Cr4::smep) != 0;
    const bool pcide_cleared = (cpu().cr4 & ~next.cr4 & Cr4::pcide) != 0;
    // PSE is not in Intel's list; AMD flushes, and flushing more is always allowed.
    if (changed(cpu().cr4, next.cr4, Cr4::pge | Cr4::pae | Cr4::pse | Cr4::la57) || pcide_cleared) {
        flush.scope = Scope::all;
    } else if (smep_set) {
        flush.scope = Scope::pcid_and_global;
    }
    if (changed(cpu().cr4, next.cr4, Cr4::pge)) {
        charge(TimedEvent::cr4_pge);
    }
    return commit(next, false, flush);
}

RegisterResult Machine::wrmsr_efer(std::uint64_t value) {
    if (stop_) {
        return {std::nullopt, stop_.get()};
    }
    const RegisterWrite checked = check_efer(cpu(), features_, value);
    if (!checked.ok()) {
        return refuse(*checked.fault);
    }
    CpuState next = cpu();
    next.efer = checked.value;
    // Cached rights were computed under the old NXE.
    const bool nxe = changed(cpu().efer, next.efer, Efer::nxe);
    return commit(next, false, {nxe ? Scope::all : Scope::nothing, 0});
}

RegisterResult Machine::wrmsr_pat(std::uint64_t value) {
    if (stop_) {
        return {std::nullopt, stop_.get()};
    }
    const RegisterWrite checked =
        features_.has(Feature::pat) ? check_pat(value) : RegisterWrite{RegisterFault::no_such_msr, 0};
    if (!checked.ok()) {
        return refuse(*checked.fault);
    }
    CpuState next = cpu();
    next.pat = checked.value;
    return commit(next, false, {});
}

RegisterResult Machine::wrmsr_pkrs(std::uint64_t value) {
    if (stop_) {
        return {std::nullopt, stop_.get()};
    }
    const RegisterWrite checked = check_pkrs(features_, value);
    if (!checked.ok()) {
        return refuse(*checked.fault);
    }
    CpuState next = cpu();
    next.pkrs = static_cast<std::uint32_t>(checked.value);
    return commit(next, false, {});
}

RegisterResult Machine::wrmsr(std::uint32_t msr, std::uint64_t value) {
    constexpr std::uint32_t efer = 0xc000'0080;
    constexpr std::uint32_t pat = 0x277;
    constexpr std::uint32_t pkrs = 0x6e1;
    switch (msr) {
    case efer: return wrmsr_efer(value);
    case pat: return wrmsr_pat(value);
    case pkrs: return wrmsr_pkrs(value);
    default: break;
    }
    if (stop_) {
        return {std::nullopt, stop_.get()};
    }
    std::uint64_t* const mtrr = features_.has(Feature::mtrr) ? cpus_[current_].state.mtrrs.find(msr) : nullptr;
    if (mtrr == nullptr) {
        return refuse(RegisterFault::no_such_msr);
    }
    if (!Mtrrs::may_write(msr, value, features_.maxphyaddr())) {
        return refuse(RegisterFault::mtrr_type);
    }
    *mtrr = value;
    return {};
}

void Machine::wrpkru(std::uint32_t value) {
    cpus_[current_].state.pkru = value;
    state_changed();
}

void Machine::set_ac(bool ac) {
    if (cpu().ac != ac) {
        cpus_[current_].state.ac = ac;
        state_changed();
    }
}

void Machine::set_cpl(std::uint8_t cpl) {
    cpus_[current_].state.cpl = cpl & 3;
    kernel_epoch_ = (cpl & 3) == 0 ? epoch_ : 0;
}

void Machine::load_cs(bool cs_long) {
    new_epoch();
    cpus_[current_].state.cs_long = cs_long;
    state_changed();
}

void Machine::invlpg(VirtAddr virt) {
    if (virt.value() >> 63 != 0) {
        new_epoch();
    }
    if (!stop_ && CanonicalAddr::check(linear(virt), cpu().paging() ? cpu().paging_mode() : PagingMode::bits32)) {
        charge(TimedEvent::invlpg);
        mmu().invalidate_page(linear(virt));
    }
}

RegisterResult Machine::invpcid(InvpcidType type, std::uint16_t pcid, VirtAddr virt) {
    new_epoch();
    if (stop_) {
        return {std::nullopt, stop_.get()};
    }
    const bool needs_pcid = type == InvpcidType::address || type == InvpcidType::single_context;
    const bool pcid_bad = pcid > Cr3::pcid_mask || (needs_pcid && pcid != 0 && (cpu().cr4 & Cr4::pcide) == 0);
    const bool address_bad = type == InvpcidType::address && !CanonicalAddr::check(virt, cpu().paging_mode());
    if (static_cast<unsigned>(type) > 3 || pcid_bad || address_bad) {
        return refuse(RegisterFault::invpcid_descriptor);
    }
    charge(static_cast<TimedEvent>(static_cast<unsigned>(TimedEvent::invpcid_address) + static_cast<unsigned>(type)));
    switch (type) {
    case InvpcidType::address: mmu().invalidate_page(virt, pcid); break;
    case InvpcidType::single_context: mmu().flush({Scope::pcid, pcid}); break;
    case InvpcidType::all_with_global: mmu().flush({Scope::all, 0}); break;
    case InvpcidType::all_but_global: mmu().flush({Scope::all_but_global, 0}); break;
    }
    return {};
}

void Machine::shootdown(VirtRange range, PageSize stride) {
    const unsigned initiator = current_;
    for (current_ = 0; current_ < cpus_.size(); ++current_) {
        if (current_ == initiator) {
            continue;
        }
        for (std::uint64_t at = range.start().value(), left = range.size(); left != 0;) {
            invlpg(VirtAddr{at});
            const std::uint64_t step = std::min(left, bytes(stride));
            at += step;
            left -= step;
        }
    }
    current_ = initiator;
}

}  // namespace pgsim
