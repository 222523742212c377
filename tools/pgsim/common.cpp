// SPDX-License-Identifier: GPL-2.0-only
#include "common.hpp"

#include <unistd.h>

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
