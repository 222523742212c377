// SPDX-License-Identifier: GPL-2.0-only
// Maps and command lines that no machine has: nothing crashes, nothing hangs, memblock stays in order.
#include <rapidcheck.h>

#include "pgsim/base/error.hpp"
#include "pgsim/kernel/crashkernel.hpp"
#include "pgsim/kernel/free_all.hpp"
#include "pgsim/kernel/numa.hpp"
#include "support/catch.hpp"

using namespace pgsim;
using namespace pgsim::kernel;

namespace {

std::uint64_t any_address() {
    const auto bits = *rc::gen::inRange<unsigned>(0, 64);
    const auto low = *rc::gen::arbitrary<std::uint64_t>();
    const std::uint64_t top = std::uint64_t{1} << bits;
    return *rc::gen::element(top, top - 1, ~top, low, low >> (63 - bits), top + 0x800);
}

void check_order(const MemblockType& type) {
    std::uint64_t end = 0;
    for (const MemblockRegion& region : type.regions) {
        RC_ASSERT(region.size != 0);
        RC_ASSERT(region.base >= end);
        RC_ASSERT(region.base + region.size > region.base);
        end = region.end();
    }
}

void boot_memory(const firmware::BootParams& params, const KernelSeries& series) {
    E820 e820;
    e820.memory_setup(params);
    NumaInputs numa;
    numa.params = parse_early_param(params.cmdline, KernelConfig{}, e820);
    if (!e820.finish_early_params(numa.params.e820_userdef)) {
        return;
    }
    e820.add_kernel_range(PhysAddr{0x100'0000}, PhysAddr{0x440'0000});
    e820.trim_bios_range();
    Memblock m;
    early_reserve_memory(params, {{PhysAddr{0x100'0000}, PhysAddr{0x440'0000}}, true, false, {}}, m);
    e820_memblock_setup(e820, m);
    check_order(m.memory);
    check_order(m.reserved);
    numa.max_pfn = e820.end_of_ram_pfn(5, series);
    numa.series = series;
    numa.numa_emu = true;
    m.current_limit = numa.max_pfn << 12;
    reserve_crashkernel(params.cmdline, series, m);
    const NumaState nodes = initmem_init(numa, m);
    RC_ASSERT(nodes.nodes.size() <= nodes.possible_nodes.size());
    ZoneInputs inputs;
    inputs.max_low_pfn = numa.max_pfn;
    inputs.params = numa.params;
    inputs.series = series;
    ZoneState zones = free_area_init(m, inputs);
    FreeAll freed = memblock_free_all(m, zones, {numa.max_pfn, series});
    free_deferred(zones, freed);
    const Watermarks marks = setup_watermarks(zones, {});
    RC_ASSERT(marks.min_free_kbytes >= 128);
    check_order(m.memory);
    check_order(m.reserved);
}

KernelSeries any_series() {
    return KernelSeries::of(*rc::gen::element<std::string>("6.1", "6.6", "6.12"));
}

}  // namespace

TEST_CASE("Any E820 map and any numbers on the command line are survived", "[kernel][property][hostile]") {
    CHECK(rc::check("entries with any numbers", [] {
        firmware::BootParams params;
        const int length = *rc::gen::inRange(0, 40);
        for (int i = 0; i < length; ++i) {
            params.e820.push_back({any_address(), any_address(),
                                   static_cast<firmware::E820Type>(*rc::gen::element(1U, 1U, 1U, 2U, 3U, 12U, 0U))});
        }
        try {
            boot_memory(params, any_series());
        } catch (const Error&) {
            // an address beyond 52 bits was about to be given out
        }
    }));
    CHECK(rc::check("arguments made of pieces", [] {
        firmware::BootParams params;
        params.e820 = {{0x1000, 0x9e000, firmware::E820Type::ram}, {0x10'0000, 0x7fee'0000, firmware::E820Type::ram}};
        const int length = *rc::gen::inRange(0, 30);
        for (int i = 0; i < length; ++i) {
            params.cmdline += *rc::gen::element<std::string>(
                " mem=", " memmap=", "exactmap", " kernelcore=", " movablecore=", " numa=fake=", " crashkernel=", "1G",
                "0x40000000", "@", "$", "#", "!", "%", "-", "+", ",", ":", "4", "U", "M", "999999999999E", "\"", " --",
                "50%", ",high", "0", " numa=off", " movable_node", " log_buf_len=", "K");
        }
        try {
            boot_memory(params, any_series());
        } catch (const Error&) {
        }
    }));
}
