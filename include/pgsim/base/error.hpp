// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace pgsim {

/// Bad input or misuse of the API: what is wrong, where, and why.
///
/// Thrown before anything changes. Architectural outcomes (faults, stray accesses) and the results of ported kernel
/// functions are values and never arrive as an `Error`.
class Error : public std::runtime_error {
public:
    /// @param what   what is wrong, e.g. "end lies below start"
    explicit Error(std::string_view what);

    /// @param where  line, key, file or address that the message is about, e.g. "line 3"
    /// @param what   what is wrong there and why
    Error(std::string_view where, std::string_view what);

    /// The place alone; empty when none was given.
    [[nodiscard]] const std::string& where() const noexcept { return where_; }

    /// The same error, seen from outside: `outer` (a file name, say) is put before the place.
    [[nodiscard]] Error within(std::string_view outer) const;

private:
    std::string where_;
    std::string reason_;
};

}  // namespace pgsim
