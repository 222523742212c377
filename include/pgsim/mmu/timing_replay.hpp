// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "pgsim/base/address.hpp"
#include "pgsim/mmu/mmu.hpp"
#include "pgsim/mmu/timing_trace.hpp"

namespace pgsim {

struct ReplayOptions {
    std::optional<CoreDescription> core;                    ///< nullopt: no timing
    std::optional<PageSize> map_on_demand = PageSize::k4K;  ///< nullopt: only `map` lines map; else an access faults
    bool five_level = false;
    bool tables_accessed = true;  ///< entries are made with A (and D) set, so that no walk has to set them
    std::uint64_t data_base = std::uint64_t{1} << 40;  ///< physical address of the first page mapped on demand
};

/// Runs a trace of accesses through one MMU: tables in simulated memory, made as the trace asks for pages.
class Replay {
public:
    explicit Replay(const ReplayOptions& options);

    /// @throws Error  when pages overlap: a large page where a table is, or the other way round
    void map(VirtAddr virt, PhysAddr phys, PageSize size, bool writable = true, bool user = true);
    /// One step. The result of an access is in `last`.
    void run(const TraceStep& step);
    /// An access alone; pages are mapped on demand where the options say so.
    const WalkResult& access(VirtAddr virt, Access access = {AccessKind::read, 3});
    void mov_cr3(std::uint16_t pcid, bool keep);
    void invlpg(VirtAddr virt);

    [[nodiscard]] const WalkResult& last() const noexcept { return last_; }
    [[nodiscard]] std::uint64_t faults() const noexcept { return faults_; }
    [[nodiscard]] Mmu& mmu() noexcept { return mmu_; }
    [[nodiscard]] const Mmu& mmu() const noexcept { return mmu_; }
    [[nodiscard]] PhysicalMemory& memory() noexcept { return memory_; }

private:
    [[nodiscard]] bool mapped(VirtAddr virt) const;
    [[nodiscard]] std::uint64_t new_table();

    ReplayOptions options_;
    PhysicalMemory memory_;
    Mmu mmu_;
    PagingControls controls_;
    std::uint64_t next_table_;
    std::uint64_t next_data_;
    std::uint64_t faults_ = 0;
    WalkResult last_;
};

/// The statistics as a table for people: cycles and what they were spent on, then each structure.
[[nodiscard]] std::string to_string(const TimingStatistics& statistics, const CoreDescription& core);

}  // namespace pgsim
