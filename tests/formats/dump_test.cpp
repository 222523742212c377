// SPDX-License-Identifier: GPL-2.0-only
// Dumps of real kernels' tables in the formats of real tools. The tables are from captures; the columns, ends and joins
// are what the tools' sources say, and what their printed outputs on mailing lists show.
#include "pgsim/formats/dump.hpp"

#include <nlohmann/json.hpp>
#include <sstream>

#include "pgsim/base/units.hpp"
#include "pgsim/formats/capture_space.hpp"
#include "support/catch.hpp"
#include "support/data.hpp"

using namespace pgsim;
using namespace pgsim::formats;

namespace {

AddressSpace tables_of(const std::string& capture, const std::string& checkpoint) {
    return address_space(*read_capture(test::data_path("captures/" + capture + ".json.xz")).find(checkpoint));
}

std::string first_lines(const std::string& text, int count) {
    std::istringstream in{text};
    std::string line;
    std::string result;
    while (count-- > 0 && std::getline(in, line)) {
        result += line + '\n';
    }
    return result;
}

PhysicalMemory ram() {
    PhysicalMemory memory;
    memory.map_region({PhysAddr{0}, PhysAddr{1 * TiB}}, RegionKind::ram);
    return memory;
}

AddressSpace space_of(const PhysicalMemory& memory, unsigned levels = 4) {
    return {memory.snapshot(), RootRef{0x1000_pa, levels}};
}

}  // namespace

// Linux 6.1 right after init_mem_mapping, 1 GiB: 4-KByte pages up to 2 MiB, 2-MByte pages, 4-KByte pages at the end of
// RAM (0x3ffe0000); the kernel image. Ends are exclusive; the last one wraps to 0. Linux starts a new line at a marker
// when it meets the next entry after it, so the first page of the direct map stands before its heading, and walks the
// upper half from the end of the guard hole on. [linux-6.6 note_page(), ptdump_walk_pgd_level_core()]
TEST_CASE("ptdump text is that of Linux's debugfs file", "[formats][dump][ptdump]") {
    const std::string expected =
        "---[ User Space ]---\n"
        "0x0000000000000000-0xffff880000000000    16777096T                               pgd\n"
        "---[ Kernel Space ]---\n"
        "0xffff880000000000-0xffff888000000000         512G                               pgd\n"
        "---[ LDT remap ]---\n"
        "0xffff888000000000-0xffff888000001000           4K     RW                 GLB NX pte\n"
        "---[ Low Kernel Mapping ]---\n"
        "0xffff888000001000-0xffff888000200000        2044K     RW                 GLB NX pte\n"
        "0xffff888000200000-0xffff88803fe00000        1020M     RW         PSE     GLB NX pmd\n"
        "0xffff88803fe00000-0xffff88803ffe0000        1920K     RW                 GLB NX pte\n"
        "0xffff88803ffe0000-0xffff888040000000         128K                               pte\n"
        "0xffff888040000000-0xffff890000000000         511G                               pud\n"
        "0xffff890000000000-0xffffc90000000000          64T                               pgd\n"
        "---[ vmalloc() Area ]---\n"
        "0xffffc90000000000-0xffffea0000000000          33T                               pgd\n"
        "---[ Vmemmap ]---\n"
        "0xffffea0000000000-0xfffffe0000000000          20T                               pgd\n"
        "---[ CPU entry Area ]---\n"
        "0xfffffe0000000000-0xffffff0000000000           1T                               pgd\n"
        "---[ ESPfix Area ]---\n"
        "0xffffff0000000000-0xffffff8000000000         512G                               pgd\n"
        "0xffffff8000000000-0xffffffef00000000         444G                               pud\n"
        "---[ EFI Runtime Services ]---\n"
        "0xffffffef00000000-0xffffffff80000000          66G                               pud\n"
        "---[ High Kernel Mapping ]---\n"
        "0xffffffff80000000-0xffffffff81000000          16M                               pmd\n"
        "0xffffffff81000000-0xffffffff84600000          54M     RW         PSE     GLB x  pmd\n"
        "0xffffffff84600000-0xffffffffc0000000         954M                               pmd\n"
        "---[ Modules ]---\n"
        "0xffffffffc0000000-0xffffffffff000000        1008M                               pmd\n"
        "---[ End Modules ]---\n"
        "0xffffffffff000000-0xffffffffff200000           2M                               pmd\n"
        "0xffffffffff200000-0xffffffffff578000        3552K                               pte\n"
        "---[ Fixmap Area ]---\n"
        "0xffffffffff578000-0xffffffffff800000        2592K                               pte\n"
        "0xffffffffff800000-0x0000000000000000           8M                               pmd\n";
    CHECK(dump(tables_of("k6.1-1g-4l", "init_mem_mapping.exit"), DumpFormat::ptdump) == expected);
}

TEST_CASE("ptdump: flags that differ split lines, also Accessed and Dirty", "[formats][dump][ptdump]") {
    PhysicalMemory memory = ram();
    memory.write64(0x1000_pa, 0x2067);
    memory.write64(0x2000_pa, 0x3067);
    memory.write64(0x3000_pa, 0x4067);
    memory.write64(0x4000_pa, 0x5067);              // USR RW x
    memory.write64(0x4008_pa, 0x6027);              // not dirty: a line of its own
    memory.write64(0x4010_pa, 0x70ff);              // PWT PCD PAT
    memory.write64(0x4018_pa, 0x8000000000008121);  // supervisor, read-only, global, NX
    memory.write64(0x3008_pa, 0x2000fb);            // a 2-MByte page, PWT PCD
    const std::string text = dump(space_of(memory), DumpFormat::ptdump);
    CHECK(first_lines(text, 8) ==
          "---[ User Space ]---\n"
          "0x0000000000000000-0x0000000000001000           4K USR RW                     x  pte\n"
          "0x0000000000001000-0x0000000000002000           4K USR RW                     x  pte\n"
          "0x0000000000002000-0x0000000000003000           4K USR RW PWT PCD     PAT     x  pte\n"
          "0x0000000000003000-0x0000000000004000           4K     ro                 GLB NX pte\n"
          "0x0000000000004000-0x0000000000200000        2032K                               pte\n"
          "0x0000000000200000-0x0000000000400000           2M     RW PWT PCD PSE         x  pmd\n"
          "0x0000000000400000-0x0000000040000000        1020M                               pmd\n");
}

TEST_CASE("ptdump with five levels names p4d holes and has the areas of five levels", "[formats][dump][ptdump]") {
    const std::string text = dump(tables_of("k6.1-512m-5l", "init_mem_mapping.exit"), DumpFormat::ptdump);
    CHECK(text.find("---[ LDT remap ]---\n0xff11000000000000-0xff11000000001000           4K     RW                 "
                    "GLB NX pte\n---[ Low Kernel Mapping ]---\n") != std::string::npos);
    CHECK(text.find("p4d\n") != std::string::npos);
}

TEST_CASE("ptdump prints 16 lines of the ESPfix area and says how many it skipped", "[formats][dump][ptdump]") {
    PhysicalMemory memory = ram();
    memory.write64(PhysAddr{0x1000 + 510 * 8}, 0x2063);
    memory.write64(0x2000_pa, 0x3063);
    memory.write64(0x3000_pa, 0x4063);
    memory.write64(PhysAddr{0x1000 + 511 * 8}, 0x6063);              // the kernel's half gigabyte, so that
    memory.write64(PhysAddr{0x6000 + 510 * 8}, 0x80000000000000e3);  // the next marker is met
    for (std::uint64_t i = 0; i < 20; ++i) {
        memory.write64(PhysAddr{0x4000 + i * 16}, 0x5063);  // every second page: a line each, and one each hole
    }
    const std::string text = dump(space_of(memory), DumpFormat::ptdump);
    const std::size_t area = text.find("---[ ESPfix Area ]---\n");
    REQUIRE(area != std::string::npos);
    const std::string rest = text.substr(area, text.find("---[ EFI") - area);
    CHECK(std::count(rest.begin(), rest.end(), '\n') == 1 + 16 + 1);
    CHECK(rest.find("entries skipped ... \n") != std::string::npos);
}

// One line a page: linear address, physical address, X G P D A C T U W. [QEMU target/i386/monitor.c print_pte()]
TEST_CASE("qemu-tlb text is that of QEMU's info tlb", "[formats][dump][qemu]") {
    const std::string text = dump(tables_of("k6.1-1g-4l", "init_mem_mapping.exit"), DumpFormat::qemu_tlb);
    CHECK(first_lines(text, 2) ==
          "ffff888000000000: 0000000000000000 XG-DA---W\n"
          "ffff888000001000: 0000000000001000 XG-DA---W\n");
    CHECK(text.find("\nffff888000200000: 0000000000200000 XGPDA---W\n") != std::string::npos);
    CHECK(text.find("\nffffffff81000000: 0000000001000000 -GPDA---W\n") != std::string::npos);

    PhysicalMemory memory = ram();
    memory.write64(0x1000_pa, 0x2067);
    memory.write64(0x2000_pa, 0x3067);
    memory.write64(0x2008_pa, 0x400000ff);  // a 1-GByte page
    memory.write64(0x3000_pa, 0x4067);
    memory.write64(0x4000_pa, 0x5087);  // PAT of a PTE is not shown
    CHECK(dump(space_of(memory), DumpFormat::qemu_tlb) ==
          "0000000000000000: 0000000000005000 -------UW\n"
          "0000000040000000: 0000000040000000 --PDACTUW\n");
}

// Ranges of equal rights, exclusive ends, the length, u r w of the whole path. [QEMU target/i386/monitor.c mem_print()]
TEST_CASE("qemu-mem text is that of QEMU's info mem", "[formats][dump][qemu]") {
    CHECK(dump(tables_of("k6.1-1g-4l", "init_mem_mapping.exit"), DumpFormat::qemu_mem) ==
          "ffff888000000000-ffff88803ffe0000 000000003ffe0000 -rw\n"
          "ffffffff81000000-ffffffff84600000 0000000003600000 -rw\n");

    PhysicalMemory memory = ram();
    memory.write64(0x1000_pa, 0x2067);
    memory.write64(0x2000_pa, 0x3065);  // R/W = 0 here binds everything below
    memory.write64(0x3000_pa, 0x4067);
    memory.write64(0x4000_pa, 0x9007);
    memory.write64(0x4008_pa, 0x5003);  // supervisor
    memory.write64(PhysAddr{0x1000 + 511 * 8}, 0x6067);
    memory.write64(PhysAddr{0x6000 + 511 * 8}, 0x40000083);
    CHECK(dump(space_of(memory), DumpFormat::qemu_mem) ==
          "0000000000000000-0000000000001000 0000000000001000 ur-\n"
          "0000000000001000-0000000000002000 0000000000001000 -r-\n"
          "ffffffffc0000000-0001000000000000 0000000040000000 -rw\n");  // QEMU does not widen the last end
}

TEST_CASE("vmprint text is that of xv6's vmprint", "[formats][dump]") {
    PhysicalMemory memory = ram();
    memory.write64(0x1000_pa, 0x2067);
    memory.write64(0x2008_pa, 0x3067);
    memory.write64(PhysAddr{0x3000 + 511 * 8}, 0x2000e3);
    CHECK(dump(space_of(memory), DumpFormat::vmprint) ==
          "page table 0x0000000000001000\n"
          " ..0: pte 0x0000000000002067 pa 0x0000000000002000\n"
          " .. ..1: pte 0x0000000000003067 pa 0x0000000000003000\n"
          " .. .. ..511: pte 0x00000000002000e3 pa 0x0000000000200000\n");
}

TEST_CASE("The tree shows tables by name and joins equal pages", "[formats][dump]") {
    // The decompressor's six tables. [spec R1]
    const std::string text = dump(tables_of("k6.1-1g-4l", "decompressor.startup_64"), DumpFormat::tree,
                                  {.names = {{0x4f77000_pa, "pgtable"}, {0x4f78000_pa, "pgtable+0x1000"}}});
    CHECK(first_lines(text, 5) ==
          "PML4 0x4f77000 pgtable  4 levels\n"
          "  [0] 0x0 0x4f78027 -> PDPT 0x4f78000 pgtable+0x1000  P RW US A\n"
          "    [0] 0x0 0x4f79027 -> PD 0x4f79000  P RW US A\n"
          "      [0] 0x0-0x1fffff -> 0x0 1 x 2M  P RW A PS G\n"
          "      [1..3] 0x200000-0x7fffff -> 0x200000 3 x 2M  P RW PS G\n");
    // level2_kernel_pgt as linked: what lies outside the image has lost its P. [spec R3]
    const std::string kernel = dump(tables_of("k6.1-1g-4l", "startup_64_fixups.exit"), DumpFormat::tree);
    CHECK(kernel.find("      [0..7] 0xffffffff80000000 0x1e2..  not present\n") != std::string::npos);
    CHECK(kernel.find("      [8..34] 0xffffffff81000000-0xffffffff845fffff -> 0x1000000 27 x 2M  P RW A D PS G\n") !=
          std::string::npos);
}

TEST_CASE("Filters leave out what they do not accept, in every format", "[formats][dump]") {
    const AddressSpace space = tables_of("k6.1-1g-4l", "init_mem_mapping.exit");
    const DumpOptions executable{.filter = {.executable = true}};
    CHECK(dump(space, DumpFormat::ranges, executable) ==
          "0xffffffff81000000-0xffffffff845fffff -> 0x1000000 54 MiB 2M pages rwx supervisor\n");
    CHECK(dump(space, DumpFormat::qemu_mem, {.filter = {.first = 0xffffffff80000000_va}}) ==
          "ffffffff81000000-ffffffff84600000 0000000003600000 -rw\n");
    CHECK(dump(space, DumpFormat::ptdump, executable).find("NX") == std::string::npos);
    const std::string tlb = dump(space, DumpFormat::qemu_tlb, {.filter = {.size = PageSize::k2M}});
    CHECK(tlb.find("ffff888000001000") == std::string::npos);
}

TEST_CASE("JSON holds the tables as captures do, and the ranges", "[formats][dump]") {
    const formats::Capture capture = read_capture(test::data_path("captures/k6.1-1g-4l.json.xz"));
    const CaptureCheckpoint& checkpoint = *capture.find("buddy.exit");
    const auto json = nlohmann::json::parse(dump(address_space(checkpoint), DumpFormat::json));
    CHECK(json["root"] == hex(checkpoint.root));
    REQUIRE(json["tables"].size() == checkpoint.tables.size());
    CHECK(json["tables"][0]["entries"][0] == nlohmann::json({273, 1, "0x4401067", "0x0"}));
    CHECK(json["ranges"][0]["va"] == "0xffff888000000000");
    CHECK(json["complete"] == true);
}

TEST_CASE("Drawings have a box a table and an arrow an entry", "[formats][dump]") {
    const AddressSpace space = tables_of("k6.1-1g-4l", "decompressor.startup_64");
    const std::string boxes = dump(space, DumpFormat::boxes);
    CHECK(first_lines(boxes, 5) ==
          "    +--------------------------+\n"
          "(1) | PML4 0x4f77000           |\n"
          "    |--------------------------|\n"
          "    | [0] 0x4f78027  P RW US A |---> (2) PDPT 0x4f78000\n"
          "    +--------------------------+\n");
    const std::string dot = dump(space, DumpFormat::dot);
    CHECK(dot.find("  t4_4f77000:e0 -> t3_4f78000;\n") != std::string::npos);
    CHECK(dot.substr(dot.size() - 2) == "}\n");
    const std::string svg = dump(space, DumpFormat::svg);
    std::size_t count = 0;
    for (std::size_t at = svg.find("<rect "); at != std::string::npos; at = svg.find("<rect ", at + 1)) {
        ++count;
    }
    CHECK(count == 6);
    CHECK(dump(space, DumpFormat::boxes, {.max_tables = 2}).find("4 more tables are not drawn\n") != std::string::npos);
}

TEST_CASE("A walk in the styles that people know", "[formats][walk]") {
    const AddressSpace space = tables_of("k6.1-1g-4l", "buddy.exit");
    const WalkResult walk = space.walk(0xffffffff81000010_va);
    // [crash x86_64.c x86_64_translate_pte(): the column heads are centred]
    CHECK(format_walk(walk, 4, WalkStyle::crash) ==
          "VIRTUAL           PHYSICAL        \n"
          "ffffffff81000010  1000010         \n"
          "\n"
          "PGD DIRECTORY: 2a10000\n"
          "PAGE DIRECTORY: 2a15067\n"
          "   PUD: 2a15ff0 => 2a16063\n"
          "   PMD: 2a16040 => 10001e3\n"
          "  PAGE: 1000000  (2MB)\n"
          "\n"
          "  PTE    PHYSICAL  FLAGS\n"
          "10001e3   1000000  (PRESENT|RW|ACCESSED|DIRTY|PSE|GLOBAL)\n");
    // [Bochs cpu/paging.cc: capitals for what is set]
    CHECK(format_walk(walk, 4, WalkStyle::bochs) ==
          "PML4: 0x0000000002a15067    ps         A pcd pwt U W P\n"
          "PDPE: 0x0000000002a16063    ps         A pcd pwt S W P\n"
          " PDE: 0x00000000010001e3    PS G pat D A pcd pwt S W P\n"
          "linear page 0xffffffff81000000 maps to physical page 0x000001000000\n");
    CHECK(format_walk(walk, 4, WalkStyle::plain, {{0x2a10000_pa, "init_top_pgt"}}) ==
          "0xffffffff81000010  read at CPL 0\n"
          "  indices: PML4 511, PDPT 510, PD 8, PT 0, offset 0x10\n"
          "  PML4E init_top_pgt[511] at 0x2a10ff8: 0x2a15067 -> 0x2a15000 P RW US A  so far rwx user\n"
          "  PDPTE 0x2a15000[510] at 0x2a15ff0: 0x2a16063 -> 0x2a16000 P RW A  so far rwx supervisor\n"
          "  PDE   0x2a16000[8] at 0x2a16040: 0x10001e3 -> 0x1000000 P RW A D PS G  so far rwx supervisor\n"
          "  -> 0x1000010 in a 2M page, rwx supervisor\n");

    SECTION("an address that nothing maps") {
        const WalkResult fault = space.walk(0x1000_va, {.kind = AccessKind::write, .cpl = 3});
        CHECK(format_walk(fault, 4, WalkStyle::bochs) ==
              "PML4: 0x0000000000000000    ps         a pcd pwt S R p\n"
              "physical address not available for linear 0x0000000000001000\n");
        CHECK(format_walk(fault, 4, WalkStyle::crash) ==
              "VIRTUAL           PHYSICAL        \n"
              "1000              (not mapped)\n"
              "\n"
              "   PGD: 2a10000 => 0\n");
        const auto json = nlohmann::json::parse(walk_to_json(fault));
        CHECK(json["result"] == "PF");
        CHECK(json["error_code"] == 6);
        CHECK(json["cr2"] == "0x1000");
    }
    SECTION("an address that is not canonical") {
        CHECK(format_walk(space.walk(0x8000000000000000_va), 4, WalkStyle::plain)
                  .find("#GP(0): the address is not canonical") != std::string::npos);
        CHECK(nlohmann::json::parse(walk_to_json(space.walk(0x8000000000000000_va)))["result"] == "GP");
    }
}

TEST_CASE("Formats and styles are known by name", "[formats][dump]") {
    for (const std::string_view name : dump_format_names()) {
        CHECK(find_dump_format(name));
    }
    CHECK(find_dump_format("info-mem") == DumpFormat::qemu_mem);
    CHECK_FALSE(find_dump_format("yaml"));
    CHECK(find_walk_style("bochs") == WalkStyle::bochs);
    CHECK_FALSE(find_walk_style("gdb"));
}
