// SPDX-License-Identifier: GPL-2.0-only
#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "common.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/mmu/timing_replay.hpp"

namespace pgsim::cli {

namespace {

struct Options {
    std::string trace;
    std::string stream;
    std::uint64_t count = 1'000'000;
    std::uint64_t seed = 1;
    std::string cpu = "skylake";
    std::string core_file;
    std::string page = "4K";
    bool only_mapped = false;
    bool five_level = false;
    bool clear_flags = false;
    bool each = false;
    bool json = false;
};

PageSize page_of(const std::string& text) {
    for (const PageSize size : {PageSize::k4K, PageSize::k2M, PageSize::k1G}) {
        if (text == short_name(size)) {
            return size;
        }
    }
    throw Error{"--page " + text, "a page size is 4K, 2M or 1G"};
}

std::string read_all(const std::string& path) {
    if (path == "-") {
        return {std::istreambuf_iterator<char>{std::cin}, {}};
    }
    std::ifstream file{path, std::ios::binary};
    if (!file) {
        throw Error{path, "cannot be read"};
    }
    return {std::istreambuf_iterator<char>{file}, {}};
}

std::string as_json(const Replay& replay) {
    const TimingStatistics s = replay.mmu().timing()->statistics();
    const CoreDescription& core = replay.mmu().timing()->core();
    nlohmann::ordered_json json;
    json["core"] = core.name;
    json["ghz"] = core.ghz;
    json["accesses"] = s.accesses;
    json["faults"] = replay.faults();
    json["cycles"] = s.cycles;
    json["cycles_for"] = {{"l1_tlb", s.cycles_for[0]},        {"l2_tlb", s.cycles_for[1]},
                          {"walk_start", s.cycles_for[2]},    {"walk_steps", s.cycles_for[3]},
                          {"table_entries", s.cycles_for[4]}, {"flag_assist", s.cycles_for[5]},
                          {"data", s.cycles_for[6]},          {"events", s.event_cycles}};
    json["walker_busy"] = s.walker_busy;
    json["walkers"] = core.walkers;
    json["walks_by_length"] = s.walks_by_length;
    json["flag_assists"] = s.flag_assists;
    for (std::size_t level = 0; level < memory_levels; ++level) {
        const std::string name{to_string(static_cast<MemoryLevel>(level))};
        json["answered_by"][name] = {{"table_entries", s.references[level]}, {"data", s.data[level]}};
    }
    for (const ArrayStatistics& array : s.arrays) {
        json["structures"].push_back({{"name", array.name},
                                      {"hits", array.hits},
                                      {"misses", array.misses},
                                      {"fills", array.fills},
                                      {"evictions", array.evictions}});
    }
    return json.dump(1) + '\n';
}

/// One access for people: address, result, cost.
std::string as_line(const Replay& replay) {
    const WalkResult& walk = replay.last();
    const AccessCost& cost = replay.mmu().timing()->cost();
    const std::string result = walk.translation() != nullptr  ? to_string(walk.translation()->phys)
                               : walk.page_fault() != nullptr ? "#PF"
                                                              : "#GP";
    return fmt::format("{} -> {}  {}\n", to_string(walk.virt()), result, to_string(cost));
}

void replay_all(const Options& options) {
    if (options.trace.empty() == options.stream.empty()) {
        throw Error{"replay", "give either a trace file or --stream"};
    }
    ReplayOptions how;
    how.core = options.core_file.empty() ? find_core(options.cpu) : load_core(options.core_file);
    how.map_on_demand = page_of(options.page);
    how.five_level = options.five_level;
    how.tables_accessed = !options.clear_flags;
    std::optional<AddressStream> stream;
    std::vector<TraceStep> steps;
    if (!options.stream.empty()) {
        stream = AddressStream::parse(options.stream, VirtAddr{std::uint64_t{1} << 40}, options.seed);
        how.map_on_demand = stream->page_size();
    } else {
        try {
            steps = parse_trace(read_all(options.trace));
        } catch (const Error& error) {
            throw error.within(options.trace);
        }
    }
    if (options.only_mapped) {
        how.map_on_demand.reset();
    }
    Replay replay{how};
    const auto show = [&] {
        if (options.each) {
            print(as_line(replay));
        }
    };
    if (stream) {
        for (std::uint64_t i = 0; i < options.count; ++i) {
            replay.access(stream->next());
            show();
        }
    }
    for (const TraceStep& step : steps) {
        replay.run(step);
        if (step.kind == TraceStep::Kind::access) {
            show();
        }
    }
    if (options.json) {
        print(as_json(replay));
        return;
    }
    print(to_string(replay.mmu().timing()->statistics(), replay.mmu().timing()->core()));
    if (replay.faults() != 0) {
        print(fmt::format("{} accesses faulted\n", replay.faults()));
    }
}

}  // namespace

void add_replay(CLI::App& app) {
    auto options = std::make_shared<Options>();
    CLI::App* command =
        app.add_subcommand("replay", "Run a trace of accesses through the TLBs, caches and walkers of a core");
    command->add_option("TRACE", options->trace, "trace file (docs/traces.md); - reads standard input");
    command->add_option("--stream", options->stream,
                        "generate addresses instead: stride|uniform|zipf:BYTES[:4K|2M|1G], as in uniform:64G:2M");
    command->add_option("--count", options->count, "accesses of --stream")->capture_default_str();
    command->add_option("--seed", options->seed, "of --stream")->capture_default_str();
    command->add_option("--cpu", options->cpu, "core, or a CPU that has it (pgsim cores)")->capture_default_str();
    command->add_option("--core-file", options->core_file,
                        "a core of your own: edit what pgsim cores --json NAME prints");
    command->add_option("--page", options->page, "size of pages mapped on demand: 4K, 2M, 1G")->capture_default_str();
    command->add_flag("--only-mapped", options->only_mapped, "pages without a map line fault");
    command->add_flag("--five-level", options->five_level, "5-level paging");
    command->add_flag("--clear-flags", options->clear_flags, "tables begin with accessed and dirty flags clear");
    command->add_flag("--each", options->each, "print what every access cost");
    command->add_flag("--json", options->json, "machine-readable statistics");
    command->callback([options] { replay_all(*options); });
}

}  // namespace pgsim::cli
