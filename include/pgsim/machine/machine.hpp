// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pgsim/base/address.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/cpu/cpu_features.hpp"
#include "pgsim/cpu/cpu_state.hpp"
#include "pgsim/machine/exception.hpp"
#include "pgsim/memory/physical_memory.hpp"
#include "pgsim/mmu/mmu.hpp"

namespace pgsim {

/// Bytes of one load or store. The value is the number of bytes.
enum class AccessSize : std::uint8_t { byte = 1, word = 2, dword = 4, qword = 8 };

/// What an access gave.
struct AccessResult {
    std::uint64_t value = 0;  ///< of a load, zero-extended; 0 after a stop and after a skipped instruction
    const MachineStop* stop =
        nullptr;  ///< set when the processor stopped; stays valid as long as the machine is stopped
    [[nodiscard]] bool ok() const noexcept { return stop == nullptr; }
};

/// What a MOV to a control register or a WRMSR gave.
struct RegisterResult {
    std::optional<RegisterFault> fault;  ///< the rule broken: #GP(0) was delivered and the register is unchanged
    const MachineStop* stop = nullptr;   ///< nobody handled that #GP
    [[nodiscard]] bool ok() const noexcept { return !fault && stop == nullptr; }
};

/// All of a machine at one moment but its handlers. Copies are cheap.
struct MachineSnapshot {
    MemorySnapshot memory;
    std::vector<CpuState> cpus;
    unsigned current_cpu = 0;
    Cycles now;
};

/// Memory, processors and a clock; accesses at linear addresses, and the exceptions that they raise.
///
/// Accesses happen on the current CPU, at its CPL. A fault is delivered to the installed handler, which runs on the
/// same machine and may access memory itself, and the access is then retried. A fault that cannot be delivered becomes
/// a double fault, then a triple fault, which stops the machine: from then on every access gives the stop and does
/// nothing. No architectural outcome is a C++ exception. Knows nothing of who runs on it.
class Machine {
public:
    /// Fresh: 32-bit protected mode without paging, no RAM (map it with `memory().map_region`).
    explicit Machine(const CpuFeatures& features, unsigned cpus = 1);
    ~Machine();
    Machine(Machine&&) noexcept;
    Machine& operator=(Machine&&) noexcept;

    [[nodiscard]] PhysicalMemory& memory() noexcept { return *memory_; }
    [[nodiscard]] const PhysicalMemory& memory() const noexcept { return *memory_; }
    [[nodiscard]] const CpuFeatures& features() const noexcept { return features_; }

    // --- processors ---
    [[nodiscard]] unsigned cpu_count() const noexcept { return static_cast<unsigned>(cpus_.size()); }
    [[nodiscard]] unsigned current_cpu() const noexcept { return current_; }
    /// All that follows happens on CPU `number`. @throws Error  if there is no such CPU
    void select_cpu(unsigned number);
    /// Registers of the current CPU.
    [[nodiscard]] const CpuState& cpu() const noexcept { return cpus_[current_].state; }
    [[nodiscard]] const Mmu& mmu() const noexcept { return cpus_[current_].mmu; }
    /// Translation caches and clock costs of the current CPU may be set up here.
    [[nodiscard]] Mmu& mmu() noexcept { return cpus_[current_].mmu; }
    /// Puts the registers where a loader or firmware left them; no rule is checked, the translation caches are emptied.
    void set_cpu_state(const CpuState& state);

    // --- memory accesses; an access may cross a page boundary ---
    AccessResult load(VirtAddr virt, AccessSize size);
    AccessResult store(VirtAddr virt, std::uint64_t value, AccessSize size);
    AccessResult load64(VirtAddr virt) { return load(virt, AccessSize::qword); }
    AccessResult load32(VirtAddr virt) { return load(virt, AccessSize::dword); }
    AccessResult store64(VirtAddr virt, std::uint64_t value) { return store(virt, value, AccessSize::qword); }
    AccessResult store32(VirtAddr virt, std::uint32_t value) { return store(virt, value, AccessSize::dword); }
    /// Locked exchange: one read-modify-write; gives the old value.
    AccessResult exchange(VirtAddr virt, std::uint64_t value, AccessSize size);
    /// Fetches one instruction byte at `virt` (a jump there): translation, rights and accessed flags.
    AccessResult fetch(VirtAddr virt);
    /// REP STOS: `bytes` times `value`, ascending, one translation a page.
    AccessResult fill(VirtAddr virt, std::uint64_t bytes, std::uint8_t value);
    /// REP MOVS, ascending, one translation a page on each side.
    AccessResult copy(VirtAddr to, VirtAddr from, std::uint64_t bytes);
    /// Reads or writes a run of bytes, ascending, one translation a page.
    AccessResult read_bytes(VirtAddr virt, std::span<std::byte> out);
    AccessResult write_bytes(VirtAddr virt, std::span<const std::byte> data);
    /// One access of any kind at any privilege, up to 8 bytes; `value` is what a write stores.
    AccessResult access(VirtAddr virt, Access access, AccessSize size, std::uint64_t value = 0);

    // --- control registers and MSRs; #GP is delivered as any exception ---
    RegisterResult mov_cr0(std::uint64_t value);
    RegisterResult mov_cr3(std::uint64_t value);
    RegisterResult mov_cr4(std::uint64_t value);
    RegisterResult wrmsr_efer(std::uint64_t value);
    RegisterResult wrmsr_pat(std::uint64_t value);
    RegisterResult wrmsr_pkrs(std::uint64_t value);
    /// WRMSR of IA32_EFER, IA32_PAT, IA32_PKRS or an MTRR; #GP for every other number.
    RegisterResult wrmsr(std::uint32_t msr, std::uint64_t value);
    void wrpkru(std::uint32_t value);
    /// RFLAGS.AC := 1 / 0.
    void stac() { set_ac(true); }
    void clac() { set_ac(false); }
    void set_cpl(std::uint8_t cpl);
    /// Far jump or return to a code segment with this CS.L; only in long mode is such code 64-bit code.
    void load_cs(bool cs_long);

    // --- invalidation ---
    /// INVLPG: the page that contains `virt`, for the current PCID, whatever its size; global ones too.
    void invlpg(VirtAddr virt);
    /// INVPCID. #GP for a type above 3, a non-canonical address (type 0), or a PCID above 0 without CR4.PCIDE (0, 1).
    RegisterResult invpcid(InvpcidType type, std::uint16_t pcid = 0, VirtAddr virt = {});
    /// What an operating system does with an IPI: every other CPU executes INVLPG for each page of the range.
    void shootdown(VirtRange range, PageSize stride = PageSize::k4K);

    /// Another number whenever a translation of the kernel half that the current CPU used before need not hold any
    /// more: after writes to control registers and MSRs, invalidations, a change of the CPU, a restored snapshot, a
    /// stop. 0 while CPL is not 0. What is done behind the machine's back, through `mmu()`, is not seen.
    [[nodiscard]] std::uint64_t kernel_epoch() const noexcept { return kernel_epoch_; }

    // --- exceptions ---
    /// From now on `handler` gets the exceptions of this vector, on every CPU. An empty one takes the entry away:
    /// delivery then fails.
    void set_exception_handler(Vector vector, ExceptionHandler handler);
    /// From now on delivery pushes a frame of 48 bytes (24 outside long mode) below `top`, through the MMU; if that
    /// faults, the double fault comes. nullopt: nothing is pushed.
    void set_exception_stack(std::optional<VirtAddr> top) { exception_stack_ = top; }
    [[nodiscard]] bool stopped() const noexcept { return stop_ != nullptr; }
    [[nodiscard]] const MachineStop* stop() const noexcept { return stop_.get(); }
    /// Every exception delivered so far, counted.
    [[nodiscard]] std::uint64_t exception_count() const noexcept { return exception_count_; }

    // --- looking without touching ---
    /// Walks the tables for the current CPU. Changes nothing, sees no translation cache, leaves no stray access.
    [[nodiscard]] WalkResult translate(VirtAddr virt, Access access = {}) const;
    /// Memory type of an access, from PAT, MTRRs and CR0.CD; nullopt where nothing is mapped, and where overlapping
    /// MTRRs make it undefined.
    [[nodiscard]] std::optional<MemoryType> memory_type(VirtAddr virt, Access access = {}) const;
    /// The 8 bytes at an 8-byte aligned linear address, read as a supervisor would; nullopt where nothing is mapped.
    [[nodiscard]] std::optional<std::uint64_t> peek64(VirtAddr virt) const;

    [[nodiscard]] MachineSnapshot snapshot() const;
    /// Memory, registers and clock become those of the snapshot; translation caches are emptied, a stop is forgotten.
    /// @throws Error  if the snapshot has another number of CPUs
    void restore(const MachineSnapshot& snapshot);

    // --- clock ---
    /// Without a core model an access takes one cycle and one more for each table entry read; with one
    /// (`mmu().set_core`) it takes what that core would.
    [[nodiscard]] Cycles now() const noexcept { return now_; }
    void advance(Cycles cycles) noexcept { now_ += cycles; }

    // --- provenance ---
    /// While it lives, writes come from this function, stage and rule (see WriteJournal). Scopes nest; leaving one
    /// brings the outer one back.
    class OriginScope {
    public:
        OriginScope(OriginScope&& other) noexcept : machine_{std::exchange(other.machine_, nullptr)} {}
        OriginScope(const OriginScope&) = delete;
        OriginScope& operator=(const OriginScope&) = delete;
        OriginScope& operator=(OriginScope&&) = delete;
        ~OriginScope();

    private:
        friend class Machine;
        explicit OriginScope(Machine* machine) noexcept : machine_{machine} {}
        Machine* machine_;
    };
    [[nodiscard]] OriginScope origin(std::string_view function, std::string_view stage, std::string_view rule = {});
    /// The innermost open scope; empty strings when there is none.
    [[nodiscard]] WriteOrigin current_origin() const;

private:
    struct Cpu {
        CpuState state;
        Mmu mmu;
    };

    [[nodiscard]] VirtAddr linear(VirtAddr virt) const noexcept;
    [[nodiscard]] std::optional<PhysAddr> resolve(VirtAddr virt, Access access, bool& skipped);
    [[nodiscard]] std::optional<PhysAddr> resolve_slow(VirtAddr virt, Access access, bool& skipped);
    AccessResult load_at(VirtAddr virt, Access access, unsigned size);
    AccessResult store_at(VirtAddr virt, Access access, unsigned size, std::uint64_t value);
    template <class Piece>
    AccessResult each_page(VirtAddr virt, std::uint64_t bytes, Access access, Piece piece);
    HandlerResult raise(ExceptionFrame frame, const WalkResult& walk);
    [[nodiscard]] std::optional<ExceptionFrame> push_frame(const ExceptionFrame& frame);
    void stop_with(MachineStop::Reason reason, std::vector<ExceptionFrame> chain, const WalkResult& walk);
    RegisterResult refuse(RegisterFault fault);
    RegisterResult commit(const CpuState& next, bool cr3_written, const TranslationFlush& flush);
    void state_changed();
    void new_epoch() noexcept { kernel_epoch_ = ++epoch_ & (cpu().cpl == 0 ? ~std::uint64_t{0} : 0); }
    void set_ac(bool ac);
    void charge(TimedEvent event) noexcept {
        if (TimingModel* const timing = mmu().timing()) {
            now_ += timing->event(event);
        }
    }
    [[nodiscard]] AccessResult result(std::uint64_t value = 0) const noexcept { return {value, stop_.get()}; }

    CpuFeatures features_;
    std::unique_ptr<PhysicalMemory> memory_;
    std::vector<Cpu> cpus_;
    unsigned current_ = 0;
    Cycles now_;
    std::uint64_t epoch_ = 1;
    std::uint64_t kernel_epoch_ = 0;  // epoch_ while CPL is 0, else 0
    std::unique_ptr<MachineStop> stop_;
    std::vector<std::pair<Vector, std::shared_ptr<const ExceptionHandler>>> handlers_;
    std::optional<VirtAddr> exception_stack_;
    std::vector<ExceptionFrame> in_delivery_;
    std::uint64_t exception_count_ = 0;
    std::vector<WriteOrigin> origins_;
};

}  // namespace pgsim
