// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace pgsim::formats {

/// Files larger than this, also after decompression, are refused.
inline constexpr std::size_t max_text_bytes = std::size_t{1} << 30;

/// The contents of a file; decompressed if it begins with the xz magic, whatever its name. "-" is standard input.
/// @param limit  the largest size accepted, in bytes after decompression
/// @throws Error  naming the file: cannot be read, is damaged, or is larger than `limit`
[[nodiscard]] std::string read_text_maybe_xz(const std::string& path, std::size_t limit = max_text_bytes);

/// Writes the file whole or not at all (a temporary file in the same folder, then a rename); xz-compressed when the
/// path ends in ".xz". "-" is standard output, a device or pipe is written directly.
/// @throws Error  naming the file
void write_file_whole(const std::string& path, std::string_view text);

}  // namespace pgsim::formats
