// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/inspect/provenance.hpp"

#include <algorithm>
#include <numeric>

#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"

namespace pgsim {

Provenance::Provenance(const WriteJournal& journal, std::size_t records) : journal_{&journal} {
    constexpr std::size_t most = ~std::uint32_t{0};
    order_.resize(std::min({records, journal.records().size(), most}));
    std::iota(order_.begin(), order_.end(), 0U);
    std::stable_sort(order_.begin(), order_.end(), [&](std::uint32_t a, std::uint32_t b) {
        return journal.records()[a].address < journal.records()[b].address;
    });
}

std::span<const std::uint32_t> Provenance::writes_of(PhysAddr address) const {
    const PhysAddr word = address.align_down(8);
    const auto first = std::partition_point(order_.begin(), order_.end(),
                                            [&](std::uint32_t index) { return record(index).address < word; });
    const auto last =
        std::partition_point(first, order_.end(), [&](std::uint32_t index) { return record(index).address <= word; });
    return {first, last};
}

const WriteRecord* Provenance::last_write(PhysAddr address) const {
    const auto writes = writes_of(address);
    return writes.empty() ? nullptr : &record(writes.back());
}

std::vector<std::uint32_t> Provenance::table_history(PhysAddr table) const {
    const PhysAddr start = table.align_down(4096);
    const std::uint64_t last = start.value() + 4095;
    const auto first = std::partition_point(order_.begin(), order_.end(),
                                            [&](std::uint32_t index) { return record(index).address < start; });
    const auto end = std::partition_point(first, order_.end(),
                                          [&](std::uint32_t index) { return record(index).address.value() <= last; });
    std::vector<std::uint32_t> writes{first, end};
    std::sort(writes.begin(), writes.end());
    return writes;
}

TableHistory::TableHistory(const Provenance& provenance, const PageTable& table)
    : provenance_{&provenance},
      writes_{provenance.table_history(table.address())},
      address_{table.address()},
      level_{table.level()},
      position_{writes_.size()} {
    std::copy(table.raw().begin(), table.raw().end(), words_.begin());
}

PageTable TableHistory::table() const {
    return {address_, level_, words_};
}

const WriteRecord* TableHistory::next() const {
    return position_ < writes_.size() ? &provenance_->record(writes_[position_]) : nullptr;
}

bool TableHistory::forward() {
    const WriteRecord* const write = next();
    if (write == nullptr) {
        return false;
    }
    words_[write->address.offset_in(4096) / 8] = write->after;
    ++position_;
    return true;
}

bool TableHistory::back() {
    if (position_ == 0) {
        return false;
    }
    --position_;
    const WriteRecord& write = provenance_->record(writes_[position_]);
    words_[write.address.offset_in(4096) / 8] = write.before;
    return true;
}

void TableHistory::go_to(std::size_t position) {
    if (position > writes_.size()) {
        throw Error{"step " + std::to_string(position),
                    "the table has only " + std::to_string(writes_.size()) + " writes"};
    }
    while (position_ < position) {
        forward();
    }
    while (position_ > position) {
        back();
    }
}

std::string describe_write(const WriteRecord& write, const WriteOrigin& origin) {
    std::string who = origin.function.empty() ? "an unnamed writer" : origin.function;
    std::string where;
    for (const std::string& part : {origin.stage, origin.rule}) {
        if (!part.empty()) {
            where += (where.empty() ? "" : ", ") + part;
        }
    }
    if (!where.empty()) {
        who += " (" + where + ')';
    }
    return "written by " + who + " at cycle " + std::to_string(write.when.count()) + ": " + hex(write.before) + " -> " +
           hex(write.after);
}

}  // namespace pgsim
