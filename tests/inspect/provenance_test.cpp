// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/inspect/provenance.hpp"

#include <memory>

#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/inspect/address_space.hpp"
#include "support/catch.hpp"

using namespace pgsim;

namespace {

// A table at 0x1000 that three functions write to.
struct Written {
    PhysicalMemory memory;
    std::shared_ptr<WriteJournal> journal = std::make_shared<WriteJournal>();

    Written() {
        memory.map_region({PhysAddr{0}, PhysAddr{1 * GiB}}, RegionKind::ram);
        memory.write64(0x1010_pa, 7);  // before the journal is on
        memory.set_journal(journal);
        journal->set_origin({"startup_32", "decompressor", "R1.3"});
        journal->set_time(Cycles{10});
        memory.write64(0x1000_pa, 0x2007);
        memory.write64(0x5000_pa, 1);
        journal->set_origin({"walker", "", ""});
        journal->set_time(Cycles{20});
        memory.write64(0x1000_pa, 0x2027);
        journal->set_origin({"set_pud", "direct map", "R6.4"});
        journal->set_time(Cycles{30});
        memory.write64(0x1ff8_pa, 0x3007);
        memory.write64(0x1000_pa, 0);
    }
    [[nodiscard]] PageTable table() const {
        return AddressSpace{memory.snapshot(), RootRef{0x1000_pa, 4}}.root_table();
    }
};

}  // namespace

TEST_CASE("Every entry knows who wrote it, when, and what was there before", "[inspect][provenance]") {
    const Written written;
    const Provenance provenance{*written.journal};
    const auto writes = provenance.writes_of(0x1000_pa);
    REQUIRE(writes.size() == 3);
    CHECK(provenance.record(writes[0]).after == 0x2007);
    CHECK(provenance.record(writes[1]).before == 0x2007);
    CHECK(provenance.origin(provenance.record(writes[1])).function == "walker");
    const WriteRecord* last = provenance.last_write(0x1ff8_pa);
    REQUIRE(last);
    CHECK(describe_write(*last, provenance.origin(*last)) ==
          "written by set_pud (direct map, R6.4) at cycle 30: 0x0 -> 0x3007");
    CHECK(provenance.last_write(0x1010_pa) == nullptr);
    CHECK(provenance.last_write(0x2000_pa) == nullptr);
    CHECK(provenance.writes_of(0x1004_pa).size() == 3);  // any byte of the word
}

TEST_CASE("Provenance at a checkpoint does not see later writes", "[inspect][provenance]") {
    const Written written;
    const Provenance early{*written.journal, 1};
    CHECK(early.writes_of(0x1000_pa).size() == 1);
    CHECK(early.last_write(0x1ff8_pa) == nullptr);
}

TEST_CASE("The history of a table is stepped through forwards and backwards", "[inspect][provenance]") {
    const Written written;
    const Provenance provenance{*written.journal};
    TableHistory history{provenance, written.table()};
    REQUIRE(history.size() == 4);
    CHECK(history.position() == 4);
    CHECK_FALSE(history.forward());
    CHECK(history.next() == nullptr);
    CHECK(history.table()[0].raw() == 0);
    CHECK(history.table()[511].raw() == 0x3007);

    REQUIRE(history.back());
    CHECK(history.table()[0].raw() == 0x2027);
    REQUIRE(history.back());
    CHECK(history.table()[511].raw() == 0);
    history.go_to(0);
    CHECK(history.table()[0].raw() == 0);
    CHECK(history.table()[2].raw() == 7);  // nobody wrote it while the journal was on
    CHECK_FALSE(history.back());
    REQUIRE(history.next());
    CHECK(provenance.origin(*history.next()).function == "startup_32");
    history.go_to(1);
    CHECK(history.table()[0].raw() == 0x2007);
    history.go_to(4);
    CHECK(history.table()[511].raw() == 0x3007);
    CHECK_THROWS_AS(history.go_to(5), Error);
}
