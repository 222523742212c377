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

std::uint64_t KernelMemory::read64(VirtAddr va) {
    return checked(machine_.load(va, AccessSize::qword));
}

std::uint32_t KernelMemory::read32(VirtAddr va) {
    return static_cast<std::uint32_t>(checked(machine_.load(va, AccessSize::dword)));
}

std::uint16_t KernelMemory::read16(VirtAddr va) {
    return static_cast<std::uint16_t>(checked(machine_.load(va, AccessSize::word)));
}

std::uint8_t KernelMemory::read8(VirtAddr va) {
    return static_cast<std::uint8_t>(checked(machine_.load(va, AccessSize::byte)));
}

void KernelMemory::write64(VirtAddr va, std::uint64_t value) {
    checked(machine_.store(va, value, AccessSize::qword));
}

void KernelMemory::write32(VirtAddr va, std::uint32_t value) {
    checked(machine_.store(va, value, AccessSize::dword));
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
