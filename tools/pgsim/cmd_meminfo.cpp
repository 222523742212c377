// SPDX-License-Identifier: GPL-2.0-only
// What /proc/meminfo and /proc/buddyinfo would say at a checkpoint, as far as the boot has got, and what the tables
// take.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/inspect/space_statistics.hpp"
#include "source.hpp"

namespace pgsim::cli {

namespace {

struct Options {
    MachineOptions machine;
    std::string at;
    bool json = false;
};

struct DirectMap {
    std::uint64_t bytes_4k = 0;
    std::uint64_t bytes_2m = 0;
    std::uint64_t bytes_1g = 0;
};

// The part of the space that maps all of memory: from page_offset_base up to vmalloc_base.
DirectMap direct_map_of(const AddressSpace& space, VirtAddr page_offset, VirtAddr vmalloc) {
    RangeOptions options;
    options.filter.first = page_offset;
    options.filter.last = vmalloc - 1;
    DirectMap map;
    for (const MappedRange& range : space.ranges(options).ranges) {
        switch (range.page_size) {
        case PageSize::k4K: map.bytes_4k += range.bytes; break;
        case PageSize::k2M: map.bytes_2m += range.bytes; break;
        case PageSize::k1G: map.bytes_1g += range.bytes; break;
        case PageSize::k4M: break;
        }
    }
    return map;
}

struct Numbers {
    std::string title;
    std::uint64_t free_pages = 0;
    std::uint64_t total_pages = 0;
    DirectMap direct_map;
    SpaceStatistics tables;
    std::vector<kernel::ZoneFreeArea> free_areas;
};

Numbers count(const Options& options) {
    const Boot boot = boot_with_progress(options.machine.scenario(), {.until = options.at});
    const Checkpoint& checkpoint = options.at.empty() ? boot.last() : boot.at(options.at);
    const Scene scene = scene_of_boot(boot, checkpoint, "");
    Numbers numbers;
    numbers.title = scene.title;
    numbers.direct_map = direct_map_of(scene.space, VirtAddr{checkpoint.kernel.page_offset_base},
                                       VirtAddr{checkpoint.kernel.vmalloc_base});
    numbers.tables = statistics(scene.space);
    numbers.free_areas = checkpoint.free_areas;
    numbers.total_pages = checkpoint.kernel.totalram_pages;
    for (const kernel::ZoneFreeArea& area : checkpoint.free_areas) {
        numbers.free_pages += area.free_pages();
    }
    return numbers;
}

std::string line(const char* name, std::uint64_t bytes) {
    return fmt::format("{:<16}{:8} kB\n", name, bytes / KiB);
}

std::string as_text(const Numbers& numbers) {
    std::string text = numbers.title + "\n\n";
    if (numbers.total_pages != 0) {
        text += line("MemTotal:", numbers.total_pages * 4096) + line("MemFree:", numbers.free_pages * 4096);
    }
    text += line("DirectMap4k:", numbers.direct_map.bytes_4k) + line("DirectMap2M:", numbers.direct_map.bytes_2m) +
            line("DirectMap1G:", numbers.direct_map.bytes_1g);
    const SpaceStatistics& s = numbers.tables;
    text += fmt::format("\nTables: {} ({} PML5, {} PML4, {} PDPT, {} PD, {} PT)\n", human_bytes(s.table_bytes()),
                        s.tables[5], s.tables[4], s.tables[3], s.tables[2], s.tables[1]);
    if (!numbers.free_areas.empty()) {
        text += '\n';
    }
    for (const kernel::ZoneFreeArea& area : numbers.free_areas) {
        text += fmt::format("Node {}, zone {:>8} ", area.nid, kernel::zone_name(area.type));
        for (const std::uint64_t count : area.nr_free) {
            text += fmt::format("{:6} ", count);
        }
        text += '\n';
    }
    return text;
}

std::string as_json(const Numbers& numbers) {
    auto zones = nlohmann::ordered_json::array();
    for (const kernel::ZoneFreeArea& area : numbers.free_areas) {
        zones.push_back({{"nid", area.nid},
                         {"name", std::string{kernel::zone_name(area.type)}},
                         {"free_area", area.nr_free},
                         {"free_pages", area.free_pages()}});
    }
    return nlohmann::ordered_json{{"title", numbers.title},
                                  {"total_k", numbers.total_pages * 4},
                                  {"free_k", numbers.free_pages * 4},
                                  {"direct_map_4k", numbers.direct_map.bytes_4k / KiB},
                                  {"direct_map_2m", numbers.direct_map.bytes_2m / KiB},
                                  {"direct_map_1g", numbers.direct_map.bytes_1g / KiB},
                                  {"table_bytes", numbers.tables.table_bytes()},
                                  {"zones", std::move(zones)}}
               .dump(1) +
           '\n';
}

}  // namespace

void add_meminfo(CLI::App& app) {
    auto options = std::make_shared<Options>();
    CLI::App* command =
        app.add_subcommand("meminfo", "What /proc/meminfo and /proc/buddyinfo would say, and what the tables take");
    command->add_option("--at", options->at, "the checkpoint; the last one if not given")->type_name("CHECKPOINT");
    command->add_flag("--json", options->json, "machine-readable output");
    options->machine.add_to(*command);
    command->callback([options] {
        const Numbers numbers = count(*options);
        print(options->json ? as_json(numbers) : as_text(numbers));
    });
}

}  // namespace pgsim::cli
