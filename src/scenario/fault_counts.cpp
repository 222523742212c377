// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/scenario/fault_counts.hpp"

#include <charconv>
#include <map>
#include <nlohmann/json.hpp>

#include "formats/json_view.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/kernel/mm_check.hpp"

namespace pgsim {

namespace {

using Json = nlohmann::ordered_json;

std::uint64_t number(const Json& step, const char* key, std::uint64_t otherwise) {
    const auto found = step.find(key);
    if (found == step.end()) {
        return otherwise;
    }
    if (found->is_number_unsigned()) {
        return found->get<std::uint64_t>();
    }
    if (found->is_string()) {
        const auto& text = found->get_ref<const std::string&>();
        const bool hexadecimal = text.substr(0, 2) == "0x";
        std::uint64_t value = 0;
        const char* const end = text.data() + text.size();
        const auto [stop, error] =
            std::from_chars(text.data() + (hexadecimal ? 2 : 0), end, value, hexadecimal ? 16 : 10);
        if (error != std::errc{} || stop != end || text.empty()) {
            throw Error{key, "\"" + text + "\" is no number"};
        }
        return value;
    }
    throw Error{key, "a number or a hex string is wanted"};
}

std::string text(const Json& step, const char* key) {
    const auto found = step.find(key);
    if (found == step.end()) {
        return {};
    }
    if (!found->is_string()) {
        throw Error{key, "a string is wanted"};
    }
    return found->get<std::string>();
}

// What an operation cannot do without. [fault-counts README]
void check_arguments(const Json& step, const std::string& op) {
    static const std::map<std::string_view, std::vector<const char*>> wanted{
        {"mmap", {"addr", "len", "prot", "flags"}},
        {"read", {"addr", "count"}},
        {"write", {"addr", "count"}},
        {"rdwr", {"addr", "count"}},
        {"munmap", {"addr", "len"}},
        {"mprotect", {"addr", "len", "prot"}},
        {"madvise", {"addr", "len", "advice"}},
        {"mlock", {"addr", "len"}},
        {"munlock", {"addr", "len"}},
        {"mremap", {"addr", "len", "new_len", "flags"}},
        {"fork", {"child"}},
        {"call", {"addr"}},
        {"kwrite", {"addr", "len"}},
        {"kread", {"addr", "len"}},
        {"openfile", {"file", "kind"}},
        {"filewrite", {"file", "offset", "count"}},
        {"ftruncate", {"file", "len"}},
        {"thp_off", {"value"}}};
    const auto known = wanted.find(op);
    if (known == wanted.end()) {
        return;
    }
    for (const char* const key : known->second) {
        if (!step.contains(key)) {
            throw Error{key, "the operation " + op + " needs it"};
        }
    }
}

ProcessOperation operation_of(const Json& step) {
    if (!step.is_object()) {
        throw Error{"a step is an object"};
    }
    ProcessOperation operation;
    operation.proc = text(step, "proc");
    operation.op = text(step, "op");
    check_arguments(step, operation.op);
    operation.addr = number(step, "addr", 0);
    operation.len = number(step, "len", 0);
    operation.count = number(step, "count", 1);
    operation.stride = number(step, "stride", 0x1000);
    operation.value = number(step, "value", 1);
    operation.prot = text(step, "prot");
    operation.offset = number(step, "offset", 0);
    operation.kind = text(step, "kind");
    operation.advice = text(step, "advice");
    operation.child = text(step, "child");
    operation.new_len = number(step, "new_len", 0);
    operation.new_addr = number(step, "new_addr", 0);
    if (step.contains("file")) {
        operation.file = number(step, "file", 0);
    }
    if (operation.op == "mremap") {
        operation.remap_flags = static_cast<unsigned>(number(step, "flags", 0));
    } else {
        operation.flags = text(step, "flags");
    }
    return operation;
}

bool counts_faults(const std::string& op) {
    return op != "fork" && op != "exit" && op != "openfile" && op != "filewrite" && op != "ftruncate" &&
           op != "fsync" && op != "dropcache";
}

Json state_json(const ProcessState& state) {
    return {{"pgtable_pages", state.pgtable_pages},
            {"present", state.present},
            {"rss", state.rss},
            {"zero_page", state.zero_page},
            {"anon", state.anon},
            {"swap", state.swap},
            {"exclusive", state.exclusive},
            {"pfn_shared_with_others", state.pfn_shared_with_others},
            {"thp", state.thp},
            {"vmas", state.vmas}};
}

Json measure(ProcessWorld& world, const ProcessOperation& operation) {
    const OperationOutcome outcome = world.perform(operation);
    Json measured = Json::object();
    if (counts_faults(operation.op)) {
        measured["minflt"] = outcome.minflt;
        measured["majflt"] = outcome.majflt;
        if (outcome.signal) {
            measured["signal"] = {{"signo", outcome.signal->signo},
                                  {"si_code", outcome.signal->si_code},
                                  {"si_addr", hex(outcome.signal->si_addr)}};
        }
        measured["pages_became_present"] = outcome.pages_became_present;
        measured["pages_no_longer_present"] = outcome.pages_no_longer_present;
        measured["pages_frame_changed"] = outcome.pages_frame_changed;
    }
    Json& state = measured["state"] = Json::object();
    for (const std::string& name : world.processes()) {
        state[name] = state_json(world.state(name));
    }
    return measured;
}

// Every leaf that differs, in either.
void compare(const Json& measured, const Json& simulated, const std::string& path, FaultCountDifference where,
             std::vector<FaultCountDifference>& found) {
    if (measured.is_object() && simulated.is_object()) {
        for (const auto& [key, value] : measured.items()) {
            const std::string deeper = path.empty() ? key : path + "/" + key;
            compare(value, simulated.contains(key) ? simulated[key] : Json{}, deeper, where, found);
        }
        for (const auto& [key, value] : simulated.items()) {
            if (!measured.contains(key)) {
                compare(Json{}, value, path.empty() ? key : path + "/" + key, where, found);
            }
        }
        return;
    }
    if (measured != simulated) {
        where.field = path;
        where.measured = measured.is_null() ? "(absent)" : measured.dump();
        where.simulated = simulated.is_null() ? "(absent)" : simulated.dump();
        found.push_back(std::move(where));
    }
}

void run_scenario(Json& scenario, const ProcessWorld::Options& options, FaultCountsRun& run) {
    if (!scenario.is_object() || !scenario.contains("steps") || !scenario["steps"].is_array()) {
        throw Error{"scenario " + std::to_string(run.scenarios), "it has no list of steps"};
    }
    const std::string id = text(scenario, "id");
    const bool same = !scenario.contains("same_in_v6_6") || scenario["same_in_v6_6"] == true;
    ProcessWorld world{options};
    std::size_t number = 0;
    for (Json& step : scenario.at("steps")) {
        Json simulated;
        try {
            simulated = measure(world, operation_of(step));
        } catch (const Error& error) {
            throw error.within("scenario " + id + ", step " + std::to_string(number));
        } catch (const kernel::Halted& halted) {
            throw Error{"scenario " + id + ", step " + std::to_string(number),
                        "the simulated kernel stopped: " + halted.halt.message};
        }
        if (step.contains("measured")) {
            compare(step["measured"], simulated, {}, {id, number, {}, {}, {}},
                    same ? run.differences : run.expected_differences);
        }
        if (run.check) {
            for (const std::string& what : kernel::check_invariants(world.mm())) {
                run.broken_invariants.push_back(id + " step " + std::to_string(number) + ": " + what);
            }
        }
        step["measured"] = std::move(simulated);
        ++number;
        ++run.steps;
    }
    ++run.scenarios;
}

}  // namespace

ProcessWorld::Options fault_counts_options() {
    ProcessWorld::Options options;
    options.memory_bytes = std::uint64_t{4} << 30;
    options.mm.swap_slots = 65536;
    return options;
}

FaultCountsRun run_fault_counts(std::string_view json, const ProcessWorld::Options& options, bool check) {
    FaultCountsRun run;
    run.check = check;
    Json file;
    try {
        file = formats::parse_json(json, "fault-counts file");
        if (!file.is_object() || !file.contains("format") || file["format"] != "pgsim-faults/1") {
            throw Error{"format", "it is not pgsim-faults/1"};
        }
        if (!file.contains("scenarios") || !file["scenarios"].is_array()) {
            throw Error{"scenarios", "a list is wanted"};
        }
        for (Json& scenario : file.at("scenarios")) {
            run_scenario(scenario, options, run);
        }
    } catch (const nlohmann::json::exception& error) {
        throw Error{"fault-counts file", error.what()};
    }
    run.results = file.dump(1);
    return run;
}

}  // namespace pgsim
