// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pgsim/base/address.hpp"
#include "pgsim/base/units.hpp"

namespace pgsim {

/// Who writes: named by the one who runs on the machine, e.g. "reset_early_page_tables" in stage "kernel head", "R4.2".
struct WriteOrigin {
    std::string function;
    std::string stage;
    std::string rule;
    friend bool operator==(const WriteOrigin&, const WriteOrigin&) = default;
};

/// One change of one aligned 8-byte word.
struct WriteRecord {
    PhysAddr address;
    std::uint64_t before = 0;
    std::uint64_t after = 0;
    std::uint32_t origin = 0;  ///< index into WriteJournal::origins()
    Cycles when;
};

/// Who wrote which 8-byte word of physical memory, when, and what was there before; in order of the writes.
///
/// Recorded are all words that change, and explicit 8-byte stores of the value that was there, unless it is 0.
class WriteJournal {
public:
    WriteJournal();

    /// All later writes come from `origin`, until the next call. Equal origins share one index.
    void set_origin(const WriteOrigin& origin);
    [[nodiscard]] std::uint32_t current_origin() const noexcept { return current_; }
    void set_current_origin(std::uint32_t index) noexcept { current_ = index; }

    /// Time of the writes that follow.
    void set_time(Cycles now) noexcept { now_ = now; }

    void record(PhysAddr address, std::uint64_t before, std::uint64_t after) {
        records_.push_back({address, before, after, current_, now_});
    }

    [[nodiscard]] const std::vector<WriteRecord>& records() const noexcept { return records_; }
    /// Index 0 is the nameless origin of writes before the first `set_origin`.
    [[nodiscard]] const std::vector<WriteOrigin>& origins() const noexcept { return origins_; }

private:
    std::vector<WriteOrigin> origins_;
    std::vector<WriteRecord> records_;
    std::uint32_t current_ = 0;
    Cycles now_;
};

}  // namespace pgsim
