// SPDX-License-Identifier: GPL-2.0-only
// Processes on a kernel: page faults, fork and exit.
#include <benchmark/benchmark.h>

#include <memory>

#include "pgsim/kernel/bare_kernel.hpp"
#include "pgsim/kernel/mm.hpp"
#include "pgsim/kernel/processes.hpp"

namespace {

using namespace pgsim;
using namespace pgsim::kernel;

constexpr std::uint64_t start = 0x1000'0000'0000;
constexpr unsigned anonymous = map::private_ | map::anonymous | map::fixed;
constexpr unsigned read_write = prot::read | prot::write;

// A kernel with one process.
struct World {
    explicit World(std::uint64_t bytes, bool five_levels = false)
        : kernel{{.memory_bytes = bytes, .five_levels = five_levels}},
          mm{kernel.machine(),      kernel.memory(),    kernel.state(), kernel.buddy(),
             kernel.init_top_pgt(), kernel.zero_page(), kernel.lists()},
          process{create_process(mm, "P")} {}

    void map_and_touch(std::uint64_t pages) {
        do_mmap(mm, process, start, pages << 12, read_write, anonymous, nullptr, 0);
        touch(pages);
    }
    void touch(std::uint64_t pages) {
        for (std::uint64_t page = 0; page < pages; ++page) {
            benchmark::DoNotOptimize(user_store(mm, process, VirtAddr{start + (page << 12)}, 1));
        }
    }

    BareKernel kernel;
    Mm mm;
    task_struct& process;
};

// The first write to each page: exc_page_fault down to do_anonymous_page, a zeroed page each.
void write_faults(benchmark::State& state) {
    const auto pages = static_cast<std::uint64_t>(state.range(0));
    World world{((pages >> 9) + 129) << 21, state.range(1) == 5};
    for (auto _ : state) {
        do_mmap(world.mm, world.process, start, pages << 12, read_write, anonymous, nullptr, 0);
        world.touch(pages);
        state.PauseTiming();
        do_munmap(world.mm, world.process, start, pages << 12);
        state.ResumeTiming();
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(pages));
}
// Pages, levels. The same host memory serves every round: a gigabyte more would measure the host.
BENCHMARK(write_faults)->Args({65'536, 4})->Args({65'536, 5})->Unit(benchmark::kMillisecond);

// fork of a process with 1 GiB in 4-KByte pages; exit of the child is not counted.
void fork_1g(benchmark::State& state) {
    constexpr std::uint64_t pages = (std::uint64_t{1} << 30) >> 12;
    World world{std::uint64_t{2} << 30};
    world.map_and_touch(pages);
    for (auto _ : state) {
        task_struct* const child = fork_process(world.mm, world.process, "C");
        state.PauseTiming();
        exit_process(world.mm, *child);
        state.ResumeTiming();
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(pages));
}
BENCHMARK(fork_1g)->Unit(benchmark::kMillisecond);

// After a fork: the parent writes all pages, each is copied.
void copy_on_write(benchmark::State& state) {
    constexpr std::uint64_t pages = 65536;
    World world{std::uint64_t{2} << 30};
    world.map_and_touch(pages);
    for (auto _ : state) {
        state.PauseTiming();
        task_struct* const child = fork_process(world.mm, world.process, "C");
        state.ResumeTiming();
        world.touch(pages);
        state.PauseTiming();
        exit_process(world.mm, *child);
        state.ResumeTiming();
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(pages));
}
BENCHMARK(copy_on_write)->Unit(benchmark::kMillisecond);

}  // namespace
