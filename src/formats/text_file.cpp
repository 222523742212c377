// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/formats/text_file.hpp"

#include <algorithm>
#include <array>
#include <boost/iostreams/device/array.hpp>
#include <boost/iostreams/device/back_inserter.hpp>
#include <boost/iostreams/filter/lzma.hpp>
#include <boost/iostreams/filtering_stream.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>

#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"

namespace pgsim::formats {

namespace {

namespace fs = std::filesystem;
namespace io = boost::iostreams;

constexpr std::string_view xz_magic{
    "\xfd"
    "7zXZ\0",
    6};
constexpr std::size_t xz_footer_bytes = 12;

bool ends_with(std::string_view text, std::string_view end) {
    return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

// Reads to the end of `stream`, at most `limit` bytes.
std::string read_all(std::istream& stream, const std::string& path, std::size_t limit) {
    std::string text;
    std::array<char, 65536> block{};
    while (stream.read(block.data(), block.size()) || stream.gcount() > 0) {
        const auto got = static_cast<std::size_t>(stream.gcount());
        if (got > limit - text.size()) {
            throw Error{path, "larger than the limit of " + human_bytes(limit)};
        }
        text.append(block.data(), got);
    }
    if (stream.bad()) {
        throw Error{path, "cannot be read to its end"};
    }
    return text;
}

std::string decompress(const std::string& packed, const std::string& path, std::size_t limit) {
    // A cut file would decompress without complaint: the footer tells.
    if (packed.size() < 2 * xz_footer_bytes || !ends_with(packed, "YZ")) {
        throw Error{path, "damaged xz data: it ends too early"};
    }
    try {
        io::filtering_istream stream;
        stream.push(io::lzma_decompressor());
        stream.push(io::array_source(packed.data(), packed.size()));
        stream.exceptions(std::ios::badbit);
        return read_all(stream, path, limit);
    } catch (const io::lzma_error&) {
        throw Error{path, "damaged xz data"};
    }
}

std::string compress(std::string_view text) {
    std::string packed;
    {
        io::filtering_ostream stream;
        stream.push(io::lzma_compressor());
        stream.push(io::back_inserter(packed));
        stream.write(text.data(), static_cast<std::streamsize>(text.size()));
    }
    return packed;
}

void write_stream(std::ostream& stream, const std::string& path, std::string_view text) {
    stream.write(text.data(), static_cast<std::streamsize>(text.size()));
    stream.flush();
    if (!stream) {
        throw Error{path, "cannot be written"};
    }
}

// A name beside `target` that no file has.
fs::path temporary_beside(const fs::path& target) {
    std::random_device random;
    for (;;) {
        fs::path name = target;
        name += ".part" + std::to_string(random());
        if (!fs::exists(name)) {
            return name;
        }
    }
}

}  // namespace

std::string read_text_maybe_xz(const std::string& path, std::size_t limit) {
    std::string text;
    if (path == "-") {
        text = read_all(std::cin, "standard input", limit);
    } else {
        std::error_code ignored;
        if (fs::is_directory(path, ignored)) {
            throw Error{path, "is a folder, not a file"};
        }
        std::ifstream file{path, std::ios::binary};
        if (!file) {
            throw Error{path, fs::exists(path, ignored) ? "cannot be opened" : "no such file"};
        }
        text = read_all(file, path, limit);
    }
    if (text.compare(0, xz_magic.size(), xz_magic) == 0) {
        return decompress(text, path, limit);
    }
    return text;
}

void write_file_whole(const std::string& path, std::string_view text) {
    const std::string packed = ends_with(path, ".xz") ? compress(text) : std::string{};
    const std::string_view bytes = packed.empty() ? text : std::string_view{packed};
    if (path == "-") {
        write_stream(std::cout, "standard output", bytes);
        return;
    }
    std::error_code failure;
    fs::path target{path};
    if (fs::is_symlink(target, failure)) {
        target = fs::weakly_canonical(target, failure);
    }
    if (fs::exists(target, failure) && !fs::is_regular_file(target, failure)) {
        if (fs::is_directory(target, failure)) {
            throw Error{path, "is a folder"};
        }
        std::ofstream device{target, std::ios::binary};
        write_stream(device, path, bytes);
        return;
    }
    const fs::path temporary = temporary_beside(target);
    try {
        std::ofstream file{temporary, std::ios::binary};
        if (!file) {
            throw Error{path, "cannot be written: its folder does not exist or may not be written to"};
        }
        write_stream(file, path, bytes);
        file.close();
        fs::rename(temporary, target, failure);
        if (failure) {
            throw Error{path, "cannot be written: " + failure.message()};
        }
    } catch (...) {
        fs::remove(temporary, failure);
        throw;
    }
}

}  // namespace pgsim::formats
