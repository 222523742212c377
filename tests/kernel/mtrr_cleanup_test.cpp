// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/mtrr_cleanup.hpp"

#include "pgsim/base/units.hpp"
#include "support/catch.hpp"

using namespace pgsim;
using namespace pgsim::kernel;
using firmware::E820Type;

namespace {

constexpr std::uint64_t in_use = 3U << 10;
constexpr std::uint64_t valid = 1U << 11;
constexpr unsigned phys_bits = 36;

Mtrrs::Variable range(std::uint64_t base, std::uint64_t size, MemoryType type) {
    const std::uint64_t mask = ((std::uint64_t{1} << phys_bits) - 1) & ~(size - 1);
    return {base | static_cast<std::uint64_t>(type), mask | valid};
}

/// 3 GiB below the hole, 1 GiB above.
E820 machine() {
    E820 table;
    table.range_add(0, 3 * GiB, E820Type::ram);
    table.range_add(4 * GiB, GiB, E820Type::ram);
    return table;
}

std::uint64_t trim(const Mtrrs& mtrrs, E820& table) {
    return mtrr_trim_uncached_memory(mtrrs, phys_bits, 5 * GiB >> 12, table);
}

}  // namespace

TEST_CASE("RAM beyond what is write-back is taken away", "[kernel][mtrr][R5.12]") {
    E820 table = machine();
    Mtrrs mtrrs;
    mtrrs.def_type = in_use;
    mtrrs.variable[0] = range(0, 2 * GiB, MemoryType::wb);
    mtrrs.variable[1] = range(2 * GiB, GiB, MemoryType::wb);
    mtrrs.variable[2] = range(4 * GiB, 512 * MiB, MemoryType::wb);
    CHECK(trim(mtrrs, table) == 512 * MiB);
    CHECK(table.end_of_ram_pfn(4, KernelSeries{}) == (4 * GiB + 512 * MiB) >> 12);
    CHECK(table.printed() ==
          std::vector<std::string>{"e820: update [mem 0xc0000000-0xffffffff] usable ==> reserved",
                                   "e820: update [mem 0x120000000-0x13fffffff] usable ==> reserved"});
}

TEST_CASE("An uncacheable range takes from a write-back one", "[kernel][mtrr][R5.12]") {
    E820 table = machine();
    Mtrrs mtrrs;
    mtrrs.def_type = in_use;
    mtrrs.variable[0] = range(0, 8 * GiB, MemoryType::wb);
    mtrrs.variable[1] = range(3 * GiB - 16 * MiB, 16 * MiB, MemoryType::uc);
    mtrrs.variable[2] = range(3 * GiB, GiB, MemoryType::uc);
    CHECK(trim(mtrrs, table) == 16 * MiB);
    SECTION("but below 1 MiB, where the fixed ranges win") {
        E820 another = machine();
        mtrrs.variable[1] = range(0, 2 * MiB, MemoryType::uc);
        CHECK(trim(mtrrs, another) == MiB);
        CHECK(another.printed().front() == "e820: update [mem 0x00100000-0x001fffff] usable ==> reserved");
    }
}

TEST_CASE("TOP_MEM2 makes AMD's RAM above 4 GiB write-back", "[kernel][mtrr][R5.12]") {
    E820 table = machine();
    Mtrrs mtrrs;
    mtrrs.def_type = in_use;
    mtrrs.variable[0] = range(0, 2 * GiB, MemoryType::wb);
    mtrrs.variable[1] = range(2 * GiB, GiB, MemoryType::wb);
    mtrrs.top_mem2 = 5 * GiB;
    CHECK(trim(mtrrs, table) == 0);
    CHECK(mtrrs.type_of(PhysAddr{5 * GiB - 1}, phys_bits) == MemoryType::wb);
    CHECK(mtrrs.type_of(PhysAddr{5 * GiB}, phys_bits) == MemoryType::uc);
    CHECK(mtrrs.type_of(PhysAddr{4 * GiB - 1}, phys_bits) == MemoryType::uc);
}

TEST_CASE("Nothing is trimmed where the MTRRs do not say what is RAM", "[kernel][mtrr][R5.12]") {
    E820 table = machine();
    Mtrrs mtrrs;
    SECTION("MTRRs are off") {
        mtrrs.variable[0] = range(0, GiB, MemoryType::wb);
    }
    SECTION("the default type is write-back") {
        mtrrs.def_type = in_use | static_cast<std::uint64_t>(MemoryType::wb);
        mtrrs.variable[0] = range(0, GiB, MemoryType::wb);
    }
    SECTION("there is no write-back range: a virtual machine") {
        mtrrs.def_type = in_use;
    }
    SECTION("a range is neither write-back nor uncacheable") {
        mtrrs.def_type = in_use;
        mtrrs.variable[0] = range(0, GiB, MemoryType::wb);
        mtrrs.variable[1] = range(3 * GiB, GiB, MemoryType::wc);
    }
    CHECK(trim(mtrrs, table) == 0);
    CHECK(table.printed().empty());
}
