// SPDX-License-Identifier: GPL-2.0-only
// The way of an exception to the fault code, and back as a retry, a fix-up or a signal.
// [linux-6.6 arch/x86/mm/fault.c] [spec F.1]
#include <algorithm>

#include "fault.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/cpu/registers.hpp"
#include "pgsim/kernel/pgtable_generic.hpp"
#include "pgsim/kernel/processes.hpp"
#include "rmap.hpp"
#include "vma.hpp"

namespace pgsim::kernel {

namespace {

constexpr std::uint64_t stack_guard_gap = 256 * page_size;
constexpr std::uint64_t mmap_min_addr = 0x10000;

bool user_mode(std::uint32_t error_code) {
    return (error_code & PageFaultError::us) != 0;
}

// "write to 0x1000: not present, user mode (error code 0x6)"
std::string describe_fault(std::uint32_t error_code, std::uint64_t address) {
    std::string text = (error_code & PageFaultError::id) != 0   ? "fetch from "
                       : (error_code & PageFaultError::wr) != 0 ? "write to "
                                                                : "read of ";
    text += hex(address);
    text += (error_code & PageFaultError::rsvd) != 0 ? ": a reserved bit is set"
            : (error_code & PageFaultError::pk) != 0 ? ": the protection key denies it"
            : (error_code & PageFaultError::p) != 0  ? ": present, but not allowed"
                                                     : ": not present";
    return text + (user_mode(error_code) ? ", user mode" : ", kernel mode") + " (error code " + hex(error_code) + ")";
}

HandlerResult send_signal(Mm& k, int signo, int code, std::uint64_t address) {
    k.pending_signal = FaultSignal{signo, code, address};
    if (k.tracing()) {
        k.pass("force_sig_fault",
               "signal " + std::to_string(signo) + ", code " + std::to_string(code) + ", address " + hex(address));
    }
    return HandlerResult::skip;
}

// A kernel-mode access: the exception table's fix-up, which makes the copy function return -EFAULT.
HandlerResult fixup_exception(Mm& k) {
    k.pass("fixup_exception");
    return HandlerResult::skip;
}

HandlerResult bad_area(Mm& k, std::uint32_t error_code, std::uint64_t address, int code, std::string_view why = {}) {
    k.pass("bad_area", why);
    return user_mode(error_code) ? send_signal(k, sigsegv, code, address) : fixup_exception(k);
}

HandlerResult oops(Mm& k, std::string_view why) {
    k.pass("page_fault_oops", why);
    return HandlerResult::not_handled;
}

// [spec M-F4]
bool spurious_kernel_fault(Mm& k, std::uint32_t error_code, VirtAddr address) {
    constexpr std::uint32_t present_write = PageFaultError::p | PageFaultError::wr;
    constexpr std::uint32_t present_fetch = PageFaultError::p | PageFaultError::id;
    if (error_code != present_write && error_code != present_fetch) {
        return false;
    }
    const auto allows = [&](std::uint64_t entry) {
        return ((error_code & PageFaultError::wr) == 0 || (entry & page_rw) != 0) &&
               ((error_code & PageFaultError::id) == 0 || (entry & page_nx) == 0);
    };
    const pgd_ptr top{VirtAddr{k.state.page_offset_base + k.init_top_pgt.value()}};
    const pgd_ptr pgd = pgd_offset_pgd(k.pt, top, address);
    if (!pgd_present(k.state, pgdp_get(k.pt, pgd))) {
        return false;
    }
    const p4d_ptr p4d = p4d_offset(k.pt, pgd, address);
    if (!p4d_present(p4dp_get(k.pt, p4d))) {
        return false;
    }
    const pud_t pud = pudp_get(k.pt, pud_offset(k.pt, p4d, address));
    if (!pud_present(pud)) {
        return false;
    }
    if (pud_large(pud)) {
        return allows(pud.pud);
    }
    const pmd_ptr pmdp = pmd_offset(k.pt, pud_offset(k.pt, p4d, address), address);
    const pmd_t pmd = pmdp_get(k.pt, pmdp);
    if (!pmd_present(pmd)) {
        return false;
    }
    if (pmd_large(pmd)) {
        return allows(pmd.pmd);
    }
    const pte_t pte = ptep_get(k.pt, pte_offset_kernel(k.pt, pmdp, address));
    return pte_present(pte) && allows(pte.pte) && allows(pmd.pmd);
}

// [spec M-F3]
HandlerResult do_kern_addr_fault(Mm& k, std::uint32_t error_code, std::uint64_t address) {
    k.pass("do_kern_addr_fault");
    if (spurious_kernel_fault(k, error_code, VirtAddr{address})) {
        return HandlerResult::retry;
    }
    return bad_area(k, error_code, address, segv_maperr);
}

// [spec M-F6]
bool access_error(std::uint32_t error_code, const vm_area_struct& vma) {
    if ((error_code & PageFaultError::pk) != 0) {
        return true;
    }
    if ((error_code & PageFaultError::wr) != 0) {
        return !vma.has(vm::write);
    }
    if ((error_code & PageFaultError::p) != 0) {
        return true;
    }
    return !vma.is_accessible();
}

// expand_stack(): a stack grows down to the page of `address`. [spec M-F7]
bool expand_stack(Mm& k, vm_area_struct& vma, std::uint64_t address) {
    address &= page_mask;
    if (address < mmap_min_addr) {
        return false;
    }
    const vm_area_struct* const prev = vma_before(*vma.vm_mm, vma.vm_start);
    if (prev != nullptr && prev->is_accessible() && !prev->has(vm::growsdown) &&
        address - prev->vm_end < stack_guard_gap) {
        return false;
    }
    if (prev != nullptr && prev->vm_end > address) {
        return false;
    }
    anon_vma_prepare(k, vma);
    const std::uint64_t grow = (vma.vm_start - address) >> page_shift;
    if (vma.vm_end - address > k.current->rlimit_stack || grow > vma.vm_pgoff) {
        return false;
    }
    k.pass("expand_stack");
    vma.vm_mm->total_vm += grow;
    vma_set_start(vma, address, vma.vm_pgoff - grow);
    return true;
}

// What comes after handle_mm_fault() gave an error. [spec M-F5 step 16]
HandlerResult finish(Mm& k, std::uint32_t error_code, std::uint64_t address, unsigned fault) {
    if ((fault & fault_ret::error) == 0) {
        return HandlerResult::retry;
    }
    if ((fault & fault_ret::oom) != 0) {
        if (!user_mode(error_code)) {
            return fixup_exception(k);
        }
        k.pass("pagefault_out_of_memory");
        if (k.current->oom_killed || !k.reclaim->out_of_memory(gfp::kernel, 0) || k.current->oom_killed) {
            return send_signal(k, sigkill, 0, 0);
        }
        return HandlerResult::retry;
    }
    if ((fault & (fault_ret::sigbus | fault_ret::hwpoison)) != 0) {
        return user_mode(error_code) ? send_signal(k, sigbus, bus_adrerr, address) : fixup_exception(k);
    }
    return bad_area(k, error_code, address, segv_maperr);
}

// [spec M-F5]
HandlerResult do_user_addr_fault(Mm& k, std::uint32_t error_code, std::uint64_t address) {
    const bool from_user = user_mode(error_code);
    if ((error_code & PageFaultError::id) != 0 && !from_user) {
        return oops(k, "the kernel executed user memory");
    }
    if ((error_code & PageFaultError::rsvd) != 0) {
        return oops(k, "bad page table: a reserved bit is set");
    }
    if ((k.machine.cpu().cr4 & Cr4::smap) != 0 && !from_user && !k.machine.cpu().ac) {
        return oops(k, "the kernel accessed user memory without saying so (SMAP)");
    }
    if (k.current == nullptr || k.current->mm == nullptr) {
        return bad_area(k, error_code, address, segv_maperr);
    }
    mm_struct& mm = *k.current->mm;
    unsigned flags = fault_flag::allow_retry | fault_flag::killable | fault_flag::interruptible;
    flags |= from_user ? fault_flag::user : 0;
    flags |= (error_code & (PageFaultError::wr | PageFaultError::ss)) != 0 ? fault_flag::write : 0;
    flags |= (error_code & PageFaultError::id) != 0 ? fault_flag::instruction : 0;
    if (from_user && k.setup.vma_lock) {
        vm_area_struct* const vma = vma_lookup(mm, address);
        if (vma == nullptr || (vma->is_anonymous() && vma->anon_vma == nullptr)) {
            ++k.vmstat.vma_lock_abort;
            k.pass("lock_vma_under_rcu", vma == nullptr ? "no area here" : "the area has no anon_vma yet");
        } else if (access_error(error_code, *vma)) {
            k.pass("access_error", "looked at again with mmap_lock");
        } else {
            k.pass("lock_vma_under_rcu", "the area's own lock is enough");
            const unsigned fault = handle_mm_fault(k, *vma, address, flags | fault_flag::vma_lock);
            if ((fault & fault_ret::retry) == 0) {
                ++k.vmstat.vma_lock_success;
                return finish(k, error_code, address, fault);
            }
            ++k.vmstat.vma_lock_retry;
            k.pass("lock_vma_under_rcu", "again with mmap_lock");
        }
    }
    for (;;) {
        k.pass("lock_mm_and_find_vma");
        vm_area_struct* vma = find_vma(mm, address);
        if (vma == nullptr) {
            return bad_area(k, error_code, address, segv_maperr, "no area at or above the address");
        }
        if (vma->vm_start > address && (!vma->has(vm::growsdown) || !expand_stack(k, *vma, address))) {
            return bad_area(k, error_code, address, segv_maperr,
                            vma->has(vm::growsdown) ? "the stack above may not grow so far" : "no area here");
        }
        if (access_error(error_code, *vma)) {
            const bool pkey = (error_code & PageFaultError::pk) != 0;
            return bad_area(k, error_code, address, pkey ? segv_pkuerr : segv_accerr, "the area does not allow it");
        }
        const unsigned fault = handle_mm_fault(k, *vma, address, flags);
        if ((fault & fault_ret::completed) != 0) {
            return HandlerResult::retry;
        }
        if ((fault & fault_ret::retry) != 0) {
            flags |= fault_flag::tried;
            continue;
        }
        return finish(k, error_code, address, fault);
    }
}

// [spec M-F2]
HandlerResult exc_page_fault(Mm& k, const ExceptionFrame& frame) {
    const std::uint64_t address = frame.virt.value();
    if (k.tracing()) {
        k.pass("exc_page_fault", describe_fault(frame.error_code, address));
    }
    return address >= task_size_max(k.state) ? do_kern_addr_fault(k, frame.error_code, address)
                                             : do_user_addr_fault(k, frame.error_code, address);
}

// With page-table isolation user mode runs on the copy of the top table in the page after the kernel's own; entry and
// exit code switch. [linux-6.6 arch/x86/entry/calling.h SWITCH_TO_KERNEL_CR3]
class KernelTables {
public:
    KernelTables(Mm& k, bool from_user) : k_{k}, switch_{from_user && k.state.pti_enabled && k.loaded_mm != nullptr} {
        if (switch_) {
            k_.machine.mov_cr3(k_.loaded_mm->pgd_pfn << page_shift);
        }
    }
    ~KernelTables() {
        if (switch_ && k_.loaded_mm != nullptr && !k_.machine.stopped()) {
            k_.machine.mov_cr3((k_.loaded_mm->pgd_pfn + 1) << page_shift);
        }
    }
    KernelTables(const KernelTables&) = delete;
    KernelTables& operator=(const KernelTables&) = delete;

private:
    Mm& k_;
    bool switch_;
};

template <class Access>
UserAccess as_user(Mm& k, task_struct& task, Access&& access) {
    switch_to(k, task);
    k.pending_signal.reset();
    if (k.state.pti_enabled) {
        k.machine.mov_cr3((task.mm->pgd_pfn + 1) << page_shift);
    }
    k.machine.set_cpl(3);
    const AccessResult result = access();
    k.machine.set_cpl(0);
    if (k.state.pti_enabled && k.loaded_mm != nullptr) {
        k.machine.mov_cr3(k.loaded_mm->pgd_pfn << page_shift);
    }
    if (!result.ok()) {
        throw Halted{{Halt::Kind::machine_stop, to_string(*result.stop), "user access", {}}};
    }
    return {result.value, k.pending_signal};
}

}  // namespace

void install_exception_handlers(Mm& k) {
    k.machine.set_exception_handler(Vector::pf, [&k](Machine&, const ExceptionFrame& frame) {
        const KernelTables tables{k, frame.access.cpl == 3};
        return exc_page_fault(k, frame);
    });
    // exc_general_protection(): of a non-canonical address nothing is reported. [spec M-F1]
    k.machine.set_exception_handler(Vector::gp, [&k](Machine&, const ExceptionFrame& frame) {
        const KernelTables tables{k, frame.access.cpl == 3};
        k.pass("exc_general_protection");
        return frame.access.cpl == 3 ? send_signal(k, sigsegv, si_kernel, 0) : fixup_exception(k);
    });
}

UserAccess user_load(Mm& k, task_struct& task, VirtAddr address) {
    return as_user(k, task, [&] { return k.machine.load(address, AccessSize::byte); });
}

UserAccess user_store(Mm& k, task_struct& task, VirtAddr address, std::uint8_t value) {
    return as_user(k, task, [&] { return k.machine.store(address, value, AccessSize::byte); });
}

UserAccess user_fetch(Mm& k, task_struct& task, VirtAddr address) {
    return as_user(k, task, [&] { return k.machine.fetch(address); });
}

std::uint64_t clear_user(Mm& k, task_struct& task, VirtAddr address, std::uint64_t bytes) {
    switch_to(k, task);
    std::uint64_t done = 0;
    while (done < bytes) {
        const VirtAddr at{address.value() + done};
        const std::uint64_t length = std::min(bytes - done, page_size - at.offset_in(page_size));
        if (at.value() >= task_size_max(k.state)) {
            break;  // access_ok()
        }
        // A fix-up in the middle ends the copy: the first byte tells whether the page can be written.
        const std::uint64_t before = k.machine.exception_count();
        k.machine.stac();
        const AccessResult result = k.machine.fill(at, length, 0);
        k.machine.clac();
        if (!result.ok()) {
            throw Halted{{Halt::Kind::machine_stop, to_string(*result.stop), "clear_user", {}}};
        }
        if (k.machine.exception_count() != before &&
            k.machine.translate(at, {AccessKind::write, 3}).translation() == nullptr) {
            break;
        }
        done += length;
    }
    return done;
}

}  // namespace pgsim::kernel
