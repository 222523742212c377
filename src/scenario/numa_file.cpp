// SPDX-License-Identifier: GPL-2.0-only
#include "scenario/numa_file.hpp"

#include <algorithm>
#include <limits>

#include "pgsim/base/error.hpp"
#include "pgsim/firmware/memory_map_import.hpp"
#include "pgsim/formats/text_file.hpp"
#include "pgsim/scenario/boot_scenario.hpp"
#include "scenario/capture_reduction.hpp"

namespace pgsim {

using formats::JsonView;
using scenario::number_or_hex;
using scenario::physical;

namespace {

PhysRange start_end(const JsonView& pair) {
    if (pair.size() != 2) {
        pair.fail("expected two elements");
    }
    const PhysAddr start = physical(pair.item(0));
    const PhysAddr end = physical(pair.item(1));
    if (end < start) {
        pair.fail("the end of a range lies below its start");
    }
    return {start, end};
}

void read_node(const JsonView& node, firmware::NumaDescription& numa) {
    const JsonView id = node.at("id");
    const std::uint64_t domain = number_or_hex(id);
    if (domain > std::numeric_limits<std::uint32_t>::max()) {
        id.fail("too large for its field");
    }
    numa.domains.push_back(static_cast<std::uint32_t>(domain));
    const auto hotplug = node.find("hotplug");
    const auto hot =
        hotplug && !hotplug->is_null() ? formats::read_list(*hotplug, start_end) : std::vector<PhysRange>{};
    for (const PhysRange& range : formats::read_list(node.at("ranges"), start_end)) {
        numa.memory.push_back({numa.domains.back(), range, std::find(hot.begin(), hot.end(), range) != hot.end()});
    }
}

std::vector<std::uint8_t> read_distances(const JsonView& rows) {
    std::vector<std::uint8_t> distances;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const JsonView row = rows.item(i);
        if (row.size() != rows.size()) {
            row.fail("expected as many distances as there are rows");
        }
        for (std::size_t j = 0; j < row.size(); ++j) {
            const std::uint64_t distance = row.item(j).number();
            if (distance < 10 || distance > 255) {
                row.item(j).fail("a distance is a number from 10 to 255");
            }
            distances.push_back(static_cast<std::uint8_t>(distance));
        }
    }
    return distances;
}

}  // namespace

firmware::NumaDescription scenario::read_numa(const JsonView& numa) {
    firmware::NumaDescription result;
    if (const auto nodes = numa.find("nodes")) {
        for (std::size_t i = 0; i < nodes->size(); ++i) {
            read_node(nodes->item(i), result);
        }
    }
    if (const auto distances = numa.find("distances"); distances && !distances->is_null()) {
        result.distances = read_distances(*distances);
    }
    return result;
}

void use_srat(BootScenario& scenario, const std::string& path) {
    const std::string text = formats::read_text_maybe_xz(path);
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    firmware::NumaDescription read;
    if (first != std::string::npos && text[first] == '{') {
        const formats::Json json = formats::parse_json(text, path);
        read = scenario::read_numa(JsonView{json, path});
    } else {
        try {
            read = firmware::parse_numa_text(text);
        } catch (const Error& error) {
            throw Error{path, error.what()};
        }
    }
    firmware::NumaDescription& numa = scenario.inputs.numa;
    if (!read.memory.empty()) {
        numa.domains = std::move(read.domains);
        numa.memory = std::move(read.memory);
        numa.distances.clear();
    }
    if (!read.distances.empty()) {
        const std::size_t nodes = numa.domains.size();
        if (read.distances.size() != nodes * nodes) {
            throw Error{path, "the table of distances is not for " + std::to_string(nodes) + " nodes"};
        }
        numa.distances = std::move(read.distances);
    }
}

}  // namespace pgsim
