// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/base/error.hpp"
#include "pgsim/firmware/memory_map_import.hpp"
#include "support/catch.hpp"

using namespace pgsim;
using firmware::E820Entry;
using firmware::E820Table;
using firmware::E820Type;
using firmware::LogRange;
using firmware::parse_dmesg;

namespace {

std::string error_of(const std::string& text) {
    try {
        (void)parse_dmesg(text);
    } catch (const Error& error) {
        return error.what();
    }
    return {};
}

}  // namespace

TEST_CASE("The map's lines are read in all three ages of their form", "[firmware][dmesg]") {
    const E820Table expected{{0, 0x9fc00, E820Type::ram},
                             {0x9fc00, 0x400, E820Type::reserved},
                             {0x100000, 0x3fee0000, E820Type::ram},
                             {0x3ffe0000, 0x10000, E820Type::acpi},
                             {0x3fff0000, 0x10000, E820Type::nvs}};

    SECTION("up to 3.x: the end is exclusive") {
        CHECK(parse_dmesg("Linux version 2.6.32-5-amd64 (Debian 2.6.32-48)\n"
                          "BIOS-provided physical RAM map:\n"
                          " BIOS-e820: 0000000000000000 - 000000000009fc00 (usable)\n"
                          " BIOS-e820: 000000000009fc00 - 00000000000a0000 (reserved)\n"
                          " BIOS-e820: 0000000000100000 - 000000003ffe0000 (usable)\n"
                          " BIOS-e820: 000000003ffe0000 - 000000003fff0000 (ACPI data)\n"
                          " BIOS-e820: 000000003fff0000 - 0000000040000000 (ACPI NVS)\n")
                  .e820 == expected);
    }
    SECTION("up to 6.19: the end is inclusive") {
        CHECK(parse_dmesg("[    0.000000] Linux version 6.1.0-20-amd64\n"
                          "[    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable\n"
                          "[    0.000000] BIOS-e820: [mem 0x000000000009fc00-0x000000000009ffff] reserved\n"
                          "[    0.000000] BIOS-e820: [mem 0x0000000000100000-0x000000003ffdffff] usable\n"
                          "[    0.000000] BIOS-e820: [mem 0x000000003ffe0000-0x000000003ffeffff] ACPI data\n"
                          "[    0.000000] BIOS-e820: [mem 0x000000003fff0000-0x000000003fffffff] ACPI NVS\n")
                  .e820 == expected);
    }
    SECTION("from 7.0 on: other words, and lines for gaps") {
        CHECK(parse_dmesg("[    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff]  System RAM\n"
                          "[    0.000000] BIOS-e820: [mem 0x000000000009fc00-0x000000000009ffff]  device reserved\n"
                          "[    0.000000] BIOS-e820: [gap 0x00000000000a0000-0x00000000000fffff]\n"
                          "[    0.000000] BIOS-e820: [mem 0x0000000000100000-0x000000003ffdffff]  System RAM\n"
                          "[    0.000000] BIOS-e820: [mem 0x000000003ffe0000-0x000000003ffeffff]  ACPI data\n"
                          "[    0.000000] BIOS-e820: [mem 0x000000003fff0000-0x000000003fffffff]  ACPI NVS\n")
                  .e820 == expected);
    }
}

TEST_CASE("What stands before a message does not matter", "[firmware][dmesg]") {
    const std::string line = "BIOS-e820: [mem 0x0000000000100000-0x00000000001fffff] usable";
    const auto prefix = GENERATE(as<std::string>{}, "", "[    0.000000] ", "<6>[    0.000000] ", "<6>",
                                 "[    0.000000][    T0] ", "Jul  1 12:00:00 host kernel: [    0.000000] ",
                                 "Jul 01 12:00:00 host kernel: ", "kern  :info  : [    0.000000] ");
    const auto ending = GENERATE(as<std::string>{}, "", "\n", "\r\n");
    CAPTURE(prefix);
    CHECK(parse_dmesg(prefix + line + ending).e820 == E820Table{{0x100000, 0x100000, E820Type::ram}});
}

TEST_CASE("Of several boots in one log the last one counts", "[firmware][dmesg]") {
    const auto record = parse_dmesg(
        "Linux version 6.1.0\n"
        "BIOS-e820: [mem 0x0-0xfff] usable\n"
        "last_pfn = 0x1 max_arch_pfn = 0x400000000\n"
        "Linux version 6.12.0\n"
        "BIOS-e820: [mem 0x0-0x1fff] usable\n");
    CHECK(record.kernel == "6.12.0");
    CHECK(record.e820 == E820Table{{0, 0x2000, E820Type::ram}});
    CHECK(record.last_pfn.empty());
}

TEST_CASE("The lines of Linux 7.1 on a laptop are understood", "[firmware][dmesg]") {
    // From a log posted to the kernel's mailing list for 7.1.0.
    const auto record = parse_dmesg(
        "[    0.000000] Linux version 7.1.0-t14test202606+ (x86_64-linux-gnu-gcc (Debian 14.2.0-19) 14.2.0)\n"
        "[    0.000000] Command line: BOOT_IMAGE=/vmlinuz-7.1.0 ro preempt=full\n"
        "[    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009efff]  System RAM\n"
        "[    0.000000] BIOS-e820: [mem 0x000000000009f000-0x00000000000fffff]  device reserved\n"
        "[    0.000000] BIOS-e820: [gap 0x00000000fed80000-0x00000000ffffffff]\n"
        "[    0.000000] efi: EFI v2.7 by Lenovo\n"
        "[    0.000000] DMI: SMBIOS 3.2.0 present.\n"
        "[    0.000000] DMI: LENOVO 20S1S6D700/20S1S6D700, BIOS N2XET45W (1.35 ) 04/08/2026\n"
        "[    0.000033] e820: update [mem 0x00000000-0x00000fff] System RAM ==> device reserved\n"
        "[    0.000038] e820: remove [mem 0x000a0000-0x000fffff] System RAM\n"
        "[    0.000048] last_pfn = 0x84c800 max_arch_pfn = 0x400000000\n"
        "[    0.014171] Using GB pages for direct mapping\n"
        "[    0.014545] RAMDISK: [mem 0x76bd6000-0x79b13fff]\n"
        "[    0.014631] ACPI: XSDT 0x00000000A974C188 00010C (v01 LENOVO TP-N2X   00001350 PTEC 00000002)\n"
        "[    0.014790] ACPI: Reserving FACP table memory at [mem 0xa6560000-0xa6560113]\n"
        "[    0.015037] NODE_DATA(0) allocated [mem 0x84c7d5200-0x84c7fffff]\n"
        "[    0.015979] [gap 0xaf800000-0xfed1ffff] available for PCI devices\n"
        "[    0.028985] Zone ranges:\n"
        "[    0.028986]   DMA      [mem 0x0000000000001000-0x0000000000ffffff]\n"
        "[    0.028995]   Device   empty\n");
    CHECK(record.command_line == "BOOT_IMAGE=/vmlinuz-7.1.0 ro preempt=full");
    CHECK(record.machine == "LENOVO 20S1S6D700/20S1S6D700, BIOS N2XET45W (1.35 ) 04/08/2026");
    CHECK(record.firmware == "uefi");
    CHECK(record.e820_changes ==
          std::vector<firmware::LogE820Change>{{"update", {0, 0xfff}, "System RAM ==> device reserved"},
                                               {"remove", {0xa0000, 0xfffff}, "System RAM"}});
    CHECK(record.gb_pages_line == true);
    CHECK(record.ramdisk == LogRange{0x76bd6000, 0x79b13fff});
    CHECK(record.acpi_tables == std::vector<firmware::AcpiTable>{{"XSDT", 0xa974c188_pa, 0x10c}});
    CHECK(record.acpi_reserved == std::vector<LogRange>{{0xa6560000, 0xa6560113}});
    CHECK(record.node_data == std::vector<firmware::LogNodeRange>{{0, {0x84c7d5200, 0x84c7fffff}}});
    CHECK(record.pci_gap == LogRange{0xaf800000, 0xfed1ffff});
    CHECK(record.zone_ranges ==
          std::vector<firmware::LogZone>{{"DMA", LogRange{0x1000, 0xffffff}}, {"Device", std::nullopt}});
}

TEST_CASE("A map line that cannot be is refused with line and reason", "[firmware][dmesg]") {
    const auto second_line = [](const std::string& line) { return error_of("Linux version 6.1\n" + line + "\n"); };
    CHECK(second_line("BIOS-e820: [mem 0x0000000000002000-0x0000000000000fff] usable").find("line 2: the end lies") ==
          0);
    CHECK(second_line("BIOS-e820: [mem 0x0000000000001000-0x0000000000000fff] usable") == "line 2: the range is empty");
    CHECK(second_line(" BIOS-e820: 0000000000001000 - 0000000000001000 (usable)") == "line 2: the range is empty");
    CHECK(second_line(" BIOS-e820: 0000000000002000 - 0000000000001000 (usable)").find("line 2: the end lies") == 0);
    CHECK(second_line("BIOS-e820: [mem 0x0-0xfff] splendid").find("line 2: unknown kind of memory") == 0);
    CHECK(second_line("BIOS-e820: [mem 0x-0xfff] usable").find("line 2: not a memory range") == 0);
    CHECK(second_line("BIOS-e820: [mem 0x0-0x11111111111111111] usable").find("line 2: not a memory range") == 0);
    CHECK(second_line("BIOS-e820: [mem 0x0-0xffffffffffffffff] usable").find("line 2") == 0);
    CHECK(second_line("BIOS-e820: [mem 0x0-0xfff]").find("line 2: unknown kind of memory") == 0);
    CHECK(error_of("Linux version 6.1\n").find("no memory map") != std::string::npos);
    CHECK(error_of("").find("no memory map") != std::string::npos);

    std::string many;
    for (int i = 0; i < 130; ++i) {
        many += "BIOS-e820: [mem 0x0-0xfff] usable\n";
    }
    CHECK(error_of(many).find("128") != std::string::npos);
}

TEST_CASE("A map as memmap= text", "[firmware][memmap]") {
    const E820Table expected{{0, 0xa0000, E820Type::ram},
                             {0xa0000, 0x60000, E820Type::reserved},
                             {0x100000, 0xbff00000, E820Type::ram},
                             {0xc0000000, 0x10000, E820Type::acpi},
                             {0x100000000, 0x40000000, E820Type::pram}};
    CHECK(firmware::parse_memmap_text("memmap=exactmap memmap=640K@0 memmap=384K$0xa0000 memmap=3071M@1M "
                                      "memmap=64K#3G memmap=1G!4G") == expected);
    CHECK(firmware::parse_memmap_text("# a machine\n640K@0,384K$640K\n3071M@1M\r\n\n64K#0xc0000000, 1G!4G\n") ==
          expected);

    const auto error = [](const std::string& text) {
        try {
            (void)firmware::parse_memmap_text(text);
        } catch (const Error& caught) {
            return std::string{caught.what()};
        }
        return std::string{};
    };
    CHECK(error("1M@0\nzz@1M").find("line 2: \"zz@1M\"") == 0);
    CHECK(error("1M").find("line 1") == 0);
    CHECK(error("0@1M").find("empty") != std::string::npos);
    CHECK(error("1M@zz").find("no start address") != std::string::npos);
    CHECK(error("16E@1M").find("line 1") == 0);
    CHECK(error("2M@0xffffffffffffffff").find("address space") != std::string::npos);
    CHECK(error("").find("no entry") != std::string::npos);
}

TEST_CASE("/proc/iomem is a map for root only", "[firmware][iomem]") {
    CHECK(firmware::parse_proc_iomem("00000000-00000fff : Reserved\n"
                                     "00001000-0009fbff : System RAM\n"
                                     "000a0000-000bffff : PCI Bus 0000:00\n"
                                     "00100000-3ffdffff : System RAM\n"
                                     "  01000000-01ffffff : Kernel code\n"
                                     "3ffe0000-3fffffff : ACPI Non-volatile Storage\n") ==
          E820Table{{0, 0x1000, E820Type::reserved},
                    {0x1000, 0x9ec00, E820Type::ram},
                    {0x100000, 0x3fee0000, E820Type::ram},
                    {0x3ffe0000, 0x20000, E820Type::nvs}});
    CHECK_THROWS_AS(firmware::parse_proc_iomem("00000000-00000000 : System RAM\n"), Error);
    CHECK_THROWS_AS(firmware::parse_proc_iomem("nonsense\n"), Error);
}
