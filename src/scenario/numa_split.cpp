// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>
#include <charconv>

#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/scenario/presets.hpp"

namespace pgsim {

namespace {

/// The RAM ranges as QEMU's SRAT has them: whole blocks around the map's RAM, with the hole below 1 MiB.
std::vector<PhysRange> ram_blocks(const firmware::E820Table& map) {
    constexpr std::uint64_t isa_end = 0x100000;
    std::vector<PhysRange> blocks;
    firmware::E820Table sorted = map;
    std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.start < b.start; });
    for (const firmware::E820Entry& entry : sorted) {
        const auto start = PhysAddr::try_from(entry.start);
        const auto end = PhysAddr::try_from(entry.end());
        if (entry.type != firmware::E820Type::ram || entry.size == 0 || !start || !end || *end < *start) {
            continue;
        }
        PhysRange block{*start, *end};
        if (entry.end() <= isa_end) {
            block = {PhysAddr{0}, PhysAddr{0xa0000}};
        } else if (entry.end() < 4 * GiB) {
            block = {*start, PhysAddr{entry.end()}.align_up(MiB)};  // with the ACPI tables at its end
        }
        if (blocks.empty() || blocks.back().end() <= block.start()) {
            blocks.push_back(block);
        }
    }
    return blocks;
}

bool is_isa(const PhysRange& block) {
    return block.start() == PhysAddr{0} && block.end() <= PhysAddr{MiB};
}

std::vector<std::uint64_t> node_sizes(std::string_view text, std::uint64_t total) {
    std::vector<std::uint64_t> sizes;
    std::uint64_t count = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), count);
    if (result.ec == std::errc{} && result.ptr == text.data() + text.size()) {
        constexpr std::uint64_t most = 1024;
        if (count == 0 || count > most || total / count < 32 * MiB) {
            throw Error{"NUMA nodes \"" + std::string{text} + '"', "1 to 1024 nodes of at least 32 MiB each"};
        }
        // QEMU gives each node the same, rounded down to 8 MiB, and the last one what is left.
        sizes.assign(count, total / count & ~(8 * MiB - 1));
    } else {
        for (std::size_t at = 0; at <= text.size();) {
            const std::size_t end = std::min(text.find(',', at), text.size());
            sizes.push_back(parse_ram_size(text.substr(at, end - at)));
            at = end + 1;
        }
    }
    std::uint64_t before_last = 0;
    for (std::size_t i = 0; i + 1 < sizes.size(); ++i) {
        before_last += std::min(sizes[i], total);
    }
    if (before_last >= total || std::count(sizes.begin(), sizes.end(), 0) != 0) {
        throw Error{"NUMA nodes \"" + std::string{text} + '"', "the nodes do not fit into the machine's RAM"};
    }
    sizes.back() = total - before_last;
    return sizes;
}

}  // namespace

void use_numa(BootScenario& scenario, std::string_view nodes) {
    firmware::NumaDescription numa;
    if (nodes != "off" && nodes != "1") {
        const std::vector<PhysRange> blocks = ram_blocks(scenario.inputs.boot_params.e820);
        std::uint64_t total = 0;
        for (const PhysRange& block : blocks) {
            // What the hole below 1 MiB takes counts as RAM of the first node, as QEMU counts it.
            total += is_isa(block) ? MiB : block.size();
        }
        const std::vector<std::uint64_t> sizes = node_sizes(nodes, total);
        std::uint32_t node = 0;
        std::uint64_t left = sizes[0];
        for (const PhysRange& block : blocks) {
            PhysAddr at = block.start();
            if (is_isa(block)) {
                numa.memory.push_back({node, block, false});
                left -= std::min<std::uint64_t>(left, MiB);
                continue;
            }
            while (at < block.end() && left != 0) {
                const std::uint64_t size = std::min(left, block.end() - at);
                if (size != 0) {
                    numa.memory.push_back({node, PhysRange::sized(at, size), false});
                }
                at += size;
                left -= size;
                if (left == 0 && node + 1 < sizes.size()) {
                    left = sizes[++node];
                }
            }
        }
        for (std::uint32_t id = 0; id < sizes.size(); ++id) {
            numa.domains.push_back(id);
        }
    }
    scenario.inputs.numa = numa;
}

}  // namespace pgsim
