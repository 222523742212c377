// SPDX-License-Identifier: GPL-2.0-only
#include <nlohmann/json.hpp>
#include <string>

#include "pgsim/base/error.hpp"
#include "pgsim/formats/explorer_html.hpp"
#include "support/catch.hpp"

using namespace pgsim;
using pgsim::formats::explorer_available;
using pgsim::formats::explorer_html;
using pgsim::formats::explorer_provenance;

namespace {

std::string error_of(const std::string& data) {
    try {
        (void)explorer_html(data);
    } catch (const Error& error) {
        return error.what();
    }
    return "";
}

/// The text between the data element's tags.
std::string embedded_data(const std::string& page) {
    const std::string open = "id=\"pgsim-data\">";
    const std::size_t from = page.find(open) + open.size();
    return page.substr(from, page.find("</script>", from) - from);
}

}  // namespace

TEST_CASE("The explorer page holds the document it was given", "[formats][explorer]") {
    const std::string data = R"({"name": "a </script><b> & \"c\"", "checkpoints": []})";
    if (!explorer_available()) {
        CHECK(error_of(data).find("explorer page") != std::string::npos);
        return;
    }
    const std::string page = explorer_html(data);

    SECTION("unchanged as JSON, and nothing in it ends the script element") {
        const std::string embedded = embedded_data(page);
        CHECK(embedded.find('<') == std::string::npos);
        CHECK(nlohmann::json::parse(embedded) == nlohmann::json::parse(data));
    }
    SECTION("and needs nothing from outside") {
        CHECK(page.find("src=\"") == std::string::npos);
        CHECK(page.find("<link") == std::string::npos);
        CHECK(page.find("@import") == std::string::npos);
    }
}

TEST_CASE("The explorer refuses what is not its document", "[formats][explorer]") {
    if (!explorer_available()) {
        return;
    }
    CHECK(error_of("{").find("not valid JSON") != std::string::npos);
    CHECK(error_of("[]").find("checkpoints") != std::string::npos);
    CHECK(error_of("{\"checkpoints\": 3}").find("checkpoints") != std::string::npos);
}

TEST_CASE("Provenance joins equal steps to runs and keeps only writes to tables", "[formats][explorer]") {
    WriteJournal journal;
    journal.set_origin({"startup_32", "decompressor", "R1.5"});
    journal.set_time(Cycles{100});
    journal.record(PhysAddr{0x1000}, 0, 0x2007);
    for (std::uint64_t i = 0; i < 4; ++i) {
        journal.set_time(Cycles{200 + i * 10});
        journal.record(PhysAddr{0x2000 + i * 8}, 0, i * 0x200000 + 0x183);
        journal.record(PhysAddr{0x9000}, i, i + 1);  // a counter, not a table
    }
    const std::size_t first = journal.records().size();
    journal.set_origin({"clear", "kernel head", "R4.2"});
    journal.record(PhysAddr{0x2000}, 0x400183, 0x183);
    journal.record(PhysAddr{0x2008}, 0x200183, 0x183);

    const std::vector<Pfn> tables{Pfn{1}, Pfn{2}};
    const std::vector<std::size_t> ends{0, first, journal.records().size()};
    const auto json = nlohmann::json::parse(explorer_provenance(journal, ends, tables));

    CHECK(json["ends"] == nlohmann::json{0, 5, 7});
    CHECK(json["origins"][1]["rule"] == "R1.5");
    REQUIRE(json["writes"].size() == 3);
    CHECK(json["writes"][1] == nlohmann::json{"0x2000", 4, "0x0", "0x0", "0x183", "0x200000", 1, 200, 10});
    CHECK(json["writes"][2] == nlohmann::json{"0x2000", 2, "0x400183", "-0x200000", "0x183", "0x0", 2, 230, 0});
}

TEST_CASE("Provenance refuses places that lie outside the journal", "[formats][explorer]") {
    const WriteJournal journal;
    const std::vector<std::size_t> beyond{1};
    const std::vector<Pfn> falling{Pfn{2}, Pfn{1}};
    CHECK_THROWS_AS(explorer_provenance(journal, beyond, {}), Error);
    CHECK_THROWS_AS(explorer_provenance(journal, {}, falling), Error);
}
