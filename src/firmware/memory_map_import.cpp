// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/firmware/memory_map_import.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "firmware/text_scan.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"

namespace pgsim::firmware {

namespace {

/// An entry with inclusive end. @throws Error  with `where` as the place
E820Entry entry_from(std::uint64_t start, std::uint64_t end, E820Type type, const std::string& where) {
    if (end < start) {
        throw Error{where, "the end " + hex(end) + " lies below the start " + hex(start)};
    }
    if (end - start == ~std::uint64_t{0}) {
        throw Error{where, "the range covers the whole address space"};
    }
    return {start, end - start + 1, type};
}

/// "512M", "0x1000", "3G". nullopt: no number there, or too large.
std::optional<std::uint64_t> scan_size(TextScan& scan) {
    const bool prefixed = scan.rest().substr(0, 2) == "0x";
    const auto number = prefixed ? scan.hex() : scan.number();
    if (!number) {
        return std::nullopt;
    }
    constexpr std::string_view suffixes = "KMGTPE";
    unsigned shift = 0;
    if (!scan.at_end()) {
        const auto suffix = suffixes.find(static_cast<char>(std::toupper(static_cast<unsigned char>(scan.rest()[0]))));
        if (suffix != std::string_view::npos) {
            shift = 10 * (static_cast<unsigned>(suffix) + 1);
            scan.literal(scan.rest().substr(0, 1));
        }
    }
    if (shift != 0 && *number >> (64 - shift) != 0) {
        return std::nullopt;
    }
    return *number << shift;
}

std::optional<E820Type> type_of_mark(char mark) {
    switch (mark) {
    case '@': return E820Type::ram;
    case '#': return E820Type::acpi;
    case '$': return E820Type::reserved;
    case '!': return E820Type::pram;
    default: return std::nullopt;
    }
}

E820Entry memmap_entry(std::string_view text, const std::string& where) {
    TextScan scan{text};
    const auto size = scan_size(scan);
    if (!size) {
        throw Error{where, "no size before the mark"};
    }
    const auto type = scan.at_end() ? std::nullopt : type_of_mark(scan.rest()[0]);
    if (!type) {
        throw Error{where, "after the size comes one of @ (RAM), # (ACPI), $ (reserved), ! (persistent) and the start"};
    }
    scan.literal(scan.rest().substr(0, 1));
    const auto start = scan_size(scan);
    if (!start || !scan.at_end()) {
        throw Error{where, "no start address after the mark"};
    }
    if (*size == 0) {
        throw Error{where, "the range is empty"};
    }
    if (*size - 1 > ~*start) {
        throw Error{where, "the range runs past the end of the address space"};
    }
    return {*start, *size, *type};
}

void read_memmap_line(std::string_view line, std::size_t number, E820Table& table) {
    constexpr std::string_view separators = ", \t\r";
    for (std::size_t at = line.find_first_not_of(separators); at < line.size();
         at = line.find_first_not_of(separators, at)) {
        const std::size_t end = std::min(line.find_first_of(separators, at), line.size());
        std::string_view entry = line.substr(at, end - at);
        const std::string where = "line " + std::to_string(number) + ": \"" + std::string{entry.substr(0, 60)} + '"';
        at = end;
        if (entry.substr(0, 7) == "memmap=") {
            entry.remove_prefix(7);
        }
        if (entry != "exactmap") {
            table.push_back(memmap_entry(entry, where));
        }
    }
}

std::string read_small_file(const std::filesystem::path& path) {
    constexpr std::streamsize limit = 4096;
    std::ifstream file{path};
    std::string text(static_cast<std::size_t>(limit), '\0');
    if (!file || (file.read(text.data(), limit), file.bad())) {
        throw Error{path.string(), "cannot be read"};
    }
    text.resize(static_cast<std::size_t>(file.gcount()));
    return std::string{trimmed(text)};
}

std::uint64_t read_address(const std::filesystem::path& path) {
    const std::string text = read_small_file(path);
    TextScan scan{text};
    const auto value = scan.hex();
    if (!value || !scan.at_end()) {
        throw Error{path.string(), "\"" + text.substr(0, 40) + "\" is not a hexadecimal address"};
    }
    return *value;
}

bool is_number(const std::string& name) {
    return !name.empty() && name.size() < 8 &&
           std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

E820Table parse_memmap_text(std::string_view text) {
    E820Table table;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = trimmed(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (!line.empty() && line.front() != '#') {
            read_memmap_line(line, number, table);
        }
    }
    check_imported_map(table);
    return table;
}

E820Table read_sys_firmware_memmap(const std::string& folder) {
    namespace fs = std::filesystem;
    std::vector<unsigned long> numbers;
    std::error_code error;
    for (fs::directory_iterator it{folder, error}, last; !error && it != last; it.increment(error)) {
        const std::string name = it->path().filename().string();
        if (is_number(name)) {
            numbers.push_back(std::stoul(name));
        }
    }
    if (error) {
        throw Error{folder, error.message()};
    }
    std::sort(numbers.begin(), numbers.end());
    E820Table table;
    for (const unsigned long number : numbers) {
        const fs::path entry = fs::path{folder} / std::to_string(number);
        const std::string words = read_small_file(entry / "type");
        const auto type = e820_type_of(words);
        if (!type) {
            throw Error{(entry / "type").string(), "unknown kind of memory \"" + words.substr(0, 60) + '"'};
        }
        table.push_back(entry_from(read_address(entry / "start"), read_address(entry / "end"), *type, entry.string()));
    }
    if (table.empty()) {
        throw Error{folder, "holds no memory map (folders 0, 1, … with files start, end, type)"};
    }
    check_imported_map(table);
    return table;
}

E820Table parse_proc_iomem(std::string_view text) {
    E820Table table;
    bool any_address = false;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.empty() || line.front() == ' ') {
            continue;
        }
        const std::string where = "line " + std::to_string(number);
        TextScan scan{line};
        const auto start = scan.number(16);
        const auto last = scan.literal("-") ? scan.number(16) : std::nullopt;
        if (!start || !last || !scan.literal(" : ")) {
            throw Error{where, "not a line of /proc/iomem: \"" + std::string{line.substr(0, 60)} + '"'};
        }
        any_address = any_address || *last != 0;
        if (const auto type = e820_type_of(trimmed(scan.rest()))) {
            table.push_back(entry_from(*start, *last, *type, where));
        }
    }
    if (!any_address) {
        throw Error{"/proc/iomem", "shows no addresses; only root may see them"};
    }
    check_imported_map(table);
    return table;
}

}  // namespace pgsim::firmware
