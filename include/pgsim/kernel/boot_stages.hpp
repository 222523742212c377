// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "pgsim/kernel/kernel_memory.hpp"

namespace pgsim::kernel {

struct Kernel;

/// A stretch of the boot that ends at a checkpoint of the capture format.
struct BootStage {
    std::string_view checkpoint;  ///< where it ends, e.g. "init_mem_mapping.exit"
    std::string_view function;    ///< what mainly runs in it, for people
    std::string_view part;        ///< the part of the boot that it belongs to, e.g. "decompressor"
    void (*run)(Kernel&);
};

/// All stages in boot order. [spec appendix E]
[[nodiscard]] std::span<const BootStage> boot_stages() noexcept;

/// Runs one stage. Returns why the simulated kernel ended, or nullopt when the checkpoint was reached.
[[nodiscard]] std::optional<Halt> run_stage(Kernel& kernel, const BootStage& stage);

}  // namespace pgsim::kernel
