// SPDX-License-Identifier: GPL-2.0-only
// Strict reading of JSON from files that anybody may have written.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgsim::formats {

using Json = nlohmann::ordered_json;

/// Parses JSON text after checking that it can do no harm: nesting at most 64 deep, objects of at most 8192 keys.
/// @throws Error  with `name` and the line as the place
[[nodiscard]] Json parse_json(std::string_view text, std::string_view name);

/// One JSON value and the way to it: each reader either gives what it says or throws an Error that names the key path.
class JsonView {
public:
    /// @param name  of the file, for errors; must live as long as the views
    JsonView(const Json& root, std::string_view name) : root_{&root}, value_{&root}, name_{name} {}

    [[nodiscard]] const Json& json() const noexcept { return *value_; }
    [[nodiscard]] bool is_null() const noexcept { return value_->is_null(); }

    [[nodiscard]] JsonView at(std::string_view key) const;                   ///< a member that must be there
    [[nodiscard]] std::optional<JsonView> find(std::string_view key) const;  ///< nullopt when absent
    [[nodiscard]] std::vector<std::string> keys() const;                     ///< of an object, in the file's order
    [[nodiscard]] std::size_t size() const;                                  ///< elements of an array
    [[nodiscard]] JsonView item(std::size_t index) const;                    ///< element of an array

    [[nodiscard]] std::string string() const;
    [[nodiscard]] bool boolean() const;
    [[nodiscard]] std::uint64_t number() const;        ///< integer, 0 ..= 2^64 - 1
    [[nodiscard]] std::int64_t signed_number() const;  ///< integer
    [[nodiscard]] std::uint64_t hex() const;           ///< "0x…", lower or upper case
    [[nodiscard]] std::uint64_t signed_hex() const;    ///< "0x…" or "-0x…", modulo 2^64

    [[nodiscard]] std::string path() const;  ///< "checkpoints[3].cpu.cr3"; searched for, so for errors only
    [[noreturn]] void fail(std::string_view reason) const;

private:
    JsonView(const JsonView& parent, const Json& value) : root_{parent.root_}, value_{&value}, name_{parent.name_} {}
    void expect_object() const;

    const Json* root_;
    const Json* value_;
    std::string_view name_;
};

/// Each element of an array, read by `read(JsonView)`.
template <class Read>
[[nodiscard]] auto read_list(const JsonView& list, Read read) {
    std::vector<decltype(read(list))> result;
    const std::size_t size = list.size();
    result.reserve(size);
    for (std::size_t i = 0; i < size; ++i) {
        result.push_back(read(list.item(i)));
    }
    return result;
}

}  // namespace pgsim::formats
