// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/e820_setup.hpp"

#include <rapidcheck.h>
#include <array>

#include "pgsim/base/units.hpp"
#include "support/catch.hpp"

using namespace pgsim;
using namespace pgsim::kernel;
using firmware::E820Entry;
using firmware::E820Type;

namespace {

using Table = std::vector<E820Entry>;

E820 table_of(const Table& entries) {
    E820 e820;
    for (const E820Entry& entry : entries) {
        e820.range_add(entry.start, entry.size, entry.type);
    }
    return e820;
}

Table updated(const Table& entries) {
    E820 e820 = table_of(entries);
    REQUIRE(e820.update_table());
    return e820.entries();
}

constexpr E820Type ram = E820Type::ram;
constexpr E820Type reserved = E820Type::reserved;

}  // namespace

TEST_CASE("Where entries overlap the highest type wins, and neighbours merge", "[kernel][e820][R5.4]") {
    CHECK(updated({{0x1000, 0x9000, ram}, {0x3000, 0x2000, reserved}}) ==
          Table{{0x1000, 0x2000, ram}, {0x3000, 0x2000, reserved}, {0x5000, 0x5000, ram}});
    CHECK(updated({{0x4000, 0x1000, ram}, {0x3000, 0x1000, ram}}) == Table{{0x3000, 0x2000, ram}});
    CHECK(updated({{0x1000, 0x1000, ram}, {0x1000, 0x1000, E820Type::nvs}}) == Table{{0x1000, 0x1000, E820Type::nvs}});
    CHECK(updated({{0x1000, 0, reserved}, {0x2000, 0x1000, ram}}) == Table{{0x2000, 0x1000, ram}});
    // A type above 2^31 is higher than RESERVED_KERN: types compare without sign.
    CHECK(updated({{0x1000, 0x1000, E820Type::soft_reserved}, {0x1000, 0x1000, E820Type::reserved_kern}}) ==
          Table{{0x1000, 0x1000, E820Type::soft_reserved}});
}

TEST_CASE("PRAM and SOFT_RESERVED ranges that touch stay apart", "[kernel][e820][R5.4]") {
    for (const E820Type type : {E820Type::pram, E820Type::soft_reserved}) {
        const Table table{{0x1000, 0x1000, type}, {0x2000, 0x1000, type}};
        CHECK(updated(table) == table);
    }
}

TEST_CASE("Fewer than two entries or one that wraps: nothing is done", "[kernel][e820][R5.4]") {
    E820 one = table_of({{0x1000, 0x1000, ram}});
    CHECK_FALSE(one.update_table());
    const Table wraps{{0x5000, 0x1000, ram}, {0x1000, 0x1000, ram}, {~std::uint64_t{0} - 0xfff, 0x2000, reserved}};
    E820 table = table_of(wraps);
    CHECK_FALSE(table.update_table());
    CHECK(table.entries() == wraps);
    CHECK(table.finish_early_params(false));
    CHECK_FALSE(table.finish_early_params(true));  // "Invalid user supplied memory map"
}

TEST_CASE("An unusable map is replaced by what the BIOS told otherwise", "[kernel][e820][R5.2][R5.3]") {
    firmware::BootParams params;
    params.alt_mem_k = 1000;
    params.ext_mem_k = 64 * 1024;
    const Table fallback{{0, 0x9f000, ram}, {0x10'0000, 64 * MiB, ram}};
    E820 e820;
    e820.memory_setup(params);
    CHECK(e820.entries() == fallback);
    params.e820 = {{0, 0x9f000, ram}};  // one entry is none
    e820.memory_setup(params);
    CHECK(e820.entries() == fallback);
    params.e820 = {{0, 0x9f000, ram}, {0x10'0000, 0x10'0000, ram}, {~std::uint64_t{0}, 2, ram}};
    e820.memory_setup(params);
    CHECK(e820.entries() == fallback);
    params.e820.pop_back();
    e820.memory_setup(params);
    CHECK(e820.entries() == params.e820);
}

TEST_CASE("range_update and range_remove cut entries", "[kernel][e820][R5.7]") {
    SECTION("an entry inside the range changes as a whole") {
        E820 e820 = table_of({{0x2000, 0x1000, ram}});
        CHECK(e820.range_update(0x1000, 0x4000, ram, reserved) == 0x1000);
        CHECK(e820.entries() == Table{{0x2000, 0x1000, reserved}});
        CHECK(e820.range_remove(0x1000, 0x4000, reserved, E820::CheckType::yes) == 0x1000);
        CHECK(e820.entries() == Table{{0, 0, E820Type{0}}});
    }
    SECTION("a range inside an entry appends the rest") {
        E820 e820 = table_of({{0x1000, 0x9000, ram}});
        CHECK(e820.range_update(0x3000, 0x1000, ram, reserved) == 0x1000);
        CHECK(e820.entries() == Table{{0x1000, 0x2000, ram}, {0x3000, 0x1000, reserved}, {0x4000, 0x6000, ram}});
        E820 cut = table_of({{0x1000, 0x9000, ram}});
        cut.range_remove(0x3000, 0x1000, ram, E820::CheckType::yes);
        CHECK(cut.entries() == Table{{0x1000, 0x2000, ram}, {0x4000, 0x6000, ram}});
    }
    SECTION("partial overlap, low and high") {
        E820 e820 = table_of({{0x1000, 0x2000, ram}, {0x4000, 0x2000, ram}});
        CHECK(e820.range_remove(0x2000, 0x3000, ram, E820::CheckType::yes) == 0x2000);
        CHECK(e820.entries() == Table{{0x1000, 0x1000, ram}, {0x5000, 0x1000, ram}});
    }
    SECTION("only the wanted type; without the check all of them") {
        E820 e820 = table_of({{0x1000, 0x1000, reserved}});
        CHECK(e820.range_remove(0, 0x10000, ram, E820::CheckType::yes) == 0);
        CHECK(e820.range_remove(0, 0x10000, ram, E820::CheckType::no) == 0x1000);
    }
    SECTION("a range ends at 2^64 - 1") {
        E820 e820 = table_of({{0x1000, 0x9000, ram}});
        e820.range_remove(0x2000, ~std::uint64_t{0}, ram, E820::CheckType::yes);
        CHECK(e820.entries() == Table{{0x1000, 0x1000, ram}});
    }
    SECTION("beyond the capacity nothing is appended") {
        E820 e820{1};
        e820.range_add(0x1000, 0x1000, ram);
        e820.range_add(0x3000, 0x1000, ram);
        CHECK(e820.entries().size() == 1);
    }
}

TEST_CASE("The lines of the kernel's log", "[kernel][e820]") {
    E820 e820 = table_of({{0, 0x9f000, ram}, {0x10'0000, 0x10'0000, ram}});
    e820.trim_bios_range();
    // tests/data/machines: every log has these two lines.
    CHECK(e820.printed() == std::vector<std::string>{"e820: update [mem 0x00000000-0x00000fff] usable ==> reserved",
                                                     "e820: remove [mem 0x000a0000-0x000fffff] usable"});
    CHECK(e820.entries() == Table{{0, 0x1000, reserved}, {0x1000, 0x9e000, ram}, {0x10'0000, 0x10'0000, ram}});
}

TEST_CASE("setup_data becomes RESERVED_KERN", "[kernel][e820][R5.6]") {
    E820 e820 = table_of({{0, 0x9f000, ram}, {0x10'0000, 0x10'0000, ram}});
    const Table before = e820.entries();
    e820.reserve_setup_data({}, KernelSeries{});
    CHECK(e820.entries() == before);
    // tests/data/machines/dell-xps-13-9360: the line stands there twice, for this table and for kexec's.
    const std::array<firmware::SetupData, 1> pci{{{PhysAddr{0x10'1018}, 3, 0x10030}}};
    e820.reserve_setup_data(pci, KernelSeries{});
    CHECK(e820.entries() == Table{{0, 0x9f000, ram},
                                  {0x10'0000, 0x1018, ram},
                                  {0x10'1018, 0x10040, E820Type::reserved_kern},
                                  {0x11'1058, 0xe'efa8, ram}});
    CHECK(e820.printed() == std::vector<std::string>(2, "e820: update [mem 0x00101018-0x00111057] usable ==> usable"));
    // From 6.10 on kexec's table keeps its range. tests/data/machines/supermicro-x9dri (6.12): once.
    E820 newer = table_of(before);
    newer.reserve_setup_data(pci, KernelSeries::of("6.12"));
    CHECK(newer.printed().size() == 1);
}

TEST_CASE("The kernel's own range becomes RAM", "[kernel][e820][R5.9]") {
    E820 e820 = table_of({{0x100'0000, 0x100'0000, ram}, {0x200'0000, 0x100'0000, reserved}});
    e820.add_kernel_range(PhysAddr{0x100'0000}, PhysAddr{0x180'0000});
    CHECK(e820.entries().size() == 2);
    e820.add_kernel_range(PhysAddr{0x180'0000}, PhysAddr{0x280'0000});
    CHECK(e820.entries() ==
          Table{{0x100'0000, 0x80'0000, ram}, {0x280'0000, 0x80'0000, reserved}, {0x180'0000, 0x100'0000, ram}});
}

TEST_CASE("max_pfn is the highest end of RAM", "[kernel][e820][R5.11]") {
    const KernelSeries series;
    E820 e820 = table_of({{0x10'0000, 0x7fee'0000, ram}, {0x1'0000'0000, 0x8000'0000, ram}});
    CHECK(e820.end_of_ram_pfn(4, series) == 0x18'0000);
    CHECK(e820.end_of_low_ram_pfn(series) == 0x7ffe0);
    e820.range_add(0x1'8000'0000, 0x10'0000, E820Type::acpi);
    CHECK(e820.end_of_ram_pfn(4, series) == 0x18'0000);
    CHECK(e820.end_of_ram_pfn(4, KernelSeries::of("6.12")) == 0x18'0100);
    e820.range_add(0xf000'0000, 0x2000'0000, ram);  // ends above 4 GiB: the limit itself
    CHECK(e820.end_of_low_ram_pfn(series) == 0x10'0000);
    e820.range_add(std::uint64_t{1} << 50, 0x1000, ram);
    CHECK(e820.end_of_ram_pfn(4, series) == 0x18'0000);  // starts above 2^46
    CHECK(e820.end_of_ram_pfn(5, series) == (std::uint64_t{1} << 38) + 1);
    e820.range_add((std::uint64_t{1} << 46) - 0x1000, 0x2000, ram);
    CHECK(e820.end_of_ram_pfn(4, series) == std::uint64_t{1} << 34);
}

TEST_CASE("memblock is filled from the table", "[kernel][e820][R5.16]") {
    Memblock m;
    const E820 e820 = table_of({{0x1000, 0x9ec00, ram},
                                {0x10'0000, 0x1000, E820Type::reserved_kern},
                                {0x20'0000, 0x1000, E820Type::soft_reserved},
                                {0x30'0000, 0x1000, E820Type::acpi}});
    CHECK(e820_memblock_setup(e820, m) == MemblockStatus::ok);
    CHECK(m.can_resize);
    CHECK(m.memory.regions == std::vector<MemblockRegion>{{0x1000, 0x9e000, 0, 1024}, {0x10'0000, 0x1000, 0, 1024}});
    CHECK(m.reserved.regions == std::vector<MemblockRegion>{{0x20'0000, 0x1000, 0, 1024}});
}

TEST_CASE("Early reservations", "[kernel][e820][R5.17]") {
    SECTION("the BIOS words decide where the BIOS area begins") {
        CHECK(bios_region_start(639, 0x9fc0) == 0x9f000);  // SeaBIOS: 0x9fc00 is above 0x9f000
        CHECK(bios_region_start(600, 0) == 600 * KiB);
        CHECK(bios_region_start(0, 0) == 0x9f000);
        CHECK(bios_region_start(636, 0x8000) == 0x8'0000);
        CHECK(bios_region_start(600, 0x9f00) == 600 * KiB);
    }
    SECTION("the initrd counts only when a loader says that it made it") {
        firmware::BootParams params;
        params.ramdisk_image = PhysAddr{0x3000'0000};
        params.ramdisk_size = 4456;
        const EarlyReservations kernel{{PhysAddr{0x100'0000}, PhysAddr{0x440'0000}}, true, false, {}};
        Memblock without;
        early_reserve_memory(params, kernel, without);
        CHECK_FALSE(without.is_reserved(0x3000'0000));
        params.type_of_loader = 0xb0;
        Memblock with;
        early_reserve_memory(params, kernel, with);
        CHECK(with.reserved.regions == std::vector<MemblockRegion>{{0, 0x1'0000, 0, 1024},
                                                                   {0x9'f000, 0x6'1000, 0, 1024},
                                                                   {0x100'0000, 0x340'0000, 0, 1024},
                                                                   {0x3000'0000, 0x2000, 0, 1024}});
    }
}

namespace {

constexpr std::size_t units = 64;

/// The type of each KiB, the highest one where entries overlap; 0: none.
std::array<std::uint32_t, units> types_by_unit(const Table& table) {
    std::array<std::uint32_t, units> types{};
    for (const E820Entry& entry : table) {
        for (std::size_t i = 0; i < units; ++i) {
            if (entry.start <= i * KiB && (i + 1) * KiB <= entry.end()) {
                types[i] = std::max(types[i], static_cast<std::uint32_t>(entry.type));
            }
        }
    }
    return types;
}

E820Type any_type() {
    return *rc::gen::element(ram, reserved, E820Type::acpi, E820Type::pram, E820Type::reserved_kern,
                             E820Type::soft_reserved);
}

Table any_table() {
    Table table;
    const int length = *rc::gen::inRange(2, 12);
    for (int i = 0; i < length; ++i) {
        const auto from = *rc::gen::inRange<std::uint64_t>(0, units);
        const auto to = *rc::gen::inRange<std::uint64_t>(from, units + 1);
        table.push_back({from * KiB, (to - from) * KiB, any_type()});
    }
    return table;
}

}  // namespace

TEST_CASE("E820 operations agree with a list of units", "[kernel][e820][property][R5.4][R5.7]") {
    CHECK(rc::check("update_table: the highest type of each unit, sorted, apart", [] {
        const Table before = any_table();
        E820 e820 = table_of(before);
        RC_ASSERT(e820.update_table());
        RC_ASSERT(types_by_unit(before) == types_by_unit(e820.entries()));
        const Table& after = e820.entries();
        for (std::size_t i = 1; i < after.size(); ++i) {
            RC_ASSERT(after[i].size != 0);
            RC_ASSERT(after[i - 1].end() <= after[i].start);
            RC_ASSERT((after[i - 1].end() < after[i].start || after[i - 1].type != after[i].type ||
                       after[i].type == E820Type::pram || after[i].type == E820Type::soft_reserved));
        }
    }));
    CHECK(rc::check("range_update and range_remove change the units of the range", [] {
        E820 e820 = table_of(any_table());
        e820.update_table();
        auto wanted = types_by_unit(e820.entries());
        const auto from = *rc::gen::inRange<std::size_t>(0, units);
        const auto to = *rc::gen::inRange<std::size_t>(from + 1, units + 1);
        const E820Type old_type = any_type();
        const bool update = *rc::gen::arbitrary<bool>();
        const bool checked = update || *rc::gen::arbitrary<bool>();
        std::uint64_t changed = 0;
        for (std::size_t i = from; i < to; ++i) {
            if (wanted[i] != 0 && (!checked || wanted[i] == static_cast<std::uint32_t>(old_type))) {
                wanted[i] = update ? static_cast<std::uint32_t>(E820Type::unusable) : 0;
                changed += KiB;
            }
        }
        const std::uint64_t got = update
                                      ? e820.range_update(from * KiB, (to - from) * KiB, old_type, E820Type::unusable)
                                      : e820.range_remove(from * KiB, (to - from) * KiB, old_type,
                                                          checked ? E820::CheckType::yes : E820::CheckType::no);
        RC_ASSERT(types_by_unit(e820.entries()) == wanted);
        RC_ASSERT(got == changed);
    }));
}
