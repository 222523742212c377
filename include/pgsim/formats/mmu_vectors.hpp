// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace pgsim::formats {

/// MMU test vectors: JSON lines, each a machine state, tables and an access, a sequence or a register write; with the
/// expected outcome, or stripped of it. Kinds "v", "s", "c", "npt", "ept", "cet" and "lass".

/// One vector whose observed outcome is not the expected one.
struct VectorMismatch {
    std::size_t line = 0;  ///< in its file, from 1
    std::string id;
    std::string what;         ///< the fields that differ: "err: expected 7, observed 3"
    std::string observation;  ///< the whole observation, JSON
};

struct VectorReport {
    std::uint64_t vectors = 0;
    std::uint64_t mismatched = 0;
    std::vector<VectorMismatch> mismatches;  ///< the first ones, at most `max_kept_mismatches`
};
inline constexpr std::size_t max_kept_mismatches = 100;

/// Runs every vector in `text` and compares what it observes with what the vector expects.
/// @throws Error  with the line, for malformed vectors and for vectors that hold no expectation
[[nodiscard]] VectorReport check_vectors(std::string_view text);

/// Runs every vector in `text` and gives each observation, one JSON object without a line end, to `write`, in order.
/// Looks at no expectation: gives the same for a file from which all were removed.
/// @return the number of vectors
/// @throws Error  with the line, for malformed vectors
std::uint64_t observe_vectors(std::string_view text, const std::function<void(std::string_view)>& write);

}  // namespace pgsim::formats
