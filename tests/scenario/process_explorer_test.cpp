// SPDX-License-Identifier: GPL-2.0-only
// The explorer's document of a run of processes: it says what the run did, and its tables translate.
#include "support/catch.hpp"

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "pgsim/base/error.hpp"
#include "pgsim/formats/capture.hpp"
#include "pgsim/formats/capture_space.hpp"
#include "pgsim/formats/explorer_html.hpp"
#include "pgsim/scenario/process_explorer.hpp"

using namespace pgsim;
using json = nlohmann::json;

namespace {

constexpr const char* copy_on_write =
    "P mmap 0x100000000000 16K rw private|anon|fixed\n"
    "P write 0x100000000000 4\n"
    "P fork C  # entries, not pages\n"
    "P write 0x100000000000 1\n"
    "C exit\n";

struct Recorded {
    ProcessStory story;
    std::string text;
    json document;

    [[nodiscard]] const json& checkpoint(std::size_t number) const { return document["checkpoints"][number]; }
};

Recorded record(const std::string& script, ProcessWorld::Options options = {}) {
    options.memory_bytes = std::min(options.memory_bytes, std::uint64_t{256} << 20);
    ProcessWorld world{options};
    ProcessRecording recording{world};
    Recorded out;
    out.story = run_process_script(script, world, recording.story_options());
    out.text = recording.document(out.story, "a run");
    out.document = json::parse(out.text);
    return out;
}

const json& process(const json& checkpoint, const std::string& name) {
    for (const json& one : checkpoint["processes"]) {
        if (one["name"] == name) {
            return one;
        }
    }
    throw Error{"no process " + name};
}

// Null when no frame of this number is listed.
json frame(const json& checkpoint, std::uint64_t pfn) {
    for (const json& run : checkpoint["frames"]) {
        const std::uint64_t count = run.value("count", std::uint64_t{1}) << run.value("order", 0U);
        if (pfn >= run["pfn"].get<std::uint64_t>() && pfn < run["pfn"].get<std::uint64_t>() + count) {
            return run;
        }
    }
    return nullptr;
}

std::uint64_t number(const json& text) {
    const std::string value = text;
    return value.front() == '-' ? 0 - std::stoull(value.substr(1), nullptr, 16) : std::stoull(value, nullptr, 16);
}

using Words = std::map<std::uint64_t, std::uint64_t>;

// The entries of all tables that are not zero.
Words entries_of(const json& checkpoint) {
    Words words;
    for (const json& table : checkpoint["tables"]) {
        for (const json& run : table["entries"]) {
            for (std::uint64_t k = 0; k < run[1].get<std::uint64_t>(); ++k) {
                words[number(table["pa"]) + 8 * (run[0].get<std::uint64_t>() + k)] =
                    number(run[2]) + k * number(run[3]);
            }
        }
    }
    return words;
}

// Where the tables of a process translate an address to, at a checkpoint of the document.
std::uint64_t frame_behind(const formats::Capture& capture, std::size_t checkpoint, const std::string& process,
                           std::uint64_t address) {
    const AddressSpace space = formats::address_space(capture.checkpoints[checkpoint], process);
    const WalkResult walk = space.walk(VirtAddr{address}, {.cpl = 3});
    REQUIRE(walk.translation() != nullptr);
    return walk.translation()->phys.value() >> 12;
}

}  // namespace

TEST_CASE("The document of a run has the moment before the first step and the one after each",
          "[scenario][explorer][processes]") {
    const Recorded run = record(copy_on_write);
    REQUIRE(run.document["checkpoints"].size() == 6);
    CHECK(run.checkpoint(0)["name"] == "start");
    CHECK(run.checkpoint(0)["processes"].size() == 1);
    CHECK(run.checkpoint(3)["title"] == "P fork C");
    CHECK(run.checkpoint(3)["summary"] == "entries, not pages");
    CHECK(process(run.checkpoint(3), "C")["parent"] == "P");
    CHECK(run.checkpoint(5)["processes"].size() == 1);

    const json& area = process(run.checkpoint(1), "P")["areas"][0];
    CHECK(area["start"] == "0x100000000000");
    CHECK(area["end"] == "0x100000004000");
    CHECK(area["rights"] == "rw-p");
    CHECK(area["backing"] == "anonymous");
}

TEST_CASE("After a fork both processes map one frame; the first write gives the writer another",
          "[scenario][explorer][processes]") {
    const Recorded run = record(copy_on_write);
    const formats::Capture capture = formats::parse_capture(run.text);
    const std::uint64_t shared = frame_behind(capture, 3, "P", 0x100000000000);
    CHECK(frame_behind(capture, 3, "C", 0x100000000000) == shared);
    CHECK(frame(run.checkpoint(2), shared)["mapcount"] == 1);
    CHECK(frame(run.checkpoint(3), shared)["mapcount"] == 2);

    const std::uint64_t copy = frame_behind(capture, 4, "P", 0x100000000000);
    CHECK(copy != shared);
    CHECK(frame_behind(capture, 4, "C", 0x100000000000) == shared);
    CHECK(frame(run.checkpoint(3), copy).is_null());
    CHECK(frame(run.checkpoint(4), copy)["mapcount"] == 1);
    CHECK(frame(run.checkpoint(4), shared)["mapcount"] == 1);
    CHECK(frame(run.checkpoint(5), shared).is_null());  // its last process has ended

    CHECK(run.checkpoint(4)["operation"]["minflt"] == 1);
    const json& way = run.checkpoint(4)["story"][0]["steps"];
    CHECK(way[0]["function"] == "exc_page_fault");
    CHECK(way.dump().find("wp_page_copy") != std::string::npos);
}

TEST_CASE("The writes of a run explain every entry that changed", "[scenario][explorer][processes]") {
    const Recorded run = record(
        "P mmap 0x100000000000 8M rw private|anon|fixed\nP write 0x100000000000 600\nP fork C\nC write 0x100000000000 "
        "8\n"
        "P mprotect 0x100000000000 64K r\nP munmap 0x100000100000 1M\nC madvise 0x100000000000 1M pageout\n",
        [] {
            ProcessWorld::Options options;
            options.mm.swap_slots = 4096;
            return options;
        }());
    const json& provenance = run.document["provenance"];
    Words words = entries_of(run.checkpoint(0));
    std::size_t next = 0;
    std::uint64_t made = 0;
    for (std::size_t i = 0; i < run.document["checkpoints"].size(); ++i) {
        for (; made < provenance["ends"][i].get<std::uint64_t>(); ++next) {
            const json& write = provenance["writes"][next];
            for (std::uint64_t k = 0; k < write[1].get<std::uint64_t>(); ++k, ++made) {
                words[number(write[0]) + 8 * k] = number(write[4]) + k * number(write[5]);
            }
        }
        std::size_t wrong = 0;
        for (const auto& [address, value] : entries_of(run.checkpoint(i))) {
            const auto word = words.find(address);
            wrong += word == words.end() || word->second != value ? 1 : 0;
        }
        INFO("checkpoint " << i);
        CHECK(wrong == 0);
    }
    CHECK(made == provenance["ends"].back().get<std::uint64_t>());
}

TEST_CASE("A cached page that nobody maps is listed with its file; a 2-MByte page is one frame of order 9",
          "[scenario][explorer][processes]") {
    const Recorded file = record("P openfile 0 tmpfs\nP filewrite 0 0 3\n");
    const json& cached = file.checkpoint(2)["frames"];
    std::uint64_t pages = 0;
    for (const json& run : cached) {
        CHECK(run["kind"] == "file");
        CHECK(run["mapcount"] == 0);
        pages += run.value("count", std::uint64_t{1});
    }
    CHECK(pages == 3);

    ProcessWorld::Options options;
    options.mm.thp = kernel::ThpSetting::always;
    const Recorded huge =
        record("P thp_off 0\nP mmap 0x100000000000 2M rw private|anon|fixed\nP write 0x100000000000 1\n", options);
    const json& frames = huge.checkpoint(3)["frames"];
    REQUIRE(frames.size() == 1);
    CHECK(frames[0]["order"] == 9);
    CHECK(frames[0]["mapcount"] == 1);
    CHECK(process(huge.checkpoint(3), "P")["counts"]["in 2 MiB pages"] == 512);
}

TEST_CASE("A run can be recorded with five levels, and its document makes a page", "[scenario][explorer][processes]") {
    ProcessWorld::Options options;
    options.five_levels = true;
    const Recorded run = record(copy_on_write, options);
    CHECK(run.checkpoint(3)["levels"] == 5);
    const formats::Capture capture = formats::parse_capture(run.text);
    CHECK(frame_behind(capture, 3, "C", 0x100000000000) == frame_behind(capture, 3, "P", 0x100000000000));
    if (formats::explorer_available()) {
        CHECK(formats::explorer_html(run.text).find("P fork C") != std::string::npos);
    }
}

TEST_CASE("After a recording the world's memory has no journal", "[scenario][explorer][processes]") {
    ProcessWorld world;
    {
        ProcessRecording recording{world};
        CHECK(world.kernel().machine().memory().journal() != nullptr);
    }
    CHECK(world.kernel().machine().memory().journal() == nullptr);
}
