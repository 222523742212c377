// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "pgsim/base/address.hpp"
#include "pgsim/cpu/cpu_state.hpp"
#include "pgsim/kernel/boot_inputs.hpp"
#include "pgsim/kernel/buddy.hpp"
#include "pgsim/kernel/decompressor.hpp"
#include "pgsim/kernel/e820_setup.hpp"
#include "pgsim/kernel/early_param.hpp"
#include "pgsim/kernel/free_all.hpp"
#include "pgsim/kernel/kernel_memory.hpp"
#include "pgsim/kernel/kernel_state.hpp"
#include "pgsim/kernel/memblock.hpp"
#include "pgsim/kernel/memmap.hpp"
#include "pgsim/kernel/numa.hpp"
#include "pgsim/kernel/pgtable_context.hpp"
#include "pgsim/kernel/sparse.hpp"
#include "pgsim/kernel/zones.hpp"
#include "pgsim/machine/machine.hpp"

namespace pgsim::kernel {

/// The simulated kernel: its inputs, its variables, and the machine that it runs on. The ported functions are free
/// functions over it, named as in the kernel; each runs where the machine stands, at the addresses of its phase.
struct Kernel {
    /// @param inputs   outlives the kernel
    /// @param machine  outlives the kernel; memory is laid out, registers are as the boot loader leaves them
    Kernel(const BootInputs& inputs, Machine& machine);
    Kernel(const Kernel&) = delete;
    Kernel& operator=(const Kernel&) = delete;

    const BootInputs& inputs;
    Machine& machine;
    KernelMemory memory;
    KernelState state;
    DecompressorState decompressor;
    EarlyParams params;  ///< what parse_early_param finds on the command line
    E820 e820;           ///< e820_table
    Memblock memblock;
    NumaState numa;
    ZoneState zones;
    std::uint64_t dma_reserve = 0;  ///< pages
    std::vector<VmemmapBlock> vmemmap_blocks;
    std::shared_ptr<const Memmap> memmap;  ///< what struct pages hold until somebody writes them
    std::unique_ptr<Buddy> buddy;          ///< after memblock_free_all
    std::vector<ZoneFreeArea> free_areas;  ///< right after memblock_free_all

    [[nodiscard]] const CpuState& cpu() const;
    /// Levels of the paging mode in force: 4 or 5.
    [[nodiscard]] unsigned levels() const;

    // Register writes as the kernel makes them; a #GP that nobody handles ends the boot.
    void write_cr0(std::uint64_t value);
    void write_cr3(std::uint64_t value);
    void write_cr4(std::uint64_t value);
    void write_efer(std::uint64_t value);
    /// Far jump to 64-bit code (CS.L = 1), as after startup_32 turned paging on.
    void far_jump_to_64bit();
    /// From 64-bit mode through compatibility mode: paging off, CR3 = `top`, CR4.LA57 toggled, paging on, back.
    /// [spec R1.10]
    void switch_paging_levels(std::uint64_t top);
    /// Executes at `va`: the first instruction of a function must be mapped and executable.
    void jump_to(VirtAddr va);

    /// From now on `handler(CR2, error code)` gets page faults; false means that it cannot resolve them.
    void on_page_fault(std::function<bool(std::uint64_t, std::uint32_t)> handler);
    void no_page_fault_handler();

    /// Names the code that writes from now on, for provenance, until the returned scope ends.
    [[nodiscard]] Machine::OriginScope origin(std::string_view function, std::string_view rule);
    std::string_view stage = "decompressor";  ///< for provenance

    /// Direct-map address of `pa`, as __va(). [spec appendix B]
    [[nodiscard]] VirtAddr va(std::uint64_t pa) const { return VirtAddr{state.page_offset_base + pa}; }
    [[nodiscard]] Pgtable pgtable() { return Pgtable{memory, state}; }
    /// swapper_pg_dir, in the kernel-image mapping.
    [[nodiscard]] pgd_ptr init_top_pgt() const { return pgd_ptr{symbol("init_top_pgt")}; }
    /// Run-time address of a symbol.
    [[nodiscard]] VirtAddr symbol(std::string_view name) const { return inputs.layout.va(name); }
    [[nodiscard]] std::uint64_t symbol_pa(std::string_view name) const { return inputs.layout.pa(name).value(); }
};

/// Ends the simulated boot where the real code hangs on purpose. @throws Halted  always
[[noreturn]] void endless_loop(std::string message, std::string function, std::string rule);

}  // namespace pgsim::kernel
