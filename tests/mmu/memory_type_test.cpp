// SPDX-License-Identifier: GPL-2.0-only
// The manuals' tables of memory types (tests/data/mmu-vectors/memory-types.json) against ours.
#include "support/catch.hpp"
#include "support/data.hpp"

#include <nlohmann/json.hpp>

#include "pgsim/mmu/memory_type.hpp"

using namespace pgsim;

namespace {

const nlohmann::json& manual() {
    static const auto tables = nlohmann::json::parse(test::read_file(test::data_path("mmu-vectors/memory-types.json")));
    return tables;
}

MemoryType by_name(const std::string& name) {
    for (const MemoryType type : {MemoryType::uc, MemoryType::wc, MemoryType::wt, MemoryType::wp, MemoryType::wb,
                                  MemoryType::uc_minus, MemoryType::cd}) {
        if (to_string(type) == name) {
            return type;
        }
    }
    throw std::runtime_error{"no memory type " + name};
}

}  // namespace

TEST_CASE("Effective memory types are the manual's, cell by cell", "[mmu][memory-type][sdm-effective-memory-types]") {
    const auto [key, vendor] =
        GENERATE(table<const char*, Vendor>({{"intel_effective", Vendor::intel}, {"amd_effective", Vendor::amd}}));
    unsigned cells = 0;
    for (const auto& [mtrr, row] : manual()[key]["table"].items()) {
        for (const auto& [pat, cell] : row.items()) {
            const std::string expected = cell.is_object() ? cell["type"] : cell;
            INFO(key << ": MTRR " << mtrr << ", PAT " << pat);
            CHECK(to_string(combine_memory_types(vendor, by_name(mtrr), by_name(pat))) == expected);
            ++cells;
        }
    }
    CHECK(cells == 30);
}

TEST_CASE("Encodings of memory types are the manual's; the others are reserved", "[cpu][memory-type]") {
    const auto& encodings = manual()["encodings"];
    for (unsigned value = 0; value < 256; ++value) {
        const auto check = [&](const char* where, const std::optional<MemoryType>& type) {
            const auto& known = encodings[where];
            const auto found = known.find(std::to_string(value));
            INFO(where << " " << value);
            CHECK(type.has_value() == (found != known.end()));
            if (type && found != known.end()) {
                CHECK(std::string{to_string(*type)} == found->get<std::string>());
            }
        };
        check("pat", pat_type(static_cast<std::uint8_t>(value)));
        check("mtrr", mtrr_type(static_cast<std::uint8_t>(value)));
    }
}

TEST_CASE("After reset the PAT entries hold the types of the manual", "[cpu][memory-type]") {
    const auto& types = manual()["pat_index"]["reset_types"];
    for (unsigned i = 0; i < 8; ++i) {
        CHECK(to_string(pat_entry(pat_at_reset, i)) == types[i].get<std::string>());
    }
}

TEST_CASE("MTRR look-up follows the manual's steps", "[cpu][memory-type][sdm-mtrr-precedences]") {
    Mtrrs mtrrs;
    constexpr unsigned width = 40;
    const auto range = [](std::uint64_t base, std::uint64_t size, MemoryType type) {
        const std::uint64_t mask = ((std::uint64_t{1} << width) - 1) & ~(size - 1);
        return Mtrrs::Variable{base | static_cast<std::uint64_t>(type), mask | 0x800};
    };
    SECTION("disabled, everything is UC") {
        mtrrs.def_type = 6;
        CHECK(mtrrs.type_of(0x1000_pa, width) == MemoryType::uc);
    }
    mtrrs.def_type = 0x806;
    mtrrs.variable[0] = range(0xc000'0000, 0x4000'0000, MemoryType::uc);
    mtrrs.variable[1] = range(0xe000'0000, 0x1000'0000, MemoryType::wc);
    mtrrs.variable[2] = range(0x4000'0000, 0x1000'0000, MemoryType::wt);
    mtrrs.variable[3] = range(0x4000'0000, 0x2000'0000, MemoryType::wb);
    mtrrs.variable[4] = range(0x8000'0000, 0x1000'0000, MemoryType::wp);
    mtrrs.variable[5] = range(0x8000'0000, 0x1000'0000, MemoryType::wc);
    SECTION("no match gives the default type") {
        CHECK(mtrrs.type_of(0x1000_pa, width) == MemoryType::wb);
    }
    SECTION("UC wins over every other type") {
        CHECK(mtrrs.type_of(0xe000'0000_pa, width) == MemoryType::uc);
    }
    SECTION("WT wins over WB") {
        CHECK(mtrrs.type_of(0x4000'0000_pa, width) == MemoryType::wt);
        CHECK(mtrrs.type_of(0x5000'0000_pa, width) == MemoryType::wb);
    }
    SECTION("any other mixture is undefined") {
        CHECK_FALSE(mtrrs.type_of(0x8000'0000_pa, width));
    }
    SECTION("below 1 MiB the fixed ranges decide when they are enabled") {
        mtrrs.fixed[0] = 0x0606'0606'0606'0606;
        mtrrs.fixed[2] = 0x0101'0000'0000'0000;   // B8000 ..= BFFFF: WC
        mtrrs.fixed[3] = 0x0500'0000'0000'0000;   // C7000: WP
        mtrrs.fixed[10] = 0x0400'0000'0000'0000;  // FF000: WT
        CHECK(mtrrs.type_of(0xb8000_pa, width) == MemoryType::wb);
        mtrrs.def_type |= 0x400;
        CHECK(mtrrs.type_of(0x7ffff_pa, width) == MemoryType::wb);
        CHECK(mtrrs.type_of(0xb8000_pa, width) == MemoryType::wc);
        CHECK(mtrrs.type_of(0xb7fff_pa, width) == MemoryType::uc);
        CHECK(mtrrs.type_of(0xc7000_pa, width) == MemoryType::wp);
        CHECK(mtrrs.type_of(0xff000_pa, width) == MemoryType::wt);
        CHECK(mtrrs.type_of(0x100000_pa, width) == MemoryType::wb);
    }
}

TEST_CASE("An access has the type of PAT and MTRRs together; CR0.CD turns caching off", "[mmu][memory-type]") {
    CpuFeatures features = parse_cpu("Skylake-Client");
    CpuState cpu;
    cpu.cr0 |= Cr0::pg;
    cpu.mtrrs.def_type = 0x806;
    Translation translation;
    translation.phys = 0x1000_pa;
    translation.pat_index = 1;
    CHECK(memory_type_of(cpu, features, translation) == MemoryType::wt);
    translation.pat_index = 2;
    CHECK(memory_type_of(cpu, features, translation) == MemoryType::uc);  // UC- with WB
    cpu.pat = 0x0007'0406'0007'0106;                                      // entry 1: WC
    translation.pat_index = 1;
    CHECK(memory_type_of(cpu, features, translation) == MemoryType::wc);
    translation.pat_index = 0;
    cpu.cr0 |= Cr0::cd;
    CHECK(memory_type_of(cpu, features, translation) == MemoryType::uc);
    features.vendor = Vendor::amd;
    CHECK(memory_type_of(cpu, features, translation) == MemoryType::cd);
}

TEST_CASE("Through EPT: the leaf's type stands where the MTRRs stand, IPAT drops the guest's",
          "[mmu][memory-type][ept]") {
    CpuState guest;
    guest.cr0 |= Cr0::pg;
    NestedTranslation translation;
    translation.ept_type = MemoryType::wb;
    translation.guest_pat_index = 1;  // WT
    CHECK(ept_memory_type_of(guest, translation) == MemoryType::wt);
    translation.ignore_pat = true;
    CHECK(ept_memory_type_of(guest, translation) == MemoryType::wb);
    translation.ignore_pat = false;
    guest.cr0 &= ~Cr0::pg;
    CHECK(ept_memory_type_of(guest, translation) == MemoryType::wb);
    guest.cr0 |= Cr0::cd;
    CHECK(ept_memory_type_of(guest, translation) == MemoryType::uc);
}

TEST_CASE("Through NPT: guest and host PAT types combine, then meet the MTRRs", "[mmu][memory-type][npt]") {
    // [APM-2 "Combining Guest and Host PAT Types"], rows by guest, columns UC UC- WC WP WT WB of the host.
    const std::vector<std::pair<const char*, std::vector<const char*>>> rows{
        {"UC", {"UC", "UC", "UC", "UC", "UC", "UC"}}, {"UC-", {"UC", "UC-", "WC", "UC", "UC", "UC"}},
        {"WC", {"WC", "WC", "WC", "WC", "WC", "WC"}}, {"WP", {"UC", "UC", "WC", "WP", "UC", "WP"}},
        {"WT", {"UC", "UC", "WC", "UC", "WT", "WT"}}, {"WB", {"UC", "UC", "WC", "WP", "WT", "WB"}},
    };
    const std::vector<const char*> columns{"UC", "UC-", "WC", "WP", "WT", "WB"};
    for (const auto& [guest, row] : rows) {
        for (std::size_t i = 0; i < columns.size(); ++i) {
            INFO("guest " << guest << ", host " << columns[i]);
            CHECK(to_string(combine_nested_pat(by_name(guest), by_name(columns[i]))) == row[i]);
        }
    }
}
