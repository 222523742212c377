// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/base/error.hpp"

namespace pgsim {

namespace {

std::string join(std::string_view where, std::string_view what) {
    std::string text{where};
    if (!text.empty()) {
        text += ": ";
    }
    text += what;
    return text;
}

}  // namespace

Error::Error(std::string_view what) : Error{std::string_view{}, what} {}

Error::Error(std::string_view where, std::string_view what)
    : std::runtime_error{join(where, what)}, where_{where}, reason_{what} {}

Error Error::within(std::string_view outer) const {
    return Error{where_.empty() ? std::string{outer} : join(outer, where_), reason_};
}

}  // namespace pgsim
