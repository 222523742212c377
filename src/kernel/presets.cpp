// SPDX-License-Identifier: GPL-2.0-only
#include "kernel/presets.hpp"

#include <string>

#include "pgsim/base/error.hpp"

namespace pgsim::kernel {

const KernelPreset& kernel_preset(std::string_view name) {
    for (const KernelPreset* preset : {&debian_6_1, &defconfig_6_6, &debian_6_12}) {
        if (preset->name == name) {
            return *preset;
        }
    }
    throw Error{"kernel preset \"" + std::string{name} + "\"",
                "unknown; there are debian-6.1, defconfig-6.6, debian-6.12"};
}

}  // namespace pgsim::kernel
