// SPDX-License-Identifier: GPL-2.0-only
// Whole boots: from startup_32 to memblock_free_all, with a snapshot at each checkpoint.
#include <benchmark/benchmark.h>

#include "pgsim/scenario/boot.hpp"
#include "pgsim/scenario/presets.hpp"

namespace {

using namespace pgsim;

void boot(benchmark::State& state, const char* ram, bool journal) {
    const BootScenario scenario = presets::qemu_q35(ram);
    std::size_t checkpoints = 0;
    for (auto _ : state) {
        const Boot result = run(scenario, {.journal = journal});
        checkpoints = result.checkpoints().size();
        benchmark::DoNotOptimize(checkpoints);
    }
    state.counters["checkpoints"] = static_cast<double>(checkpoints);
}

BENCHMARK_CAPTURE(boot, 4G, "4G", false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(boot, 64G, "64G", false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(boot, 64G_with_journal, "64G", true)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(boot, 1T, "1T", false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(boot, 16T, "16T", false)->Unit(benchmark::kMillisecond);

}  // namespace
