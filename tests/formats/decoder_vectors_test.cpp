// SPDX-License-Identifier: GPL-2.0-only
// The explorer page decodes entries in TypeScript. Both decoders are held to the same vectors: those written by hand
// from the manual, and those that this program exports. web/test-data/README.md defines the format.
//     PGSIM_EXPORT_VECTORS=web/test-data/decoder-vectors-cpp.json test_decoder_vectors "[.export]"
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "pgsim/base/units.hpp"
#include "pgsim/mmu/walker.hpp"
#include "support/catch.hpp"
#include "support/data.hpp"

using namespace pgsim;
using json = nlohmann::json;

namespace {

constexpr std::uint64_t table_at = 0x1000;
constexpr std::uint64_t p = 1;
constexpr std::uint64_t ps = 0x80;

/// Whether a walk that reads this entry, at this level, ends there with the reserved-bit fault.
bool reserved_fault(Level level, std::uint64_t raw, unsigned phys_bits, bool nxe) {
    PhysicalMemory memory;
    memory.map_region({PhysAddr{0}, PhysAddr{0x10000}}, RegionKind::ram);
    memory.write64(PhysAddr{table_at}, raw);
    PagingControls controls;
    controls.mode = PagingMode::five_level;
    controls.nxe = nxe;
    controls.maxphyaddr = static_cast<std::uint8_t>(phys_bits);
    const BasicWalker<PhysicalMemory> walker{memory, controls};
    const WalkResult result = walker.walk_from({level, PhysAddr{table_at}, {}}, VirtAddr{0}, {});
    const PageFault* fault = result.page_fault();
    return fault != nullptr && fault->cause == FaultCause::reserved_bit && fault->level == level;
}

/// The bits of a present entry that are 1 and must not be: each is tried alone, with P and, in a large page, PS.
std::uint64_t reserved_bits(const Entry& entry, unsigned phys_bits, bool nxe) {
    const std::uint64_t frame = p | (entry.level() != Level::pt && entry.maps_page() ? ps : 0);
    std::uint64_t found = 0;
    for (std::uint64_t bit = 2; bit != 0; bit <<= 1) {
        const bool tried = (entry.raw() & bit) != 0 && (frame & bit) == 0;
        if (tried && reserved_fault(entry.level(), frame | bit, phys_bits, nxe)) {
            found |= bit;
        }
    }
    return found;
}

json optional_number(const auto& value) {
    return value ? json(static_cast<unsigned>(*value)) : json(nullptr);
}

json decoded(unsigned level, std::uint64_t raw, unsigned phys_bits, bool nxe) {
    const Entry entry{static_cast<Level>(level), raw};
    const bool present = entry.present();
    const bool page = present && entry.maps_page();
    return {{"level", level},
            {"raw", hex(raw)},
            {"phys_bits", phys_bits},
            {"nxe", nxe},
            {"present", present},
            {"maps_page", page},
            {"base", hex(present ? entry.base().value() : 0)},
            {"page_log2", page ? optional_number(entry.page_size()) : json(nullptr)},
            {"reserved", hex(present ? reserved_bits(entry, phys_bits, nxe) : 0)},
            {"pat", page ? json(*entry.pat()) : json(nullptr)},
            {"key", page ? optional_number(entry.protection_key()) : json(nullptr)}};
}

json read_vectors(const std::string& name) {
    return json::parse(test::read_file(test::source_dir() + "/web/test-data/" + name));
}

}  // namespace

TEST_CASE("Entries decode as the vectors that the explorer page is held to say", "[formats][explorer]") {
    for (const char* name : {"decoder-vectors.json", "decoder-vectors-cpp.json"}) {
        const json vectors = read_vectors(name);
        REQUIRE(vectors.size() >= 30);
        for (const json& vector : vectors) {
            const std::uint64_t raw = std::stoull(vector["raw"].get<std::string>(), nullptr, 16);
            INFO(name << ": level " << vector["level"] << " " << vector["raw"]);
            CHECK(decoded(vector["level"], raw, vector["phys_bits"], vector["nxe"]) == vector);
        }
    }
}

TEST_CASE("Export of decoder vectors", "[.export]") {
    const char* path = std::getenv("PGSIM_EXPORT_VECTORS");
    REQUIRE(path != nullptr);
    std::mt19937_64 random{6};
    std::ofstream out{path};
    for (int i = 0; i < 400; ++i) {
        const auto level = static_cast<unsigned>(1 + random() % 5);
        const auto phys_bits = static_cast<unsigned>(36 + random() % 17);
        std::uint64_t raw = random() | (random() % 8 != 0 ? p : 0);
        if (random() % 2 == 0) {
            raw &= (std::uint64_t{1} << phys_bits) - 1;
        }
        out << (i == 0 ? "[\n" : ",\n") << decoded(level, raw, phys_bits, random() % 4 != 0).dump();
    }
    out << "\n]\n";
    REQUIRE(out.good());
}
