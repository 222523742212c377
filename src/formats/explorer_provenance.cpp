// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/formats/explorer_html.hpp"

namespace pgsim::formats {
namespace {

std::string signed_hex(std::uint64_t stride) {
    return stride >> 63 != 0 ? "-" + hex(0 - stride) : hex(stride);
}

/// Writes of equal distance in memory, value and time, by one origin.
struct Run {
    WriteRecord first;
    WriteRecord last;
    std::uint64_t count = 1;
    std::uint64_t before_stride = 0;
    std::uint64_t after_stride = 0;
    std::uint64_t cycle_stride = 0;

    bool extend(const WriteRecord& next) {
        if (next.address.value() - last.address.value() != 8 || next.origin != first.origin || next.when < last.when) {
            return false;
        }
        const std::uint64_t before = next.before - last.before;
        const std::uint64_t after = next.after - last.after;
        const std::uint64_t cycles = (next.when - last.when).count();
        if (count > 1 && (before != before_stride || after != after_stride || cycles != cycle_stride)) {
            return false;
        }
        before_stride = before;
        after_stride = after;
        cycle_stride = cycles;
        last = next;
        ++count;
        return true;
    }

    [[nodiscard]] nlohmann::json to_json() const {
        return nlohmann::json::array({hex(first.address.value()), count, hex(first.before), signed_hex(before_stride),
                                      hex(first.after), signed_hex(after_stride), first.origin, first.when.count(),
                                      cycle_stride});
    }
};

void check_arguments(const WriteJournal& journal, std::span<const std::size_t> ends, std::span<const Pfn> tables) {
    if (!std::is_sorted(ends.begin(), ends.end()) || (!ends.empty() && ends.back() > journal.records().size())) {
        throw Error{"explorer provenance", "the checkpoints' places in the journal must rise and lie within it"};
    }
    if (!std::is_sorted(tables.begin(), tables.end())) {
        throw Error{"explorer provenance", "the table frames must be ascending"};
    }
}

}  // namespace

std::string explorer_provenance(const WriteJournal& journal, std::span<const std::size_t> ends,
                                std::span<const Pfn> tables) {
    check_arguments(journal, ends, tables);
    nlohmann::json origins = nlohmann::json::array();
    for (const WriteOrigin& origin : journal.origins()) {
        origins.push_back({{"function", origin.function}, {"stage", origin.stage}, {"rule", origin.rule}});
    }

    nlohmann::json writes = nlohmann::json::array();
    nlohmann::json kept_ends = nlohmann::json::array();
    std::vector<Run> open;  // at most one
    std::uint64_t kept = 0;
    auto next_end = ends.begin();
    const auto close = [&] {
        if (!open.empty()) {
            writes.push_back(open.back().to_json());
            open.clear();
        }
    };
    const std::vector<WriteRecord>& records = journal.records();
    for (std::size_t i = 0; i <= records.size(); ++i) {
        for (; next_end != ends.end() && *next_end == i; ++next_end) {
            kept_ends.push_back(kept);
        }
        if (i == records.size() || !std::binary_search(tables.begin(), tables.end(), Pfn::of(records[i].address))) {
            continue;
        }
        ++kept;
        if (open.empty() || !open.back().extend(records[i])) {
            close();
            open.push_back({records[i], records[i]});
        }
    }
    close();
    return nlohmann::json{{"origins", origins}, {"writes", writes}, {"ends", kept_ends}}.dump();
}

}  // namespace pgsim::formats
