// SPDX-License-Identifier: GPL-2.0-only
// The model against what was published of real processors: section 11 of the timing specification, row by row, with
// its tolerances. Prints model beside published value.
#include "support/catch.hpp"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <numeric>

#include "pgsim/mmu/nested.hpp"
#include "pgsim/mmu/timing_replay.hpp"

using namespace pgsim;

namespace {

constexpr VirtAddr base{std::uint64_t{1} << 40};

std::uint64_t next_random(std::uint64_t& state) {
    state = state * 6364136223846793005 + 1442695040888963407;
    return state >> 33;
}

/// Maps the pages of the addresses at physical = linear, as one large contiguous mapping would lie.
void map_all(Replay& replay, const std::vector<std::uint64_t>& addresses, PageSize size) {
    std::vector<std::uint64_t> pages;
    for (const std::uint64_t address : addresses) {
        pages.push_back(address & ~(bytes(size) - 1));
    }
    std::sort(pages.begin(), pages.end());
    pages.erase(std::unique(pages.begin(), pages.end()), pages.end());
    for (const std::uint64_t page : pages) {
        replay.map(VirtAddr{page}, PhysAddr{page}, size);
    }
}

struct Measured {
    double walks = 0;        // per access
    double busy = 0;         // walker cycles per access
    double translation = 0;  // cycles per access
    std::array<double, memory_levels> references{};
    CoreDescription core;
};

Measured measure(Replay& replay, std::size_t count, const std::function<std::uint64_t()>& next) {
    replay.mmu().timing()->reset_statistics();
    for (std::size_t i = 0; i < count; ++i) {
        replay.access(VirtAddr{next()});
    }
    const TimingStatistics s = replay.mmu().timing()->statistics();
    const double n = static_cast<double>(count);
    Measured m;
    m.core = replay.mmu().timing()->core();
    m.walks =
        static_cast<double>(std::accumulate(s.walks_by_length.begin(), s.walks_by_length.end(), std::uint64_t{0})) / n;
    m.busy = static_cast<double>(s.walker_busy) / n;
    m.translation =
        static_cast<double>(std::accumulate(s.cycles_for.begin(), s.cycles_for.end() - 1, std::uint64_t{0})) / n;
    for (std::size_t level = 0; level < memory_levels; ++level) {
        m.references[level] = static_cast<double>(s.references[level]) / n;
    }
    return m;
}

Replay replay_on(const char* core) {
    ReplayOptions options;
    options.core = find_core(core);
    return Replay{options};
}

/// Accesses to randomly chosen ones of the addresses, after a warm-up.
Measured at_random(const char* core, const std::vector<std::uint64_t>& addresses, PageSize size) {
    Replay replay = replay_on(core);
    map_all(replay, addresses, size);
    std::uint64_t state = 1;
    const auto next = [&] { return addresses[next_random(state) % addresses.size()]; };
    measure(replay, 20'000, next);
    return measure(replay, 100'000, next);
}

/// The addresses in their order, again and again.
Measured in_turn(const char* core, const std::vector<std::uint64_t>& addresses, PageSize size, unsigned rounds = 10) {
    Replay replay = replay_on(core);
    map_all(replay, addresses, size);
    std::size_t at = 0;
    const auto next = [&] { return addresses[at++ % addresses.size()]; };
    measure(replay, 2 * addresses.size(), next);
    return measure(replay, rounds * addresses.size(), next);
}

/// `bytes` of memory, one random line after the other.
Measured chase(const char* core, std::uint64_t bytes_used) {
    ReplayOptions options;
    options.core = find_core(core);
    Replay replay{options};
    std::uint64_t state = 7;
    const auto next = [&] { return base.value() + next_random(state) % (bytes_used / 64) * 64; };
    for (std::uint64_t page = 0; page < bytes_used; page += 4096) {  // pages in order of their addresses
        replay.access(base + page);
    }
    measure(replay, 400'000, next);
    return measure(replay, 400'000, next);
}

void show(const char* row, const char* what, double published, double model, const char* unit) {
    std::printf("%-4s %-62s published %7.2f  model %7.2f %s\n", row, what, published, model, unit);
}

/// Prints and checks: model within `tolerance` (a fraction) of the published value.
void compare(const char* row, const char* what, double published, double model, double tolerance, const char* unit) {
    show(row, what, published, model, unit);
    INFO("row " << row << ", " << what);
    CHECK(model >= published * (1 - tolerance) - 1e-9);
    CHECK(model <= published * (1 + tolerance) + 1e-9);
}

/// Khuong's loops: 24 addresses 1 GiB (and `more` bytes) apart.
std::vector<std::uint64_t> apart(std::uint64_t more) {
    std::vector<std::uint64_t> list;
    for (std::uint64_t i = 0; i < 24; ++i) {
        list.push_back(base.value() + i * (GiB + more));
    }
    return list;
}

/// About 900 pages at random places of `span` bytes, in a fixed random order; the words in them alike, or not.
std::vector<std::uint64_t> scattered(std::uint64_t span, bool aliased) {
    std::vector<std::uint64_t> list;
    std::uint64_t state = 42;
    for (unsigned i = 0; i < 900; ++i) {
        const std::uint64_t page = next_random(state) % (span / 4096);
        const std::uint64_t line = aliased ? 0 : next_random(state) % 64;
        list.push_back(base.value() + page * 4096 + line * 64);
    }
    return list;
}

/// His loop takes 8 cycles beside what the one walker is busy. [spec timing 6.2]
double loop(const Measured& m) {
    return 8 + m.busy / m.core.walkers;
}

}  // namespace

TEST_CASE("Row 1, 9, 15, 17: what a second-level TLB hit adds to a first-level hit", "[mmu][timing][validation]") {
    struct Case {
        const char* row;
        const char* core;
        double published;
    };
    const Case c = GENERATE(Case{"1", "sandy-bridge", 7}, Case{"9", "skylake", 9}, Case{"15", "zen-4", 7},
                            Case{"17", "goldmont-plus", 8}, Case{"8", "haswell", 8}, Case{"-", "ice-lake", 7},
                            Case{"-", "golden-cove", 7}, Case{"-", "sapphire-rapids", 7}, Case{"-", "zen-2", 7},
                            Case{"-", "zen-3", 7});
    std::vector<std::uint64_t> pages;  // more than any first level holds, fewer than any second level
    for (std::uint64_t i = 0; i < 256; ++i) {
        pages.push_back(base.value() + i * 4096);
    }
    const Measured m = in_turn(c.core, pages, PageSize::k4K);
    compare(c.row, c.core, c.published, m.translation, 0, "cycles");
    CHECK(m.walks == 0);
}

TEST_CASE("Row 2: one walker, 24 pages of 1 GByte, one reference a walk", "[mmu][timing][validation][pvk]") {
    const std::uint64_t e = 4096 + 2 * MiB + 64;
    const Measured a = at_random("sandy-bridge", apart(0), PageSize::k1G);
    CHECK(a.walks == Approx(0.83).margin(0.02));
    compare("2", "SNB loop A, 1G pages", 21.2, loop(a), 0.15, "cycles");
    compare("2", "SNB loop B, 1G pages", 19.7, loop(at_random("sandy-bridge", apart(4096), PageSize::k1G)), 0.15,
            "cycles");
    compare("2", "SNB loop C, 1G pages", 21.2, loop(at_random("sandy-bridge", apart(2 * MiB), PageSize::k1G)), 0.15,
            "cycles");
    compare("2", "SNB loop E, 1G pages", 19.5, loop(at_random("sandy-bridge", apart(e), PageSize::k1G)), 0.15,
            "cycles");
}

TEST_CASE("Row 3: 2-MByte pages in one set; many of them over 4 GByte", "[mmu][timing][validation][pvk]") {
    const Measured a = at_random("sandy-bridge", apart(0), PageSize::k2M);
    CHECK(a.walks == Approx(0.83).margin(0.02));
    compare("3", "SNB loop A, 2M pages", 29.5, loop(a), 0.20, "cycles");
    const Measured f = in_turn("sandy-bridge", scattered(4 * GiB, true), PageSize::k2M);
    CHECK(f.walks == Approx(0.98).margin(0.02));
    compare("3", "SNB loop F, 2M pages", 25.0, loop(f), 0.20, "cycles");
}

TEST_CASE("Row 4: 4-KByte pages in one set", "[mmu][timing][validation][pvk]") {
    const Measured a = at_random("sandy-bridge", apart(0), PageSize::k4K);
    const Measured c = at_random("sandy-bridge", apart(2 * MiB), PageSize::k4K);
    CHECK(a.walks == Approx(0.82).margin(0.02));
    compare("4", "SNB loop A, 4K pages", 35.9, loop(a), 0.35, "cycles");
    compare("4", "SNB loop C, 4K pages", 20.6, loop(c), 0.35, "cycles");
}

TEST_CASE("Rows 5 and 6: some 900 pages of 4 KByte over 4 GByte and over 64 MByte", "[mmu][timing][validation][pvk]") {
    const Measured g = in_turn("sandy-bridge", scattered(4 * GiB, false), PageSize::k4K);
    compare("5", "SNB loop G, 4K pages over 4 GiB", 35.2, loop(g), 0.20, "cycles");
    const Measured f = in_turn("sandy-bridge", scattered(4 * GiB, true), PageSize::k4K);
    show("(5)", "SNB loop F, the same with words at one offset; in brackets there", 56.3, loop(f), "cycles");
    const Measured h = in_turn("sandy-bridge", scattered(64 * MiB, false), PageSize::k4K);
    compare("6", "SNB loop H, 4K pages over 64 MiB", 22.5, loop(h), 0.20, "cycles");
    const Measured aliased = in_turn("sandy-bridge", scattered(64 * MiB, true), PageSize::k4K);
    compare("6", "SNB loop H, words at one offset", 24.1, loop(aliased), 0.20, "cycles");
}

TEST_CASE("Row 7: loops that fit their TLB never walk", "[mmu][timing][validation][pvk]") {
    const std::uint64_t e = 4096 + 2 * MiB + 64;
    CHECK(at_random("sandy-bridge", apart(e), PageSize::k4K).walks == 0);
    CHECK(at_random("sandy-bridge", apart(e), PageSize::k2M).walks == 0);
    CHECK(at_random("sandy-bridge", apart(4096), PageSize::k4K).walks == 0);
    CHECK(at_random("sandy-bridge", apart(2 * MiB), PageSize::k2M).walks == 0);
    CHECK(in_turn("sandy-bridge", scattered(64 * MiB, false), PageSize::k2M).walks == 0);
    CHECK(in_turn("sandy-bridge", scattered(4 * GiB, false), PageSize::k1G).walks == 0);
}

TEST_CASE("Row 8: a Haswell load in all, with the page in the STLB and past it", "[mmu][timing][validation][mynavi]") {
    std::uint64_t state = 3;
    const auto shuffled = [&state](std::uint64_t count) {
        std::vector<std::uint64_t> list;
        for (std::uint64_t i = 0; i < count; ++i) {
            list.push_back(base.value() + i * 4096);
        }
        for (std::size_t i = list.size() - 1; i > 0; --i) {
            std::swap(list[i], list[next_random(state) % (i + 1)]);
        }
        return list;
    };
    const double l1d = find_core("haswell").caches.front().latency;
    compare("8", "HSW load, STLB hit", 12, l1d + in_turn("haswell", shuffled(512), PageSize::k4K).translation, 0,
            "cycles");
    const Measured past = in_turn("haswell", shuffled(1536), PageSize::k4K);
    CHECK(past.walks > 0.9);
    compare("8", "HSW load, past the STLB, PTEs in near caches", 20, l1d + past.translation, 0.30, "cycles");
}

TEST_CASE("Row 10: what a lost entry of a 512-page working set costs", "[mmu][timing][validation][luto17]") {
    Replay replay = replay_on("skylake");
    const auto touch = [&replay] {
        for (std::uint64_t i = 0; i < 512; ++i) {
            replay.access(base + i * 4096);
        }
    };
    touch();
    replay.mov_cr3(0, false);
    replay.mmu().timing()->reset_statistics();
    touch();
    const TimingStatistics s = replay.mmu().timing()->statistics();
    CHECK(std::accumulate(s.walks_by_length.begin(), s.walks_by_length.end(), std::uint64_t{0}) == 512);
    const double one = static_cast<double>(s.walker_busy) / 512;
    show("10", "SKL, cycles for each lost entry (10 to 20), walkers overlapped", 10, one / 2, "cycles");
    show("10", "    the same, one after the other", 20, one, "cycles");
    CHECK(one / 2 >= 10 / 2.0);
    CHECK(one <= 20 * 2.0);
}

TEST_CASE("Rows 11 to 14: pointer chase past the reach of the STLB", "[mmu][timing][validation][chipsandcheese]") {
    const auto ns = [](const char* core, std::uint64_t large, std::uint64_t small) {
        const Measured beyond = chase(core, large);
        return (beyond.translation - chase(core, small).translation) / beyond.core.ghz;
    };
    compare("11", "Zen 3, 12 MB against 6 MB, 4K pages (1.6 to 2)", 1.8, ns("zen-3", 12 * MiB, 6 * MiB), 0.40, "ns");
    compare("12", "Golden Cove, the same (1.3 to 1.8)", 1.55, ns("golden-cove", 12 * MiB, 6 * MiB), 0.40, "ns");
    compare("13", "Sapphire Rapids, past STLB reach against inside", 9.5, ns("sapphire-rapids", 96 * MiB, 6 * MiB),
            0.35, "ns");
    const double zen_4 = ns("zen-4", 12 * MiB, 6 * MiB);
    show("14", "Zen 4, 12 MB against 6 MB: still on the plateau (below 0.5)", 0, zen_4, "ns");
    CHECK(std::abs(zen_4) < 0.5);
}

TEST_CASE("Row 16: Zen 4 has a knee at 72 pages and a linear index", "[mmu][timing][validation]") {
    const auto with = [](std::uint64_t count, std::uint64_t stride) {
        std::vector<std::uint64_t> pages;
        for (std::uint64_t i = 0; i < count; ++i) {
            pages.push_back(base.value() + i * stride * 4096 + i % 64 * 64);
        }
        return in_turn("zen-4", pages, PageSize::k4K);
    };
    CHECK(with(64, 1).translation == 0);
    CHECK(with(72, 1).translation == 0);
    CHECK(with(80, 1).translation == 7);
    show("16", "Zen 4, first-level knee (measured between 64 and 80)", 72,
         with(72, 1).translation == 0 && with(73, 1).translation > 0 ? 72 : 0, "pages");
    SECTION("each doubling of the stride halves how many pages fit in the second level") {
        for (std::uint64_t shift = 0; shift < 5; ++shift) {
            const std::uint64_t nominal = 3072 >> shift;
            INFO("stride of " << (1 << shift) << " pages");
            CHECK(with(nominal / 2, std::uint64_t{1} << shift).walks == 0);
            CHECK(with(nominal + (nominal >> 1), std::uint64_t{1} << shift).walks == Approx(1));
        }
    }
}

TEST_CASE("Row 17: a Goldmont Plus second-level miss costs at least 20 cycles", "[mmu][timing][validation]") {
    std::vector<std::uint64_t> pages;
    for (std::uint64_t i = 0; i < 2048; ++i) {
        pages.push_back(base.value() + i * 4096);
    }
    const double cost = in_turn("goldmont-plus", pages, PageSize::k4K).translation;
    show("17", "GLP, second-level miss (KNL: over +20)", 20, cost, "cycles");
    CHECK(cost >= 20);
}

TEST_CASE("Row 18: pages of one STLB set thrash from ways + 1 on", "[mmu][timing][validation][tlbdr]") {
    // Pages whose XOR-7 index is 5; of one first-level set too, so that the four ways there cannot hide it.
    std::vector<std::uint64_t> same_set;
    for (std::uint64_t page = 0; same_set.size() < 13; ++page) {
        if (((page ^ page >> 7) & 127) == 5 && (page & 15) == 3) {
            same_set.push_back(base.value() + page * 4096);
        }
    }
    const Measured thirteen = in_turn("skylake", same_set, PageSize::k4K);
    same_set.pop_back();
    CHECK(in_turn("skylake", same_set, PageSize::k4K).walks == 0);
    CHECK(thirteen.walks > 0);
    show("18", "SKL, 13 pages of one set of 12 ways: walks an access (> 0)", 1, thirteen.walks, "");
}

TEST_CASE("Row 19: the STLB keeps four PCIDs, the DTLB none", "[mmu][timing][validation][tlbdr]") {
    const auto lost = [](std::uint16_t spaces) {
        Replay replay = replay_on("skylake");
        std::array<std::uint64_t, 2> walks_and_dtlb_hits{};
        for (unsigned round = 0; round < 4; ++round) {
            if (round == 2) {
                replay.mmu().timing()->reset_statistics();
            }
            for (std::uint16_t pcid = 1; pcid <= spaces; ++pcid) {
                replay.mov_cr3(pcid, true);
                for (std::uint64_t i = 0; i < 16; ++i) {
                    replay.access(base + i * 4096);
                }
            }
        }
        const TimingStatistics s = replay.mmu().timing()->statistics();
        walks_and_dtlb_hits[0] = std::accumulate(s.walks_by_length.begin(), s.walks_by_length.end(), std::uint64_t{0});
        walks_and_dtlb_hits[1] = s.arrays.front().hits;
        return walks_and_dtlb_hits;
    };
    CHECK(lost(4) == std::array<std::uint64_t, 2>{0, 0});
    CHECK(lost(5)[0] == 2 * 5 * 16);
    show("19", "SKL, walks after a round of 4 address spaces with NOFLUSH", 0, static_cast<double>(lost(4)[0]), "");
    show("19", "SKL, the same with 5 (all 160 accesses)", 160, static_cast<double>(lost(5)[0]), "");
}

namespace {

/// Four-level tables of 4-KByte pages, entries with A and D set.
class Tables {
public:
    Tables(PhysicalMemory& memory, std::uint64_t first) : memory_{memory}, root_{first}, next_{first + 4096} {}
    [[nodiscard]] PhysAddr root() const { return PhysAddr{root_}; }
    [[nodiscard]] std::uint64_t end() const { return next_; }
    void map(std::uint64_t virt, std::uint64_t phys) {
        std::uint64_t table = root_;
        for (const Level level : {Level::pml4, Level::pdpt, Level::pd}) {
            const PhysAddr at{table + 8 * index_at(level, virt)};
            if (memory_.read64(at) == 0) {
                memory_.write64(at, next_ | 0x27);
                next_ += 4096;
            }
            table = memory_.read64(at) & ~std::uint64_t{0xfff};
        }
        memory_.write64(PhysAddr{table + 8 * index_at(Level::pt, virt)}, phys | 0x67);
    }

private:
    PhysicalMemory& memory_;
    std::uint64_t root_;
    std::uint64_t next_;
};

}  // namespace

TEST_CASE("Row 20: a nested walk of a Zen 4 guest, tables in near caches", "[mmu][timing][validation]") {
    const std::uint64_t stride = GENERATE(64, 512, 4096);  // pages
    PhysicalMemory memory;
    memory.map_region({PhysAddr{0}, PhysAddr{GiB}}, RegionKind::ram);
    Tables guest{memory, 16 * MiB};
    Tables nested{memory, 512 * MiB};
    std::vector<std::uint64_t> pages;
    for (std::uint64_t i = 0; i < 80; ++i) {
        pages.push_back(base.value() + i * stride * 4096);
        const std::uint64_t guest_phys = 128 * MiB + i * 4096;  // as a guest's kernel hands out pages on first touch
        guest.map(pages.back(), guest_phys);
        nested.map(guest_phys, guest_phys);
    }
    for (std::uint64_t table = 16 * MiB; table < guest.end(); table += 4096) {
        nested.map(table, table);
    }
    PagingControls controls;
    controls.root = guest.root();
    controls.nxe = true;
    controls.vendor = Vendor::amd;
    NptControls npt;
    npt.root = nested.root();
    const NestedWalker walker{memory, controls, npt};
    TimingModel model{find_core("zen-4")};
    double cycles = 0;
    unsigned walks = 0;
    for (unsigned round = 0; round < 20; ++round) {
        for (const std::uint64_t page : pages) {
            const NestedWalkResult walk = walker.walk(VirtAddr{page}, {AccessKind::read, 3});
            REQUIRE(walk.translation() != nullptr);
            const AccessCost cost = model.nested_access(walk, VirtAddr{page}, 0, {AccessKind::read, 3});
            if (round >= 10) {
                cycles += cost.translation();
                walks += cost.walker_busy() != 0 ? 1U : 0U;
            }
        }
    }
    CHECK(walks == 800);  // strides of 64 pages and more put 80 pages into too few sets
    compare("20", "Zen 4 guest, nested walk (47.5 to 51)", 49, cycles / 800, 0.50, "cycles");
}
