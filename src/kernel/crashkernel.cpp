// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/crashkernel.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

#include "pgsim/base/units.hpp"
#include "pgsim/kernel/early_param.hpp"

namespace pgsim::kernel {
namespace {

constexpr std::uint64_t crash_align = 16 * MiB;
constexpr std::uint64_t crash_addr_low_max = 4 * GiB;
constexpr std::uint64_t crash_addr_high_max = 64 * TiB;
constexpr std::uint64_t default_low_size = 256 * MiB;  // above what a default swiotlb of 64 MiB needs

enum class Suffix : std::uint8_t { none, high, low };

struct Request {
    std::uint64_t size = 0;
    std::uint64_t base = 0;  ///< 0: anywhere
};

bool ends_with(std::string_view text, std::string_view end) noexcept {
    return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

/// The value of the last crashkernel= that carries this suffix.
std::optional<std::string> last_crashkernel(std::string_view cmdline, Suffix suffix) {
    std::optional<std::string> found;
    for (const CommandLineArgument& argument : split_command_line(cmdline)) {
        if (argument.name != "crashkernel" || !argument.value) {
            continue;
        }
        const Suffix has = ends_with(*argument.value, ",high")  ? Suffix::high
                           : ends_with(*argument.value, ",low") ? Suffix::low
                                                                : Suffix::none;
        if (has == suffix) {
            found = argument.value;
        }
    }
    return found;
}

/// size[@offset], or size before ",high" / ",low"; nullopt when it cannot be read.
std::optional<Request> parse_simple(std::string_view text, Suffix suffix) {
    const auto [size, taken] = memparse(text);
    text.remove_prefix(taken);
    if (taken == 0) {
        return std::nullopt;
    }
    Request request{size, 0};
    if (suffix != Suffix::none) {
        const bool right = text == (suffix == Suffix::high ? ",high" : ",low");
        return right ? std::optional{request} : std::nullopt;
    }
    if (!text.empty() && text.front() == '@') {
        request.base = memparse(text.substr(1)).first;
    } else if (!text.empty()) {
        return std::nullopt;
    }
    return request;
}

/// start-[end]:size,…[@offset]: the size of the first range that holds `system_ram`.
std::optional<Request> parse_ranges(std::string_view text, std::uint64_t system_ram) {
    system_ram = (system_ram + 128 * MiB - 1) & ~(128 * MiB - 1);  // firmware keeps a little of what is there
    Request request;
    const auto number = [&]() -> std::optional<std::uint64_t> {
        const auto [value, taken] = memparse(text);
        text.remove_prefix(taken);
        return taken == 0 ? std::nullopt : std::optional{value};
    };
    const auto take = [&](char c) {
        const bool found = !text.empty() && text.front() == c;
        text.remove_prefix(found ? 1 : 0);
        return found;
    };
    do {
        const auto start = number();
        if (!start || !take('-')) {
            return std::nullopt;
        }
        std::uint64_t end = ~std::uint64_t{0};
        if (!text.empty() && text.front() != ':') {
            const auto given = number();
            if (!given || *given <= *start) {
                return std::nullopt;
            }
            end = *given;
        }
        const auto size = take(':') ? number() : std::nullopt;
        if (!size || *size >= system_ram) {
            return std::nullopt;
        }
        if (system_ram >= *start && system_ram < end) {
            request.size = *size;
            break;
        }
    } while (take(','));
    const std::size_t at = text.find('@');
    if (request.size > 0 && at != std::string_view::npos) {
        const auto [base, taken] = memparse(text.substr(at + 1));
        if (taken == 0) {
            return std::nullopt;
        }
        request.base = base;
    }
    return request;
}

std::optional<Request> parse_crashkernel(std::string_view cmdline, Suffix suffix, std::uint64_t system_ram) {
    const std::optional<std::string> text = last_crashkernel(cmdline, suffix);
    if (!text) {
        return std::nullopt;
    }
    if (suffix == Suffix::none && text->find(':') != std::string::npos) {
        return parse_ranges(*text, system_ram);
    }
    return parse_simple(*text, suffix);
}

PhysRange reserve_low(std::string_view cmdline, std::uint64_t total, bool& failed, Memblock& memblock) {
    std::uint64_t size = default_low_size;
    if (const auto low = parse_crashkernel(cmdline, Suffix::low, total)) {
        size = low->size;
        if (size == 0) {
            return {};
        }
    }
    const auto base = memblock.phys_alloc_range(size, crash_align, 0, crash_addr_low_max, "reserve_crashkernel_low");
    failed = !base;
    return base ? PhysRange::sized(*base, size) : PhysRange{};
}

/// Where the block goes, reserved; nullopt when it fits nowhere.
std::optional<PhysAddr> place(const Request& request, bool high, const KernelSeries& series, Memblock& memblock) {
    const auto alloc = [&](std::uint64_t align, std::uint64_t from, std::uint64_t to) {
        return memblock.phys_alloc_range(request.size, align, from, to, "reserve_crashkernel");
    };
    if (request.base != 0) {
        const std::uint64_t align = series.crashkernel_generic ? crash_align : MiB;
        return alloc(align, request.base, request.base + request.size);
    }
    if (!series.crashkernel_generic) {
        std::optional<PhysAddr> base;
        if (!high) {
            base = alloc(crash_align, crash_align, crash_addr_low_max);
        }
        return base ? base : alloc(crash_align, crash_align, crash_addr_high_max);
    }
    if (high) {
        const auto base = alloc(crash_align, crash_addr_low_max, crash_addr_high_max);
        return base ? base : alloc(crash_align, 0, crash_addr_low_max);
    }
    const auto base = alloc(crash_align, 0, crash_addr_low_max);
    return base ? base : alloc(crash_align, crash_addr_low_max, crash_addr_high_max);
}

}  // namespace

CrashKernel reserve_crashkernel(std::string_view cmdline, const KernelSeries& series, Memblock& memblock) {
    const std::uint64_t total = memblock.phys_mem_size();
    bool high = false;
    std::optional<Request> request = parse_crashkernel(cmdline, Suffix::none, total);
    if (!request || request->size == 0) {
        request = parse_crashkernel(cmdline, Suffix::high, total);
        high = true;
    }
    if (!request || request->size == 0) {
        return {};
    }
    const std::optional<PhysAddr> base = place(*request, high, series, memblock);
    if (!base || (request->base != 0 && base->value() != request->base)) {
        return {};
    }
    CrashKernel result{PhysRange::sized(*base, request->size), {}};
    if (base->value() >= crash_addr_low_max) {
        bool failed = false;
        result.low = reserve_low(cmdline, total, failed, memblock);
        if (failed) {
            memblock.phys_free(base->value(), request->size, "reserve_crashkernel");
            return {};
        }
    }
    return result;
}

}  // namespace pgsim::kernel
