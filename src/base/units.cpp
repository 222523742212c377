// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/base/units.hpp"

#include <array>
#include <charconv>

#include "pgsim/base/address.hpp"

namespace pgsim {

std::string hex(std::uint64_t value) {
    std::array<char, 18> text{'0', 'x'};
    const auto end = std::to_chars(text.data() + 2, text.data() + text.size(), value, 16).ptr;
    return {text.data(), end};
}

std::string human_bytes(std::uint64_t bytes) {
    static constexpr std::array<const char*, 7> units{"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    std::size_t unit = 0;
    std::uint64_t whole = bytes;
    std::uint64_t tenths = 0;
    while (whole >= 1024 && unit + 1 < units.size()) {
        tenths = (whole % 1024) * 10 / 1024;
        whole /= 1024;
        ++unit;
    }
    std::string text = std::to_string(whole);
    if (tenths != 0) {
        text += '.' + std::to_string(tenths);
    }
    return text + ' ' + units[unit];
}

std::string to_string(PhysAddr address) {
    return hex(address.value());
}

std::string to_string(VirtAddr address) {
    return hex(address.value());
}

}  // namespace pgsim
