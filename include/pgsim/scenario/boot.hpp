// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pgsim/cpu/cpu_state.hpp"
#include "pgsim/kernel/e820_setup.hpp"
#include "pgsim/kernel/free_all.hpp"
#include "pgsim/kernel/kernel_memory.hpp"
#include "pgsim/kernel/kernel_state.hpp"
#include "pgsim/kernel/memblock.hpp"
#include "pgsim/kernel/numa.hpp"
#include "pgsim/kernel/sparse.hpp"
#include "pgsim/kernel/zones.hpp"
#include "pgsim/machine/machine.hpp"
#include "pgsim/memory/write_journal.hpp"
#include "pgsim/scenario/boot_scenario.hpp"

namespace pgsim {

/// Everything at one point of a boot: memory, processor, and the simulated kernel's own variables. Unchanged frames
/// are shared between checkpoints.
struct Checkpoint {
    std::string name;      ///< as in the capture format, e.g. "init_mem_mapping.exit"
    std::string function;  ///< what mainly ran since the checkpoint before, e.g. "init_mem_mapping"
    MachineSnapshot machine;
    kernel::KernelState kernel;
    kernel::Memblock memblock;
    std::vector<firmware::E820Entry> e820;  ///< the kernel's own table
    std::vector<std::string> e820_printed;  ///< what changing it has printed so far
    kernel::NumaState numa;
    kernel::ZoneState zones;
    std::vector<kernel::ZoneFreeArea> free_areas;  ///< after memblock_free_all; else empty
    std::size_t journal_size = 0;                  ///< records in the journal at this point
    std::uint64_t stray_accesses = 0;

    [[nodiscard]] const CpuState& cpu() const noexcept { return machine.cpus.front(); }
    /// Levels of the paging mode in force: 4 or 5.
    [[nodiscard]] unsigned levels() const noexcept { return (cpu().cr4 & Cr4::la57) != 0 ? 5 : 4; }
    /// The root that this checkpoint is about: CR3's, but for startup_64_fixups.exit, where it is early_top_pgt.
    [[nodiscard]] PhysAddr root() const noexcept { return root_; }

    PhysAddr root_;
};

struct BootOptions {
    /// Stop after this checkpoint; empty: after the last one.
    std::string until{};
    /// Record who wrote which entry.
    bool journal = false;
    /// Called before each stage with its number, the number of stages, and the function that is about to run.
    std::function<void(std::size_t, std::size_t, std::string_view)> progress{};
};

/// A simulated boot with all its checkpoints.
class Boot {
public:
    [[nodiscard]] const BootScenario& scenario() const noexcept { return *scenario_; }
    [[nodiscard]] std::span<const Checkpoint> checkpoints() const noexcept { return checkpoints_; }
    /// @throws Error  when the boot did not reach a checkpoint of this name (with the names that there are)
    [[nodiscard]] const Checkpoint& at(std::string_view name) const;
    /// Null when there is none of this name.
    [[nodiscard]] const Checkpoint* find(std::string_view name) const noexcept;
    [[nodiscard]] const Checkpoint& last() const noexcept { return checkpoints_.back(); }
    /// Why the simulated kernel ended before the last checkpoint; nullopt when it did not.
    [[nodiscard]] const std::optional<kernel::Halt>& halt() const noexcept { return halt_; }
    /// Null without BootOptions::journal.
    [[nodiscard]] const WriteJournal* journal() const noexcept { return journal_.get(); }
    /// Accesses that no RAM answered: a port that wanders.
    [[nodiscard]] std::span<const StrayAccess> stray_accesses() const noexcept { return strays_; }
    /// Where the struct pages lie, in order of mapping.
    [[nodiscard]] std::span<const kernel::VmemmapBlock> vmemmap_blocks() const noexcept { return vmemmap_blocks_; }

private:
    friend Boot run(const BootScenario& scenario, const BootOptions& options);
    std::shared_ptr<const BootScenario> scenario_;
    std::vector<Checkpoint> checkpoints_;
    std::optional<kernel::Halt> halt_;
    std::shared_ptr<WriteJournal> journal_;
    std::vector<StrayAccess> strays_;
    std::vector<kernel::VmemmapBlock> vmemmap_blocks_;
};

/// Boots the scenario's kernel on the scenario's machine.
/// @throws Error  when the scenario cannot be booted: no checkpoint of the name `until`, RAM beyond MAXPHYADDR, a
///                kernel image without its symbols
[[nodiscard]] Boot run(const BootScenario& scenario, const BootOptions& options = {});

/// Names of all checkpoints, in boot order.
[[nodiscard]] std::vector<std::string> checkpoint_names();

}  // namespace pgsim
