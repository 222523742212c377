// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/setup_data.hpp"

#include <algorithm>

#include "pgsim/kernel/early_ioremap.hpp"
#include "pgsim/kernel/kernel.hpp"

namespace pgsim::kernel {

namespace {

constexpr std::uint64_t header_bytes = 16;
constexpr std::uint64_t e820_entry_bytes = 20;
constexpr std::uint64_t indirect_bytes = 24;
constexpr std::uint64_t slot_bytes = 0x3'f000;  // what one early mapping surely holds
constexpr std::size_t most_nodes = 4096;

firmware::E820Entry read_entry(Kernel& k, VirtAddr at) {
    return {k.memory.read64(at), k.memory.read64(at + 8), static_cast<firmware::E820Type>(k.memory.read32(at + 16))};
}

firmware::SetupData::Indirect read_indirect(Kernel& k, std::uint64_t pa) {
    const VirtAddr at = early_memremap(k, pa, indirect_bytes);
    const std::uint64_t target = k.memory.read64(at + 16);
    const firmware::SetupData::Indirect indirect{k.memory.read32(at), k.memory.read64(at + 8),
                                                 PhysAddr::try_from(target).value_or(PhysAddr{})};
    early_memunmap(k, at, indirect_bytes);
    const bool fits = PhysAddr::try_from(target) && indirect.length <= PhysSpace::last - target;
    return fits ? indirect : firmware::SetupData::Indirect{firmware::setup_indirect, 0, PhysAddr{}};
}

}  // namespace

std::vector<firmware::SetupData> read_setup_data(Kernel& k) {
    std::vector<firmware::SetupData> list;
    std::uint64_t pa = k.memory.read64(k.symbol("boot_params") + firmware::zero_page::setup_data);
    while (pa != 0) {
        if (list.size() == most_nodes) {
            panic("the list of setup_data does not end", "parse_setup_data", "R5.5");
        }
        const auto address = PhysAddr::try_from(pa);
        if (!address) {
            panic("setup_data beyond physical memory", "parse_setup_data", "R5.5");
        }
        const VirtAddr header = early_memremap(k, pa, header_bytes);
        firmware::SetupData node{*address, k.memory.read32(header + 8), k.memory.read32(header + 12)};
        const std::uint64_t next = k.memory.read64(header);
        early_memunmap(k, header, header_bytes);
        if (node.type == firmware::setup_e820_ext && node.length >= e820_entry_bytes) {
            const std::uint64_t bytes = std::min<std::uint64_t>(node.length, slot_bytes);
            const VirtAddr payload = early_memremap(k, pa + header_bytes, bytes);
            for (std::uint64_t at = 0; at + e820_entry_bytes <= bytes; at += e820_entry_bytes) {
                node.e820_ext.push_back(read_entry(k, payload + at));
            }
            early_memunmap(k, payload, bytes);
        }
        if (node.type == firmware::setup_indirect && node.length >= indirect_bytes) {
            node.indirect = read_indirect(k, pa + header_bytes);
        }
        list.push_back(std::move(node));
        pa = next;
    }
    return list;
}

std::vector<PhysRange> find_ibft_region(Kernel& k) {
    constexpr std::uint64_t ibft_start = 0x8'0000;
    constexpr std::uint64_t ibft_end = 0x10'0000;
    constexpr std::uint64_t vga_mem = 0xa'0000;
    constexpr std::uint64_t vga_end = 0xc'0000;
    constexpr std::uint32_t ibft = 0x5446'4269;  // "iBFT"
    constexpr std::uint32_t bift = 0x5446'4942;  // "BIFT"
    // Built in unless the configuration says otherwise.
    const auto option = k.inputs.config.options().find("ISCSI_IBFT_FIND");
    if (k.inputs.boot_params.efi || (option != k.inputs.config.options().end() && option->second == "n")) {
        return {};
    }
    for (std::uint64_t at = ibft_start; at < ibft_end; at += 16) {
        // Touching video memory could hang the machine.
        if (at == vga_mem) {
            at = vga_end;
        }
        const std::uint32_t signature = k.memory.read32(k.va(at));
        if (signature != ibft && signature != bift) {
            continue;
        }
        const std::uint64_t bytes = k.memory.read32(k.va(at + 4));
        if (bytes != 0 && at + bytes <= ibft_end - 1) {
            return {PhysRange::sized(PhysAddr{at}, (bytes + 4095) & ~std::uint64_t{4095})};
        }
    }
    return {};
}

}  // namespace pgsim::kernel
