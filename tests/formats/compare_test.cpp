// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/formats/compare.hpp"

#include "support/catch.hpp"
#include "support/data.hpp"

using namespace pgsim;
using namespace pgsim::formats;

namespace {

Capture real() {
    return read_capture(test::data_path("captures/k6.1-4g-numa2.json.xz"));
}

CaptureCheckpoint& checkpoint(Capture& capture, const std::string& name) {
    for (CaptureCheckpoint& candidate : capture.checkpoints) {
        if (candidate.name == name) {
            return candidate;
        }
    }
    throw std::runtime_error{"no checkpoint " + name};
}

// What a comparison says after one change at one checkpoint: the only lines there are.
template <class Change>
std::vector<std::string> after(const std::string& name, Change change, const CompareOptions& options = {}) {
    const Capture expected = real();
    Capture actual = expected;
    change(checkpoint(actual, name));
    std::vector<std::string> lines;
    for (const CheckpointComparison& compared : compare_captures(expected, actual, options).checkpoints) {
        for (const Difference& difference : compared.differences) {
            lines.push_back(compared.name + ": " + difference.text);
        }
    }
    return lines;
}

void set_entry(CaptureTable& table, unsigned index, std::uint64_t value) {
    TableEntries entries = table.entries.expand();
    entries[index] = value;
    table.entries = TableRuns::encode(entries);
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("A capture does not differ from itself", "[formats][compare]") {
    const Capture capture = real();
    const Comparison result = compare_captures(capture, capture);
    CHECK(result.equal());
    CHECK(result.checkpoints.size() == 14);  // all but user.init
    CHECK(result.checkpoints.back().name == "buddy.exit");
    const CaptureCheckpoint* last = capture.find("buddy.exit");
    REQUIRE(last);
    CHECK(result.checkpoints.back().entries == 512 * (last->tables.size() + last->extra_tables->size()));
    CHECK(result.entries() > 100000);
}

TEST_CASE("Each thing that is compared is found when it is changed", "[formats][compare]") {
    CHECK(after("initmem_init.exit", [](CaptureCheckpoint& at) { at.cpu.cr4 = 0x20; }) ==
          Lines{"initmem_init.exit: CR4: expected 0xb0, got 0x20"});
    CHECK(after("setup_arch.entry", [](CaptureCheckpoint& at) { at.cpu.cr2 = 0; }) ==
          Lines{"setup_arch.entry: CR2: expected 0xffff888000014790, got 0x0"});
    CHECK(after("setup_arch.entry", [](CaptureCheckpoint& at) { at.levels = 5; }) ==
          Lines{"setup_arch.entry: levels: expected 4, got 5"});
    CHECK(after("setup_arch.entry", [](CaptureCheckpoint& at) { at.extra_roots.clear(); }) ==
          Lines{"setup_arch.entry: extra_roots[0]: expected init_top_pgt at 0x2a10000, got nothing"});
    CHECK(after("buddy.exit", [](CaptureCheckpoint& at) { at.memblock->reserved.back().nid = 0; }).size() == 1);
    CHECK(after("buddy.exit", [](CaptureCheckpoint& at) { at.memblock->current_limit = 1; }).size() == 1);
    CHECK(after("buddy.exit", [](CaptureCheckpoint& at) { at.memblock.reset(); }) ==
          Lines{"buddy.exit: memblock: missing"});
    CHECK(after("buddy.exit", [](CaptureCheckpoint& at) { at.e820_kernel->at(1).size = 0x1000; }) ==
          Lines{"buddy.exit: e820_kernel[1]: expected [start 0x1000 size 0x9ec00 type 1], "
                "got [start 0x1000 size 0x1000 type 1]"});
    CHECK(after("buddy.exit", [](CaptureCheckpoint& at) { at.nodes->pop_back(); }) ==
          Lines{"buddy.exit: nodes[1]: expected node 1, got nothing"});
    CHECK(after("buddy.exit", [](CaptureCheckpoint& at) { at.zones->at(1).free_area[10] = 47; }) ==
          Lines{"buddy.exit: zones[1] node 0 DMA32.free_area[10]: expected 46, got 47"});
    CHECK(after("setup_arch.entry", [](CaptureCheckpoint& at) { at.early_faults->push_back(0xffff888000000000); }) ==
          Lines{"setup_arch.entry: early_faults[1]: expected nothing, got 0xffff888000000000"});
    CHECK(after("init_mem_mapping.exit", [](CaptureCheckpoint& at) {
              at.init_memory_mapping_calls->at(0).pgt_buf_end = 1;
          }).size() == 1);
}

TEST_CASE("Globals are compared by name, but for those that the visible table leaves out", "[formats][compare]") {
    const auto set = [](const std::string& name, const GlobalValue& value) {
        return [name, value](CaptureCheckpoint& at) {
            for (auto& [key, old] : *at.globals) {
                if (key == name) {
                    old = value;
                }
            }
        };
    };
    CHECK(after("buddy.exit", set("max_pfn", std::int64_t{1})) ==
          Lines{"buddy.exit: max_pfn: expected 1572864, got 1"});
    CHECK(after("buddy.exit", set("pfn_mapped", NumberPairs{{0, 524256}})) ==
          Lines{"buddy.exit: pfn_mapped: expected [[0, 524256), [1048576, 1572864)], got [[0, 524256)]"});
    CHECK(after("buddy.exit", set("log_buf", Hex{1})).empty());
    CHECK(after("buddy.exit", [](CaptureCheckpoint& at) { at.globals->erase(at.globals->begin()); }) ==
          Lines{"buddy.exit: max_pfn: missing, expected 1572864"});
    for (const NotCompared& item : not_compared()) {
        CHECK(item.reason.size() > 10);
    }
}

TEST_CASE("Differing tables are named with address, level, index and both values", "[formats][compare]") {
    // The decompressor's first PD: 2-MByte pages, entry 3 maps 0x600000.
    const auto change = [](std::uint64_t bits) {
        return [bits](CaptureCheckpoint& at) {
            for (CaptureTable& table : at.tables) {
                if (table.level == 2U) {
                    set_entry(table, 3, table.entries.at(3) ^ bits);
                    return;
                }
            }
        };
    };
    CHECK(after("decompressor.startup_64", change(0x100)) ==
          Lines{"decompressor.startup_64: PDE 0x4f79000[3]: expected 0x600183, got 0x600083"});

    SECTION("Accessed and Dirty count except where the format says that they are not exact") {
        CHECK(after("decompressor.startup_64", change(0x60)).empty());
        CHECK(after("kernel.startup_64", change(0x60)).empty());
        CHECK(after("startup_64_fixups.exit", change(0x60)).size() == 1);
        CHECK(after("buddy.exit", change(0x20)).size() == 1);
        CHECK(after("buddy.exit", change(0x20), {.accessed_dirty = false}).empty());
    }
    SECTION("tables missing and too many") {
        CHECK(after("buddy.exit", [](CaptureCheckpoint& at) { at.tables.erase(at.tables.begin()); }) ==
              Lines{"buddy.exit: table (level 4) at 0x2a10000: missing"});
        CHECK(after("buddy.exit", [](CaptureCheckpoint& at) {
                  at.tables.push_back({"", 0x5000, 1U, {}});
              }) == Lines{"buddy.exit: table (level 1) at 0x5000: too many"});
    }
    SECTION("named tables that hang from no root") {
        CHECK(after("setup_arch.entry", [](CaptureCheckpoint& at) { at.extra_tables->at(0).pa += 0x1000; }).size() ==
              1);
        CHECK(after("setup_arch.entry", [](CaptureCheckpoint& at) {
                  set_entry(at.extra_tables->at(0), 7, 0x1234);
              }).size() == 1);
        CHECK(after("setup_arch.entry", [](CaptureCheckpoint& at) { at.extra_tables.reset(); }).size() == 1);
    }
    SECTION("all differences are counted, the first ones are listed") {
        const Capture expected = real();
        Capture actual = expected;
        for (CaptureTable& table : checkpoint(actual, "buddy.exit").tables) {
            table.entries = TableRuns::encode(std::vector<std::uint64_t>(512, 0xdead));
        }
        const Comparison result = compare_captures(expected, actual, {.only = "buddy.exit", .max_listed = 10});
        REQUIRE(result.checkpoints.size() == 1);
        CHECK(result.checkpoints[0].differences.size() == 10);
        CHECK(result.differences() == 512 * expected.find("buddy.exit")->tables.size());
    }
}

TEST_CASE("Checkpoints are chosen by until and only; a missing one is a difference", "[formats][compare]") {
    const Capture expected = real();
    CHECK(compare_captures(expected, expected, {.until = "setup_arch.entry"}).checkpoints.size() == 6);
    CHECK(compare_captures(expected, expected, {.only = "user.init"}).checkpoints.size() == 1);
    CHECK(compare_captures(expected, expected, {.until = "user.init"}).checkpoints.size() == 15);
    Capture cut = expected;
    cut.checkpoints.resize(3);
    const Comparison result = compare_captures(expected, cut, {.until = "x86_64_start_kernel.entry"});
    CHECK(result.differences() == 1);
    CHECK(result.checkpoints.back().differences[0].text == "the checkpoint is missing");
}
