// SPDX-License-Identifier: GPL-2.0-only
// What the commands of pgsim share.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "pgsim/base/address.hpp"
#include "pgsim/inspect/mapping.hpp"

namespace pgsim::cli {

/// Thrown by a command whose comparison found differences, after it has printed them: exit code 1.
struct Differs {};

inline constexpr int exit_differs = 1;
inline constexpr int exit_bad_input = 2;

/// Writes to standard output. @throws Error  when that fails (a full disk; a closed pipe ends the program quietly)
void print(std::string_view text);

/// Prints, or writes to `file` whole or not at all when it is not empty.
void deliver(const std::string& file, std::string_view text);

/// True when output may be coloured: standard output is a terminal and NO_COLOR is not set.
[[nodiscard]] bool colours();
/// The text in a colour of the terminal (ANSI SGR number), or as it is.
[[nodiscard]] std::string in_colour(std::string_view text, int sgr);

/// Text about tables with its words in colours, where output may be coloured: names of entries, rights (writable and
/// executable at once stands out), flags, faults. The words stay as they are: colour alone says nothing.
[[nodiscard]] std::string painted(std::string text);

/// Shows how far a long command is, on standard error, if that is a terminal. Erased when it goes.
class Progress {
public:
    Progress();
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    void show(std::string_view text);
    void clear();

private:
    bool terminal_;
    bool shown_ = false;
};

/// "0xffff888000000000", "ffff888000000000" or a decimal number after "=". @throws Error
[[nodiscard]] std::uint64_t parse_address(std::string_view text, std::string_view what);

/// --range, --phys, --writable, --executable, --user, --supervisor, --page-size
struct FilterOptions {
    std::string range;
    bool writable = false;
    bool executable = false;
    bool user = false;
    bool supervisor = false;
    std::string page_size;
    std::string phys;

    void add_to(CLI::App& command);
    /// @throws Error  for a range or size that cannot be read
    [[nodiscard]] PageFilter filter() const;
};

}  // namespace pgsim::cli
