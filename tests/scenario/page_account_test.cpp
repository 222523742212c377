// SPDX-License-Identifier: GPL-2.0-only
#include "support/catch.hpp"

#include "pgsim/scenario/page_account.hpp"
#include "pgsim/scenario/presets.hpp"

using namespace pgsim;

namespace {

const Boot& debian_6_1() {
    static const Boot boot = [] {
        BootScenario scenario = presets::qemu_q35("4G");
        use_kernel(scenario, "6.1");
        return run(scenario);
    }();
    return boot;
}

}  // namespace

TEST_CASE("Struct pages carry node, zone and the series' reserved bit", "[scenario][R8.15][R8.16]") {
    const Boot& boot = debian_6_1();
    const Checkpoint& checkpoint = boot.at("free_area_init.exit");
    // Flag words as the rules give them for Debian's build.
    CHECK((*struct_page(boot, checkpoint, Pfn{1}).words)[0] == 0x0007'ffff'c000'0000);
    CHECK((*struct_page(boot, checkpoint, Pfn{0x1000}).words)[0] == 0x000f'ffff'c000'0000);
    CHECK((*struct_page(boot, checkpoint, Pfn{0x10'0000}).words)[0] == 0x0017'ffff'c000'0000);
    CHECK((*struct_page(boot, checkpoint, Pfn{0}).words)[0] == 0x0007'ffff'c000'1000);
    // The hole before 2 GiB belongs to the zone above it.
    const StructPageView hole = struct_page(boot, checkpoint, Pfn{0x7'ffe0});
    CHECK(hole.zone() == 2);
    CHECK(hole.reserved());
}

TEST_CASE("A struct page is initialised as __init_single_page leaves it", "[scenario][R8.15]") {
    const Boot& boot = debian_6_1();
    const StructPageView page = struct_page(boot, boot.at("free_area_init.exit"), Pfn{0x1234});
    CHECK(page.address == VirtAddr{0xffff'ea00'0000'0000} + 0x1234 * 64);
    REQUIRE(page.words);
    const auto& words = *page.words;
    CHECK(words[1] == page.address.value() + 8);
    CHECK(words[2] == page.address.value() + 8);
    CHECK(words[3] == 0);
    CHECK(words[6] == 0x0000'0001'ffff'ffff);
    CHECK(page.walk.translation()->page_size == PageSize::k2M);
}

TEST_CASE("Frames without a section have no struct page; deferred ones hold what the memory held",
          "[scenario][R8.17]") {
    const Boot& boot = debian_6_1();
    const Checkpoint& checkpoint = boot.at("free_area_init.exit");
    CHECK_FALSE(struct_page(boot, checkpoint, Pfn{0xc'0000}).words);
    CHECK((*struct_page(boot, checkpoint, Pfn{0x10'8000}).words)[0] == 0);
    CHECK_FALSE(struct_page(boot, boot.at("sparse_init.entry"), Pfn{1}).words);
    CHECK_THROWS_AS(struct_page(boot, checkpoint, Pfn{std::uint64_t{1} << 34}), Error);
}

TEST_CASE("After memblock_free_all the first page of a free block says so", "[scenario][M-B1]") {
    const Boot& boot = debian_6_1();
    const Checkpoint& checkpoint = boot.at("buddy.exit");
    const StructPageView block = struct_page(boot, checkpoint, Pfn{0x10'0000});
    REQUIRE(block.buddy_order());
    CHECK(*block.buddy_order() == 10);
    CHECK(block.refcount() == 0);
    CHECK(struct_page(boot, checkpoint, Pfn{0x1000}).reserved());  // the kernel image
    CHECK(zoneinfo(checkpoint).find("zone   Normal") != std::string::npos);
}
