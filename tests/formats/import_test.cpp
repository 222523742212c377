// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/formats/import.hpp"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/formats/capture_space.hpp"
#include "pgsim/formats/dump.hpp"
#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/scratch.hpp"

using namespace pgsim;
using namespace pgsim::formats;

namespace {

namespace fs = std::filesystem;

AddressSpace tables_of(const std::string& capture, const std::string& checkpoint) {
    return address_space(*read_capture(test::data_path("captures/" + capture + ".json.xz")).find(checkpoint));
}

template <class Import>
std::string error_of(Import import) {
    try {
        static_cast<void>(import());
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

std::string tlb_error(const std::string& text) {
    return error_of([&] { return import_qemu_tlb(text); });
}

std::string ptdump_error(const std::string& text) {
    return error_of([&] { return import_ptdump(text); });
}

// The lines of a ptdump text that map something.
std::string present_lines(const std::string& text) {
    std::istringstream in{text};
    std::string result;
    for (std::string line; std::getline(in, line);) {
        if (line.find(" ro ") != std::string::npos || line.find(" RW ") != std::string::npos) {
            result += line + '\n';
        }
    }
    return result;
}

class Elf {
public:
    Elf() : bytes_(64 + 3 * 56) {
        std::memcpy(bytes_.data(),
                    "\x7f"
                    "ELF\x02\x01\x01",
                    7);
        put<std::uint16_t>(16, 4);
        put<std::uint16_t>(18, 62);
        put<std::uint64_t>(32, 64);
        put<std::uint16_t>(54, 56);
        put<std::uint16_t>(56, 3);
    }
    template <class Number>
    void put(std::size_t at, Number value) {
        std::memcpy(bytes_.data() + at, &value, sizeof value);
    }
    void header(unsigned index, std::uint32_t type, std::uint64_t phys, const std::vector<std::uint64_t>& words) {
        const std::size_t at = 64 + index * 56;
        put<std::uint32_t>(at, type);
        put<std::uint64_t>(at + 8, bytes_.size());
        put<std::uint64_t>(at + 24, phys);
        put<std::uint64_t>(at + 32, words.size() * 8);
        const std::size_t data = bytes_.size();
        bytes_.resize(data + words.size() * 8);
        std::memcpy(bytes_.data() + data, words.data(), words.size() * 8);
    }
    [[nodiscard]] std::vector<char>& bytes() { return bytes_; }

private:
    std::vector<char> bytes_;
};

std::string write_scratch(const std::string& name, const std::vector<char>& bytes) {
    const fs::path path = test::scratch_folder() / name;
    std::ofstream{path, std::ios::binary}.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return path.string();
}

// A guest of two pieces of memory: tables at 0x1000 … 0x3fff, one page at 4 GiB; CR3 in a note as QEMU writes it.
Elf guest() {
    Elf elf;
    std::vector<std::uint64_t> note(2 + 1 + 54);  // header of 12 bytes, name "QEMU" padded, 432 bytes of state
    std::vector<std::uint32_t> raw(3 + 2 + 108);
    raw[0] = 5;
    raw[1] = 432;
    std::memcpy(&raw[3], "QEMU", 5);
    const std::size_t state = 5;
    const auto state64 = [&](std::size_t offset, std::uint64_t value) {
        std::memcpy(&raw[state + offset / 4], &value, 8);
    };
    state64(8 + 16 * 8, 0xffffffff81000000);  // rip
    state64(8 + 18 * 8 + 240, 0x80010001);    // cr0
    state64(8 + 18 * 8 + 240 + 24, 0x1000);   // cr3
    state64(8 + 18 * 8 + 240 + 32, 0xa0);     // cr4
    note.resize((raw.size() * 4 + 7) / 8);
    std::memcpy(note.data(), raw.data(), raw.size() * 4);
    elf.header(0, 4, 0, note);
    std::vector<std::uint64_t> tables(3 * 512);
    tables[0] = 0x2067;
    tables[512] = 0x3067;
    tables[1024 + 2] = 0x100000000 | 0xe3;  // 0x400000 -> 4 GiB
    elf.header(1, 1, 0x1000, tables);
    elf.header(2, 1, 0x100000000, std::vector<std::uint64_t>(512, 0x1234));
    return elf;
}

}  // namespace

TEST_CASE("info tlb text becomes the address space that it lists", "[formats][import]") {
    for (const auto& [capture, checkpoint] :
         {std::pair{"k6.1-1g-4l", "buddy.exit"}, std::pair{"k6.1-4g-5l", "user.init"},
          std::pair{"k6.12-4g-nogbpages", "init_mem_mapping.exit"}, std::pair{"k6.1-1g-4l", "kernel.startup_64"}}) {
        INFO(capture << " " << checkpoint);
        const AddressSpace original = tables_of(capture, checkpoint);
        const std::string text = dump(original, DumpFormat::qemu_tlb);
        const ImportedSpace imported = import_qemu_tlb(text);
        CHECK(imported.physical_known);
        CHECK(imported.space.levels() == original.levels());
        CHECK(dump(imported.space, DumpFormat::qemu_tlb) == text);
        // Page sizes too, not only the text.
        CHECK(imported.space.ranges({.by_page_size = true}).ranges.size() ==
              original.ranges({.by_page_size = true}).ranges.size());
    }
}

TEST_CASE("info tlb text as people paste it: prompt before and after, other line ends", "[formats][import]") {
    const ImportedSpace imported = import_qemu_tlb(
        "QEMU 7.2.0 monitor - type 'help' for more information\r\n"
        "(qemu) info tlb\r\n"
        "0000000000400000: 0000000007654000 X--DA--UW\r\n"
        "ffffffff81000000: 0000000001000000 -GPDA---W\r\n"
        "(qemu) \r\n");
    const WalkResult user = imported.space.walk(0x400123_va, {.kind = AccessKind::write, .cpl = 3});
    REQUIRE(user.translation());
    CHECK(user.translation()->phys == 0x7654123_pa);
    CHECK_FALSE(user.translation()->rights.executable);
    const WalkResult kernel = imported.space.walk(0xffffffff811fffff_va, {.kind = AccessKind::fetch});
    REQUIRE(kernel.translation());
    CHECK(kernel.translation()->phys == 0x11fffff_pa);
    CHECK(kernel.translation()->page_size == PageSize::k2M);
    CHECK(imported.space.walk(0x401000_va).page_fault());
}

TEST_CASE("info tlb text that is wrong is refused with the line", "[formats][import]") {
    const std::string good = "0000000000400000: 0000000007654000 X--DA--UW\n";
    CHECK(tlb_error(good) == "no error");
    CHECK(tlb_error("") == "info tlb: no line of the form \"ADDRESS: ADDRESS XGPDACTUW\"");
    CHECK(tlb_error("PG disabled\n") == "info tlb: no line of the form \"ADDRESS: ADDRESS XGPDACTUW\"");
    CHECK(tlb_error(good + "oops\n" + "0000000000500000: 0000000007654000 X--DA--UW\n") ==
          "info tlb: line 2: not of the form \"ADDRESS: ADDRESS XGPDACTUW\"");
    CHECK(tlb_error(good + good) == "info tlb: line 2: the linear addresses do not ascend");
    CHECK(tlb_error("0000000000400123: 0000000007654000 X--DA--UW\n") ==
          "info tlb: line 1: the linear address is not a multiple of the page size");
    CHECK(tlb_error("8000000000000000: 0000000007654000 X--DA--UW\n") ==
          "info tlb: line 1: the linear address is not canonical");
    CHECK(tlb_error("0000000000400000: fff0000007654000 X--DA--UW\n") ==
          "info tlb: line 1: the physical address is not one of a page");
    CHECK(tlb_error("0000000000400000: 0000000007654000 X-PDA--UW\n") ==
          "info tlb: line 1: a page with P, but the physical address is not a multiple of 2 MiB");
    CHECK(tlb_error("0000000000400000: 0000000000400000 X-PDA--UW\n0000000000401000: 0000000000400000 X--DA--UW\n") ==
          "info tlb: two pages of different sizes at 0x401000");
    CHECK(error_of([] { return import_qemu_tlb("ff11000000000000: 0000000000000000 X--DA---W\n", "f", 4); }) ==
          "f: an address needs 5 levels");
}

TEST_CASE("ptdump text becomes an address space with the same present lines", "[formats][import]") {
    for (const char* capture : {"k6.1-1g-4l", "k6.1-512m-5l"}) {
        const std::string text = dump(tables_of(capture, "init_mem_mapping.exit"), DumpFormat::ptdump);
        const ImportedSpace imported = import_ptdump(text);
        CHECK_FALSE(imported.physical_known);
        CHECK(present_lines(dump(imported.space, DumpFormat::ptdump)) == present_lines(text));
    }
}

// Lines that a kernel printed on its console, from a mailing list; the last one maps up to the end of the file's part.
TEST_CASE("ptdump text from a kernel's log is read past time stamps and quotes", "[formats][import]") {
    const ImportedSpace imported = import_ptdump(
        "> [    0.009693] 0x0000008000000000-0xffff800000000000   17179737600G                               pgd\n"
        "> [    0.009704] ---[ Kernel Space ]---\n"
        "> [    0.009800] 0xffff999900000000-0xffff999900200000           2M     RW                 GLB NX pte\n"
        "> [    0.009813] 0xffff999900200000-0xffff999909c00000         154M     RW         PSE     GLB NX pmd\n"
        "> [    0.009954] 0xffff999940000000-0xffff9999c0000000           2G     RW         PSE     GLB NX pud\n");
    const RangeList list = imported.space.ranges({.contiguous = false});
    REQUIRE(list.ranges.size() == 3);
    CHECK(list.ranges[0].bytes == 2 * MiB);
    CHECK(list.ranges[1].page_size == PageSize::k2M);
    CHECK(list.ranges[1].bytes == 154 * MiB);
    CHECK(list.ranges[2].page_size == PageSize::k1G);
    CHECK(list.ranges[2].rights == AccessRights{true, false, false});
    CHECK(list.ranges[2].attributes.global);
}

TEST_CASE("ptdump text that is wrong is refused with the line", "[formats][import]") {
    CHECK(ptdump_error("") == "ptdump: no line of a page-table dump that maps anything");
    CHECK(ptdump_error("0x0000000000000000-0x0000000000001000 4K RW what pte\n") ==
          "ptdump: line 1: not a line of a page-table dump");
    CHECK(ptdump_error("0x0000000000000000-0x0000000000001000 4K RW NX pgd\n") ==
          "ptdump: line 1: a present range whose level has no pages");
    CHECK(ptdump_error("0x0000000000000000-0x0000000000001800 4K RW NX pte\n") ==
          "ptdump: line 1: the range is not a multiple of its page size");
    CHECK(ptdump_error("0x0000000000002000-0x0000000000001000 4K RW NX pte\n") ==
          "ptdump: line 1: the linear addresses do not ascend");
    CHECK(ptdump_error("0x0000000000000000-0x0000800000000000 128T RW NX pte\n") ==
          "ptdump: line 1: more than 2^24 pages");
}

TEST_CASE("An ELF core of a guest opens like a checkpoint, with CR3 from its notes", "[formats][import][elf]") {
    const MemoryImage image = open_elf_core(write_scratch("guest.elf", guest().bytes()));
    REQUIRE(image.cpus.size() == 1);
    CHECK(image.cpus[0].cr3 == 0x1000);
    CHECK(image.cpus[0].cr4 == 0xa0);
    CHECK(image.cpus[0].rip == 0xffffffff81000000);
    CHECK(image.bytes == 4 * 4096);
    CHECK(image.memory.read64(0x100000008_pa) == 0x1234);
    CHECK(image.memory.read64(0x4000_pa) == ~std::uint64_t{0});  // not in the dump
    const AddressSpace space = image.space();
    const WalkResult walk = space.walk(0x400010_va);
    REQUIRE(walk.translation());
    CHECK(walk.translation()->phys == 0x100000010_pa);
    CHECK(image.space(0x2000).walk(0x0_va).page_fault());
}

TEST_CASE("A damaged ELF core is refused", "[formats][import][elf]") {
    const auto error = [](const std::vector<char>& bytes) {
        const std::string path = write_scratch("bad.elf", bytes);
        const std::string text = error_of([&] { return open_elf_core(path); });
        return text.size() > path.size() ? text.substr(path.size() + 2) : text;
    };
    Elf cut = guest();
    cut.bytes().resize(cut.bytes().size() - 100);
    CHECK(error(cut.bytes()) == "the file ends too early: it is damaged or was cut");
    Elf arm = guest();
    arm.put<std::uint16_t>(18, 183);
    CHECK(error(arm.bytes()) == "is not a 64-bit ELF core of an x86-64 machine");
    Elf headers = guest();
    headers.put<std::uint64_t>(32, ~std::uint64_t{0});
    CHECK(error(headers.bytes()) == "the file ends too early: it is damaged or was cut");
    Elf beyond = guest();
    beyond.put<std::uint64_t>(64 + 2 * 56 + 24, std::uint64_t{1} << 60);
    CHECK(error(beyond.bytes()) == "a segment lies beyond the physical address space");
    CHECK(error({'h', 'i'}) == "is not an ELF file");
    CHECK(error({}) == "is empty");
    CHECK_THROWS_AS(open_elf_core("/no/such/file"), Error);
    // Every byte of the headers and the note, changed one at a time: an error or an image, never worse.
    const std::vector<char> good = guest().bytes();
    for (std::size_t at = 0; at < 64 + 3 * 56 + 20; ++at) {
        std::vector<char> changed = good;
        changed[at] = static_cast<char>(changed[at] ^ 0xff);
        CHECK_NOTHROW(error(changed));
    }
}

TEST_CASE("A raw image opens with CR3 given", "[formats][import]") {
    std::vector<char> bytes(3 * 4096);
    const auto put = [&](std::size_t at, std::uint64_t value) { std::memcpy(bytes.data() + at, &value, 8); };
    put(0, 0x101067);
    put(4096, 0x102067);
    put(8192, 0xe3);
    const MemoryImage image = open_raw_image(write_scratch("image.raw", bytes), 0x100000_pa);
    CHECK(image.cpus.empty());
    REQUIRE(image.space(0x100000).walk(0x1234_va).translation());
    CHECK(image.space(0x100000).walk(0x1234_va).translation()->phys == 0x1234_pa);
    CHECK(error_of([&] { return image.space(); }) == "the image does not say where the tables are: CR3 must be given");
    CHECK_THROWS_AS(open_raw_image(write_scratch("image.raw", bytes), PhysAddr{PhysSpace::last - 4095}), Error);
}

TEST_CASE("What a file is can be told by its beginning", "[formats][import]") {
    CHECK(detect_import("\x7f"
                        "ELF\x02\x01") == ImportKind::elf_core);
    CHECK(detect_import("  {\"format\":") == ImportKind::capture);
    CHECK(detect_import("(qemu) info tlb\n0000000000400000: 0000000007654000 X--DA--UW\n") == ImportKind::qemu_tlb);
    CHECK(detect_import("---[ User Space ]---\n"
                        "0x0000000000000000-0xffff800000000000   16777088T                               pgd\n") ==
          ImportKind::ptdump);
    CHECK(detect_import("hello\n") == ImportKind::unknown);
    CHECK(detect_import("") == ImportKind::unknown);
}
