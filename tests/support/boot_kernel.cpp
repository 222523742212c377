// SPDX-License-Identifier: GPL-2.0-only
#include "support/boot_kernel.hpp"

#include <stdexcept>

#include "pgsim/firmware/boot_loader.hpp"
#include "pgsim/kernel/boot_stages.hpp"
#include "pgsim/scenario/presets.hpp"

namespace pgsim::test {

BootKernel::BootKernel(std::string_view checkpoint) : BootKernel{presets::qemu_q35("4G"), checkpoint} {}

BootKernel::BootKernel(BootScenario scenario, std::string_view checkpoint)
    : scenario_{std::move(scenario)}, machine_{scenario_.inputs.cpu}, kernel{scenario_.inputs, machine_} {
    firmware::map_physical_memory(machine_.memory(), scenario_.inputs.boot_params, {});
    firmware::load_boot_params(machine_.memory(), scenario_.inputs.boot_params);
    if (checkpoint.empty()) {
        return;
    }
    for (const kernel::BootStage& stage : kernel::boot_stages()) {
        if (const auto halt = kernel::run_stage(kernel, stage)) {
            throw std::runtime_error{halt->message};
        }
        if (stage.checkpoint == checkpoint) {
            return;
        }
    }
    throw std::runtime_error{"no such checkpoint"};
}

}  // namespace pgsim::test
