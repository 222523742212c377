// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/mmu/timing_cost.hpp"

namespace pgsim {

std::string_view to_string(MemoryLevel level) noexcept {
    switch (level) {
    case MemoryLevel::l1d: return "L1D";
    case MemoryLevel::l2: return "L2";
    case MemoryLevel::l3: return "L3";
    case MemoryLevel::memory: return "memory";
    }
    return "?";
}

std::string_view to_string(TranslationPlace place) noexcept {
    switch (place) {
    case TranslationPlace::none: return "no translation";
    case TranslationPlace::l1_tlb: return "first-level TLB";
    case TranslationPlace::l2_tlb: return "second-level TLB";
    case TranslationPlace::walk: return "walk from the root";
    case TranslationPlace::walk_tail: return "walk from a cached entry";
    }
    return "?";
}

std::string to_string(const AccessCost& cost) {
    std::string text = std::to_string(cost.total().count()) + " cycles, " + std::string{to_string(cost.place)};
    std::string parts;
    const auto add = [&parts](std::uint32_t cycles, const std::string& what) {
        if (cycles != 0) {
            parts += (parts.empty() ? ": " : ", ") + std::to_string(cycles) + " " + what;
        }
    };
    add(cost.l1_tlb, "first-level TLB");
    add(cost.l2_tlb, "second-level TLB");
    add(cost.walk_start, "walk start");
    add(cost.walk_steps, "walk steps");
    std::string who;
    for (std::size_t level = 0; level < memory_levels; ++level) {
        if (cost.references_by_level[level] != 0) {
            who += (who.empty() ? "" : ", ") + std::to_string(cost.references_by_level[level]) + " x " +
                   std::string{to_string(static_cast<MemoryLevel>(level))};
        }
    }
    add(cost.references, "table entries (" + who + ")");
    add(cost.flag_assist, "accessed and dirty flags");
    add(cost.data, "data (" + std::string{to_string(cost.data_level)} + ")");
    return text + parts;
}

}  // namespace pgsim
