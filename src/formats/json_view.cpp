// SPDX-License-Identifier: GPL-2.0-only
#include "formats/json_view.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "pgsim/base/error.hpp"

namespace pgsim::formats {

namespace {

constexpr std::size_t max_depth = 64;
constexpr std::size_t max_keys = 8192;
// Looking up a key takes time that grows with the keys before it; the sum of the squares bounds all of it.
constexpr std::uint64_t max_key_work = std::uint64_t{1} << 31;

std::string line_of(std::string_view text, std::size_t offset) {
    const auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(offset, text.size()));
    return "line " + std::to_string(1 + std::count(text.begin(), end, '\n'));
}

// Bounds on the shape, counted without building anything. The parser proper then says what else is wrong.
void check_shape(std::string_view text, std::string_view name) {
    std::array<std::size_t, max_depth + 1> keys{};
    std::size_t depth = 0;
    std::uint64_t work = 0;
    const auto refuse = [&](std::size_t at, const char* what) {
        throw Error{std::string{name} + ": " + line_of(text, at), what};
    };
    for (std::size_t i = 0; i < text.size(); ++i) {
        switch (text[i]) {
        case '"':
            for (++i; i < text.size() && text[i] != '"'; ++i) {
                i += text[i] == '\\' ? 1 : 0;
            }
            break;
        case '{':
        case '[':
            if (depth == max_depth) {
                refuse(i, "nested too deeply");
            }
            keys[++depth] = 0;
            break;
        case '}':
        case ']': depth -= depth > 0 ? 1 : 0; break;
        case ':':
            work += keys[depth];
            if (++keys[depth] > max_keys || work > max_key_work) {
                refuse(i, "too many keys in one object");
            }
            break;
        default: break;
        }
    }
}

std::optional<std::uint64_t> parse_hex(std::string_view text) {
    if (text.size() < 3 || text[0] != '0' || (text[1] != 'x' && text[1] != 'X')) {
        return std::nullopt;
    }
    std::uint64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto result = std::from_chars(text.data() + 2, end, value, 16);
    if (result.ec != std::errc{} || result.ptr != end) {
        return std::nullopt;
    }
    return value;
}

// Extends `path` by the way from `from` to `wanted`, which is known by its address. False when it is not below.
// NOLINTNEXTLINE(misc-no-recursion): the depth was checked before parsing
bool find_path(const Json& from, const Json& wanted, std::string& path) {
    if (&from == &wanted) {
        return true;
    }
    const std::size_t length = path.size();
    if (from.is_object()) {
        for (auto it = from.begin(); it != from.end(); ++it) {
            path += (path.empty() ? "" : ".") + it.key();
            if (find_path(it.value(), wanted, path)) {
                return true;
            }
            path.resize(length);
        }
    } else if (from.is_array()) {
        for (std::size_t i = 0; i < from.size(); ++i) {
            path += '[' + std::to_string(i) + ']';
            if (find_path(from[i], wanted, path)) {
                return true;
            }
            path.resize(length);
        }
    }
    return false;
}

}  // namespace

Json parse_json(std::string_view text, std::string_view name) {
    check_shape(text, name);
    try {
        return Json::parse(text);
    } catch (const Json::parse_error& error) {
        throw Error{std::string{name} + ": " + line_of(text, error.byte == 0 ? 0 : error.byte - 1), "not valid JSON"};
    } catch (const Json::exception&) {
        throw Error{name, "not usable JSON: a number is out of range"};
    }
}

void JsonView::expect_object() const {
    if (!value_->is_object()) {
        fail("expected an object");
    }
}

std::optional<JsonView> JsonView::find(std::string_view key) const {
    expect_object();
    for (auto it = value_->begin(); it != value_->end(); ++it) {
        if (it.key() == key) {
            return JsonView{*this, it.value()};
        }
    }
    return std::nullopt;
}

JsonView JsonView::at(std::string_view key) const {
    if (auto member = find(key)) {
        return *member;
    }
    fail("lacks \"" + std::string{key} + '"');
}

std::vector<std::string> JsonView::keys() const {
    expect_object();
    std::vector<std::string> names;
    for (auto it = value_->begin(); it != value_->end(); ++it) {
        names.push_back(it.key());
    }
    return names;
}

std::size_t JsonView::size() const {
    if (!value_->is_array()) {
        fail("expected a list");
    }
    return value_->size();
}

JsonView JsonView::item(std::size_t index) const {
    return {*this, (*value_)[index]};
}

std::string JsonView::string() const {
    if (!value_->is_string()) {
        fail("expected a string");
    }
    return value_->get<std::string>();
}

bool JsonView::boolean() const {
    if (!value_->is_boolean()) {
        fail("expected true or false");
    }
    return value_->get<bool>();
}

std::uint64_t JsonView::number() const {
    if (!value_->is_number_unsigned()) {
        fail("expected a whole number from 0 to 2^64 - 1");
    }
    return value_->get<std::uint64_t>();
}

std::int64_t JsonView::signed_number() const {
    if (!value_->is_number_integer()) {
        fail("expected a whole number");
    }
    return value_->get<std::int64_t>();
}

std::uint64_t JsonView::hex() const {
    if (value_->is_string()) {
        if (const auto value = parse_hex(value_->get_ref<const std::string&>())) {
            return *value;
        }
    }
    fail("expected a string \"0x...\" of at most 64 bits");
}

std::uint64_t JsonView::signed_hex() const {
    if (value_->is_string()) {
        const std::string_view text = value_->get_ref<const std::string&>();
        const bool negative = !text.empty() && text[0] == '-';
        if (const auto value = parse_hex(text.substr(negative ? 1 : 0))) {
            return negative ? 0 - *value : *value;
        }
    }
    fail("expected a string \"0x...\" or \"-0x...\" of at most 64 bits");
}

std::string JsonView::path() const {
    std::string path;
    find_path(*root_, *value_, path);
    return path;
}

void JsonView::fail(std::string_view reason) const {
    const std::string way = path();
    throw Error{way.empty() ? std::string{name_} : std::string{name_} + ": " + way, reason};
}

}  // namespace pgsim::formats
