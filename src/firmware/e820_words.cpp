// SPDX-License-Identifier: GPL-2.0-only
#include <array>
#include <limits>

#include "firmware/text_scan.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/firmware/memory_map_import.hpp"

namespace pgsim::firmware {

namespace {

struct Words {
    std::string_view text;
    E820Type type;
};

// dmesg of all ages, /sys/firmware/memmap and /proc/iomem use different words for the same types.
constexpr std::array<Words, 18> known_words{{
    {"usable", E820Type::ram},
    {"System RAM", E820Type::ram},
    {"kernel usable RAM", E820Type::ram},
    {"reserved", E820Type::reserved},
    {"Reserved", E820Type::reserved},
    {"device reserved", E820Type::reserved},
    {"ACPI data", E820Type::acpi},
    {"ACPI Tables", E820Type::acpi},
    {"ACPI NVS", E820Type::nvs},
    {"ACPI Non-volatile Storage", E820Type::nvs},
    {"unusable", E820Type::unusable},
    {"Unusable memory", E820Type::unusable},
    {"soft reserved", E820Type::soft_reserved},
    {"Soft Reserved", E820Type::soft_reserved},
    {"Persistent Memory", E820Type::pmem},
    {"Persistent Memory (legacy)", E820Type::pram},
    {"persistent RAM", E820Type::pmem},
    {"Unknown E820 type", E820Type::reserved},
}};

}  // namespace

std::optional<E820Type> e820_type_of(std::string_view words) {
    for (const Words& known : known_words) {
        if (known.text == words) {
            return known.type;
        }
    }
    TextScan scan{words};
    const bool bracket = scan.literal("persistent (type ") || scan.literal("persistent RAM (type ");
    if (!bracket && !scan.literal("type ")) {
        return std::nullopt;
    }
    const auto number = scan.number();
    if (!number || *number > std::numeric_limits<std::uint32_t>::max() || (bracket && !scan.literal(")")) ||
        !scan.at_end()) {
        return std::nullopt;
    }
    return E820Type{static_cast<std::uint32_t>(*number)};
}

void check_imported_map(const E820Table& table) {
    if (table.empty()) {
        throw Error{"memory map", "has no entry"};
    }
    if (table.size() > e820_max_entries_zeropage) {
        throw Error{"memory map", "boot_params holds 128 entries, the map has " + std::to_string(table.size())};
    }
    for (std::size_t i = 0; i < table.size(); ++i) {
        const E820Entry& entry = table[i];
        const std::string where = "memory map: entry " + std::to_string(i) + " at " + hex(entry.start);
        if (entry.size == 0) {
            throw Error{where, "the range is empty"};
        }
        if (entry.size - 1 > ~entry.start) {
            throw Error{where, "the range runs past the end of the address space"};
        }
    }
}

}  // namespace pgsim::firmware
