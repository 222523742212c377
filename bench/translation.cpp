// SPDX-License-Identifier: GPL-2.0-only
// Translations of the four streams: plain C, pure walk, TLB model, full timing.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>

#include "fixture.hpp"

namespace pgsim::bench {

namespace {

constexpr Access user_read{AccessKind::read, 3};

/// Runs `translate(address)` over the whole stream, again and again; gives nanoseconds for one translation.
template <class Function>
void over_stream(benchmark::State& state, const Stream& of, Function translate) {
    std::uint64_t sum = 0;
    for (auto _ : state) {
        for (const VirtAddr virt : of.addresses) {
            sum += translate(virt);
        }
    }
    benchmark::DoNotOptimize(sum);
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * of.addresses.size()));
}

Stream& stream_of(const benchmark::State& state) {
    return stream(static_cast<unsigned>(state.range(0)));
}

void c_minimal(benchmark::State& state) {
    const Stream& of = stream_of(state);
    over_stream(state, of, [&](VirtAddr virt) { return c_walk_minimal(&of.tables, virt.value()); });
}

void c_checked(benchmark::State& state) {
    const Stream& of = stream_of(state);
    over_stream(state, of, [&](VirtAddr virt) { return c_walk_checked(&of.tables, virt.value(), 0, 0); });
}

/// All checks, every entry read, no cached translation, no trace.
void pure_walk(benchmark::State& state) {
    const Stream& of = stream_of(state);
    const Walker walker{of.replay->memory(), of.controls};
    over_stream(state, of, [&](VirtAddr virt) { return walker.translate(virt, user_read)->value(); });
}

/// All checks, and every step kept.
void walk_with_trace(benchmark::State& state) {
    const Stream& of = stream_of(state);
    const Walker walker{of.replay->memory(), of.controls};
    over_stream(state, of, [&](VirtAddr virt) { return walker.walk(virt, user_read).translation()->phys.value(); });
}

Mmu untimed(const Stream& of) {
    Mmu mmu;
    mmu.set_controls(of.controls);
    return mmu;
}

std::uint64_t through(Mmu& mmu, PhysicalMemory& memory, VirtAddr virt) {
    if (const auto quick = mmu.try_translate(memory, virt, user_read); quick.found()) {
        return quick.phys.value();
    }
    return mmu.access(memory, virt, user_read).translation()->phys.value();
}

/// As every load of the machine translates: TLB, structure caches, statistics; no time.
void tlb_model(benchmark::State& state) {
    Stream& of = stream_of(state);
    Mmu mmu = untimed(of);
    over_stream(state, of, [&](VirtAddr virt) { return through(mmu, of.replay->memory(), virt); });
    const auto accesses = static_cast<double>(mmu.statistics().accesses);
    state.counters["walks"] = static_cast<double>(mmu.statistics().walks) / accesses;
}

/// A working set of 256 pages, which the TLB holds.
void tlb_hit(benchmark::State& state) {
    Stream& of = stream(0);
    Mmu mmu = untimed(of);
    std::uint64_t sum = 0;
    for (auto _ : state) {
        for (std::size_t i = 0; i < of.addresses.size(); ++i) {
            sum += through(mmu, of.replay->memory(), of.addresses[i & 255]);
        }
    }
    benchmark::DoNotOptimize(sum);
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * of.addresses.size()));
    state.counters["hits"] =
        static_cast<double>(mmu.statistics().tlb_hits) / static_cast<double>(mmu.statistics().accesses);
}

/// TLBs of a core, structure caches, table entries and data through modelled caches, every cycle accounted for.
void full_timing(benchmark::State& state) {
    Stream& of = stream_of(state);
    Mmu mmu = untimed(of);
    mmu.set_core(find_core("skylake"));
    over_stream(state, of, [&](VirtAddr virt) {
        const WalkResult result = mmu.access(of.replay->memory(), virt, user_read);
        return result.translation()->phys.value() + mmu.timing()->cost().total().count();
    });
    const TimingStatistics s = mmu.timing()->statistics();
    state.counters["cycles"] = static_cast<double>(s.cycles) / static_cast<double>(s.accesses);
}

BENCHMARK(c_minimal)->DenseRange(0, stream_count - 1);
BENCHMARK(c_checked)->DenseRange(0, stream_count - 1);
BENCHMARK(pure_walk)->DenseRange(0, stream_count - 1);
BENCHMARK(walk_with_trace)->DenseRange(0, stream_count - 1);
BENCHMARK(tlb_model)->DenseRange(0, stream_count - 1);
BENCHMARK(tlb_hit);
BENCHMARK(full_timing)->DenseRange(0, stream_count - 1);

}  // namespace

}  // namespace pgsim::bench
