// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <memory>
#include <string_view>

#include "pgsim/kernel/kernel.hpp"
#include "pgsim/machine/machine.hpp"
#include "pgsim/scenario/boot_scenario.hpp"

namespace pgsim::test {

/// A simulated kernel that stands at a checkpoint and can be driven by hand. Without one: before its first instruction.
class BootKernel {
public:
    explicit BootKernel(std::string_view checkpoint = {});
    BootKernel(BootScenario scenario, std::string_view checkpoint);

private:
    BootScenario scenario_;
    Machine machine_;

public:
    kernel::Kernel kernel;
};

}  // namespace pgsim::test
