// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pgsim/base/range.hpp"
#include "pgsim/cpu/cpu_features.hpp"
#include "pgsim/cpu/mtrr.hpp"
#include "pgsim/firmware/boot_params.hpp"
#include "pgsim/firmware/numa_description.hpp"
#include "pgsim/kernel/kernel_config.hpp"
#include "pgsim/kernel/kernel_layout.hpp"
#include "pgsim/kernel/kernel_series.hpp"

namespace pgsim::kernel {

/// A request to memblock by a subsystem that is not simulated, without what it was given. [spec appendix D]
struct MemblockRequest {
    std::string op;              ///< as memblock=debug names it: "alloc_try_nid", "alloc_try_nid_raw", "phys_free", …
    std::uint64_t size = 0;      ///< bytes
    std::uint64_t align = 0;     ///< bytes
    int nid = -1;                ///< -1: any node
    std::uint64_t from = 0;      ///< lowest physical address
    std::uint64_t max_addr = 0;  ///< 0: up to current_limit
    std::string by;              ///< the caller
    /// phys_free: the index of the request whose result it trims, and where in it; without one, `base`.
    std::optional<std::size_t> of;
    std::uint64_t offset = 0;
    std::uint64_t base = 0;
    friend bool operator==(const MemblockRequest&, const MemblockRequest&) = default;
};

/// All that a simulated boot may know: what firmware and boot loader gave, the CPU, the kernel's build, and what was
/// random in the real boot. Nothing else steers the result. [spec appendix D]
struct BootInputs {
    CpuFeatures cpu;
    Mtrrs mtrrs;  ///< as firmware set them; all zero: not known, nothing is trimmed (R5.12)
    /// Whether the CPU leaks kernel memory (RDCL_NO clear); nullopt: judged by vendor and model. Decides PTI (R6.2).
    std::optional<bool> meltdown_bug;
    KernelSeries series;
    KernelConfig config;
    KernelLayout layout;
    firmware::BootParams boot_params;
    std::vector<firmware::AcpiTable> acpi_tables;
    firmware::NumaDescription numa;
    std::uint64_t brk_early_bytes = 0;          ///< D of R5.20
    std::optional<PhysAddr> decompressor_base;  ///< where byte 0 of the compressed image is copied to (R1.4)
    /// Which slot of the CPU entry area KASLR chose for the boot CPU (random from 6.2 on). 0 without KASLR.
    std::uint64_t cpu_entry_area_slot = 0;
    std::vector<PhysRange> mp_table;       ///< R5.19
    std::vector<PhysRange> acpi_reserved;  ///< R7.1 #4, in order
    /// Between free_area_init and memblock_free_all, in order; nullopt: not known, so the built-in list is taken.
    std::optional<std::vector<MemblockRequest>> memblock_requests;
    friend bool operator==(const BootInputs&, const BootInputs&) = default;
};

}  // namespace pgsim::kernel
