// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pgsim/base/address.hpp"
#include "pgsim/base/range.hpp"

namespace pgsim::firmware {

/// One enabled memory affinity entry of the SRAT.
struct SratMemory {
    std::uint32_t proximity_domain = 0;
    PhysRange range;
    bool hot_pluggable = false;
    friend bool operator==(const SratMemory&, const SratMemory&) = default;
};

/// What ACPI says about NUMA: the SRAT's domains in order of first appearance (processor entries first) and its memory
/// entries in table order; the SLIT's distances by row, domains x domains, or empty. [spec R7.3]
struct NumaDescription {
    std::vector<std::uint32_t> domains;
    std::vector<SratMemory> memory;
    std::vector<std::uint8_t> distances;
    friend bool operator==(const NumaDescription&, const NumaDescription&) = default;
};

/// An ACPI table in memory, e.g. {"FACP", 0x7ffe2068, 244}.
struct AcpiTable {
    std::string signature;
    PhysAddr address;
    std::uint64_t length = 0;
    friend bool operator==(const AcpiTable&, const AcpiTable&) = default;
};

}  // namespace pgsim::firmware
