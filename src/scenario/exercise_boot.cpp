// SPDX-License-Identifier: GPL-2.0-only
// Exercises on Linux's boot: memory maps, the direct map, struct pages. The answers come from simulated boots.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/firmware/e820_table.hpp"
#include "pgsim/scenario/boot.hpp"
#include "pgsim/scenario/page_account.hpp"
#include "pgsim/scenario/presets.hpp"
#include "scenario/exercise_parts.hpp"

namespace pgsim::exercises {

namespace {

using firmware::E820Entry;
using firmware::E820Table;
using firmware::E820Type;

constexpr std::uint64_t low_end = 0x9fc00;

// A PC's map: below 640 KiB, from 1 MiB to somewhere below 3 GiB, perhaps with a hole, perhaps above 4 GiB.
E820Table some_map(SplitMix64& random) {
    E820Table map{{0, low_end, E820Type::ram}, {low_end, 0xa0000 - low_end, E820Type::reserved}};
    std::uint64_t top = random.between(256, 2800) * MiB;
    top += random.below(512) * 4096;
    if (random.chance(2)) {
        std::uint64_t hole = random.between(128, top / MiB - 64) * MiB;
        hole += random.below(512) * 4096;
        const std::uint64_t size = random.between(1, 2000) * 4096;
        map.push_back({1 * MiB, hole - MiB, E820Type::ram});
        map.push_back({hole, size, E820Type::reserved});
        map.push_back({hole + size, top - hole - size, E820Type::ram});
    } else {
        map.push_back({1 * MiB, top - MiB, E820Type::ram});
    }
    if (random.chance(2)) {
        map.push_back({4 * GiB, random.between(1, 6000) * MiB, E820Type::ram});
    }
    return map;
}

std::string map_text(const E820Table& map) {
    std::string text;
    for (const E820Entry& entry : map) {
        text += fmt::format("  [mem {}-{}] {}\n", hex16(entry.start), hex16(entry.end() - 1), linux_name(entry.type));
    }
    return text;
}

BootScenario scenario_of(const E820Table& map, bool gbpages) {
    BootScenario scenario = scenario_from_map(map, "exercise");
    use_cpu(scenario, gbpages ? "max,-la57" : "max,-la57,-pdpe1gb");
    return scenario;
}

std::uint64_t pages_of(const AddressSpace& space, std::uint64_t base, PageSize size) {
    std::uint64_t count = 0;
    PageFilter filter;
    filter.first = VirtAddr{base};
    filter.last = VirtAddr{base + 64 * TiB - 1};
    filter.size = size;
    space.for_each_page(filter, [&](const Mapping&) {
        ++count;
        return true;
    });
    return count;
}

void page_sizes(SplitMix64& random, Exercise& exercise) {
    const bool gbpages = !random.chance(3);
    const E820Table map = some_map(random);
    const Boot boot = run(scenario_of(map, gbpages), {.until = "init_mem_mapping.exit"});
    const Checkpoint& checkpoint = boot.last();
    const AddressSpace space{checkpoint.machine.memory,
                             PagingControls::from(checkpoint.cpu(), boot.scenario().inputs.cpu)};
    exercise.text = fmt::format(
        "Linux 6.6 boots with 4-level paging on a processor {} 1-GByte pages; the firmware's map "
        "is\n\n{}\nand the command line changes nothing in it. init_mem_mapping maps all RAM (and the "
        "first MByte) in the direct map.\n\nWith how many pages of each size?\n",
        gbpages ? "with" : "without", map_text(map));
    const std::string hint =
        "Cut each range where an aligned larger page begins and ends: 4-KByte pages at the edges, then "
        "2-MByte pages, 1-GByte pages in the middle. [0, 1 MiB) is always mapped on its own first.";
    const std::uint64_t base = checkpoint.kernel.page_offset_base;
    exercise.fields = {number("p4k", "4-KByte pages", pages_of(space, base, PageSize::k4K), hint),
                       number("p2m", "2-MByte pages", pages_of(space, base, PageSize::k2M), hint),
                       number("p1g", "1-GByte pages", pages_of(space, base, PageSize::k1G),
                              "Only where a whole aligned GByte is RAM, and the processor has such pages.")};
    exercise.solution =
        "What init_memory_mapping was called with, and how split_mem_range cut it (the numbers of pages are "
        "those in the tables at the end):\n\n";
    for (const auto& call : checkpoint.kernel.mapping_pieces) {
        for (const kernel::MapRange& piece : call) {
            const char* const size = (piece.page_size_mask & 8) != 0   ? "1G"
                                     : (piece.page_size_mask & 4) != 0 ? "2M"
                                                                       : "4K";
            exercise.solution += fmt::format("  [{}, {}) {}\n", hex(piece.start), hex(piece.end), size);
        }
    }
    exercise.solution += fmt::format("\nIn the tables: {} pages of 4 KiB, {} of 2 MiB, {} of 1 GiB.\n",
                                     exercise.fields[0].answer, exercise.fields[1].answer, exercise.fields[2].answer);
}

// A command line that changes the map, and what it is about.
std::string some_parameter(SplitMix64& random) {
    const std::uint64_t at = random.between(160, 240);
    switch (random.below(4)) {
    case 0: return fmt::format("mem={}M", random.between(192, 260));
    case 1: return fmt::format("memmap={}M${}M", random.between(1, 16), at);
    case 2: return fmt::format("memmap={}M#{}M", random.between(1, 16), at);
    default: return fmt::format("memmap=exactmap memmap=639K@0 memmap={}M@1M", random.between(191, 255));
    }
}

void e820_cmdline(SplitMix64& random, Exercise& exercise) {
    E820Table map;
    std::string parameters;
    while (true) {
        map = some_map(random);
        parameters = some_parameter(random);
        if (random.chance(3) && parameters.find("exactmap") == std::string::npos) {
            const std::uint64_t size = random.between(1, 255) * 4;
            parameters += fmt::format(" memmap={}K${}M", size, random.between(130, 150));
        }
        BootScenario scenario = scenario_of(map, true);
        scenario.inputs.boot_params.cmdline = parameters;
        const Boot boot = run(scenario, {.until = "init_mem_mapping.entry"});
        if (boot.halt()) {
            continue;
        }
        std::vector<std::string> usable;
        std::uint64_t bytes = 0;
        for (const E820Entry& entry : boot.last().e820) {
            if (entry.type == E820Type::ram && entry.start >= MiB) {
                usable.push_back(fmt::format("{}-{}", hex(entry.start), hex(entry.end() - 1)));
                bytes += entry.size;
            }
            exercise.solution +=
                fmt::format("  [mem {}-{}] {}\n", hex16(entry.start), hex16(entry.end() - 1), linux_name(entry.type));
        }
        exercise.fields = {
            list("usable",
                 "the usable ranges from 1 MiB on, as FIRST-LAST with the last byte included, commas between them",
                 usable,
                 "mem=N: nothing usable from N on. memmap=N@S adds RAM, N$S reserves, N#S is for ACPI; exactmap throws "
                 "the "
                 "firmware's map away. Is the end the last byte, not the one behind it?"),
            number("bytes", "their bytes together", bytes, "The sum of their lengths; each is last - first + 1.")};
        break;
    }
    exercise.text = fmt::format(
        "The firmware's map is\n\n{}\nand the kernel's command line says\n\n  {}\n\nWhich ranges from 1 MiB "
        "on does the kernel then call usable?\n",
        map_text(map), parameters);
    exercise.solution =
        "The kernel's own table in the simulated boot, after it has read the command line (it also keeps the "
        "first page\nand the BIOS area for itself):\n\n" +
        exercise.solution;
}

void vmemmap(SplitMix64& random, Exercise& exercise) {
    const bool five = random.chance(3);
    BootScenario scenario = presets::qemu_q35("1G");
    if (five) {
        use_cpu(scenario, "max");
    }
    const Boot boot = run(scenario, {.until = "sparse_init.exit"});
    const Checkpoint& checkpoint = boot.last();
    const Pfn pfn{random.between(0x100, 0x3f000)};
    const StructPageView page = struct_page(boot, checkpoint, pfn);
    const Pfn other{random.between(0x100, 0x3f000)};
    const StructPageView back = struct_page(boot, checkpoint, other);
    const std::uint64_t offset = random.below(4096);
    const PhysAddr phys = pfn.address() + offset;
    exercise.text = fmt::format(
        "A Linux 6.6 kernel (sparsemem with vmemmap, sizeof(struct page) = 64) runs with {}-level paging, without "
        "KASLR.\n\n"
        "  1. At which linear address lies the struct page of the frame that holds physical address {}?\n"
        "  2. Which physical frame (its first byte) does the struct page at {} stand for?\n"
        "  3. How many bytes of struct pages does one section of 128 MiB need?\n",
        five ? 5 : 4, hex(phys.value()), hex(back.address.value()));
    ExerciseField first = address("page", "address of the struct page", page.address.value(),
                                  "vmemmap_base + 64 * page frame number. Which base has this paging mode?");
    first.slips.emplace_back(hex(checkpoint.kernel.vmemmap_base + 64 * phys.value()),
                             "That takes the address for the frame number: how many bytes has a frame?");
    exercise.fields.push_back(std::move(first));
    ExerciseField second = address("phys", "physical address of the frame", other.address().value(),
                                   "The distance from vmemmap_base, divided by 64, is the frame number.");
    second.slips.emplace_back(hex(other.value()), "That is the frame number; its first byte?");
    exercise.fields.push_back(std::move(second));
    const StructPageView section_first = struct_page(boot, checkpoint, Pfn{128 * MiB / 4096});
    const StructPageView section_next = struct_page(boot, checkpoint, Pfn{256 * MiB / 4096});
    exercise.fields.push_back(number("bytes", "bytes of struct pages for a section",
                                     section_next.address - section_first.address, "128 MiB are how many frames?"));
    exercise.solution = fmt::format(
        "vmemmap begins at {}.\n\n  1. frame {}: {} + 64 * {} = {}\n  2. ({} - {}) / 64 = {}: physical {}\n  3. 128 "
        "MiB "
        "/ 4096 * 64 = {}\n"
        "\nThe struct page of the first in the simulated memory, as the tables of the boot map it:\n\n{}",
        hex(checkpoint.kernel.vmemmap_base), hex(pfn.value()), hex(checkpoint.kernel.vmemmap_base), hex(pfn.value()),
        hex(page.address.value()), hex(back.address.value()), hex(checkpoint.kernel.vmemmap_base), hex(other.value()),
        hex(other.address().value()), human_bytes(section_next.address - section_first.address), told(page.walk));
}

constexpr std::array exercises_here{
    ExerciseEntry{{"e820-cmdline", "What mem= and memmap= make of a memory map"}, e820_cmdline},
    ExerciseEntry{{"page-sizes", "The direct map's page sizes from an E820 map"}, page_sizes},
    ExerciseEntry{{"vmemmap", "From frame to struct page and back"}, vmemmap}};

}  // namespace

std::span<const ExerciseEntry> boot_exercises() {
    return exercises_here;
}

}  // namespace pgsim::exercises
