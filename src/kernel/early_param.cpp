// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/early_param.hpp"

#include <bit>

namespace pgsim::kernel {
namespace {

using firmware::E820Type;

constexpr std::size_t command_line_size = 2048;
constexpr std::uint64_t all_bytes = ~std::uint64_t{0};

bool is_space(char c) noexcept {
    return static_cast<unsigned char>(c) <= ' ';
}

/// '-' and '_' are the same in parameter names.
bool same_name(std::string_view a, std::string_view b) noexcept {
    const auto plain = [](char c) { return c == '-' ? '_' : c; };
    if (a.size() != b.size()) {
        return false;
    }
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (plain(a[i]) != plain(b[i])) {
            return false;
        }
    }
    return true;
}

unsigned digit_value(char c) noexcept {
    if (c >= '0' && c <= '9') {
        return static_cast<unsigned>(c - '0');
    }
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? static_cast<unsigned>(lower - 'a' + 10) : 16U;
}

/// simple_strtoull with base 0: the value modulo 2^64 and the characters taken.
std::pair<std::uint64_t, std::size_t> strtoull(std::string_view text) noexcept {
    unsigned base = 10;
    std::size_t at = 0;
    if (!text.empty() && text[0] == '0') {
        base = 8;
        if (text.size() > 2 && (text[1] | 0x20) == 'x' && digit_value(text[2]) < 16) {
            base = 16;
            at = 2;
        }
    }
    std::uint64_t value = 0;
    for (; at < text.size() && digit_value(text[at]) < base; ++at) {
        value = value * base + digit_value(text[at]);
    }
    return {value, at};
}

/// Reads numbers off the front of an argument.
class Reader {
public:
    explicit Reader(std::string_view text) noexcept : text_{text} {}
    [[nodiscard]] bool at_end() const noexcept { return text_.empty(); }
    bool take(char c) noexcept {
        const bool found = !text_.empty() && text_.front() == c;
        text_.remove_prefix(found ? 1 : 0);
        return found;
    }
    std::uint64_t memsize() noexcept {
        const auto [value, taken] = memparse(text_);
        text_.remove_prefix(taken);
        return value;
    }
    std::uint64_t number() noexcept {
        const auto [value, taken] = strtoull(text_);
        text_.remove_prefix(taken);
        return value;
    }

private:
    std::string_view text_;
};

void limit_ram(std::uint64_t top, E820& e820) {
    e820.range_remove(top, all_bytes - top, E820Type::ram, E820::CheckType::yes);
}

void parse_memopt(std::string_view value, EarlyParams& params, E820& e820) {
    if (value == "nopentium") {
        return;
    }
    params.e820_userdef = true;
    if (const std::uint64_t size = memparse(value).first; size != 0) {
        limit_ram(size, e820);
    }
}

/// What stands after the size in memmap=N%S-from+to.
void convert_range(std::uint64_t size, Reader& rest, E820& e820) {
    const std::uint64_t start = rest.memsize();
    std::uint32_t from = 0;
    std::uint32_t to = 0;
    if (rest.take('-')) {
        from = static_cast<std::uint32_t>(rest.number());
    }
    if (rest.take('+')) {
        to = static_cast<std::uint32_t>(rest.number());
    }
    if (!rest.at_end()) {
        return;
    }
    if (from != 0 && to != 0) {
        e820.range_update(start, size, static_cast<E820Type>(from), static_cast<E820Type>(to));
    } else if (to != 0) {
        e820.range_add(start, size, static_cast<E820Type>(to));
    } else {
        e820.range_remove(start, size, static_cast<E820Type>(from),
                          from != 0 ? E820::CheckType::yes : E820::CheckType::no);
    }
}

void parse_memmap_one(std::string_view part, EarlyParams& params, E820& e820) {
    if (part.substr(0, 8) == "exactmap") {
        e820.clear();
        params.e820_userdef = true;
        return;
    }
    const auto [size, taken] = memparse(part);
    if (taken == 0) {
        return;
    }
    params.e820_userdef = true;
    Reader rest{part.substr(taken)};
    if (rest.take('@')) {
        e820.range_add(rest.memsize(), size, E820Type::ram);
    } else if (rest.take('#')) {
        e820.range_add(rest.memsize(), size, E820Type::acpi);
    } else if (rest.take('$')) {
        e820.range_add(rest.memsize(), size, E820Type::reserved);
    } else if (rest.take('!')) {
        e820.range_add(rest.memsize(), size, E820Type::pram);
    } else if (rest.take('%')) {
        convert_range(size, rest, e820);
    } else {
        limit_ram(size, e820);
    }
}

void parse_memmap(std::string_view value, EarlyParams& params, E820& e820) {
    for (;;) {
        const std::size_t comma = value.find(',');
        parse_memmap_one(value.substr(0, comma), params, e820);
        if (comma == std::string_view::npos) {
            return;
        }
        value.remove_prefix(comma + 1);
    }
}

/// kernelcore= and movablecore=: an amount of memory, or a share in percent.
void parse_core(std::string_view value, std::uint64_t& pages, std::uint64_t& percent) {
    const auto [number, taken] = strtoull(value);
    if (taken < value.size() && value[taken] == '%') {
        percent = number;
        return;
    }
    pages = memparse(value).first >> 12;
    percent = 0;
}

void parse_numa(std::string_view value, EarlyParams& params) {
    if (value.substr(0, 3) == "off") {
        params.numa_off = true;
    }
    if (value.substr(0, 5) == "fake=") {
        params.numa_fake = value.substr(5);
    }
    if (value.substr(0, 6) == "noacpi") {
        params.numa_noacpi = true;
    }
}

void parse_log_buf_len(std::string_view value, const KernelConfig& config, EarlyParams& params) {
    constexpr std::uint64_t log_buf_len_max = std::uint64_t{1} << 31;
    std::uint64_t size = std::min(memparse(value).first, log_buf_len_max);
    size = size == 0 ? 0 : std::bit_ceil(size);
    if (size > std::uint64_t{1} << config.number("LOG_BUF_SHIFT", 17)) {
        params.new_log_buf_len = size;
    }
}

void parse_with_value(std::string_view name, std::string_view value, const KernelConfig& config, EarlyParams& params,
                      E820& e820) {
    if (same_name(name, "mem")) {
        parse_memopt(value, params, e820);
    } else if (same_name(name, "memmap")) {
        parse_memmap(value, params, e820);
    } else if (same_name(name, "kernelcore")) {
        if (value == "mirror" || value.substr(0, 7) == "mirror,") {
            params.mirrored_kernelcore = true;
        } else {
            parse_core(value, params.required_kernelcore, params.required_kernelcore_percent);
        }
    } else if (same_name(name, "movablecore")) {
        parse_core(value, params.required_movablecore, params.required_movablecore_percent);
    } else if (same_name(name, "numa")) {
        parse_numa(value, params);
    } else if (same_name(name, "log_buf_len")) {
        parse_log_buf_len(value, config, params);
    } else if (same_name(name, "memblock")) {
        params.memblock_debug = params.memblock_debug || value.find("debug") != std::string_view::npos;
    } else if (same_name(name, "memtest")) {
        params.memtest = Reader{value}.number() != 0;
    }
}

void parse_flag(std::string_view name, const KernelConfig& config, EarlyParams& params) {
    if (same_name(name, "movable_node")) {
        params.movable_node = config.enabled("MEMORY_HOTPLUG");
    } else if (same_name(name, "gbpages")) {
        params.gbpages = true;
    } else if (same_name(name, "disable_mtrr_trim")) {
        params.disable_mtrr_trim = true;
    } else if (same_name(name, "nogbpages")) {
        params.gbpages = false;
    } else if (same_name(name, "no5lvl")) {
        params.no5lvl = true;
    }
}

PtiMode pti_mode(std::string_view cmdline) {
    const std::string pti = cmdline_find_option(cmdline, "pti").value_or("");
    if (pti == "on") {
        return PtiMode::on;
    }
    if (pti == "auto") {
        return PtiMode::automatic;
    }
    const std::string mitigations = cmdline_find_option(cmdline, "mitigations").value_or("");
    const bool off = pti == "off" || mitigations == "off" || cmdline_find_option_bool(cmdline, "nopti");
    return off ? PtiMode::off : PtiMode::automatic;
}

}  // namespace

std::pair<std::uint64_t, std::size_t> memparse(std::string_view text) noexcept {
    auto [value, taken] = strtoull(text);
    if (taken < text.size()) {
        constexpr std::string_view suffixes = "kmgtpe";
        const std::size_t power = suffixes.find(static_cast<char>(text[taken] | 0x20));
        if (power != std::string_view::npos) {
            value <<= 10 * (power + 1);
            ++taken;
        }
    }
    return {value, taken};
}

std::vector<CommandLineArgument> split_command_line(std::string_view cmdline) {
    std::vector<CommandLineArgument> result;
    std::size_t at = 0;
    const auto skip_spaces = [&] {
        while (at < cmdline.size() && is_space(cmdline[at])) {
            ++at;
        }
    };
    for (skip_spaces(); at < cmdline.size(); skip_spaces()) {
        bool in_quote = cmdline[at] == '"';
        const bool quoted = in_quote;
        at += quoted ? 1 : 0;
        const std::size_t start = at;
        std::size_t equals = 0;
        for (; at < cmdline.size() && (in_quote || !is_space(cmdline[at])); ++at) {
            if (cmdline[at] == '=' && equals == 0) {
                equals = at - start;
            }
            if (cmdline[at] == '"') {
                in_quote = !in_quote;
            }
        }
        std::string_view word = cmdline.substr(start, at - start);
        const auto drop_last_quote = [](std::string_view& text) {
            if (!text.empty() && text.back() == '"') {
                text.remove_suffix(1);
            }
        };
        if (quoted) {
            drop_last_quote(word);
        }
        if (equals == 0) {
            if (word == "--") {
                break;
            }
            result.push_back({std::string{word}, std::nullopt});
            continue;
        }
        std::string_view value = word.substr(std::min(equals + 1, word.size()));
        if (!value.empty() && value.front() == '"') {
            value.remove_prefix(1);
            drop_last_quote(value);
        }
        result.push_back({std::string{word.substr(0, equals)}, std::string{value}});
    }
    return result;
}

std::optional<std::string> cmdline_find_option(std::string_view cmdline, std::string_view option) {
    std::optional<std::string> found;
    for (std::size_t at = 0; at < cmdline.size();) {
        if (is_space(cmdline[at])) {
            ++at;
            continue;
        }
        std::size_t end = at;
        while (end < cmdline.size() && !is_space(cmdline[end])) {
            ++end;
        }
        const std::string_view word = cmdline.substr(at, end - at);
        if (word.size() > option.size() && word[option.size()] == '=' && word.substr(0, option.size()) == option) {
            found = std::string{word.substr(option.size() + 1)};
        }
        at = end;
    }
    return found;
}

bool cmdline_find_option_bool(std::string_view cmdline, std::string_view option) noexcept {
    for (std::size_t at = cmdline.find(option); at != std::string_view::npos; at = cmdline.find(option, at + 1)) {
        const std::size_t end = at + option.size();
        if ((at == 0 || is_space(cmdline[at - 1])) && (end == cmdline.size() || is_space(cmdline[end]))) {
            return true;
        }
    }
    return false;
}

EarlyParams parse_early_param(std::string_view cmdline, const KernelConfig& config, E820& e820) {
    cmdline = cmdline.substr(0, command_line_size - 1);
    EarlyParams params;
    params.pti = pti_mode(cmdline);
    params.nokaslr = cmdline_find_option_bool(cmdline, "nokaslr");
    for (const CommandLineArgument& argument : split_command_line(cmdline)) {
        if (argument.value) {
            parse_with_value(argument.name, *argument.value, config, params, e820);
        } else if (same_name(argument.name, "nopcid")) {
            params.nopcid = true;
        } else if (same_name(argument.name, "memtest")) {
            params.memtest = true;
        }
        parse_flag(argument.name, config, params);
    }
    return params;
}

bool setup_log_buf(const EarlyParams& params, Memblock& memblock) {
    constexpr std::uint64_t align = 8;
    constexpr std::uint64_t average_record_bits = 5;
    constexpr std::uint64_t descriptor_bytes = 24;  // sizeof(struct prb_desc)
    constexpr std::uint64_t info_bytes = 88;        // sizeof(struct printk_info)
    const std::uint64_t length = params.new_log_buf_len;
    const std::uint64_t count = length >> average_record_bits;
    if (length == 0 || count == 0) {
        return false;
    }
    const auto text = memblock.alloc(length, align, "setup_log_buf");
    if (!text) {
        return false;
    }
    const auto descriptors = memblock.alloc(count * descriptor_bytes, align, "setup_log_buf");
    if (!descriptors) {
        memblock.phys_free(text->value(), length, "setup_log_buf");
        return false;
    }
    if (!memblock.alloc(count * info_bytes, align, "setup_log_buf")) {
        memblock.phys_free(descriptors->value(), count * descriptor_bytes, "setup_log_buf");
        memblock.phys_free(text->value(), length, "setup_log_buf");
        return false;
    }
    return true;
}

}  // namespace pgsim::kernel
