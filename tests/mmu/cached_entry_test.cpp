// SPDX-License-Identifier: GPL-2.0-only
// The words and the array that the TLB and the paging-structure caches keep their translations in.
#include "support/catch.hpp"

#include <algorithm>
#include <deque>
#include <random>

#include "pgsim/base/error.hpp"
#include "pgsim/mmu/tlb.hpp"

using namespace pgsim;

TEST_CASE("A translation in one word is the translation", "[mmu][tlb]") {
    std::mt19937_64 random{7};
    for (const PageSize size : {PageSize::k4K, PageSize::k2M, PageSize::k4M, PageSize::k1G}) {
        for (int i = 0; i < 1000; ++i) {
            const std::uint64_t bits = random();
            const VirtAddr linear{random()};
            const PhysAddr base = PhysAddr{random() & PhysSpace::last}.align_down(bytes(size));
            Translation page;
            page.phys = base + linear.offset_in(bytes(size));
            page.page_size = size;
            page.rights = {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0};
            page.global = (bits & 8) != 0;
            page.dirty = (bits & 16) != 0;
            page.pat_index = static_cast<std::uint8_t>(bits >> 8 & 7);
            page.protection_key = static_cast<std::uint8_t>(bits >> 16 & 15);
            const bool shadow_stack = (bits & 32) != 0;
            const CachedPage cached = CachedPage::make(base, page, shadow_stack);
            REQUIRE(cached);
            const Translation back = cached.translation(linear, TranslationSource::tlb);
            REQUIRE(back.phys == page.phys);
            REQUIRE(back.page_size == size);
            REQUIRE(back.rights == page.rights);
            REQUIRE(back.global == page.global);
            REQUIRE(back.dirty == page.dirty);
            REQUIRE(back.pat_index == page.pat_index);
            REQUIRE(back.protection_key == page.protection_key);
            REQUIRE(cached.shadow_stack() == shadow_stack);
        }
    }
}

TEST_CASE("An array of four ways replaces what was least recently used, empty places first", "[mmu][tlb][property]") {
    FourWays array{"test", 1};
    std::deque<std::uint64_t> expected;  // youngest first
    std::mt19937_64 random{1};
    for (int i = 0; i < 20000; ++i) {
        const std::uint64_t page = random() % 7;
        const std::uint64_t key = Tag::make(page, TagKind::k4K, 3);
        const auto known = std::find(expected.begin(), expected.end(), page);
        if (random() % 8 == 0) {
            array.drop(page, key);
            if (known != expected.end()) {
                expected.erase(known);
            }
            continue;
        }
        const std::uint64_t found = array.find(page, key);
        REQUIRE(found == (known == expected.end() ? 0 : page + 100));
        if (known != expected.end()) {
            expected.erase(known);
        } else {
            array.put(page, key, page + 100);
        }
        expected.push_front(page);
        if (expected.size() > FourWays::ways) {
            expected.pop_back();
        }
    }
    CHECK_THROWS_AS((FourWays{"test", 3}), Error);
    CHECK_THROWS_WITH((FourWays{"PDE cache", 0}), Catch::Contains("PDE cache"));
}

TEST_CASE("A translation is found in its PCID, a global one in all, and goes as the manual says", "[mmu][tlb]") {
    Tlb tlb;
    const auto page = [](std::uint64_t base, PageSize size, bool global) {
        Translation t;
        t.page_size = size;
        t.global = global;
        return CachedPage::make(PhysAddr{base}, t, false);
    };
    tlb.insert(VirtAddr{0x1000}, 1, page(0xa000, PageSize::k4K, false));
    tlb.insert(VirtAddr{0x2000}, 1, page(0xb000, PageSize::k4K, true));
    tlb.insert(VirtAddr{0x4020'0000}, 1, page(0x60'0000, PageSize::k2M, false));
    tlb.insert(VirtAddr{0x8020'0000}, 1, page(0x80'0000, PageSize::k2M, true));
    tlb.insert(VirtAddr{0xc000'0000}, 1, page(0x4000'0000, PageSize::k1G, false));
    CHECK(tlb.entries().size() == 5);
    const auto base = [&](std::uint64_t at, std::uint16_t pcid) {
        const CachedPage found = tlb.find(VirtAddr{at}, pcid);
        return found ? found.base().value() : 0;
    };
    CHECK(base(0x1fff, 1) == 0xa000);
    CHECK(base(0x1fff, 2) == 0);
    CHECK(base(0x2fff, 2) == 0xb000);
    CHECK(base(0x4021'0000, 1) == 0x60'0000);
    CHECK(base(0x4021'0000, 2) == 0);
    CHECK(base(0x8021'0000, 2) == 0x80'0000);
    CHECK(base(0xcfff'ffff, 1) == 0x4000'0000);
    SECTION("INVLPG: any page size, global too") {
        tlb.invalidate_page(VirtAddr{0x8030'0000}, 2, true);
        CHECK(base(0x8021'0000, 2) == 0);
        tlb.invalidate_page(VirtAddr{0xc000'0000}, 1, true);
        CHECK(base(0xcfff'ffff, 1) == 0);
        CHECK(tlb.entries().size() == 3);
    }
    SECTION("one address space: its translations but the global ones") {
        tlb.invalidate_pcid(1, false);
        CHECK(base(0x1fff, 1) == 0);
        CHECK(base(0x2fff, 1) == 0xb000);
        CHECK(base(0x8021'0000, 1) == 0x80'0000);
        CHECK(tlb.entries().size() == 2);
    }
    SECTION("all but global, then all") {
        tlb.invalidate_all(false);
        CHECK(tlb.entries().size() == 2);
        tlb.invalidate_all(true);
        CHECK(tlb.entries().empty());
        CHECK(base(0x2fff, 1) == 0);
    }
}
