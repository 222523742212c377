// SPDX-License-Identifier: GPL-2.0-only
#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "pgsim/base/units.hpp"
#include "pgsim/formats/explorer_html.hpp"
#include "pgsim/scenario/boot_explorer.hpp"
#include "pgsim/scenario/presets.hpp"
#include "support/catch.hpp"

using namespace pgsim;
using json = nlohmann::json;

namespace {

std::uint64_t number(const json& text) {
    const std::string value = text;
    return value.front() == '-' ? 0 - std::stoull(value.substr(1), nullptr, 16) : std::stoull(value, nullptr, 16);
}

/// Memory as the journal says it: the last value written to each word, from the first write number `from` to `to`.
void replay(const json& writes, std::uint64_t from, std::uint64_t to, std::map<std::uint64_t, std::uint64_t>& words) {
    std::uint64_t sequence = 0;
    for (const json& run : writes) {
        const std::uint64_t count = run[1];
        for (std::uint64_t k = 0; k < count; ++k, ++sequence) {
            if (sequence >= from && sequence < to) {
                words[number(run[0]) + 8 * k] = number(run[4]) + k * number(run[5]);
            }
        }
    }
}

/// How many entries of the tables differ from `words`.
std::size_t differences(const json& tables, const std::map<std::uint64_t, std::uint64_t>& words) {
    std::size_t wrong = 0;
    for (const json& table : tables) {
        for (const json& run : table["entries"]) {
            for (std::uint64_t k = 0; k < run[1].get<std::uint64_t>(); ++k) {
                const auto word = words.find(number(table["pa"]) + 8 * (run[0].get<std::uint64_t>() + k));
                const std::uint64_t value = number(run[2]) + k * number(run[3]);
                wrong += word == words.end() || word->second != value ? 1 : 0;
            }
        }
    }
    return wrong;
}

}  // namespace

TEST_CASE("The journal in the explorer's document explains every entry of every table", "[scenario][explorer]") {
    const Boot boot = run(presets::qemu_q35("1G"), {.journal = true});
    const json document = json::parse(explorer_document(boot));

    REQUIRE(document["checkpoints"].size() == boot.checkpoints().size());
    CHECK(document["layout"]["symbols"]["init_top_pgt"] ==
          hex(boot.scenario().inputs.layout.va("init_top_pgt").value()));
    CHECK(document["boot_params"]["e820"].size() == boot.scenario().inputs.boot_params.e820.size());
    const json& provenance = document["provenance"];
    REQUIRE(provenance["ends"].size() == boot.checkpoints().size());
    std::map<std::uint64_t, std::uint64_t> words;
    std::uint64_t replayed = 0;
    for (std::size_t i = 0; i < boot.checkpoints().size(); ++i) {
        const json& checkpoint = document["checkpoints"][i];
        INFO(checkpoint["name"]);
        const std::uint64_t end = provenance["ends"][i];
        replay(provenance["writes"], replayed, end, words);
        replayed = end;
        CHECK(differences(checkpoint["tables"], words) == 0);
        CHECK(checkpoint["cycle"] == boot.checkpoints()[i].machine.now.count());
    }
}

TEST_CASE("A boot without a journal makes a document without provenance", "[scenario][explorer]") {
    const Boot boot = run(presets::qemu_q35("1G"), {.until = "decompressor.startup_64"});
    const json document = json::parse(explorer_document(boot));
    CHECK_FALSE(document.contains("provenance"));
    CHECK(document["checkpoints"].size() == 1);
}

// PGSIM_EXPLORER_PAGE=out.html PGSIM_EXPLORER_RAM=64G test_boot_explorer "[.page]"
TEST_CASE("A page of a simulated boot, to look at", "[.page]") {
    const char* path = std::getenv("PGSIM_EXPLORER_PAGE");
    const char* ram = std::getenv("PGSIM_EXPLORER_RAM");
    REQUIRE(path != nullptr);
    const Boot boot = run(presets::qemu_q35(ram != nullptr ? ram : "4G"), {.journal = true});
    std::ofstream out{path};
    out << formats::explorer_html(explorer_document(boot));
    REQUIRE(out.good());
}
