// SPDX-License-Identifier: GPL-2.0-only
#include "support/catch.hpp"

#include <map>
#include <random>

#include "pgsim/memory/physical_memory.hpp"

using namespace pgsim;

namespace {

PhysicalMemory ram(std::uint64_t bytes) {
    PhysicalMemory memory;
    memory.map_region({PhysAddr{0}, PhysAddr{bytes}}, RegionKind::ram);
    return memory;
}

struct PfnPattern : FrameSource {
    void fill(Pfn frame, FrameBytes out) const override {
        for (std::size_t i = 0; i < out.size(); i += 8) {
            const std::uint64_t value = frame.value() << 16 | i;
            std::memcpy(out.data() + i, &value, 8);
        }
    }
};

}  // namespace

TEST_CASE("RAM reads zero until written and keeps what is written", "[memory]") {
    PhysicalMemory memory = ram(1ULL << 30);
    CHECK(memory.read64(0x1000_pa) == 0);
    CHECK(memory.resident_frames() == 0);
    memory.write64(0x1008_pa, 0x1122334455667788);
    CHECK(memory.read64(0x1008_pa) == 0x1122334455667788);
    CHECK(memory.read32(0x100c_pa) == 0x11223344);
    CHECK(memory.resident_frames() == 1);
    CHECK(memory.stray_access_count() == 0);
}

TEST_CASE("A hole reads all ones, loses writes, and is recorded as stray", "[memory]") {
    PhysicalMemory memory = ram(0x10000);
    memory.write64(0x10000_pa, 5);
    CHECK(memory.read64(0x10000_pa) == ~0ULL);
    REQUIRE(memory.stray_access_count() == 2);
    CHECK(memory.stray_accesses()[0] == StrayAccess{0x10000_pa, true, RegionKind::hole});
    CHECK(memory.stray_accesses()[1] == StrayAccess{0x10000_pa, false, RegionKind::hole});
}

TEST_CASE("ROM holds what was loaded; writes vanish and are recorded", "[memory]") {
    PhysicalMemory memory = ram(0x100000);
    memory.map_region({0xf0000_pa, 0x100000_pa}, RegionKind::rom);
    const std::array<std::byte, 4> text{std::byte{0x52}, std::byte{0x53}, std::byte{0x44}, std::byte{0x20}};
    memory.load(0xf0010_pa, text);
    memory.write64(0xf0010_pa, 0);
    CHECK(memory.read32(0xf0010_pa) == 0x20445352);
    CHECK(memory.stray_access_count() == 1);
}

TEST_CASE("A region may begin inside a frame", "[memory]") {
    PhysicalMemory memory;
    memory.map_region({0x0_pa, 0x9fc00_pa}, RegionKind::ram);
    memory.write64(0x9fbf8_pa, 1);
    memory.write64(0x9fc00_pa, 2);
    CHECK(memory.read64(0x9fbf8_pa) == 1);
    CHECK(memory.read64(0x9fc00_pa) == ~0ULL);
}

TEST_CASE("A snapshot keeps its contents while memory goes on", "[memory]") {
    PhysicalMemory memory = ram(1ULL << 40);
    memory.write64(0x5000_pa, 1);
    const MemorySnapshot before = memory.snapshot();
    memory.write64(0x5000_pa, 2);
    memory.write64(0x80'0000'0000_pa, 3);
    CHECK(before.read64(0x5000_pa) == 1);
    CHECK(before.read64(0x80'0000'0000_pa) == 0);
    const MemorySnapshot after = memory.snapshot();
    memory.restore(before);
    CHECK(memory.read64(0x5000_pa) == 1);
    memory.write64(0x5000_pa, 4);
    CHECK(before.read64(0x5000_pa) == 1);
    CHECK(after.read64(0x5000_pa) == 2);
    CHECK(after.read64(0x80'0000'0000_pa) == 3);
}

TEST_CASE("Frames of a source are made when written, and read without being made", "[memory]") {
    PhysicalMemory memory = ram(1ULL << 44);
    memory.set_source({Pfn{0x100000}, Pfn{0x200000}}, std::make_shared<PfnPattern>());
    CHECK(memory.read64(0x1'2345'6010_pa) == ((0x123456ULL << 16) | 0x10));
    CHECK(memory.snapshot().read64(0x1'2345'6010_pa) == ((0x123456ULL << 16) | 0x10));
    CHECK(memory.resident_frames() == 0);
    memory.write64(0x1'2345'6018_pa, 7);
    CHECK(memory.read64(0x1'2345'6010_pa) == ((0x123456ULL << 16) | 0x10));
    CHECK(memory.read64(0x1'2345'6018_pa) == 7);
}

TEST_CASE("Filling with what is there makes no frame", "[memory]") {
    PhysicalMemory memory = ram(1ULL << 30);
    memory.fill(0x1000_pa, 64 << 20, std::byte{0});
    CHECK(memory.resident_frames() == 0);
    memory.write64(0x2ff8_pa, ~0ULL);
    memory.fill(0x2ffc_pa, 0x2000, std::byte{0});
    CHECK(memory.read64(0x2ff8_pa) == 0xffffffff);
}

TEST_CASE("The journal tells who wrote a word and what was there before", "[memory][journal]") {
    PhysicalMemory memory = ram(1ULL << 30);
    auto journal = std::make_shared<WriteJournal>();
    memory.set_journal(journal);
    journal->set_origin({"startup_32", "decompressor", "R1.5"});
    journal->set_time(Cycles{7});
    memory.write64(0x1000_pa, 0x2007);
    journal->set_origin({"__startup_64", "kernel head", "R3.4"});
    memory.write32(0x1004_pa, 0x80000000);
    memory.fill(0x1000_pa, 4096, std::byte{0});
    REQUIRE(journal->records().size() == 3);
    const WriteRecord& first = journal->records()[0];
    CHECK(first.address == 0x1000_pa);
    CHECK(first.before == 0);
    CHECK(first.after == 0x2007);
    CHECK(journal->origins()[first.origin].function == "startup_32");
    CHECK(first.when == Cycles{7});
    CHECK(journal->records()[1].after == 0x80000000'00002007);
    CHECK(journal->records()[2].before == 0x80000000'00002007);
    CHECK(journal->records()[2].after == 0);
}

TEST_CASE("Memory with snapshots behaves as a plain map of words", "[memory][property]") {
    PhysicalMemory memory = ram(1ULL << 33);
    std::map<std::uint64_t, std::uint64_t> model;
    std::vector<std::pair<MemorySnapshot, std::map<std::uint64_t, std::uint64_t>>> kept;
    std::mt19937_64 random{42};
    for (int i = 0; i < 20000; ++i) {
        const std::uint64_t at = (random() % 64) << 22 | (random() % 4) << 12 | (random() % 8) << 3;
        switch (random() % 16) {
        case 0: kept.emplace_back(memory.snapshot(), model); break;
        case 1:
            if (!kept.empty()) {
                const auto& chosen = kept[random() % kept.size()];
                memory.restore(chosen.first);
                model = chosen.second;
            }
            break;
        case 2:
        case 3:
        case 4:
        case 5: REQUIRE(memory.read64(PhysAddr{at}) == model[at]); break;
        default: {
            const std::uint64_t value = random();
            memory.write64(PhysAddr{at}, value);
            model[at] = value;
        }
        }
    }
    for (const auto& [snapshot, words] : kept) {
        for (const auto& [at, value] : words) {
            REQUIRE(snapshot.read64(PhysAddr{at}) == value);
        }
    }
}

TEST_CASE("A snapshot reads whole frames: resident, made by a source, untouched, and where nothing answers",
          "[memory]") {
    PhysicalMemory memory = ram(4 * 4096 + 8);
    memory.write64(0x1008_pa, 42);
    memory.set_source({Pfn{2}, Pfn{3}}, std::make_shared<PfnPattern>());
    const MemorySnapshot snapshot = memory.snapshot();
    std::array<std::uint64_t, 512> words{};
    const auto read = [&](std::uint64_t pfn) {
        snapshot.read_frame(Pfn{pfn}, std::as_writable_bytes(std::span{words}));
        for (std::size_t i = 0; i < words.size(); ++i) {
            REQUIRE(words[i] == snapshot.read64(PhysAddr{(pfn << 12) + i * 8}));
        }
    };
    read(0);
    CHECK(words[1] == 0);
    read(1);
    CHECK(words[1] == 42);
    read(2);
    CHECK(words[1] == (2 << 16 | 8));
    read(4);  // RAM ends 8 bytes into this frame
    CHECK(words[0] == 0);
    CHECK(words[1] == ~std::uint64_t{0});
    read(9);
    CHECK(words[0] == ~std::uint64_t{0});
}
