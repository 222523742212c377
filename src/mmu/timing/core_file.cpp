// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>
#include <cctype>
#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "pgsim/base/error.hpp"
#include "pgsim/mmu/timing_core.hpp"

namespace pgsim {

namespace {

using Json = nlohmann::json;

/// One object of the file, with its path for messages. Every key must be asked for: a misspelt one is an error.
class Object {
public:
    Object(const Json& json, std::string path, CoreDescription& core)
        : json_{json}, path_{std::move(path)}, core_{core} {
        if (!json_.is_object()) {
            throw Error{path_, "an object is expected"};
        }
    }

    [[nodiscard]] std::string at(const std::string& key) const { return path_.empty() ? key : path_ + "." + key; }

    [[nodiscard]] bool has(const std::string& key) {
        known_.push_back(key);
        return json_.contains(key) && !json_.at(key).is_null();
    }
    [[nodiscard]] const Json& get(const std::string& key) {
        if (!has(key)) {
            throw Error{at(key), "is missing"};
        }
        return json_.at(key);
    }
    [[nodiscard]] std::string text(const std::string& key) {
        const Json& value = get(key);
        if (!value.is_string()) {
            throw Error{at(key), "a text is expected"};
        }
        return value.get<std::string>();
    }
    /// [value, "source"]: the value.
    [[nodiscard]] const Json& sourced(const std::string& key) { return sourced(get(key), at(key)); }
    [[nodiscard]] const Json& sourced(const Json& pair, const std::string& path) {
        const bool whole =
            pair.is_array() && pair.size() == 2 && pair[1].is_string() && !pair[1].get<std::string>().empty();
        if (!whole) {
            throw Error{path, R"(a value with its source is expected: [value, "source"])"};
        }
        core_.sources.emplace_back(path, pair[1].get<std::string>());
        return pair[0];
    }
    [[nodiscard]] std::uint32_t number(const std::string& key) { return number(sourced(key), at(key)); }
    [[nodiscard]] static std::uint32_t number(const Json& value, const std::string& path) {
        if (!value.is_number_unsigned() || value.get<std::uint64_t>() > 0x7fff'ffff) {
            throw Error{path, "a whole number from 0 to 2147483647 is expected"};
        }
        return value.get<std::uint32_t>();
    }
    [[nodiscard]] double real(const std::string& key) {
        const Json& value = sourced(key);
        if (!value.is_number() || value.get<double>() < 0 || value.get<double>() > 1e6) {
            throw Error{at(key), "a number from 0 to 1000000 is expected"};
        }
        return value.get<double>();
    }
    [[nodiscard]] bool flag(const std::string& key) {
        const Json& value = sourced(key);
        if (!value.is_boolean()) {
            throw Error{at(key), "true or false is expected"};
        }
        return value.get<bool>();
    }
    [[nodiscard]] Object object(const std::string& key) { return {get(key), at(key), core_}; }
    template <class Function>
    void each(const std::string& key, Function function) {
        const Json& list = get(key);
        if (!list.is_array()) {
            throw Error{at(key), "a list is expected"};
        }
        for (std::size_t i = 0; i < list.size(); ++i) {
            function(Object{list[i], at(key) + "[" + std::to_string(i) + "]", core_});
        }
    }
    void finish() const {
        for (const auto& item : json_.items()) {
            if (std::find(known_.begin(), known_.end(), item.key()) == known_.end()) {
                throw Error{at(item.key()), "there is no such key"};
            }
        }
    }

private:
    const Json& json_;
    std::string path_;
    CoreDescription& core_;
    std::vector<std::string> known_;
};

constexpr std::array<std::pair<std::string_view, TagKind>, 8> kind_names{{{"4K", TagKind::k4K},
                                                                          {"2M", TagKind::k2M},
                                                                          {"4M", TagKind::k4M},
                                                                          {"1G", TagKind::k1G},
                                                                          {"PDE", TagKind::pde},
                                                                          {"PDPTE", TagKind::pdpte},
                                                                          {"PML4E", TagKind::pml4e},
                                                                          {"PML5E", TagKind::pml5e}}};

std::uint8_t read_kinds(const Json& list, const std::string& path) {
    unsigned kinds = 0;
    for (const Json& item : list) {
        const auto found = std::find_if(kind_names.begin(), kind_names.end(),
                                        [&](const auto& known) { return item.is_string() && item == known.first; });
        if (found == kind_names.end()) {
            throw Error{path, "it lists what is held: 4K, 2M, 4M, 1G, PDE, PDPTE, PML4E, PML5E"};
        }
        kinds |= 1U << static_cast<unsigned>(found->second);
    }
    if (kinds == 0) {
        throw Error{path, "an array holds at least one kind of entry"};
    }
    return static_cast<std::uint8_t>(kinds);
}

unsigned read_fold(const Json& value, const std::string& path) {
    const std::string text = value.is_string() ? value.get<std::string>() : "";
    if (text == "linear") {
        return 0;
    }
    const std::string digits = text.rfind("xor-", 0) == 0 ? text.substr(4) : "";
    if (digits.empty() || digits.size() > 2 ||
        !std::all_of(digits.begin(), digits.end(), [](unsigned char c) { return std::isdigit(c) != 0; })) {
        throw Error{path, R"("linear" or "xor-N" is expected)"};
    }
    return static_cast<unsigned>(std::stoul(digits));
}

Replacement read_replacement(const Json& value, const std::string& path) {
    if (value == "lru") {
        return Replacement::lru;
    }
    if (value == "tree-plru") {
        return Replacement::tree_plru;
    }
    if (value == "mru+1-plru") {
        return Replacement::grouped_plru;
    }
    throw Error{path, R"("lru", "tree-plru" or "mru+1-plru" is expected)"};
}

CoreArray read_array(Object from, const char* kinds_key) {
    CoreArray array;
    array.name = from.text("name");
    array.kinds = read_kinds(from.get(kinds_key), from.at(kinds_key));
    const std::uint32_t entries = from.number("entries");
    array.shape.ways = from.number("ways");
    if (array.shape.ways == 0 || entries % array.shape.ways != 0) {
        throw Error{from.at("ways"), "the entries must be a multiple of the ways"};
    }
    array.shape.sets = entries / array.shape.ways;
    array.shape.fold = read_fold(from.sourced("index"), from.at("index"));
    array.shape.replacement = read_replacement(from.sourced("replacement"), from.at("replacement"));
    if (from.has("pcids")) {
        array.pcids = from.number("pcids");
    }
    array.smashes_1g = from.has("smash_1g") && from.flag("smash_1g");
    from.finish();
    const TagArray check{from.at("ways"), array.shape};  // throws what this geometry cannot be
    static_cast<void>(check);
    return array;
}

void read_tlbs(Object& top, CoreDescription& core) {
    const auto list = [&](const char* key, std::vector<CoreArray>& to, const char* kinds_key) {
        top.each(key, [&](Object item) { to.push_back(read_array(std::move(item), kinds_key)); });
    };
    list("l1_load", core.l1_load, "pages");
    list("l1_store", core.l1_store, "pages");
    list("l1_fetch", core.l1_fetch, "pages");
    list("l2", core.l2, "pages");
    list("l2_fetch", core.l2_fetch, "pages");
    list("structure_caches", core.structure_caches, "entries_of");
    if (core.l1_load.empty() || core.l1_fetch.empty()) {
        throw Error{core.l1_load.empty() ? "l1_load" : "l1_fetch", "a core has at least one such TLB"};
    }
    Object hit = top.object("tlb_hit");
    core.l1_hit = hit.number("l1");
    core.l2_hit = hit.number("l2");
    core.l2_hit_fetch = hit.number("l2_fetch");
    hit.finish();
    Object walker = top.object("walker");
    core.walk_start = walker.number("start");
    core.walk_step = walker.number("step");
    core.walkers = walker.number("count");
    core.flag_assist = walker.number("flag_assist");
    walker.finish();
    if (core.walkers == 0) {
        throw Error{walker.at("count"), "a core has at least one page walker"};
    }
}

void read_caches(Object& top, CoreDescription& core) {
    top.each("caches", [&](Object item) {
        CoreCache cache;
        cache.name = item.text("name");
        cache.bytes = std::uint64_t{item.number("kib")} << 10;
        cache.ways = item.number("ways");
        cache.latency = item.number("latency");
        item.finish();
        core.caches.push_back(std::move(cache));
    });
    if (core.caches.empty() || core.caches.size() > 3) {
        throw Error{top.at("caches"), "a core has one to three levels of data caches"};
    }
    Object memory = top.object("memory");
    const double cycles = memory.real("ns") * core.ghz;
    const bool after = memory.flag("after_last_cache");
    memory.finish();
    core.memory_latency = static_cast<std::uint32_t>(std::lround(cycles)) + (after ? core.caches.back().latency : 0);
}

void read_events(Object events, CoreDescription& core) {
    core.invlpg = events.number("invlpg");
    core.cr3_flush = events.number("mov_cr3_flush");
    // null in the place of the number: the core has no such thing.
    const Json& keep = events.sourced("mov_cr3_keep");
    if (!keep.is_null()) {
        core.cr3_keep = Object::number(keep, events.at("mov_cr3_keep"));
    }
    if (events.has("invpcid")) {
        const Json& types = events.get("invpcid");
        if (!types.is_array() || types.size() != 4) {
            throw Error{events.at("invpcid"), "four costs are expected, types 0 to 3"};
        }
        core.invpcid.emplace();
        for (std::size_t i = 0; i < 4; ++i) {
            const std::string path = events.at("invpcid") + "[" + std::to_string(i) + "]";
            (*core.invpcid)[i] = Object::number(events.sourced(types[i], path), path);
        }
    }
    core.cr4_pge = events.number("cr4_pge");
    core.page_fault = events.number("page_fault");
    core.iret = events.number("iret");
    events.finish();
}

std::string lower_case(std::string_view text) {
    std::string result{text};
    std::transform(result.begin(), result.end(), result.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return result;
}

}  // namespace

CoreDescription parse_core(std::string_view json) {
    Json parsed;
    try {
        parsed = Json::parse(json);
    } catch (const Json::exception& error) {
        throw Error{"core description", error.what()};
    }
    CoreDescription core;
    Object top{parsed, "", core};
    core.name = top.text("name");
    core.title = top.text("title");
    for (const Json& alias : top.get("aliases")) {
        if (!alias.is_string()) {
            throw Error{"aliases", "texts are expected"};
        }
        core.aliases.push_back(alias.get<std::string>());
    }
    core.ghz = top.real("ghz");
    read_tlbs(top, core);
    read_caches(top, core);
    read_events(top.object("events"), core);
    top.finish();
    return core;
}

CoreDescription load_core(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    if (!file) {
        throw Error{path, "cannot be read"};
    }
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    try {
        return parse_core(text);
    } catch (const Error& error) {
        throw error.within(path);
    }
}

CoreDescription find_core(std::string_view name) {
    const std::string wanted = lower_case(name);
    std::string known;
    for (const BuiltInCore& core : built_in_cores()) {
        CoreDescription description = parse_core(core.json);
        const bool alias = std::any_of(description.aliases.begin(), description.aliases.end(),
                                       [&](const std::string& other) { return lower_case(other) == wanted; });
        if (alias || lower_case(description.name) == wanted) {
            return description;
        }
        known += (known.empty() ? "" : ", ") + description.name;
    }
    throw Error{std::string{name}, "there is no such core; there are " + known};
}

}  // namespace pgsim
