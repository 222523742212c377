// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/scenario/capture_comparison.hpp"

#include <optional>
#include <utility>

#include "pgsim/kernel/cpu_entry_area.hpp"
#include "pgsim/scenario/boot.hpp"
#include "pgsim/scenario/boot_capture.hpp"
#include "pgsim/scenario/boot_scenario.hpp"

namespace pgsim {

namespace {

using formats::CaptureCheckpoint;

// The first entry that is not 0 of a table, or nullopt.
std::optional<std::pair<unsigned, std::uint64_t>> first_entry(const CaptureCheckpoint& checkpoint, std::uint64_t pa,
                                                              unsigned level) {
    for (const formats::CaptureTable& table : checkpoint.tables) {
        if (table.pa == pa && table.level == level && !table.entries.runs().empty()) {
            const formats::EntryRun& run = table.entries.runs().front();
            return std::pair{unsigned{run.index}, run.first};
        }
    }
    return std::nullopt;
}

std::uint64_t entry_at(const CaptureCheckpoint& checkpoint, std::uint64_t pa, unsigned level, unsigned index) {
    for (const formats::CaptureTable& table : checkpoint.tables) {
        if (table.pa == pa && table.level == level) {
            return table.entries.at(index);
        }
    }
    return 0;
}

// From 6.2 on, KASLR draws a random slot for the CPU entry area. Captures' inputs do not hold that number, so it is
// read off the mapping itself: a random choice, as the addresses that KASLR chose.
std::optional<std::uint64_t> entry_area_slot(const formats::Capture& capture) {
    constexpr std::uint64_t table_mask = 0x000f'ffff'ffff'f000;
    const CaptureCheckpoint* checkpoint = capture.find("buddy.entry");
    if (checkpoint == nullptr) {
        return std::nullopt;
    }
    std::uint64_t table = checkpoint->root;
    VirtAddr va{kernel::cpu_entry_area_base};
    for (unsigned level = checkpoint->levels; level >= 4; --level) {
        table = entry_at(*checkpoint, table, level, index_at(static_cast<Level>(level), va.value())) & table_mask;
    }
    for (unsigned level = 3; level >= 1; --level) {
        const auto entry = first_entry(*checkpoint, table, level);
        if (!entry) {
            return std::nullopt;
        }
        va += entry->first * span_of(static_cast<Level>(level));
        table = entry->second & table_mask;
    }
    return kernel::cpu_entry_area_slot_of(va);
}

}  // namespace

formats::Comparison compare_with_boot(std::string_view text, std::string_view name,
                                      const formats::CompareOptions& options) {
    const formats::Capture expected = formats::parse_capture(text, name);
    BootScenario scenario = scenario_from_capture(text, name);
    if (scenario.inputs.layout.kaslr_offset != 0) {
        scenario.inputs.cpu_entry_area_slot = entry_area_slot(expected).value_or(0);
    }
    const Boot boot = run(scenario);
    formats::Comparison comparison = formats::compare_captures(expected, to_capture(boot), options);
    if (boot.halt() && !comparison.checkpoints.empty()) {
        // Said where it is missed first.
        for (formats::CheckpointComparison& checkpoint : comparison.checkpoints) {
            if (boot.find(checkpoint.name) == nullptr) {
                checkpoint.differences.push_back(
                    {formats::DifferenceKind::checkpoint,
                     "the boot ended in " + boot.halt()->function + ": " + boot.halt()->message});
                break;
            }
        }
    }
    return comparison;
}

}  // namespace pgsim
