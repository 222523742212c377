// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/brk.hpp"

#include "pgsim/kernel/kernel.hpp"

namespace pgsim::kernel {

VirtAddr extend_brk(Kernel& k, std::uint64_t size, std::uint64_t align) {
    KernelState& s = k.state;
    if (s.brk_start == 0) {
        panic("kernel BUG: brk is closed", "extend_brk", "R5.21");
    }
    s.brk_end = (s.brk_end + align - 1) & ~(align - 1);
    if (s.brk_end + size > k.symbol("__brk_limit").value()) {
        panic("kernel BUG: brk is full", "extend_brk", "R5.20");
    }
    const VirtAddr area{s.brk_end};
    s.brk_end += size;
    k.memory.fill(area, size);
    return area;
}

void early_alloc_pgt_buf(Kernel& k) {
    const auto origin = k.origin("early_alloc_pgt_buf", "R5.20");
    const std::uint64_t pages =
        (k.inputs.config.enabled("X86_5LEVEL") ? 4 : 3) * (k.inputs.config.enabled("RANDOMIZE_MEMORY") ? 4 : 2);
    const VirtAddr buffer = extend_brk(k, pages * 4096, 4096);
    k.state.pgt_buf_start = (k.symbol_pa("_text") + (buffer - k.symbol("_text"))) >> 12;
    k.state.pgt_buf_end = k.state.pgt_buf_start;
    k.state.pgt_buf_top = k.state.pgt_buf_start + pages;
}

void reserve_brk(Kernel& k) {
    KernelState& s = k.state;
    if (s.brk_end > s.brk_start) {
        k.memblock.reserve(k.symbol_pa("__brk_base"), s.brk_end - s.brk_start, "reserve_brk");
    }
    s.brk_start = 0;
}

void cleanup_highmap(Kernel& k) {
    const auto origin = k.origin("cleanup_highmap", "R5.22");
    constexpr std::uint64_t large_page = 0x20'0000;
    const std::uint64_t text = k.symbol("_text").value();
    const std::uint64_t end = ((k.state.brk_end + large_page - 1) & ~(large_page - 1)) - 1;
    const VirtAddr table = k.symbol("level2_kernel_pgt");
    const unsigned entries = k.inputs.config.enabled("RANDOMIZE_BASE") ? 512 : 256;
    for (unsigned i = 0; i < entries; ++i) {
        const std::uint64_t va = start_kernel_map + i * large_page;
        if ((va < text || va > end) && k.memory.read64(table + 8 * i) != 0) {
            k.memory.write64(table + 8 * i, 0);
        }
    }
}

}  // namespace pgsim::kernel
