// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/kernel_memory.hpp"

#include <utility>

#include "pgsim/machine/machine.hpp"

namespace pgsim::kernel {

namespace {

// What the access gave, or the end of the simulated boot.
std::uint64_t checked(const AccessResult& result) {
    if (!result.ok()) {
        throw Halted{{Halt::Kind::machine_stop, to_string(*result.stop), result.stop->origin, {}}};
    }
    return result.value;
}

}  // namespace

void panic(std::string message, std::string function, std::string rule) {
    throw Halted{{Halt::Kind::panic, std::move(message), std::move(function), std::move(rule)}};
}

void KernelMemory::remember_translations() {
    remembers_ = true;
}

// Asked after an access that went through: what the TLB has now.
void KernelMemory::remember(VirtAddr va, bool write) {
    const bool kernel_half = va.value() >> 63 != 0;
    if (!remembers_ || !kernel_half || machine_.kernel_epoch() == 0 || machine_.mmu().timing() != nullptr ||
        machine_.memory().journal() != nullptr) {
        return;
    }
    const Access access{write ? AccessKind::write : AccessKind::read, 0};
    if (const auto phys = machine_.mmu().try_tlb(va, access)) {
        slot_of(va) = {va.value() >> 12, machine_.kernel_epoch(), phys->value() & ~std::uint64_t{0xfff}, write};
    }
}

std::uint64_t KernelMemory::read64_slow(VirtAddr va) {
    const std::uint64_t value = checked(machine_.load(va, AccessSize::qword));
    remember(va, false);
    return value;
}

std::uint32_t KernelMemory::read32(VirtAddr va) {
    if (const Recent& recent = slot_of(va); recalls(recent, va, 4)) [[likely]] {
        machine_.advance(Cycles{1});
        const std::uint64_t at = recent.frame | (va.value() & 0xff8);
        return static_cast<std::uint32_t>(machine_.memory().read64(PhysAddr{at}) >> (8 * (va.value() & 4)));
    }
    const auto value = static_cast<std::uint32_t>(checked(machine_.load(va, AccessSize::dword)));
    remember(va, false);
    return value;
}

std::uint16_t KernelMemory::read16(VirtAddr va) {
    return static_cast<std::uint16_t>(checked(machine_.load(va, AccessSize::word)));
}

std::uint8_t KernelMemory::read8(VirtAddr va) {
    return static_cast<std::uint8_t>(checked(machine_.load(va, AccessSize::byte)));
}

void KernelMemory::write64_slow(VirtAddr va, std::uint64_t value) {
    checked(machine_.store(va, value, AccessSize::qword));
    remember(va, true);
}

void KernelMemory::write32(VirtAddr va, std::uint32_t value) {
    if (const Recent& recent = slot_of(va);
        recent.writable && recalls(recent, va, 4) && machine_.memory().journal() == nullptr) [[likely]] {
        machine_.advance(Cycles{1});
        const PhysAddr word{recent.frame | (va.value() & 0xff8)};
        const std::uint64_t shift = 8 * (va.value() & 4);
        const std::uint64_t other = machine_.memory().read64(word) & ~(std::uint64_t{0xffff'ffff} << shift);
        machine_.memory().write64(word, other | std::uint64_t{value} << shift);
        return;
    }
    checked(machine_.store(va, value, AccessSize::dword));
    remember(va, true);
}

void KernelMemory::write8(VirtAddr va, std::uint8_t value) {
    checked(machine_.store(va, value, AccessSize::byte));
}

void KernelMemory::fill(VirtAddr va, std::uint64_t bytes, std::uint8_t value) {
    checked(machine_.fill(va, bytes, value));
}

void KernelMemory::copy(VirtAddr to, VirtAddr from, std::uint64_t bytes) {
    checked(machine_.copy(to, from, bytes));
}

void KernelMemory::write(VirtAddr va, std::span<const std::byte> data) {
    checked(machine_.write_bytes(va, data));
}

void KernelMemory::read(VirtAddr va, std::span<std::byte> out) {
    checked(machine_.read_bytes(va, out));
}

}  // namespace pgsim::kernel
