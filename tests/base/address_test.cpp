// SPDX-License-Identifier: GPL-2.0-only
#include "support/catch.hpp"

#include "pgsim/base/level.hpp"
#include "pgsim/base/range.hpp"
#include "pgsim/base/units.hpp"

using namespace pgsim;

TEST_CASE("A physical address has at most 52 bits", "[base]") {
    CHECK(PhysAddr{0xf'ffff'ffff'ffff}.value() == 0xf'ffff'ffff'ffff);
    CHECK_THROWS_AS(PhysAddr{0x10'0000'0000'0000}, Error);
    CHECK_FALSE(PhysAddr::try_from(0x10'0000'0000'0000));
    CHECK_THROWS_AS(PhysAddr{0xf'ffff'ffff'ffff} + 1, Error);
    CHECK_THROWS_AS(PhysAddr{0} - 1, Error);
}

TEST_CASE("A linear address may hold any 64 bits, but arithmetic does not wrap", "[base]") {
    CHECK(VirtAddr{~0ULL}.value() == ~0ULL);
    CHECK_THROWS_AS(VirtAddr{~0ULL} + 1, Error);
    CHECK(VirtAddr{0x2000} - VirtAddr{0x1000} == 0x1000);
}

TEST_CASE("Alignment rounds down and up to powers of two", "[base]") {
    CHECK((0x201fff_pa).align_down(0x200000) == 0x200000_pa);
    CHECK((0x200001_pa).align_up(0x200000) == 0x400000_pa);
    CHECK((0x200000_pa).align_up(0x200000) == 0x200000_pa);
    CHECK_THROWS_AS(VirtAddr{~0ULL}.align_up(4096), Error);
}

TEST_CASE("Ranges are half open", "[base]") {
    const PhysRange range{0x1000_pa, 0x3000_pa};
    CHECK(range.size() == 0x2000);
    CHECK(range.contains(0x2fff_pa));
    CHECK_FALSE(range.contains(0x3000_pa));
    CHECK(range.intersect({0x2000_pa, 0x9000_pa}) == PhysRange{0x2000_pa, 0x3000_pa});
    CHECK(range.intersect({0x3000_pa, 0x9000_pa}).empty());
    CHECK_THROWS_AS((PhysRange{0x3000_pa, 0x1000_pa}), Error);
}

TEST_CASE("Each level indexes nine bits", "[base][sdm-hierarchy]") {
    const std::uint64_t va = 0xffff'ffff'ff7f'f000;
    CHECK(index_at(Level::pml4, va) == 511);
    CHECK(index_at(Level::pdpt, va) == 511);
    CHECK(index_at(Level::pd, va) == 507);
    CHECK(index_at(Level::pt, va) == 511);
    CHECK(page_size_at(Level::pdpt) == PageSize::k1G);
    CHECK_FALSE(page_size_at(Level::pml4));
}

TEST_CASE("Errors name place and reason, and can be seen from outside", "[base]") {
    const Error error{"line 3", "end lies below start"};
    CHECK(std::string{error.what()} == "line 3: end lies below start");
    CHECK(std::string{error.within("map.txt").what()} == "map.txt: line 3: end lies below start");
}

TEST_CASE("Byte counts are written as people write them", "[base]") {
    CHECK(human_bytes(639 * KiB) == "639 KiB");
    CHECK(human_bytes(3 * GiB / 2) == "1.5 GiB");
    CHECK(human_bytes(17) == "17 bytes");
    CHECK(hex(0xabc) == "0xabc");
}
