// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/firmware/boot_params.hpp"

#include "pgsim/base/error.hpp"
#include "support/catch.hpp"

using namespace pgsim;
using firmware::E820Type;

namespace {

std::uint64_t field(const std::array<std::byte, 4096>& page, std::size_t offset, std::size_t width) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < width; ++i) {
        value |= static_cast<std::uint64_t>(page[offset + i]) << (8 * i);
    }
    return value;
}

}  // namespace

TEST_CASE("The zero page has each field at the boot protocol's offset", "[firmware][R0.2]") {
    firmware::BootParams params;
    params.init_size = 0x3f98000;
    params.kernel_alignment = 0x200000;
    params.type_of_loader = 0xb0;
    params.loadflags = 0x81;
    params.sentinel = 0xff;
    params.alt_mem_k = 0x12345;
    params.cmd_line_ptr = 0x20000_pa;
    params.ramdisk_image = 0x1'7ffd'e000_pa;
    params.ramdisk_size = 4456;
    params.setup_data = {{0x9f000_pa, 1, 20}, {0x9e000_pa, 9, 32}};
    params.e820 = {{0, 0x9fc00, E820Type::ram}, {0x1'0000'0000, 0x8000'0000, E820Type::soft_reserved}};
    const auto page = firmware::encode_zero_page(params);

    CHECK(field(page, 0x206, 2) != 0);
    CHECK(field(page, 0x1e0, 4) == 0x12345);
    CHECK(field(page, 0x1ef, 1) == 0xff);
    CHECK(field(page, 0x210, 1) == 0xb0);
    CHECK(field(page, 0x211, 1) == 0x81);
    CHECK(field(page, 0x218, 4) == 0x7ffd'e000);
    CHECK(field(page, 0x0c0, 4) == 1);
    CHECK(field(page, 0x21c, 4) == 4456);
    CHECK(field(page, 0x228, 4) == 0x20000);
    CHECK(field(page, 0x230, 4) == 0x200000);
    CHECK(field(page, 0x250, 8) == 0x9f000);
    CHECK(field(page, 0x258, 8) == 0x1000000);
    CHECK(field(page, 0x260, 4) == 0x3f98000);
    CHECK(field(page, 0x1e8, 1) == 2);
    CHECK(field(page, 0x2d0, 8) == 0);
    CHECK(field(page, 0x2d8, 8) == 0x9fc00);
    CHECK(field(page, 0x2e0, 4) == 1);
    CHECK(field(page, 0x2e4, 8) == 0x1'0000'0000);
    CHECK(field(page, 0x2f4, 4) == 0xefff'ffff);
    CHECK(field(page, 0x1c0, 4) == 0);

    SECTION("an EFI boot is marked by the signature of efi_info") {
        params.efi = true;
        CHECK(field(firmware::encode_zero_page(params), 0x1c0, 4) == 0x34364c45);  // "EL64"
    }
}

TEST_CASE("The zero page holds 128 E820 entries and no more", "[firmware][R0.2]") {
    firmware::BootParams params;
    params.e820.assign(128, {0x1000, 0x1000, E820Type::ram});
    const auto page = firmware::encode_zero_page(params);
    CHECK(field(page, 0x1e8, 1) == 128);
    CHECK(field(page, 0x2d0 + 127 * 20, 8) == 0x1000);
    params.e820.push_back({0, 1, E820Type::ram});
    CHECK_THROWS_AS(firmware::encode_zero_page(params), Error);
}

TEST_CASE("E820 types have the names that Linux prints", "[firmware][R0.3]") {
    CHECK(firmware::linux_name(E820Type::ram) == "usable");
    CHECK(firmware::linux_name(E820Type::reserved_kern) == "usable");
    CHECK(firmware::linux_name(E820Type::reserved) == "reserved");
    CHECK(firmware::linux_name(E820Type::acpi) == "ACPI data");
    CHECK(firmware::linux_name(E820Type::nvs) == "ACPI NVS");
    CHECK(firmware::linux_name(E820Type::unusable) == "unusable");
    CHECK(firmware::linux_name(E820Type::pmem) == "persistent (type 7)");
    CHECK(firmware::linux_name(E820Type::pram) == "persistent (type 12)");
    CHECK(firmware::linux_name(E820Type::soft_reserved) == "soft reserved");
    CHECK(firmware::linux_name(E820Type{20}) == "type 20");
}
