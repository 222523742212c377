// SPDX-License-Identifier: GPL-2.0-only
// What real kernels had, against the ports run from the same inputs: E820, memblock, NUMA, zones.
#include "capture_boot.hpp"
#include "pgsim/kernel/free_all.hpp"
#include "support/catch.hpp"

using namespace pgsim;
using namespace pgsim::kernel;
using pgsim::test::CaptureBoot;

namespace {

void check_same(const MemblockType& got, const MemblockType& wanted, const std::string& where) {
    INFO(where);
    CHECK(test::describe(got) == test::describe(wanted));
}

void check_memblock(const Memblock& got, const CaptureBoot& boot, const std::string& checkpoint) {
    const Memblock wanted = boot.memblock_at(checkpoint);
    INFO(boot.capture.name << " at " << checkpoint);
    check_same(got.memory, wanted.memory, "memory");
    check_same(got.reserved, wanted.reserved, "reserved");
    CHECK(got.bottom_up == wanted.bottom_up);
    CHECK_FALSE(got.panic());
}

/// Makes the calls that the kernel made, leaving out what follows from them by itself.
void replay(const std::vector<MemblockCall>& calls, Memblock& memblock) {
    for (const MemblockCall& call : calls) {
        if (call.op == "reserve" && call.by != "memblock_alloc_range_nid" && call.by != "memblock_double_array") {
            memblock.reserve(call.base, call.size, call.by);
        } else if (call.op == "phys_free") {
            memblock.phys_free(call.base, call.size, call.by);
        } else if (call.op == "phys_alloc_range") {
            memblock.phys_alloc_range(call.size, call.align, call.from, call.max_addr, call.by);
        } else if (call.op == "alloc_try_nid") {
            memblock.alloc_try_nid(call.size, call.align, call.from, call.max_addr, call.nid.value(), call.by);
        } else if (call.op == "alloc_try_nid_raw") {
            memblock.alloc_try_nid_raw(call.size, call.align, call.from, call.max_addr, call.nid.value(), call.by);
        } else if (call.op == "alloc_exact_nid_raw") {
            memblock.alloc_exact_nid_raw(call.size, call.align, call.from, call.max_addr, call.nid.value(), call.by);
        }
    }
}

/// The log of the port against what memblock=debug printed; `by` where the kernel names the function that we name.
void check_log(const std::vector<MemblockCall>& got, const std::vector<MemblockCall>& wanted,
               const std::string& where) {
    INFO(where);
    REQUIRE(got.size() == wanted.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
        MemblockCall mine = got[i];
        mine.by = wanted[i].by;
        REQUIRE(test::describe(mine) == test::describe(wanted[i]));
    }
}

void check_e820(const CaptureBoot& boot, const CaptureBoot::Early& early) {
    const formats::CaptureCheckpoint& wanted = boot.at("init_mem_mapping.entry");
    std::vector<formats::CaptureE820> got;
    for (const firmware::E820Entry& entry : early.e820.entries()) {
        got.push_back({entry.start, entry.size, static_cast<std::uint64_t>(entry.type)});
    }
    CHECK((got == wanted.e820_kernel.value()));
    const std::uint64_t max_pfn = early.e820.end_of_ram_pfn(boot.levels, boot.series);
    CHECK(max_pfn == boot.global("init_mem_mapping.entry", "max_pfn"));
    const std::uint64_t max_low_pfn = max_pfn > 0x10'0000 ? early.e820.end_of_low_ram_pfn(boot.series) : max_pfn;
    CHECK(max_low_pfn == boot.global("init_mem_mapping.entry", "max_low_pfn"));
}

/// From an empty memblock to init_mem_mapping.entry. What does not come from E820 or boot_params (MP table, brk) is
/// taken from the log.
void check_first_stretch(const CaptureBoot& boot, const CaptureBoot::Early& early) {
    Memblock memblock{boot.memblock_setup()};
    memblock.debug = false;
    early_reserve_memory(boot.boot_params, {boot.reserved, true, false, {}}, memblock);
    memblock.debug = true;
    memblock.movable_node = early.params.movable_node;
    memblock.bottom_up = early.params.movable_node;
    const std::vector<MemblockCall> calls = boot.calls("init_mem_mapping.entry");
    const auto is_setup = [](const MemblockCall& call) { return call.by == "e820__memblock_setup"; };
    const auto first = std::find_if(calls.begin(), calls.end(), is_setup);
    const auto last = std::find_if_not(first, calls.end(), is_setup);
    replay({calls.begin(), first}, memblock);
    memblock.current_limit = 0x10'0000;
    e820_memblock_setup(early.e820, memblock);
    replay({last, calls.end()}, memblock);
    check_log(memblock.calls(), calls, "calls before init_mem_mapping");
    check_memblock(memblock, boot, "init_mem_mapping.entry");
}

void check_stretch(const CaptureBoot& boot, const std::string& from, const std::string& to) {
    Memblock memblock = boot.memblock_at(from);
    memblock.current_limit = boot.memblock_at(to).current_limit;
    if (to == "init_mem_mapping.exit") {
        memblock.current_limit = 0x10'0000;
    }
    const std::vector<MemblockCall> calls = boot.calls(to);
    replay(calls, memblock);
    check_log(memblock.calls(), calls, boot.capture.name + " calls before " + to);
    check_memblock(memblock, boot, to);
}

void check_numa(const CaptureBoot& boot) {
    Memblock memblock = boot.memblock_at("init_mem_mapping.exit");
    memblock.current_limit = boot.memblock_at("initmem_init.exit").current_limit;
    const std::vector<MemblockCall> calls = boot.calls("initmem_init.exit");
    replay(calls, memblock);
    const NumaState numa = initmem_init(boot.numa_inputs(), memblock);
    CHECK_FALSE(numa.panic);
    check_log(memblock.calls(), calls, "calls of initmem_init");
    check_memblock(memblock, boot, "initmem_init.exit");
    for (const formats::CaptureNode& wanted : boot.at("free_area_init.exit").nodes.value()) {
        const auto found = std::find_if(numa.nodes.begin(), numa.nodes.end(),
                                        [&](const NodeData& node) { return node.nid == wanted.nid; });
        REQUIRE(found != numa.nodes.end());
        CHECK(found->pgdat == PhysAddr{wanted.pgdat});
    }
}

void check_zones(const CaptureBoot& boot) {
    const formats::CaptureCheckpoint& wanted = boot.at("free_area_init.exit");
    const ZoneState state = free_area_init(boot.memblock_at("sparse_init.exit"), boot.zone_inputs());
    std::size_t count = 0;
    for (const Node& node : state.nodes) {
        for (const Zone& zone : node.zones) {
            count += zone.spanned != 0 ? 1 : 0;
        }
    }
    REQUIRE(count == wanted.zones.value().size());
    for (const formats::CaptureZone& zone : wanted.zones.value()) {
        INFO("node " << zone.nid << " zone " << zone.name);
        const Node* const node = state.node(static_cast<int>(zone.nid));
        REQUIRE(node != nullptr);
        const Zone& got = node->zones.at(static_cast<std::size_t>(zone.index));
        CHECK(zone_name(got.type) == zone.name);
        CHECK(got.start_pfn == zone.start_pfn);
        CHECK(got.spanned == zone.spanned);
        CHECK(got.present == zone.present);
        CHECK(got.managed == zone.managed);
    }
    for (const formats::CaptureNode& node : wanted.nodes.value()) {
        INFO("node " << node.nid);
        const Node* const got = state.node(static_cast<int>(node.nid));
        REQUIRE(got != nullptr);
        CHECK(got->start_pfn == node.node_start_pfn);
        CHECK(got->spanned_pages == node.node_spanned_pages);
        CHECK(got->present_pages == node.node_present_pages);
        CHECK(got->first_deferred_pfn == node.first_deferred_pfn.value_or(no_deferred_pfn));
    }
}

/// M-A14 to M-A20 from the memblock and zones that the kernel had at buddy.entry.
void check_free_all(const CaptureBoot& boot) {
    const formats::CaptureCheckpoint& wanted = boot.at("buddy.exit");
    Memblock memblock = boot.memblock_at("buddy.entry");
    ZoneState state = free_area_init(memblock, boot.zone_inputs());
    const FreeAll result = memblock_free_all(memblock, state, {boot.global("buddy.entry", "max_low_pfn"), boot.series});
    check_memblock(memblock, boot, "buddy.exit");
    CHECK(result.totalram_pages == boot.global("buddy.exit", "_totalram_pages"));
    REQUIRE(result.free_areas.size() == wanted.zones.value().size());
    for (std::size_t i = 0; i < result.free_areas.size(); ++i) {
        const formats::CaptureZone& zone = (*wanted.zones)[i];
        const ZoneFreeArea& got = result.free_areas[i];
        INFO("node " << zone.nid << " zone " << zone.name);
        REQUIRE(got.nid == zone.nid);
        REQUIRE(static_cast<std::uint64_t>(got.type) == zone.index);
        CHECK(std::vector<std::uint64_t>(got.nr_free.begin(), got.nr_free.end()) == zone.free_area);
        CHECK(state.node(got.nid)->zones.at(zone.index).managed == zone.managed);
        CHECK(got.free_pages() == zone.managed);
    }
}

}  // namespace

TEST_CASE("Every capture's E820 table, memblock, nodes and free blocks follow from its inputs",
          "[kernel][captures][R5][R7][R8][M-A]") {
    const std::vector<std::string> names = test::capture_names();
    REQUIRE_FALSE(names.empty());
    for (const std::string& name : names) {
        INFO(name);
        const CaptureBoot boot = test::load_capture(name);
        const CaptureBoot::Early early = boot.setup_e820();
        check_e820(boot, early);
        check_first_stretch(boot, early);
        check_stretch(boot, "init_mem_mapping.entry", "init_mem_mapping.exit");
        check_numa(boot);
        check_stretch(boot, "sparse_init.entry", "sparse_init.exit");
        check_stretch(boot, "free_area_init.exit", "buddy.entry");
        check_zones(boot);
        check_free_all(boot);
    }
}
