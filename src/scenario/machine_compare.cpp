// SPDX-License-Identifier: GPL-2.0-only
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>

#include "pgsim/scenario/machine_facts.hpp"

namespace pgsim {

using firmware::LogE820Change;
using firmware::LogNodeRange;
using firmware::LogRange;
using firmware::MachineRecord;
using Lines = std::vector<std::string>;

namespace {

std::string mem(const LogRange& range) {
    return fmt::format("[mem {:#010x}-{:#010x}]", range.start, range.end);
}

std::string long_mem(const LogRange& range) {
    return fmt::format("[mem {:#018x}-{:#018x}]", range.start, range.end);
}

Lines last_pfn_lines(const MachineRecord& record) {
    Lines lines;
    for (const std::uint64_t pfn : record.last_pfn) {
        lines.push_back(fmt::format("last_pfn = {:#x} max_arch_pfn = {:#x}", pfn, record.max_arch_pfn.value_or(0)));
    }
    return lines;
}

/// The words of 7.0 for types, in the older ones.
std::string in_old_words(std::string text) {
    for (const auto& [now, before] : {std::pair{"System RAM", "usable"}, std::pair{"device reserved", "reserved"}}) {
        for (std::size_t at = text.find(now); at != std::string::npos; at = text.find(now)) {
            text.replace(at, std::string_view{now}.size(), before);
        }
    }
    return text;
}

/// Each change once: kernels before 6.15 print it for each of their tables.
Lines change_lines(const MachineRecord& record) {
    Lines lines;
    for (const LogE820Change& change : record.e820_changes) {
        const std::string line = fmt::format("e820: {} {}{}{}", change.op, mem(change.range),
                                             change.text.empty() ? "" : " ", in_old_words(change.text));
        if (std::find(lines.begin(), lines.end(), line) == lines.end()) {
            lines.push_back(line);
        }
    }
    return lines;
}

Lines mapping_lines(const MachineRecord& record) {
    Lines lines;
    for (const firmware::LogMapping& mapping :
         record.init_memory_mapping.value_or(std::vector<firmware::LogMapping>{})) {
        lines.push_back("init_memory_mapping: " + mem(mapping.range));
        for (const auto& chunk : mapping.chunks) {
            lines.push_back(" " + mem(chunk.range) + " page " + chunk.page);
        }
    }
    return lines;
}

Lines range_lines(const std::optional<std::vector<LogRange>>& ranges, std::string_view format) {
    Lines lines;
    for (const LogRange& range : ranges.value_or(std::vector<LogRange>{})) {
        lines.push_back(fmt::format(fmt::runtime(format), range.start, range.end));
    }
    return lines;
}

Lines zone_lines(const MachineRecord& record) {
    Lines lines;
    for (const firmware::LogZone& zone : record.zone_ranges) {
        lines.push_back(fmt::format("  {:<8} {}", zone.zone, zone.range ? long_mem(*zone.range) : "empty"));
    }
    return lines;
}

Lines node_lines(const std::vector<LogNodeRange>& ranges, std::string_view prefix) {
    Lines lines;
    for (const LogNodeRange& range : ranges) {
        lines.push_back(fmt::format("{}{} {}", prefix, range.node.value_or(0), long_mem(range.range)));
    }
    return lines;
}

Lines node_data_lines(const MachineRecord& record) {
    Lines lines;
    int next = 0;  // old kernels print the lines in node order, without the number
    for (const LogNodeRange& range : record.node_data.value_or(std::vector<LogNodeRange>{})) {
        lines.push_back(fmt::format("NODE_DATA({}) allocated {}", range.node.value_or(next), mem(range.range)));
        next = range.node.value_or(next) + 1;
    }
    return lines;
}

/// The memmap's virtual ranges; what lies behind them is another section.
Lines vmemmap_lines(const MachineRecord& record) {
    Lines lines;
    for (const auto& part : record.vmemmap.value_or(std::vector<firmware::LogVmemmap>{})) {
        lines.push_back(
            fmt::format("[{:x}-{:x}] {} on node {}", part.range.start, part.range.end, part.kind, part.node));
    }
    return lines;
}

/// @param which  the parts of the zone lines that are wanted
Lines node_page_lines(const MachineRecord& record, std::string_view which) {
    Lines lines;
    for (const auto& node : record.node_totalpages.value_or(std::vector<firmware::LogNodePages>{})) {
        if (which == "pages") {
            lines.push_back(fmt::format("On node {} totalpages: {}", node.node, node.totalpages));
        }
        for (const auto& [zone, parts] : node.zones) {
            for (const auto& [name, value] : parts) {
                if (name == which || (which == "pages" && name == "lifo_batch")) {
                    lines.push_back(fmt::format("  node {} {} zone: {} {}", node.node, zone, value, name));
                }
            }
        }
    }
    return lines;
}

Lines unavailable_lines(const MachineRecord& record) {
    Lines lines;
    for (const auto& entry : record.unavailable_ranges.value_or(std::vector<firmware::LogUnavailable>{})) {
        lines.push_back(fmt::format("On node {}, zone {}: {} pages in unavailable ranges", entry.node.value_or(0),
                                    entry.zone, entry.pages));
    }
    return lines;
}

Lines memory_lines(const MachineRecord& record) {
    Lines lines;
    if (record.memory) {
        lines.push_back(fmt::format("Memory: {}K in total", record.memory->total_k));
        for (const auto& [name, value] : record.memory->parts) {
            if (name == "absent_k") {
                lines.push_back(fmt::format("Memory: {}K absent", value));
            }
        }
    }
    return lines;
}

/// What is left of it depends on the size of the kernel and of what else was reserved.
Lines available_lines(const MachineRecord& record) {
    if (!record.memory || record.memory->available_k == 0) {
        return {};
    }
    Lines lines{fmt::format("Memory: {}K/{}K available", record.memory->available_k, record.memory->total_k)};
    for (const auto& [name, value] : record.memory->parts) {
        lines.back() += name == "reserved_k" ? fmt::format(" ({}K reserved)", value) : std::string{};
    }
    return lines;
}

/// Why a line stands on one side only, or nullopt when the kernel's rules should have made it the same.
using Explain = std::function<std::optional<std::string>(const std::string& line, bool logged)>;

struct Section {
    std::string_view name;
    Lines simulated;
    Lines logged;
    Explain explain;
};

/// Pairs equal lines in order (a longest common subsequence); the rest stands alone.
void compare_section(const Section& section, std::vector<MachineFact>& facts) {
    using Verdict = MachineFact::Verdict;
    const Lines& a = section.simulated;
    const Lines& b = section.logged;
    if (b.empty()) {
        for (const std::string& line : a) {
            facts.push_back({std::string{section.name}, line, "", Verdict::not_logged, ""});
        }
        return;
    }
    std::vector<std::vector<std::size_t>> common(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = a.size(); i-- > 0;) {
        for (std::size_t j = b.size(); j-- > 0;) {
            common[i][j] = a[i] == b[j] ? common[i + 1][j + 1] + 1 : std::max(common[i + 1][j], common[i][j + 1]);
        }
    }
    const auto alone = [&](const std::string& line, bool logged) {
        const auto why = section.explain ? section.explain(line, logged) : std::nullopt;
        const Verdict verdict = !why ? Verdict::differs : logged ? Verdict::not_simulated : Verdict::not_logged;
        facts.push_back({std::string{section.name}, logged ? "" : line, logged ? line : "", verdict, why.value_or("")});
    };
    std::size_t i = 0;
    std::size_t j = 0;
    while (i < a.size() || j < b.size()) {
        if (i < a.size() && j < b.size() && a[i] == b[j]) {
            facts.push_back({std::string{section.name}, a[i], b[j], Verdict::same, ""});
            ++i;
            ++j;
        } else if (j == b.size() || (i < a.size() && common[i + 1][j] >= common[i][j + 1])) {
            alone(a[i++], false);
        } else {
            alone(b[j++], true);
        }
    }
}

const Explain lost_lines = [](const std::string&, bool logged) -> std::optional<std::string> {
    return logged ? std::nullopt : std::optional<std::string>{"a debug-level line, which copies of logs often lose"};
};

Explain always(std::string why) {
    return [why = std::move(why)](const std::string&, bool) { return std::optional{why}; };
}

Explain explain_change(const MachineRecord& machine) {
    const bool mtrrs = machine.mtrr_default.has_value();
    return [mtrrs](const std::string& line, bool logged) -> std::optional<std::string> {
        if (!logged) {
            return "a debug-level line, which copies of logs often lose";
        }
        if (line.find("remove ") != std::string::npos) {
            return "EFI says that this range is memory-mapped I/O; the map does not";
        }
        const bool top = line.find("-0xffffffff]") != std::string::npos;
        if (line.find("reserve RAM buffer") != std::string::npos || (top && mtrrs)) {
            return std::nullopt;
        }
        return top     ? "the MTRRs, which the log does not show, leave this range without write-back memory type"
               : mtrrs ? "memory of one of EFI's tables: not in the map"
                       : "memory of one of EFI's tables, or a hole of the MTRRs: not in the map";
    };
}

/// Whether RAM entries of the map lie in the range of a logged line.
bool inside_ram(const MachineRecord& record, const LogRange& range) {
    return std::any_of(record.e820.begin(), record.e820.end(), [&](const firmware::E820Entry& entry) {
        return entry.type == firmware::E820Type::ram && entry.start <= range.end && range.start < entry.end();
    });
}

/// Mapping calls outside of RAM are made for EFI's run-time services, long after init_mem_mapping.
Explain explain_mapping(const MachineRecord& logged) {
    return [&logged](const std::string& line, bool is_logged) -> std::optional<std::string> {
        for (const auto& call : logged.init_memory_mapping.value_or(std::vector<firmware::LogMapping>{})) {
            bool here = line == "init_memory_mapping: " + mem(call.range);
            for (const auto& chunk : call.chunks) {
                here = here || line == " " + mem(chunk.range) + " page " + chunk.page;
            }
            if (is_logged && here && call.range.start != 0 && !inside_ram(logged, call.range)) {
                return "EFI's run-time services: mapped later, from EFI's own map";
            }
        }
        return std::nullopt;
    };
}

Explain explain_zones(const MachineRecord& simulated) {
    const Lines lines = zone_lines(simulated);
    return [lines](const std::string& line, bool logged) -> std::optional<std::string> {
        if (line.find("Device") != std::string::npos) {
            return "whether there is a zone Device is a build option";
        }
        if (!logged && !lines.empty() && line == lines.front()) {
            return "the log has lost the first lines of the zones";
        }
        return std::nullopt;
    };
}

/// The hole and the nosave ranges also depend on ranges that PCI devices add to the map (graphics memory).
Explain explain_gap(const MachineRecord& simulated, const MachineRecord& logged) {
    const bool smaller = simulated.pci_gap && logged.pci_gap && simulated.pci_gap->start <= logged.pci_gap->start &&
                         logged.pci_gap->end <= simulated.pci_gap->end;
    return [smaller](const std::string&, bool) -> std::optional<std::string> {
        return smaller ? std::optional<std::string>{"a device's own memory (graphics) in the hole, which the kernel "
                                                    "learns from PCI and not from the map"}
                       : std::nullopt;
    };
}

Explain explain_nosave(const MachineRecord& simulated, const MachineRecord& logged) {
    const std::optional<LogRange> hole = simulated.pci_gap;
    const bool gap_differs = hole && logged.pci_gap && !(*hole == *logged.pci_gap);
    return [hole, gap_differs](const std::string& line, bool is_logged) -> std::optional<std::string> {
        if (!is_logged) {
            return "a debug-level line, which copies of logs often lose";
        }
        std::uint64_t start = 0;
        const std::size_t at = line.find("0x");
        if (gap_differs && at != std::string::npos) {
            start = std::stoull(line.substr(at), nullptr, 16);
            if (hole->start <= start && start <= hole->end) {
                return "a device's own memory (graphics) in the hole below 4 GiB";
            }
        }
        return std::nullopt;
    };
}

/// The estimate leaves out the pages that are reserved below 16 MiB, and these depend on more than the map.
Lines zonelist_lines(const MachineRecord& record) {
    if (!record.zonelists) {
        return {};
    }
    return {fmt::format("Built {} zonelists", record.zonelists->count),
            fmt::format("Total pages: {}", record.zonelists->total_pages)};
}

Lines fallback_lines(const MachineRecord& record) {
    Lines lines;
    for (const firmware::LogFallback& order : record.fallback_order) {
        lines.push_back(fmt::format("Fallback order for Node {}: {}", order.node, fmt::join(order.order, " ")));
    }
    return lines;
}

std::optional<std::string> explain_zonelists(const std::string& line, bool) {
    return line.find("Total pages") == 0
               ? std::optional<std::string>{"depends on what firmware and boot loader reserved below 16 MiB, and on the "
                                            "build's size of struct page"}
               : std::nullopt;
}

/// A build with struct pages of 56 bytes needs 7/8 of the memmap, rounded up to pages.
Explain explain_memmap(const MachineRecord& simulated, const MachineRecord& logged) {
    const auto pages = [](const MachineRecord& record) {
        std::vector<std::uint64_t> result;
        for (const auto& node : record.node_totalpages.value_or(std::vector<firmware::LogNodePages>{})) {
            for (const auto& [zone, parts] : node.zones) {
                for (const auto& [name, value] : parts) {
                    if (name == "used_for_memmap") {
                        result.push_back(value);
                    }
                }
            }
        }
        return result;
    };
    const std::vector<std::uint64_t> ours = pages(simulated);
    const std::vector<std::uint64_t> theirs = pages(logged);
    const bool smaller = ours.size() == theirs.size() &&
                         std::equal(ours.begin(), ours.end(), theirs.begin(), [](std::uint64_t a, std::uint64_t b) {
                             return 7 * a <= 8 * b + 7 && 8 * b <= 7 * a + 7;
                         });
    return [smaller](const std::string&, bool) -> std::optional<std::string> {
        return smaller ? std::optional<std::string>{"this build's struct page has 56 bytes, not 64"} : std::nullopt;
    };
}

}  // namespace

std::vector<MachineFact> compare_machine(const MachineRecord& s, const MachineRecord& l) {
    const Explain build = always("depends on where the kernel image lies and on the build's structures");
    const auto gap = [](const MachineRecord& r) {
        return r.pci_gap ? Lines{mem(*r.pci_gap) + " available for PCI devices"} : Lines{};
    };
    const auto gb = [](const MachineRecord& r) {
        return r.gb_pages_line.value_or(false) ? Lines{"Using GB pages for direct mapping"} : Lines{};
    };
    const auto nosave = [](const MachineRecord& r) {
        return range_lines(r.nosave, "PM: hibernation: Registered nosave memory: [mem {:#010x}-{:#010x}]");
    };
    const auto brk = [](const MachineRecord& r) {
        return range_lines(r.brk_pgtable, "BRK [{:#010x}, {:#010x}] PGTABLE");
    };
    const auto direct = [](const MachineRecord& r) {
        Lines lines;
        for (const auto& [name, kib] : r.direct_map) {
            lines.push_back(fmt::format("{}: {} kB", name, kib));
        }
        return lines;
    };
    const std::vector<Section> sections{
        {"e820_changes", change_lines(s), change_lines(l), explain_change(l)},
        {"last_pfn", last_pfn_lines(s), last_pfn_lines(l), {}},
        {"gb_pages_line", gb(s), gb(l), {}},
        {"init_memory_mapping", mapping_lines(s), mapping_lines(l), explain_mapping(l)},
        {"brk_pgtable", brk(s), brk(l), build},
        {"node_data", node_data_lines(s), node_data_lines(l), build},
        {"vmemmap", vmemmap_lines(s), vmemmap_lines(l),
         always("the size of struct page is a matter of the build (56 or 64 bytes)")},
        {"zone_ranges", zone_lines(s), zone_lines(l), explain_zones(s)},
        {"early_node_ranges",
         node_lines(s.early_node_ranges, "  node "),
         node_lines(l.early_node_ranges, "  node "),
         {}},
        {"initmem_setup",
         node_lines(s.initmem_setup, "Initmem setup node "),
         node_lines(l.initmem_setup, "Initmem setup node "),
         {}},
        {"node_totalpages", node_page_lines(s, "pages"), node_page_lines(l, "pages"), {}},
        {"node_totalpages", node_page_lines(s, "used_for_memmap"), node_page_lines(l, "used_for_memmap"),
         explain_memmap(s, l)},
        {"unavailable_ranges", unavailable_lines(s), unavailable_lines(l), {}},
        {"nosave", nosave(s), nosave(l), explain_nosave(s, l)},
        {"pci_gap", gap(s), gap(l), explain_gap(s, l)},
        {"fallback_order", fallback_lines(s), fallback_lines(l), {}},
        {"zonelists", zonelist_lines(s), zonelist_lines(l), explain_zonelists},
        {"memory", memory_lines(s), memory_lines(l), {}},
        {"memory", available_lines(s), available_lines(l), build},
        {"direct_map", direct(s), direct(l), {}},
    };
    std::vector<MachineFact> facts;
    for (const Section& section : sections) {
        compare_section(section, facts);
    }
    return facts;
}

bool has_difference(const std::vector<MachineFact>& facts) noexcept {
    return std::any_of(facts.begin(), facts.end(),
                       [](const MachineFact& fact) { return fact.verdict == MachineFact::Verdict::differs; });
}

std::string machine_report(const std::vector<MachineFact>& facts) {
    using Verdict = MachineFact::Verdict;
    std::string text;
    std::string section;
    std::size_t same = 0;
    std::size_t differs = 0;
    for (const MachineFact& fact : facts) {
        if (fact.section != section) {
            section = fact.section;
            text += fmt::format("\n{}\n", section);
        }
        same += fact.verdict == Verdict::same ? 1 : 0;
        differs += fact.verdict == Verdict::differs ? 1 : 0;
        const std::string& line = fact.simulated.empty() ? fact.logged : fact.simulated;
        const char* const mark = fact.verdict == Verdict::same                                    ? "  = "
                                 : !fact.simulated.empty() && fact.verdict == Verdict::not_logged ? "    "
                                 : fact.verdict == Verdict::differs ? (fact.simulated.empty() ? "!log " : "!sim ")
                                                                    : "  ~ ";
        text += fmt::format("{}{}", mark, line);
        text += fact.note.empty() ? "\n" : fmt::format("\n        ({})\n", fact.note);
    }
    text += fmt::format("\n{} lines as logged, {} different\n", same, differs);
    return text;
}

}  // namespace pgsim
