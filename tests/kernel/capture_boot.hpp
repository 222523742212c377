// SPDX-License-Identifier: GPL-2.0-only
// What the tests of memblock, E820, NUMA and zones read out of a boot capture.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "pgsim/firmware/boot_params.hpp"
#include "pgsim/firmware/numa_description.hpp"
#include "pgsim/formats/capture.hpp"
#include "pgsim/kernel/e820_setup.hpp"
#include "pgsim/kernel/early_param.hpp"
#include "pgsim/kernel/kernel_config.hpp"
#include "pgsim/kernel/kernel_series.hpp"
#include "pgsim/kernel/memblock.hpp"
#include "pgsim/kernel/numa.hpp"
#include "pgsim/kernel/zones.hpp"

namespace pgsim::test {

/// A capture with what the kernel's set-up code was given.
struct CaptureBoot {
    formats::Capture capture;
    firmware::BootParams boot_params;
    firmware::NumaDescription numa;
    kernel::KernelSeries series;
    kernel::KernelConfig config;
    std::uint64_t pglist_data_size = 0;
    unsigned levels = 4;
    PhysRange image;     ///< [_text, _end)
    PhysRange reserved;  ///< [_text, __end_of_kernel_reserve)
    std::uint64_t page_offset_base = 0;
    std::uint64_t memory_init_regions = 0;
    std::uint64_t reserved_init_regions = 0;

    [[nodiscard]] const formats::CaptureCheckpoint& at(const std::string& checkpoint) const;
    [[nodiscard]] std::vector<kernel::MemblockCall> calls(const std::string& checkpoint) const;
    [[nodiscard]] std::uint64_t global(const std::string& checkpoint, const std::string& name) const;

    /// The kernel's E820 table and parameters as setup_arch makes them. [spec R5.1]
    struct Early {
        kernel::E820 e820;
        kernel::EarlyParams params;
    };
    [[nodiscard]] Early setup_e820() const;
    [[nodiscard]] kernel::Memblock::Setup memblock_setup() const;
    /// memblock as the capture has it.
    [[nodiscard]] kernel::Memblock memblock_at(const std::string& checkpoint) const;
    [[nodiscard]] kernel::NumaInputs numa_inputs() const;
    [[nodiscard]] kernel::ZoneInputs zone_inputs() const;
};

/// The names of all captures below tests/data/captures, without ".json.xz".
[[nodiscard]] std::vector<std::string> capture_names();
[[nodiscard]] CaptureBoot load_capture(const std::string& name);

/// "[0x1000,0x9f000) nid 0 flags 0" a region; for messages.
[[nodiscard]] std::string describe(const kernel::MemblockType& type);
[[nodiscard]] std::string describe(const kernel::MemblockCall& call);

}  // namespace pgsim::test
