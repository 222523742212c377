// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/formats/explorer_html.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "formats/explorer_template.hpp"
#include "pgsim/base/error.hpp"

namespace pgsim::formats {
namespace {

constexpr std::string_view data_mark = "@PGSIM_DATA@";

void check_document(std::string_view data_json) {
    const auto document = nlohmann::json::parse(data_json.begin(), data_json.end(), nullptr, false);
    if (document.is_discarded()) {
        throw Error{"explorer data", "not valid JSON"};
    }
    if (!document.is_object() || !document.contains("checkpoints") || !document["checkpoints"].is_array()) {
        throw Error{"explorer data", "a JSON object with an array \"checkpoints\" is expected"};
    }
}

/// Appends JSON in a form that cannot end an HTML script element: '<' occurs only inside JSON strings.
void append_script_safe(std::string& out, std::string_view json) {
    for (const char c : json) {
        if (c == '<') {
            out += "\\u003c";
        } else {
            out += c;
        }
    }
}

}  // namespace

bool explorer_available() noexcept {
    return !explorer_template().html.empty();
}

std::string explorer_html(std::string_view data_json) {
    const ExplorerTemplate page = explorer_template();
    if (page.html.empty()) {
        throw Error{"explorer page", std::string{page.missing}};
    }
    check_document(data_json);
    const std::size_t at = page.html.find(data_mark);
    if (at == std::string_view::npos) {
        throw Error{"explorer page", "the built template has no place for the data"};
    }
    std::string out;
    out.reserve(page.html.size() + data_json.size() + data_json.size() / 16);
    out += page.html.substr(0, at);
    append_script_safe(out, data_json);
    out += page.html.substr(at + data_mark.size());
    return out;
}

}  // namespace pgsim::formats
