// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/early_param.hpp"

#include "pgsim/base/units.hpp"
#include "pgsim/kernel/crashkernel.hpp"
#include "support/catch.hpp"

using namespace pgsim;
using namespace pgsim::kernel;
using firmware::E820Entry;
using firmware::E820Type;

namespace {

using Table = std::vector<E820Entry>;
constexpr E820Type ram = E820Type::ram;

/// 1 MiB .. 2 GiB and 4 GiB .. 6 GiB.
E820 two_blocks() {
    E820 e820;
    e820.range_add(MiB, 2 * GiB - MiB, ram);
    e820.range_add(4 * GiB, 2 * GiB, ram);
    return e820;
}

Table after(std::string_view cmdline) {
    E820 e820 = two_blocks();
    const EarlyParams params = parse_early_param(cmdline, KernelConfig{}, e820);
    if (!e820.finish_early_params(params.e820_userdef)) {
        return {};
    }
    return e820.entries();
}

EarlyParams params_of(std::string_view cmdline, bool hotplug = true) {
    E820 e820;
    KernelConfig config;
    config.set("MEMORY_HOTPLUG", hotplug ? "y" : "n");
    config.set("LOG_BUF_SHIFT", "17");
    return parse_early_param(cmdline, config, e820);
}

}  // namespace

TEST_CASE("memparse reads sizes as the kernel does", "[kernel][early_param][R5.8]") {
    using Pair = std::pair<std::uint64_t, std::size_t>;
    CHECK(memparse("639K@0") == Pair{639 * KiB, 4});
    CHECK(memparse("0x10g") == Pair{16 * GiB, 5});
    CHECK(memparse("010M") == Pair{8 * MiB, 4});
    CHECK(memparse("3T") == Pair{3 * TiB, 2});
    CHECK(memparse("1e") == Pair{std::uint64_t{1} << 60, 2});
    CHECK(memparse("5000") == Pair{5000, 4});
    CHECK(memparse("exactmap").second == 1);  // the "e" is taken for a suffix of nothing
    CHECK(memparse("@4G") == Pair{0, 0});
}

TEST_CASE("The command line is cut into arguments", "[kernel][early_param]") {
    const auto arguments = split_command_line(R"(  a b=1 "c=two words" d="x y" e= -- f=2)");
    REQUIRE(arguments.size() == 5);
    CHECK(arguments[0].name == "a");
    CHECK_FALSE(arguments[0].value);
    CHECK(arguments[1].value == "1");
    CHECK(arguments[2].name == "c");
    CHECK(arguments[2].value == "two words");
    CHECK(arguments[3].value == "x y");
    CHECK(arguments[4].value == "");
    CHECK(cmdline_find_option("mem=1G pti=on pti=off", "pti") == "off");
    CHECK_FALSE(cmdline_find_option("xpti=on", "pti"));
    CHECK(cmdline_find_option_bool("a nokaslr b", "nokaslr"));
    CHECK_FALSE(cmdline_find_option_bool("xnokaslr nokaslr=1", "nokaslr"));
}

TEST_CASE("mem= cuts addresses, not amounts", "[kernel][early_param][R5.8]") {
    CHECK(after("mem=3333M") == Table{{MiB, 2 * GiB - MiB, ram}});  // appendix F 11: leaves 2 GiB
    CHECK(after("mem=5G") == Table{{MiB, 2 * GiB - MiB, ram}, {4 * GiB, GiB, ram}});
    CHECK(after("mem=0") == two_blocks().entries());
    CHECK(after("mem=nopentium") == two_blocks().entries());
    CHECK(after("memmap=1G") == Table{{MiB, GiB - MiB, ram}});
}

TEST_CASE("memmap= in all its forms", "[kernel][early_param][R5.8]") {
    CHECK(after("memmap=exactmap memmap=639K@0 memmap=1000M@1M") == Table{{0, 639 * KiB, ram}, {MiB, 1000 * MiB, ram}});
    CHECK(after("memmap=exactmap,639K@0,1000M@1M") == Table{{0, 639 * KiB, ram}, {MiB, 1000 * MiB, ram}});
    CHECK(after("memmap=64M$0x10000000") == Table{{MiB, 255 * MiB, ram},
                                                  {256 * MiB, 64 * MiB, E820Type::reserved},
                                                  {320 * MiB, 1728 * MiB, ram},
                                                  {4 * GiB, 2 * GiB, ram}});
    CHECK(after("memmap=5M#0x30000000")[1] == E820Entry{768 * MiB, 5 * MiB, E820Type::acpi});
    CHECK(after("memmap=1G!4G")[1] == E820Entry{4 * GiB, GiB, E820Type::pram});
    CHECK(after("memmap=1G%4G-1+2")[1] == E820Entry{4 * GiB, GiB, E820Type::reserved});
    CHECK(after("memmap=1G%4G+3")[1] == E820Entry{4 * GiB, GiB, E820Type::acpi});
    CHECK(after("memmap=1G%4G-1") == Table{{MiB, 2 * GiB - MiB, ram}, {5 * GiB, GiB, ram}});
    CHECK(after("memmap=1G%4G-2") == two_blocks().entries());
    CHECK(after("memmap=1G%4G") == Table{{MiB, 2 * GiB - MiB, ram}, {5 * GiB, GiB, ram}});
    CHECK(after("memmap=1G%4G-1+2x") == two_blocks().entries());  // rubbish at the end: nothing is done
    CHECK(after("memmap=@1G") == two_blocks().entries());
}

TEST_CASE("Arguments work in their order", "[kernel][early_param][R5.8]") {
    CHECK(after("mem=1G memmap=1G@4G") == Table{{MiB, GiB - MiB, ram}, {4 * GiB, GiB, ram}});
    CHECK(after("memmap=1G@4G mem=1G") == Table{{MiB, GiB - MiB, ram}});
    CHECK(after("memmap=exactmap memmap=1G@1M").empty());  // a map of one entry is "invalid": the kernel panics
}

TEST_CASE("Parameters that are no maps", "[kernel][early_param]") {
    CHECK(params_of("movable_node").movable_node);
    CHECK(params_of("movable-node").movable_node);
    CHECK_FALSE(params_of("movable_node", false).movable_node);
    CHECK(params_of("movablecore=2G").required_movablecore == 0x8'0000);
    CHECK(params_of("kernelcore=30%").required_kernelcore_percent == 30);
    CHECK(params_of("kernelcore=mirror").mirrored_kernelcore);
    CHECK(params_of("numa=off").numa_off);
    CHECK(params_of("numa=fake=4").numa_fake == "4");
    CHECK(params_of("numa=noacpi").numa_noacpi);
    CHECK(params_of("nogbpages gbpages").gbpages == true);
    CHECK(params_of("gbpages nogbpages").gbpages == false);
    CHECK_FALSE(params_of("").gbpages);
    CHECK(params_of("nopcid").nopcid);
    CHECK_FALSE(params_of("nopcid=1").nopcid);
    CHECK(params_of("no5lvl").no5lvl);
    CHECK(params_of("nokaslr").nokaslr);
    CHECK(params_of("memblock=debug").memblock_debug);
}

TEST_CASE("pti=, nopti and mitigations=", "[kernel][early_param][R6.2]") {
    CHECK(params_of("").pti == PtiMode::automatic);
    CHECK(params_of("pti=on nopti").pti == PtiMode::on);
    CHECK(params_of("nopti").pti == PtiMode::off);
    CHECK(params_of("mitigations=off").pti == PtiMode::off);
    CHECK(params_of("mitigations=off pti=auto").pti == PtiMode::automatic);
    CHECK(params_of("pti=off").pti == PtiMode::off);
}

TEST_CASE("A log buffer larger than the built-in one takes three blocks", "[kernel][early_param][R7.1]") {
    CHECK(params_of("log_buf_len=128K").new_log_buf_len == 0);
    CHECK(params_of("log_buf_len=1000K").new_log_buf_len == MiB);
    CHECK(params_of("log_buf_len=100G").new_log_buf_len == 2 * GiB);
    Memblock m;
    m.add(MiB, GiB);
    CHECK_FALSE(setup_log_buf(params_of(""), m));
    CHECK(setup_log_buf(params_of("log_buf_len=1M"), m));
    // 32768 records: text, descriptors of 24 bytes, infos of 88 bytes
    CHECK(m.reserved.total_size == MiB + 32768 * (24 + 88));
}

TEST_CASE("crashkernel= takes memory in steps of 16 MiB", "[kernel][crashkernel][R7.1]") {
    const auto reserve = [](std::string_view cmdline, const KernelSeries& series = KernelSeries{}) {
        Memblock m;
        m.add(MiB, 2 * GiB - MiB - 0x2'0000);
        m.add(4 * GiB, 4 * GiB);
        return reserve_crashkernel(cmdline, series, m);
    };
    const auto range = [](std::uint64_t start, std::uint64_t size) { return PhysRange::sized(PhysAddr{start}, size); };
    CHECK(reserve("").main.empty());
    // k6.12-4g-crashkernel: 256 MiB end below the last 16 MiB boundary below 0x7ffe0000
    CHECK(reserve("crashkernel=256M").main == range(0x6f00'0000, 256 * MiB));
    CHECK(reserve("crashkernel=64M crashkernel=256M").main == range(0x6f00'0000, 256 * MiB));
    CHECK(reserve("crashkernel=64M@256M").main == range(256 * MiB, 64 * MiB));
    CHECK(reserve("crashkernel=64M@2G").main.empty());
    CHECK(reserve("crashkernel=1G-4G:64M,4G-16G:128M,16G-:512M").main == range(0x7700'0000, 128 * MiB));
    CHECK(reserve("crashkernel=512M-2G:64M").main.empty());
    SECTION("above 4 GiB it comes with a block below") {
        const CrashKernel high = reserve("crashkernel=1G,high");
        CHECK(high.main == range(7 * GiB, GiB));
        CHECK(high.low == range(0x6f00'0000, 256 * MiB));
        CHECK(reserve("crashkernel=1G,high crashkernel=64M,low").low == range(0x7b00'0000, 64 * MiB));
        CHECK(reserve("crashkernel=1G,high crashkernel=0,low").low.empty());
        CHECK(reserve("crashkernel=3G").main == range(5 * GiB, 3 * GiB));
        CHECK(reserve("crashkernel=5G,high").main.empty());
    }
    SECTION("6.12 looks for ,high above 4 GiB first") {
        CHECK(reserve("crashkernel=1G,high", KernelSeries::of("6.12")).main == range(7 * GiB, GiB));
        CHECK(reserve("crashkernel=256M", KernelSeries::of("6.12")).main == range(0x6f00'0000, 256 * MiB));
    }
}
