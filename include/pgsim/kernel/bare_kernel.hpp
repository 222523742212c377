// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <memory>

#include "pgsim/kernel/buddy.hpp"
#include "pgsim/kernel/kernel_memory.hpp"
#include "pgsim/kernel/kernel_state.hpp"
#include "pgsim/kernel/memblock.hpp"
#include "pgsim/kernel/memmap.hpp"
#include "pgsim/kernel/zones.hpp"
#include "pgsim/machine/machine.hpp"

namespace pgsim::kernel {

/// A small machine on which a kernel runs already: direct map, memmap and free lists stand, without a boot.
struct BareKernelSetup {
    std::uint64_t memory_bytes = std::uint64_t{512}
                                 << 20;  ///< RAM from address 0 on, a multiple of 2 MiB, at least 16 MiB
    bool five_levels = false;
    bool pcp = true;    ///< per-CPU lists
    unsigned cpus = 1;  ///< as the sizes of the per-CPU lists count them
    /// What is left for allocations, bytes; 0: all. The rest stays reserved. For tests with tight memory.
    std::uint64_t free_bytes = 0;
};

/// For simulations of processes that need no particular boot: the same structures at the same kind of addresses as
/// after mm_init(), built by hand.
class BareKernel {
public:
    /// @throws Error  for sizes out of range
    explicit BareKernel(const BareKernelSetup& setup = {});

    [[nodiscard]] Machine& machine() noexcept { return *machine_; }
    [[nodiscard]] KernelMemory& memory() noexcept { return *memory_; }
    [[nodiscard]] KernelState& state() noexcept { return state_; }
    [[nodiscard]] Buddy& buddy() noexcept { return *buddy_; }
    [[nodiscard]] const ZoneState& zones() const noexcept { return zones_; }
    [[nodiscard]] const Memblock& memblock() const noexcept { return memblock_; }
    /// swapper_pg_dir.
    [[nodiscard]] PhysAddr init_top_pgt() const noexcept { return init_top_pgt_; }
    /// Frame of empty_zero_page.
    [[nodiscard]] Pfn zero_page() const noexcept { return zero_page_; }
    /// Room in the direct map for list heads that are not the allocator's: one page.
    [[nodiscard]] VirtAddr lists() const noexcept { return lists_; }

private:
    void lay_out(const BareKernelSetup& setup);
    void build_tables(std::uint64_t memory_bytes);
    void map_large(VirtAddr va, PhysAddr pa);
    [[nodiscard]] PhysAddr alloc(std::uint64_t size, std::uint64_t align);
    void start_cpu(bool five_levels);

    std::unique_ptr<Machine> machine_;
    std::unique_ptr<KernelMemory> memory_;
    KernelState state_;
    Memblock memblock_;
    ZoneState zones_;
    std::unique_ptr<Buddy> buddy_;
    PhysAddr init_top_pgt_;
    PhysAddr node_data_;
    Pfn zero_page_;
    VirtAddr lists_;
    PhysAddr memmap_;
};

}  // namespace pgsim::kernel
