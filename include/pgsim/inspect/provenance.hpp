// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pgsim/base/address.hpp"
#include "pgsim/inspect/page_table.hpp"
#include "pgsim/memory/write_journal.hpp"

namespace pgsim {

/// Who wrote each 8-byte word of memory: a journal, indexed by address.
///
/// Looks at the records that the journal held at one moment; more records later do not show. The journal must live as
/// long as this. Making it sorts the records once; a question takes a binary search.
class Provenance {
public:
    /// @param records  the first so many records of the journal, e.g. Checkpoint::journal_size; at most all are used
    explicit Provenance(const WriteJournal& journal, std::size_t records = ~std::size_t{0});

    /// The writes of the word at `address` (rounded down to 8 bytes), oldest first: indices into journal().records().
    [[nodiscard]] std::span<const std::uint32_t> writes_of(PhysAddr address) const;
    /// The last write, or nullptr when nobody wrote the word while the journal was on.
    [[nodiscard]] const WriteRecord* last_write(PhysAddr address) const;

    /// All writes into the 4-KByte frame of `table`, oldest first: the steps in which the table came to be.
    [[nodiscard]] std::vector<std::uint32_t> table_history(PhysAddr table) const;

    [[nodiscard]] const WriteJournal& journal() const noexcept { return *journal_; }
    [[nodiscard]] const WriteRecord& record(std::uint32_t index) const { return journal_->records()[index]; }
    [[nodiscard]] const WriteOrigin& origin(const WriteRecord& write) const {
        return journal_->origins()[write.origin];
    }

private:
    const WriteJournal* journal_;
    std::vector<std::uint32_t> order_;  // records by address, then by time
};

/// A table that can be stepped through its own history, forwards and backwards.
class TableHistory {
public:
    /// @param table  as it is after all of the writes that `provenance` knows
    TableHistory(const Provenance& provenance, const PageTable& table);

    /// Number of writes. Position 0 is before the first of them, position size() after the last.
    [[nodiscard]] std::size_t size() const noexcept { return writes_.size(); }
    [[nodiscard]] std::size_t position() const noexcept { return position_; }
    /// The table at the present position. A word nobody wrote has the value it has now.
    [[nodiscard]] PageTable table() const;
    /// The write that leads from the present position to the next one; nullptr at the end.
    [[nodiscard]] const WriteRecord* next() const;

    /// One write on, or back. False at the end, or at the beginning.
    bool forward();
    bool back();
    /// @param position  0 ..= size()
    /// @throws Error  beyond the end
    void go_to(std::size_t position);

private:
    const Provenance* provenance_;
    std::vector<std::uint32_t> writes_;
    PhysAddr address_;
    Level level_;
    PageTable::Words words_;
    std::size_t position_;
};

/// "written by reset_early_page_tables (kernel head, R4.2) at cycle 1234: 0x0 -> 0x2a15067"
[[nodiscard]] std::string describe_write(const WriteRecord& write, const WriteOrigin& origin);

}  // namespace pgsim
