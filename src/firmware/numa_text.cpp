// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>
#include <string>

#include "firmware/dmesg_reader.hpp"
#include "firmware/text_scan.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/firmware/memory_map_import.hpp"

namespace pgsim::firmware {

namespace {

/// The table of `numactl --hardware`: a heading "node   0   1", then a row "  0:  10  21" for each node.
class DistanceTable {
public:
    void read_line(std::string_view line, std::size_t number) {
        TextScan scan{line};
        scan.blanks();
        if (scan.literal("node ")) {
            heading(scan);
            return;
        }
        const auto row = columns_ == 0 ? std::nullopt : scan.number();
        if (row && scan.literal(":")) {
            add_row(*row, scan, number);
        }
    }

    /// Rows one after the other. @throws Error  when a row is missing
    std::vector<std::uint8_t> take() {
        if (distances_.size() != columns_ * columns_) {
            throw Error{"node distances", "as many rows as columns are needed: " + std::to_string(columns_)};
        }
        return std::move(distances_);
    }

private:
    // "node 0 size: 4096 MB" is no heading.
    void heading(TextScan scan) {
        std::size_t columns = 0;
        for (scan.blanks(); !scan.at_end(); scan.blanks()) {
            const auto node = scan.number();
            if (!node || *node != columns) {
                return;
            }
            ++columns;
        }
        columns_ = columns;
        distances_.clear();
    }

    void add_row(std::uint64_t row, TextScan scan, std::size_t number) {
        const std::string where = "node distances: line " + std::to_string(number);
        if (row * columns_ != distances_.size()) {
            throw Error{where, "rows must follow each other from node 0 on"};
        }
        for (std::size_t i = 0; i < columns_; ++i) {
            scan.blanks();
            const auto distance = scan.number();
            if (!distance || *distance < 10 || *distance > 255) {
                throw Error{where, "a distance is a number from 10 to 255, one for each column"};
            }
            distances_.push_back(static_cast<std::uint8_t>(*distance));
        }
    }

    std::size_t columns_ = 0;
    std::vector<std::uint8_t> distances_;
};

}  // namespace

NumaDescription parse_numa_text(std::string_view text) {
    DmesgReader reader;
    DistanceTable table;
    std::size_t number = 0;
    for (std::size_t at = 0; at < text.size(); ++number) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line = text.substr(at, end - at);
        reader.read_line(line, number + 1);
        table.read_line(line, number + 1);
        at = end + 1;
    }
    NumaDescription numa = numa_of(reader.record());
    numa.distances = table.take();
    if (numa.memory.empty() && numa.distances.empty()) {
        throw Error{"NUMA description", "neither SRAT lines nor a table of distances"};
    }
    return numa;
}

NumaDescription numa_of(const MachineRecord& record) {
    NumaDescription numa;
    if (!record.srat_memory) {
        return numa;
    }
    // Nodes are numbered in the order in which the SRAT's domains appear: the printed numbers give it back.
    std::vector<LogSrat> by_node = *record.srat_memory;
    std::stable_sort(by_node.begin(), by_node.end(), [](const auto& a, const auto& b) { return a.node < b.node; });
    numa.domains = record.srat_cpu_domains;
    for (const LogSrat& entry : by_node) {
        if (std::find(numa.domains.begin(), numa.domains.end(), entry.pxm) == numa.domains.end()) {
            numa.domains.push_back(entry.pxm);
        }
    }
    for (const LogSrat& entry : *record.srat_memory) {
        const auto start = PhysAddr::try_from(entry.range.start);
        const auto last = PhysAddr::try_from(entry.range.end);
        if (!start || !last || entry.range.end == PhysSpace::last || entry.range.end < entry.range.start) {
            throw Error{"srat_memory", "the range does not fit in 52 bits of physical address"};
        }
        numa.memory.push_back(
            {entry.pxm, PhysRange{*start, *last + 1}, entry.flags.find("hotplug") != std::string::npos});
    }
    return numa;
}

}  // namespace pgsim::firmware
