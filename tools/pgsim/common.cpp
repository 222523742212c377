// SPDX-License-Identifier: GPL-2.0-only
#include "common.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>

#include "pgsim/base/error.hpp"
#include "pgsim/formats/text_file.hpp"

namespace pgsim::cli {

void print(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
        throw Error{"standard output", "cannot be written"};
    }
}

void deliver(const std::string& file, std::string_view text) {
    if (file.empty() || file == "-") {
        print(text);
    } else {
        formats::write_file_whole(file, text);
    }
}

bool colours() {
    const char* const no_colour = std::getenv("NO_COLOR");
    return (no_colour == nullptr || *no_colour == '\0') && isatty(STDOUT_FILENO) == 1;
}

std::string in_colour(std::string_view text, int sgr) {
    if (!colours()) {
        return std::string{text};
    }
    return "\x1b[" + std::to_string(sgr) + 'm' + std::string{text} + "\x1b[0m";
}

namespace {

// The colour (ANSI SGR number) of a word; 0: none.
int colour_of(std::string_view word) {
    if (word.size() == 3 && (word[0] == 'r' || word[0] == '-') && (word[1] == 'w' || word[1] == '-') &&
        (word[2] == 'x' || word[2] == '-')) {
        return word == "rwx" ? 31 : word[1] == 'w' ? 33 : word[2] == 'x' ? 32 : 36;
    }
    for (const std::string_view name : {"PML5E", "PML4E", "PDPTE", "PDE", "PTE", "PML5", "PML4", "PDPT", "PD", "PT"}) {
        if (word == name) {
            return 1;
        }
    }
    return word == "#PF" || word == "#GP" || word == "faults" || word == "fault:" ? 31
           : word == "user" || word == "US"                                       ? 35
           : word == "RW"                                                         ? 33
           : word == "XD"                                                         ? 36
                                                                                  : 0;
}

}  // namespace

std::string painted(std::string text) {
    if (!colours()) {
        return text;
    }
    constexpr std::string_view separators = " \n,()|";
    std::string result;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find_first_of(separators, at), text.size());
        const std::string_view word{text.data() + at, end - at};
        const int colour = colour_of(word);
        result += colour != 0 ? in_colour(word, colour) : std::string{word};
        at = std::min(text.find_first_not_of(separators, end), text.size());
        result.append(text, end, at - end);
    }
    return result;
}

Progress::Progress() : terminal_{isatty(STDERR_FILENO) == 1} {}

Progress::~Progress() {
    clear();
}

void Progress::clear() {
    if (shown_) {
        std::fputs("\r\x1b[K", stderr);
        shown_ = false;
    }
}

void Progress::show(std::string_view text) {
    if (terminal_) {
        std::fprintf(stderr, "\r\x1b[K%.*s", static_cast<int>(text.size()), text.data());
        std::fflush(stderr);
        shown_ = true;
    }
}

std::uint64_t parse_address(std::string_view text, std::string_view what) {
    std::string_view digits = text;
    int base = 16;
    if (digits.substr(0, 1) == "=") {
        digits.remove_prefix(1);
        base = 10;
    } else if (digits.substr(0, 2) == "0x" || digits.substr(0, 2) == "0X") {
        digits.remove_prefix(2);
    }
    std::uint64_t value = 0;
    const char* const end = digits.data() + digits.size();
    const auto result = std::from_chars(digits.data(), end, value, base);
    if (digits.empty() || result.ec != std::errc{} || result.ptr != end) {
        throw Error{what, '"' + std::string{text} + "\" is not an address (hexadecimal, at most 64 bits)"};
    }
    return value;
}

void FilterOptions::add_to(CLI::App& command) {
    command.add_option("--range", range, "only linear addresses FIRST-LAST, both included, hexadecimal")
        ->type_name("FIRST-LAST")
        ->group("Filters");
    command.add_option("--phys", phys, "only pages that hold physical ADDRESS, or a byte of FIRST-LAST: who maps it")
        ->type_name("ADDRESS[-LAST]")
        ->group("Filters");
    command.add_flag("--writable", writable, "only what can be written to")->group("Filters");
    command.add_flag("--executable", executable, "only what can be executed")->group("Filters");
    auto* user_flag = command.add_flag("--user", user, "only what user mode can access")->group("Filters");
    command.add_flag("--supervisor", supervisor, "only what user mode cannot access")
        ->group("Filters")
        ->excludes(user_flag);
    command.add_option("--page-size", page_size, "only pages of this size")
        ->check(CLI::IsMember({"4K", "2M", "1G"}))
        ->group("Filters");
}

PageFilter FilterOptions::filter() const {
    PageFilter result;
    if (!range.empty()) {
        const std::size_t dash = range.find('-');
        if (dash == std::string::npos) {
            throw Error{"--range", "expected FIRST-LAST, e.g. 0xffff888000000000-0xffff88803fffffff"};
        }
        result.first = VirtAddr{parse_address(std::string_view{range}.substr(0, dash), "--range")};
        result.last = VirtAddr{parse_address(std::string_view{range}.substr(dash + 1), "--range")};
        if (result.last < result.first) {
            throw Error{"--range", "the last address lies below the first"};
        }
    }
    if (!phys.empty()) {
        const std::size_t dash = phys.find('-');
        const auto physical = [](std::string_view text) {
            const auto address = PhysAddr::try_from(parse_address(text, "--phys"));
            return address && address->value() != PhysSpace::last
                       ? *address
                       : throw Error{"--phys", "a physical address has at most 52 bits"};
        };
        const PhysAddr first = physical(std::string_view{phys}.substr(0, dash));
        const PhysAddr last = dash == std::string::npos ? first : physical(std::string_view{phys}.substr(dash + 1));
        if (last < first) {
            throw Error{"--phys", "the last address lies below the first"};
        }
        result.phys = PhysRange{first, last + 1};
    }
    if (writable) {
        result.writable = true;
    }
    if (executable) {
        result.executable = true;
    }
    if (user || supervisor) {
        result.user = user;
    }
    if (!page_size.empty()) {
        result.size = page_size == "4K" ? PageSize::k4K : page_size == "2M" ? PageSize::k2M : PageSize::k1G;
    }
    return result;
}

}  // namespace pgsim::cli
