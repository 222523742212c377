// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/firmware/e820_table.hpp"

namespace pgsim::firmware {

std::string linux_name(E820Type type) {
    switch (type) {
    case E820Type::ram:
    case E820Type::reserved_kern: return "usable";
    case E820Type::reserved: return "reserved";
    case E820Type::acpi: return "ACPI data";
    case E820Type::nvs: return "ACPI NVS";
    case E820Type::unusable: return "unusable";
    case E820Type::pmem:
    case E820Type::pram: return "persistent (type " + std::to_string(static_cast<std::uint32_t>(type)) + ")";
    case E820Type::soft_reserved: return "soft reserved";
    }
    return "type " + std::to_string(static_cast<std::uint32_t>(type));
}

}  // namespace pgsim::firmware
