// SPDX-License-Identifier: GPL-2.0-only
// Captures of real kernels, read and written back; and files that nobody should have made.
#include "pgsim/formats/capture.hpp"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "pgsim/base/error.hpp"
#include "pgsim/formats/text_file.hpp"
#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/scratch.hpp"

using namespace pgsim;
using namespace pgsim::formats;

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::vector<std::string> capture_files() {
    std::vector<std::string> files;
    for (const auto& file : fs::directory_iterator{test::data_path("captures")}) {
        files.push_back(file.path().string());
    }
    std::sort(files.begin(), files.end());
    return files;
}

std::string error_of(const std::string& text) {
    try {
        static_cast<void>(parse_capture(text, "file"));
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

// A small capture that is right, to be spoilt in one place each.
json small_capture() {
    return json::parse(R"({
      "format": "pgsim-capture/1", "name": "small", "kernel": {"release": "6.6.1", "series": "6.6"}, "cmdline": "nokaslr",
      "checkpoints": [ { "name": "here", "cpu": {"cr3": "0x1000"}, "root": "0x1000", "levels": 4, "extra_roots": [],
        "tables": [ {"pa": "0x1000", "level": 4, "entries": [[0, 1, "0x2067", "0x0"]]} ] } ] })");
}

std::string spoilt(const std::string& pointer, const json& value) {
    json capture = small_capture();
    capture[json::json_pointer{pointer}] = value;
    return error_of(capture.dump());
}

fs::path scratch(const std::string& name) {
    return test::scratch_folder() / name;
}

}  // namespace

TEST_CASE("Every capture comes back as it was when it is read and written", "[formats][capture]") {
    const auto files = capture_files();
    REQUIRE(files.size() > 100);
    for (const std::string& file : files) {
        INFO(file);
        const Capture capture = read_capture(file);
        const json written = json::parse(capture_to_json(capture));
        const json original = json::parse(read_text_maybe_xz(file));
        REQUIRE(written == original);
    }
}

TEST_CASE("The fields of a capture are where the format page says", "[formats][capture]") {
    const Capture capture = read_capture(test::data_path("captures/k6.1-4g-numa2.json.xz"));
    CHECK(capture.name == "k6.1-4g-numa2");
    CHECK(capture.series == "6.1");
    const CaptureCheckpoint* exit = capture.find("buddy.exit");
    REQUIRE(exit);
    CHECK(exit->levels == 4);
    CHECK(exit->memblock->bottom_up == false);
    CHECK(exit->memblock->reserved.back() == CaptureRegion{0x17fffe000, 0x2000, 1, 0});
    CHECK(exit->nodes->at(1).node_spanned_pages == 1310720);
    CHECK(exit->zones->at(1).free_area == std::vector<std::uint64_t>{1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 46});
    const CaptureCheckpoint* entry = capture.find("setup_arch.entry");
    REQUIRE(entry);
    CHECK(entry->cpu.cr2 == 0xffff888000014790);
    CHECK(entry->early_faults == std::vector<std::uint64_t>{0xffff888000014790});
    CHECK(capture.find("no.such.checkpoint") == nullptr);
}

TEST_CASE("The encoder makes the runs that captures have", "[formats][capture]") {
    // Pairs with a stride are two runs, equal pairs are one, a stride may be negative. [captures FORMAT "entries"]
    TableEntries entries{};
    entries[0] = 0x4f79027;
    entries[1] = 0x4f7a007;
    entries[2] = 0x4f7b007;
    entries[3] = 0x4f7c007;
    entries[8] = entries[9] = 0x30ee063;
    entries[506] = 0x2a18067;
    entries[507] = 0x2a19067;
    entries[509] = 0x5067;
    entries[510] = 0x4067;
    entries[511] = 0x3067;
    const TableRuns runs = TableRuns::encode(entries);
    const std::vector<EntryRun> expected{{0, 1, 0x4f79027, 0},   {1, 3, 0x4f7a007, 0x1000},
                                         {8, 2, 0x30ee063, 0},   {506, 1, 0x2a18067, 0},
                                         {507, 1, 0x2a19067, 0}, {509, 3, 0x5067, ~std::uint64_t{0xfff}}};
    CHECK(std::vector<EntryRun>(runs.runs().begin(), runs.runs().end()) == expected);
    CHECK(runs.expand() == entries);
    CHECK(runs.at(2) == 0x4f7b007);
    CHECK(runs.at(4) == 0);
    CHECK(runs.at(511) == 0x3067);
    CHECK(TableRuns::encode(TableEntries{}).all_zero());
    CHECK_THROWS_AS(TableRuns::encode(std::vector<std::uint64_t>(513)), Error);
}

TEST_CASE("A capture that is wrong is refused, naming file, key and reason", "[formats][capture]") {
    CHECK(error_of(small_capture().dump()) == "no error");
    CHECK(error_of("") == "file: line 1: not valid JSON");
    CHECK(error_of("{\n\"format\": oops}") == "file: line 2: not valid JSON");
    CHECK(error_of("[]") == "file: expected an object");
    CHECK(spoilt("/format", "pgsim-capture/9") == "file: format: expected \"pgsim-capture/1\"");
    CHECK(spoilt("/checkpoints", 7) == "file: checkpoints: expected a list");
    CHECK(spoilt("/checkpoints/0/cpu/cr3", 4096) ==
          "file: checkpoints[0].cpu.cr3: expected a string \"0x...\" of at most 64 bits");
    CHECK(spoilt("/checkpoints/0/cpu/cr3", "0x10000000000000000") ==
          "file: checkpoints[0].cpu.cr3: expected a string \"0x...\" of at most 64 bits");
    CHECK(spoilt("/checkpoints/0/root", "0x1001") ==
          "file: checkpoints[0].root: the address of a table must be a multiple of 4096 below 2^52");
    CHECK(spoilt("/checkpoints/0/levels", 3) == "file: checkpoints[0].levels: expected a number from 4 to 5");
    CHECK(spoilt("/checkpoints/0/tables/0/level", nullptr) ==
          "file: checkpoints[0].tables[0].level: a table below a root has a level");
    CHECK(spoilt("/checkpoints/0/tables/0/entries/0", {511, 2, "0x1", "0x0"}) ==
          "file: checkpoints[0].tables[0].entries[0]: the run leaves the table of 512 entries, or is empty");
    CHECK(spoilt("/checkpoints/0/tables/0/entries", {{4, 2, "0x1", "0x0"}, {5, 1, "0x1", "0x0"}}) ==
          "file: checkpoints[0].tables[0].entries: runs of entries overlap or are not in ascending order");
    CHECK(spoilt("/checkpoints/0/memblock", json::object()) == "file: checkpoints[0].memblock: lacks \"bottom_up\"");
    CHECK(spoilt("/checkpoints/1", small_capture()["checkpoints"][0]) ==
          "file: checkpoints: two checkpoints are called \"here\"");
}

TEST_CASE("A file made to exhaust the reader is refused quickly", "[formats][capture]") {
    CHECK(error_of(std::string(1U << 20U, '[')) == "file: line 1: nested too deeply");
    std::string keys = "{";
    for (int i = 0; i < 10000; ++i) {
        keys += "\"k" + std::to_string(i) + "\":0,";
    }
    CHECK(error_of(keys + "\"z\":0}") == "file: line 1: too many keys in one object");
    CHECK(error_of(R"({"a": 1e999})") == "file: not usable JSON: a number is out of range");
}

TEST_CASE("A file is written whole or not at all, and compressed by its name", "[formats][file]") {
    const fs::path plain = scratch("out.json");
    const fs::path packed = scratch("out.json.xz");
    const std::string text(100000, 'x');
    write_file_whole(plain.string(), text);
    write_file_whole(packed.string(), text);
    CHECK(fs::file_size(plain) == text.size());
    CHECK(fs::file_size(packed) < 1000);
    CHECK(read_text_maybe_xz(plain.string()) == text);
    CHECK(read_text_maybe_xz(packed.string()) == text);
    CHECK_THROWS_AS(read_text_maybe_xz(packed.string(), text.size() - 1), Error);
    CHECK_THROWS_AS(write_file_whole(scratch("no/such/folder").string(), text), Error);
    CHECK_THROWS_AS(read_text_maybe_xz(scratch("none").string()), Error);
    CHECK_THROWS_AS(read_text_maybe_xz(scratch(".").string()), Error);

    SECTION("a damaged or cut xz file is an error, not an empty text") {
        std::string bytes = test::read_file(packed.string());
        std::ofstream{scratch("cut.xz"), std::ios::binary} << bytes.substr(0, bytes.size() / 2);
        CHECK_THROWS_AS(read_text_maybe_xz(scratch("cut.xz").string()), Error);
        bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x55);
        std::ofstream{scratch("bad.xz"), std::ios::binary} << bytes;
        CHECK_THROWS_AS(read_text_maybe_xz(scratch("bad.xz").string()), Error);
    }
}
