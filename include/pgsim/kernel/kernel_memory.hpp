// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "pgsim/base/address.hpp"
#include "pgsim/machine/machine.hpp"

namespace pgsim::kernel {

/// Why simulated kernel code came to its end before it was done. A value: what the real kernel would have shown.
struct Halt {
    enum class Kind : std::uint8_t {
        panic,         ///< panic() or BUG(), with its message
        endless_loop,  ///< the code hangs on purpose (for example in __startup_64)
        machine_stop,  ///< the processor stopped: a triple fault
    };
    Kind kind = Kind::panic;
    std::string message;
    std::string function;  ///< the kernel function that ended
    std::string rule;      ///< the spec rule that says so, e.g. "R3.4"
};

/// Unwinds ported functions to the stage that runs them, which turns it into its outcome. Never leaves the library.
struct Halted {
    Halt halt;
};

/// @throws Halted  always
[[noreturn]] void panic(std::string message, std::string function, std::string rule);

/// The ports' only door to simulated memory: loads and stores of the machine's first CPU at linear addresses, as that
/// CPU is now. Page faults are delivered to the handler that the simulated kernel installed.
///
/// A port cannot go on when the processor has stopped, so these functions unwind with `Halted` then; the value type of
/// the machine stays visible in `Machine::stopped()`.
class KernelMemory {
public:
    explicit KernelMemory(Machine& machine) noexcept : machine_{machine} {}

    [[nodiscard]] std::uint64_t read64(VirtAddr va) {
        if (const Recent& recent = slot_of(va); recalls(recent, va, 8)) [[likely]] {
            machine_.advance(Cycles{1});
            return machine_.memory().read64(PhysAddr{recent.frame | (va.value() & 0xfff)});
        }
        return read64_slow(va);
    }
    [[nodiscard]] std::uint32_t read32(VirtAddr va);
    [[nodiscard]] std::uint16_t read16(VirtAddr va);
    [[nodiscard]] std::uint8_t read8(VirtAddr va);
    void write64(VirtAddr va, std::uint64_t value) {
        if (const Recent& recent = slot_of(va);
            recent.writable && recalls(recent, va, 8) && machine_.memory().journal() == nullptr) [[likely]] {
            machine_.advance(Cycles{1});
            machine_.memory().write64(PhysAddr{recent.frame | (va.value() & 0xfff)}, value);
            return;
        }
        write64_slow(va, value);
    }
    void write32(VirtAddr va, std::uint32_t value);
    void write8(VirtAddr va, std::uint8_t value);
    /// memset().
    void fill(VirtAddr va, std::uint64_t bytes, std::uint8_t value = 0);
    /// memcpy(); the ranges do not overlap.
    void copy(VirtAddr to, VirtAddr from, std::uint64_t bytes);
    /// Stores host data, page by page: what a decompressor or a relocation loop produces.
    void write(VirtAddr va, std::span<const std::byte> data);
    void read(VirtAddr va, std::span<std::byte> out);

    [[nodiscard]] Machine& machine() noexcept { return machine_; }

    /// From now on translations of the kernel half that the TLB gave once are used again without asking it, until
    /// the machine says that they need not hold any more: as if no entry were ever evicted. For a kernel that runs;
    /// a boot changes its own mappings. No effect with a core model, a journal, or caches off.
    void remember_translations();

private:
    /// One translation; a page of all ones and epoch 0 are those of none.
    struct Recent {
        std::uint64_t page = ~std::uint64_t{0};  ///< linear address >> 12
        std::uint64_t epoch = 0;
        std::uint64_t frame = 0;  ///< physical address
        bool writable = false;
    };
    static constexpr std::size_t recent_slots = 256;

    [[nodiscard]] Recent& slot_of(VirtAddr va) noexcept {
        const std::uint64_t page = va.value() >> 12;
        return recent_[(page ^ page >> 8) % recent_slots];
    }
    [[nodiscard]] bool recalls(const Recent& recent, VirtAddr va, unsigned size) const noexcept {
        return recent.page == va.value() >> 12 && recent.epoch == machine_.kernel_epoch() && va.value() % size == 0;
    }
    void remember(VirtAddr va, bool write);
    [[nodiscard]] std::uint64_t read64_slow(VirtAddr va);
    void write64_slow(VirtAddr va, std::uint64_t value);

    Machine& machine_;
    std::array<Recent, recent_slots> recent_{};
    bool remembers_ = false;
};

}  // namespace pgsim::kernel
