// SPDX-License-Identifier: GPL-2.0-only
// Runs the benchmarks and, at the end, prints nanoseconds a translation and the ratios that the goals are about. The
// fastest of the repetitions counts: other work on the machine only ever adds time.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace {

class Collecting : public benchmark::ConsoleReporter {
public:
    void ReportRuns(const std::vector<Run>& runs) override {
        ConsoleReporter::ReportRuns(runs);
        for (const Run& run : runs) {
            const auto items = run.counters.find("items_per_second");
            if (run.run_type != Run::RT_Iteration || items == run.counters.end()) {
                continue;
            }
            const double ns = 1e9 / items->second.value;
            std::string name = run.run_name.function_name;
            if (!run.run_name.args.empty()) {
                name += "/" + run.run_name.args;
            }
            const auto [known, fresh] = best_.emplace(name, ns);
            known->second = fresh ? ns : std::min(known->second, ns);
        }
    }

    void print_ratios() const {
        if (best_.count("c_checked/0") == 0) {
            return;
        }
        const char* const rows[] = {"c_minimal",       "c_checked", "pure_walk",
                                    "walk_with_trace", "tlb_model", "full_timing"};
        std::printf("\nns a translation (ratio to c_checked), fastest repetition\n%-18s", "");
        for (const char* name : {"a stride", "b uniform", "c 2M pages", "d zipf"}) {
            std::printf("%18s", name);
        }
        std::printf("\n");
        for (const char* row : rows) {
            std::printf("%-18s", row);
            for (int of = 0; of < 4; ++of) {
                const double ns = at(std::string{row} + "/" + std::to_string(of));
                std::printf("%10.2f (%5.2f)", ns, ns / at("c_checked/" + std::to_string(of)));
            }
            std::printf("\n");
        }
        std::printf("%-18s%10.2f\n", "tlb_hit", at("tlb_hit"));
    }

private:
    [[nodiscard]] double at(const std::string& name) const {
        const auto found = best_.find(name);
        return found == best_.end() ? 0.0 : found->second;
    }
    std::map<std::string, double> best_;
};

}  // namespace

int main(int argc, char** argv) {
    // Repetitions in random order: a slow moment of the machine hits all alike.
    std::vector<std::string> arguments{argv, argv + argc};
    arguments.emplace_back("--benchmark_enable_random_interleaving=true");
    arguments.emplace_back("--benchmark_min_time=0.05");
    arguments.emplace_back("--benchmark_repetitions=9");
    // What the caller says comes last and wins.
    arguments.insert(arguments.end(), argv + 1, argv + argc);
    std::vector<char*> pointers;
    for (std::string& argument : arguments) {
        pointers.push_back(argument.data());
    }
    int count = static_cast<int>(pointers.size());
    benchmark::Initialize(&count, pointers.data());
    Collecting reporter;
    benchmark::RunSpecifiedBenchmarks(&reporter);
    reporter.print_ratios();
    return 0;
}
