// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/numa.hpp"

#include "pgsim/base/units.hpp"
#include "support/catch.hpp"

using namespace pgsim;
using namespace pgsim::kernel;

namespace {

using Blocks = std::vector<NumaMemblk>;
using Regions = std::vector<MemblockRegion>;

PhysRange range(std::uint64_t start, std::uint64_t end) {
    return {PhysAddr{start}, PhysAddr{end}};
}

/// 2 GiB below, 2 GiB above 4 GiB; the kernel and the first MiB are reserved.
Memblock machine() {
    Memblock m;
    m.add(0x1000, 0x9e000);
    m.add(MiB, 0x7ffe'0000 - MiB);
    m.add(4 * GiB, 2 * GiB);
    m.reserve(0, MiB);
    m.reserve(16 * MiB, 52 * MiB);
    m.current_limit = 6 * GiB;
    return m;
}

NumaInputs inputs_of(std::vector<firmware::SratMemory> srat, std::string_view release = "6.6") {
    NumaInputs inputs;
    inputs.description.memory = std::move(srat);
    inputs.max_pfn = 6 * GiB / 4096;
    inputs.pglist_data_size = 174208;
    inputs.series = KernelSeries::of(release);
    return inputs;
}

const std::vector<firmware::SratMemory> two_nodes{
    {0, range(0, GiB), false}, {1, range(GiB, 2 * GiB), false}, {1, range(4 * GiB, 6 * GiB), false}};

}  // namespace

TEST_CASE("Without an SRAT there is node 0", "[kernel][numa][R7.3][R7.5]") {
    Memblock m = machine();
    const NumaState numa = initmem_init(inputs_of({}), m);
    CHECK(numa.source == NumaSource::dummy);
    CHECK(numa.meminfo == Blocks{{0, 6 * GiB, 0}});
    REQUIRE(numa.nodes.size() == 1);
    CHECK(numa.nodes[0].pgdat == PhysAddr{6 * GiB - 0x2b000});
    CHECK(numa.node_distance(0, 0) == 10);
    CHECK(m.memory.regions.front().nid == 0);
    CHECK(m.reserved.regions.front().nid == 0);
    CHECK(m.reserved.regions.back().nid == 1024);  // reserved afterwards: no node
}

TEST_CASE("Nodes give memblock its node ids and get their pg_data_t", "[kernel][numa][R7.5]") {
    Memblock m = machine();
    const NumaState numa = initmem_init(inputs_of(two_nodes), m);
    CHECK(numa.source == NumaSource::srat);
    CHECK(numa.possible_nodes == std::vector<int>{0, 1});
    CHECK(numa.max_possible_pfn == 6 * GiB / 4096);
    CHECK(m.memory.regions ==
          Regions{{0x1000, 0x9e000, 0, 0}, {MiB, GiB - MiB, 0, 0}, {GiB, 0x3ffe'0000, 0, 1}, {4 * GiB, 2 * GiB, 0, 1}});
    REQUIRE(numa.nodes.size() == 2);
    CHECK(numa.nodes[0].pgdat == PhysAddr{GiB - 0x2b000});
    CHECK(numa.nodes[1].pgdat == PhysAddr{6 * GiB - 0x2b000});
}

TEST_CASE("6.12 counts from the start of memory and rounds pg_data_t to 64 bytes", "[kernel][numa][R7.4][R7.5]") {
    Memblock m = machine();
    NumaInputs inputs = inputs_of(two_nodes, "6.12");
    inputs.pglist_data_size = 174464;
    const NumaState numa = initmem_init(inputs, m);
    CHECK(numa.meminfo == Blocks{{0x1000, GiB, 0}, {GiB, 6 * GiB, 1}});
    CHECK(m.reserved.regions[0] == MemblockRegion{0, 0x1000, 0, -1});
    CHECK(m.reserved.regions[1] == MemblockRegion{0x1000, MiB - 0x1000, 0, 0});
    CHECK(numa.nodes[1].pgdat == PhysAddr{6 * GiB - 174464 + 174464 % 64});
}

TEST_CASE("numa=off and numa=noacpi leave the SRAT alone", "[kernel][numa][R7.2]") {
    for (const bool off : {true, false}) {
        Memblock m = machine();
        NumaInputs inputs = inputs_of(two_nodes);
        inputs.params.numa_off = off;
        inputs.params.numa_noacpi = !off;
        CHECK(initmem_init(inputs, m).source == NumaSource::dummy);
        CHECK(m.memory.regions.size() == 3);
    }
}

TEST_CASE("An SRAT that contradicts itself or loses RAM is not used", "[kernel][numa][R7.4][R7.5]") {
    const auto source = [](std::vector<firmware::SratMemory> srat) {
        Memblock m = machine();
        const NumaState numa = initmem_init(inputs_of(std::move(srat)), m);
        CHECK(m.memory.regions.front().nid == 0);
        return numa.source;
    };
    SECTION("nodes overlap") {
        CHECK(source({{0, range(0, GiB + MiB), false}, {1, range(GiB, 6 * GiB), false}}) == NumaSource::dummy);
    }
    SECTION("1 MiB is lost") {
        CHECK(source({{0, range(0, 6 * GiB - MiB), false}}) == NumaSource::dummy);
    }
    SECTION("a little less is not") {
        CHECK(source({{0, range(0, 6 * GiB - MiB + 4096), false}}) == NumaSource::srat);
    }
}

TEST_CASE("Blocks of one node are joined when no other node lies between", "[kernel][numa][R7.4]") {
    const Memblock m = machine();
    CHECK(numa_cleanup_meminfo({{0, GiB, 0}, {4 * GiB, 5 * GiB, 0}}, 0, 6 * GiB, m) == Blocks{{0, 5 * GiB, 0}});
    const Blocks interleaved{{0, GiB, 0}, {GiB, 2 * GiB, 1}, {4 * GiB, 6 * GiB, 0}};
    CHECK(numa_cleanup_meminfo(interleaved, 0, 6 * GiB, m) == interleaved);
    CHECK(numa_cleanup_meminfo({{0, 9 * GiB, 0}}, 0x1000, 6 * GiB, m) == Blocks{{0x1000, 6 * GiB, 0}});
    CHECK(numa_cleanup_meminfo({{0, 6 * GiB, 0}, {3 * GiB, 4 * GiB, 1}}, 0, 6 * GiB, m) ==
          Blocks{{0, 6 * GiB, 0}});  // no memory in node 1's block: set aside before anything else
    CHECK(numa_cleanup_meminfo({{0, 2 * GiB, 0}, {GiB, 6 * GiB, 0}}, 0, 6 * GiB, m) == Blocks{{0, 6 * GiB, 0}});
}

TEST_CASE("Nodes are numbered as their domains appear, processors first", "[kernel][numa][R7.3]") {
    Memblock m = machine();
    NumaInputs inputs = inputs_of({{7, range(0, 2 * GiB), false}, {3, range(4 * GiB, 6 * GiB), false}});
    inputs.description.domains = {3, 7, 9};
    NumaState numa = initmem_init(inputs, m);
    CHECK(numa.meminfo == Blocks{{0, 2 * GiB, 1}, {4 * GiB, 6 * GiB, 0}});
    SECTION("a node without memory gets its pg_data_t in free_area_init, unrounded, anywhere") {
        CHECK(numa.possible_nodes == std::vector<int>{0, 1, 2});
        REQUIRE(numa.nodes.size() == 2);
        REQUIRE(alloc_memoryless_nodes(inputs.pglist_data_size, numa, m));
        REQUIRE(numa.nodes.size() == 3);
        CHECK(numa.nodes[2].nid == 2);
        CHECK(numa.nodes[2].pgdat == PhysAddr{6 * GiB - 0x2b000 - 174208});
    }
}

TEST_CASE("Hotpluggable memory stays marked but on nodes that hold the kernel", "[kernel][numa][R7.3][R7.5]") {
    Memblock m = machine();
    m.movable_node = true;
    m.bottom_up = true;
    const NumaState numa =
        initmem_init(inputs_of({{0, range(0, 2 * GiB), true}, {1, range(4 * GiB, 6 * GiB), true}}), m);
    CHECK_FALSE(m.bottom_up);
    CHECK(m.memory.regions[1].flags == 0);
    CHECK(m.memory.regions[2].flags == memblock_flag::hotplug);
    REQUIRE(numa.nodes.size() == 2);
    CHECK(numa.nodes[1].pgdat.value() < 2 * GiB);  // its own memory is skipped
}

TEST_CASE("A valid SLIT gets a table of its own", "[kernel][numa][R7.1]") {
    Memblock m = machine();
    NumaInputs inputs = inputs_of(two_nodes);
    inputs.description.domains = {0, 1};
    inputs.description.distances = {10, 21, 31, 10};
    SECTION("placed before NODE_DATA, in whole pages' alignment") {
        const NumaState numa = initmem_init(inputs, m);
        CHECK(numa.distance_table == PhysAddr{6 * GiB - 0x1000});
        CHECK(numa.distance_cnt == 2);
        CHECK(numa.node_distance(0, 1) == 21);
        CHECK(numa.node_distance(1, 0) == 31);
        CHECK(numa.node_distance(0, 5) == 20);
        CHECK(m.is_reserved(6 * GiB - 0x1000 + 3));
        CHECK_FALSE(m.is_reserved(6 * GiB - 0x1000 + 4));  // 4 bytes
    }
    SECTION("not with a wrong diagonal or a distance of 10 elsewhere") {
        inputs.description.distances = {10, 10, 31, 10};
        CHECK_FALSE(initmem_init(inputs, m).distance_table);
    }
    SECTION("and is freed when the SRAT is given up") {
        inputs.description.memory.pop_back();
        const NumaState numa = initmem_init(inputs, m);
        CHECK(numa.source == NumaSource::dummy);
        CHECK_FALSE(numa.distance_table);
        CHECK_FALSE(m.is_reserved(6 * GiB - 1 - 0x2b000));
    }
}

TEST_CASE("numa=fake= cuts nodes in steps of 32 MiB", "[kernel][numa]") {
    Memblock m;
    m.add(0x1000, 0x9e000);
    m.add(MiB, 2 * GiB - MiB);
    m.current_limit = 2 * GiB;
    NumaInputs inputs = inputs_of({});
    inputs.max_pfn = 2 * GiB / 4096;
    inputs.numa_emu = true;
    SECTION("into 2: the first takes the 32 MiB that do not divide") {
        inputs.params.numa_fake = "2";
        const NumaState numa = initmem_init(inputs, m);
        CHECK(numa.meminfo == Blocks{{0, GiB, 0}, {GiB, 2 * GiB, 1}});
        CHECK(numa.node_distance(0, 1) == 10);  // of one physical node
        CHECK(numa.distance_table == PhysAddr{2 * GiB - 0x1000});
    }
    SECTION("of 512 MiB each: holes do not count") {
        inputs.params.numa_fake = "512M";
        const NumaState numa = initmem_init(inputs, m);
        CHECK(numa.meminfo == Blocks{{0, 544 * MiB, 0}, {544 * MiB, 1056 * MiB, 1}, {1056 * MiB, 2 * GiB, 2}});
    }
    SECTION("each physical node into 4") {
        inputs.params.numa_fake = "4U";
        const NumaState numa = initmem_init(inputs, m);
        CHECK(numa.nodes.size() == 4);
        CHECK(numa.meminfo.back() == NumaMemblk{1536 * MiB, 2 * GiB, 3});
    }
    SECTION("not without NUMA_EMU, and not into nothing") {
        inputs.params.numa_fake = "0";
        CHECK(initmem_init(inputs, m).nodes.size() == 1);
        inputs.params.numa_fake = "2";
        inputs.numa_emu = false;
        CHECK(initmem_init(inputs, m).nodes.size() == 1);
    }
}
