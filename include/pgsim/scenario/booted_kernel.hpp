// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "pgsim/kernel/buddy.hpp"
#include "pgsim/kernel/kernel_memory.hpp"
#include "pgsim/kernel/kernel_state.hpp"
#include "pgsim/kernel/zones.hpp"
#include "pgsim/machine/machine.hpp"
#include "pgsim/scenario/boot.hpp"

namespace pgsim {

struct BootedKernelOptions {
    /// Goes on to where init runs: deferred pages are freed (page_alloc_init_late), watermarks set, per-CPU lists in
    /// use. False: exactly as memblock_free_all left it.
    bool late = true;
    bool pcp = true;  ///< per-CPU lists, when late
};

/// The machine of a boot as it stands at buddy.exit, running on: its tables, its memmap, its free lists. The boot's own
/// checkpoints do not change.
class BootedKernel {
public:
    /// @throws Error  when the boot did not come to buddy.exit
    explicit BootedKernel(const Boot& boot, const BootedKernelOptions& options = {});

    [[nodiscard]] Machine& machine() noexcept { return *machine_; }
    [[nodiscard]] kernel::KernelMemory& memory() noexcept { return *memory_; }
    [[nodiscard]] kernel::KernelState& state() noexcept { return state_; }
    [[nodiscard]] kernel::Buddy& buddy() noexcept { return *buddy_; }
    [[nodiscard]] const kernel::ZoneState& zones() const noexcept { return zones_; }
    /// swapper_pg_dir.
    [[nodiscard]] PhysAddr init_top_pgt() const noexcept { return init_top_pgt_; }
    /// Frame of empty_zero_page.
    [[nodiscard]] Pfn zero_page() const noexcept { return zero_page_; }
    /// Room for list heads that are not the allocator's: half a page. Only when late.
    [[nodiscard]] VirtAddr lists() const noexcept { return lists_; }
    /// Pages that were taken from the allocator for what per-CPU areas hold in a real kernel.
    [[nodiscard]] std::uint64_t own_pages() const noexcept { return own_pages_; }

private:
    void free_deferred(const Checkpoint& checkpoint, const kernel::BuddySetup& setup);
    void take_room(const kernel::BuddySetup& setup);

    std::unique_ptr<Machine> machine_;
    std::unique_ptr<kernel::KernelMemory> memory_;
    kernel::KernelState state_;
    kernel::ZoneState zones_;
    std::unique_ptr<kernel::Buddy> buddy_;
    PhysAddr init_top_pgt_;
    Pfn zero_page_;
    VirtAddr lists_;
    VirtAddr pcp_area_;
    std::uint64_t own_pages_ = 0;
    unsigned pg_reserved_bit_ = 14;
    std::uint64_t struct_page_size_ = 64;
    std::vector<kernel::VmemmapBlock> vmemmap_blocks_;
};

}  // namespace pgsim
