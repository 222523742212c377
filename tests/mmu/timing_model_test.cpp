// SPDX-License-Identifier: GPL-2.0-only
#include "support/catch.hpp"

#include <numeric>

#include "pgsim/base/error.hpp"
#include "pgsim/mmu/timing_replay.hpp"

using namespace pgsim;

namespace {

Replay on(const char* core, bool flags_set = true) {
    ReplayOptions options;
    options.core = find_core(core);
    options.tables_accessed = flags_set;
    return Replay{options};
}

const AccessCost& cost_of(Replay& replay, VirtAddr virt, Access access = {AccessKind::read, 3}) {
    replay.access(virt, access);
    return replay.mmu().timing()->cost();
}

std::string edited(std::string_view core, const std::string& from, const std::string& to) {
    for (const BuiltInCore& known : built_in_cores()) {
        if (known.name == core) {
            std::string json{known.json};
            const auto at = json.find(from);
            REQUIRE(at != std::string::npos);
            return json.replace(at, from.size(), to);
        }
    }
    FAIL("no such core");
    return {};
}

}  // namespace

TEST_CASE("An access says what its cycles were spent on", "[mmu][timing][spec-10.2]") {
    Replay replay = on("skylake");  // 9 second level, 6 start, 3 a step; 4 / 12 / 42 / 42 + 51 ns at 4 GHz
    const std::uint32_t memory = 42 + 204;
    SECTION("the first walk reads four entries from memory") {
        const AccessCost first = cost_of(replay, 0x10'0000_va);
        CHECK(first.place == TranslationPlace::walk);
        CHECK(first.l2_tlb == 9);
        CHECK(first.walk_start == 6);
        CHECK(first.walk_steps == 4 * 3);
        CHECK(first.references == 4 * memory);
        CHECK(first.references_by_level[3] == 4);
        CHECK(first.data == memory);
        CHECK(first.total() == Cycles{9 + 6 + 12 + 5 * std::uint64_t{memory}});
        CHECK(to_string(first) ==
              "1257 cycles, walk from the root: 9 second-level TLB, 6 walk start, 12 walk steps, "
              "984 table entries (4 x memory), 246 data (memory)");
    }
    SECTION("the next page of the same table is one reference, in the line that the first walk brought") {
        cost_of(replay, 0x10'0000_va);
        const AccessCost second = cost_of(replay, 0x10'1000_va);
        CHECK(second.place == TranslationPlace::walk_tail);
        CHECK(second.translation() == 9 + 6 + 3 + 4);
        CHECK(second.references_by_level[0] == 1);
    }
    SECTION("a TLB hit costs nothing beside the data") {
        cost_of(replay, 0x10'0000_va);
        const AccessCost hit = cost_of(replay, 0x10'0000_va);
        CHECK(hit.place == TranslationPlace::l1_tlb);
        CHECK(hit.total() == Cycles{4});
    }
    SECTION("a 2-MByte page within a known GByte is one reference, from the PDPTE cache on") {
        replay.map(0x4000'0000_va, 0x4000'0000_pa, PageSize::k2M);
        replay.map(0x4020'0000_va, 0x4020'0000_pa, PageSize::k2M);
        cost_of(replay, 0x4000'0000_va);
        CHECK(cost_of(replay, 0x4020'0000_va).translation() == 9 + 6 + 3 + 4);
    }
    SECTION("INVLPG costs its time, and the walk after it begins at the root") {
        cost_of(replay, 0x10'0000_va);
        cost_of(replay, 0x10'1000_va);
        replay.invlpg(0x10'0000_va);
        CHECK(replay.mmu().timing()->statistics().event_cycles == 120);
        CHECK(cost_of(replay, 0x10'0000_va).translation() == 9 + 6 + 4 * (3 + 4));
        CHECK(cost_of(replay, 0x10'1000_va).translation() == 0);  // the other page stays
    }
}

TEST_CASE("Setting accessed and dirty flags is an assist and a write for each entry", "[mmu][timing][spec-10.2]") {
    Replay replay = on("skylake", false);
    const Access write{AccessKind::write, 3};
    CHECK(cost_of(replay, 0x10'0000_va).flag_assist == 20 + 4 * 4);         // A in four entries
    CHECK(cost_of(replay, 0x10'0000_va, write).flag_assist == 20 + 1 * 4);  // D in the leaf: a new walk
    CHECK(replay.mmu().timing()->cost().walk_start == 6);
    CHECK(cost_of(replay, 0x10'0000_va, write).total() == Cycles{4});
    CHECK(replay.mmu().timing()->statistics().flag_assists == 2);
}

TEST_CASE("A core has separate TLBs for fetches, and Ice Lake for stores", "[mmu][timing][spec-1.1]") {
    Replay replay = on("ice-lake");
    cost_of(replay, 0x10'0000_va);
    CHECK(cost_of(replay, 0x10'0000_va, {AccessKind::write, 3}).place == TranslationPlace::l2_tlb);
    CHECK(cost_of(replay, 0x10'0000_va, {AccessKind::write, 3}).place == TranslationPlace::l1_tlb);
    const AccessCost fetch = cost_of(replay, 0x10'0000_va, {AccessKind::fetch, 3});
    CHECK(fetch.l2_tlb == 12);
    CHECK(fetch.data == 0);
}

TEST_CASE("Ice Lake's second level holds 2048 pages of 4 KByte but 1024 of 2 MByte", "[mmu][timing][cpuid18]") {
    const auto walks_on_second_round = [](PageSize size, std::uint64_t pages) {
        Replay replay = on("ice-lake");
        for (unsigned round = 0; round < 2; ++round) {
            replay.mmu().timing()->reset_statistics();
            for (std::uint64_t i = 0; i < pages; ++i) {
                const VirtAddr virt{(std::uint64_t{1} << 40) + i * bytes(size)};
                if (round == 0) {
                    replay.map(virt, PhysAddr{virt.value()}, size);
                }
                replay.access(virt);
            }
        }
        const TimingStatistics s = replay.mmu().timing()->statistics();
        return std::accumulate(s.walks_by_length.begin(), s.walks_by_length.end(), std::uint64_t{0});
    };
    CHECK(walks_on_second_round(PageSize::k4K, 2048) == 0);
    CHECK(walks_on_second_round(PageSize::k4K, 2304) > 0);
    CHECK(walks_on_second_round(PageSize::k2M, 1024) == 0);
    CHECK(walks_on_second_round(PageSize::k2M, 1152) > 0);
}

TEST_CASE("Zen keeps a GByte page as 2-MByte pieces in the second level, and INVLPG drops all of them",
          "[mmu][timing][wc-zen2]") {
    Replay replay = on("zen-3");
    replay.map(0x4000'0000_va, 0x4000'0000_pa, PageSize::k1G);
    cost_of(replay, 0x4000'0000_va);
    for (std::uint64_t page = 0; page < 64; ++page) {  // 64 other pages push it out of the first level
        cost_of(replay, VirtAddr{page << 12});
    }
    SECTION("the piece that was used is in the second level") {
        CHECK(cost_of(replay, 0x4010'0000_va).place == TranslationPlace::l2_tlb);
        CHECK(replay.last().translation()->phys == 0x4010'0000_pa);
        CHECK(replay.last().translation()->page_size == PageSize::k1G);
    }
    SECTION("another piece is not") {
        CHECK(cost_of(replay, 0x5000'0000_va).place == TranslationPlace::walk_tail);
    }
    SECTION("INVLPG of any address of the page takes every piece away") {
        replay.invlpg(0x7000'0000_va);
        CHECK(cost_of(replay, 0x4010'0000_va).walk_start != 0);
    }
}

TEST_CASE("Timing changes no result: the same accesses translate alike on every core", "[mmu][timing]") {
    for (const BuiltInCore& core : built_in_cores()) {
        INFO(core.name);
        ReplayOptions options;
        options.core = find_core(core.name);
        Replay timed{options};
        options.core.reset();
        Replay plain{options};
        AddressStream stream = AddressStream::parse("uniform:8M", 0x1'0000'0000_va);
        std::size_t differences = 0;
        for (unsigned i = 0; i < 20'000; ++i) {
            const VirtAddr virt = stream.next();
            const Access access{i % 3 == 0 ? AccessKind::write : AccessKind::read, 3};
            const WalkResult& a = timed.access(virt, access);
            const WalkResult& b = plain.access(virt, access);
            differences += a.translation() == nullptr || b.translation() == nullptr ||
                                   a.translation()->phys != b.translation()->phys
                               ? 1U
                               : 0U;
        }
        CHECK(differences == 0);
    }
}

TEST_CASE("Statistics add up", "[mmu][timing]") {
    Replay replay = on("skylake");
    AddressStream stream = AddressStream::parse("uniform:64M", 0x1'0000'0000_va);
    std::uint64_t cycles = 0;
    for (unsigned i = 0; i < 50'000; ++i) {
        cycles += cost_of(replay, stream.next()).total().count();
    }
    const TimingStatistics s = replay.mmu().timing()->statistics();
    CHECK(s.accesses == 50'000);
    CHECK(s.cycles == cycles);
    CHECK(std::accumulate(s.cycles_for.begin(), s.cycles_for.end(), std::uint64_t{0}) == cycles);
    CHECK(std::accumulate(s.data.begin(), s.data.end(), std::uint64_t{0}) == 50'000);
    std::uint64_t references = 0;
    for (std::size_t length = 0; length < s.walks_by_length.size(); ++length) {
        references += length * s.walks_by_length[length];
    }
    CHECK(std::accumulate(s.references.begin(), s.references.end(), std::uint64_t{0}) == references);
    for (const ArrayStatistics& array : s.arrays) {
        CHECK(array.evictions <= array.fills);
    }
}

TEST_CASE("Every built-in core can be found by its names and has a source for each number", "[mmu][timing]") {
    CHECK(built_in_cores().size() == 10);
    for (const BuiltInCore& core : built_in_cores()) {
        const CoreDescription description = find_core(core.name);
        CHECK(description.name == core.name);
        CHECK_NOTHROW(TimingModel{description});
        CHECK_FALSE(description.sources.empty());
        for (const auto& [path, source] : description.sources) {
            INFO(path << ": " << source);
            CHECK(std::string{"R2MOIU"}.find(source.front()) != std::string::npos);  // the marks of the specification
        }
    }
    CHECK(find_core("Skylake-Client").name == "skylake");
    CHECK(find_core("epyc-milan").name == "zen-3");
    CHECK_THROWS_WITH(find_core("pentium"), Catch::Contains("zen-4"));
}

TEST_CASE("A wrong core file is refused with the place of the error", "[mmu][timing]") {
    CHECK_THROWS_WITH(parse_core("{"), Catch::Contains("core description"));
    CHECK_THROWS_WITH(parse_core(edited("skylake", "\"R [TLBDR]\"", "\"\"")), Catch::Contains("with its source"));
    CHECK_THROWS_WITH(parse_core(edited("skylake", "\"ways\": [12,", "\"ways\": [11,")), Catch::Contains("l2[0].ways"));
    CHECK_THROWS_WITH(parse_core(edited("skylake", "\"xor-7\"", "\"sha-7\"")), Catch::Contains("xor-N"));
    CHECK_THROWS_WITH(parse_core(edited("skylake", "\"walker\"", "\"walkers\"")), Catch::Contains("walker"));
    CHECK_THROWS_WITH(parse_core(edited("skylake", "\"title\"", "\"new_key\": 1, \"title\"")),
                      Catch::Contains("new_key: there is no such key"));
}

TEST_CASE("A trace is text, a step a line", "[mmu][timing][trace]") {
    const auto steps = parse_trace(
        "# three pages\nmap 0x1000 0x5000 4K ur\n\nR 0x1008\nW 4096 k  # as a supervisor\n"
        "invlpg 0x1000\ncr3 5 keep\ninvpcid 5\n");
    REQUIRE(steps.size() == 6);
    CHECK(steps[0].kind == TraceStep::Kind::map);
    CHECK_FALSE(steps[0].writable);
    CHECK(steps[1].virt == 0x1008_va);
    CHECK(steps[1].access == Access{AccessKind::read, 3});
    CHECK(steps[2].access == Access{AccessKind::write, 0});
    CHECK(steps[4].pcid == 5);
    CHECK(steps[4].keep);
    CHECK_THROWS_WITH(parse_trace("R 0x10\nR zzz\n"), Catch::Contains("line 2"));
    CHECK_THROWS_WITH(parse_trace("map 0x1000 0 2M\n"), Catch::Contains("multiples"));
    CHECK_THROWS_AS(parse_trace("cr3 5000\n"), Error);
    CHECK_THROWS_AS(parse_trace("jump 1\n"), Error);
}

TEST_CASE("A trace with its own maps shows faults and stale translations", "[mmu][timing][trace]") {
    ReplayOptions options;
    options.map_on_demand.reset();
    Replay replay{options};
    for (const TraceStep& step : parse_trace("map 0x1000 0x5000 4K ur\nR 0x1000\nW 0x1000\nR 0x2000\n")) {
        replay.run(step);
    }
    CHECK(replay.faults() == 2);
    CHECK(replay.last().page_fault()->error_code == 4);  // user read, not present
}

TEST_CASE("Streams stay in their range and are the same every time", "[mmu][timing][trace]") {
    for (const char* text : {"stride:64M", "uniform:1G", "uniform:64G:2M", "zipf:64M"}) {
        INFO(text);
        AddressStream a = AddressStream::parse(text, 0x1'0000'0000_va);
        AddressStream b = AddressStream::parse(text, 0x1'0000'0000_va);
        const std::uint64_t size = a.pages() * bytes(a.page_size());
        for (unsigned i = 0; i < 1000; ++i) {
            const VirtAddr virt = a.next();
            REQUIRE(virt == b.next());
            REQUIRE(virt.value() - 0x1'0000'0000 < size);
        }
    }
    CHECK_THROWS_AS(AddressStream::parse("uniform", 0_va), Error);
    CHECK_THROWS_AS(AddressStream::parse("uniform:0", 0_va), Error);
    CHECK_THROWS_AS(AddressStream::parse("uniform:5K:2M", 0_va), Error);
    CHECK_THROWS_AS(AddressStream::parse("gauss:1G", 0_va), Error);
}
