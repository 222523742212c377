// SPDX-License-Identifier: GPL-2.0-only
// One walk in the manner of tools that people know.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "formats/dump_parts.hpp"
#include "pgsim/base/units.hpp"

namespace pgsim::formats {

namespace {

using Out = std::back_insert_iterator<fmt::memory_buffer>;

std::string rights_text(AccessRights rights) {
    return fmt::format("r{}{} {}", rights.writable ? 'w' : '-', rights.executable ? 'x' : '-',
                       rights.user ? "user" : "supervisor");
}

std::string outcome_text(const WalkResult& walk) {
    if (const Translation* translation = walk.translation()) {
        return fmt::format("-> {} in a {} page, {}", hex(translation->phys.value()), short_name(translation->page_size),
                           rights_text(translation->rights));
    }
    if (const PageFault* fault = walk.page_fault()) {
        return fmt::format("#PF error code 0x{:x}: {} at the {}", fault->error_code, to_string(fault->cause),
                           entry_name(fault->level));
    }
    const AddressFault* fault = walk.address_fault();
    return fmt::format("{}: {}", fault->stack_segment ? "#SS(0)" : "#GP(0)",
                       fault->cause == AddressFault::Cause::non_canonical ? "the address is not canonical"
                                                                          : "linear address space separation");
}

std::string plain(const WalkResult& walk, unsigned levels, const TableNames& names) {
    fmt::memory_buffer buffer;
    fmt::format_to(Out{buffer}, "{}  {}\n", hex(walk.virt().value()), to_string(walk.access()));
    std::string indices;
    for (unsigned level = levels; level >= 1; --level) {
        const auto at = static_cast<Level>(level);
        indices += fmt::format("{} {}, ", table_kind(at), index_at(at, walk.virt().value()));
    }
    fmt::format_to(Out{buffer}, "  indices: {}offset 0x{:x}\n", indices, walk.virt().value() & 0xfff);
    for (const WalkStep& step : walk.steps()) {
        const PhysAddr table = step.entry_addr.align_down(4096);
        const std::string name = name_of(names, table);
        fmt::format_to(
            Out{buffer}, "  {:<5} {}[{}] at {}: {}  so far {}\n", entry_name(step.entry.level()),
            name.empty() ? hex(table.value()) : name, step.entry_addr.offset_in(4096) / 8, hex(step.entry_addr.value()),
            to_string(step.entry).substr(entry_name(step.entry.level()).size() + 1), rights_text(step.rights));
    }
    fmt::format_to(Out{buffer}, "  {}\n", outcome_text(walk));
    return fmt::to_string(buffer);
}

// crash's mkstring(CENTER|…): a space too many goes right (LJUST) or left (RJUST).
std::string centred(const std::string& text, std::size_t width, bool extra_left) {
    if (text.size() >= width) {
        return text;
    }
    const std::size_t extra = width - text.size();
    const std::size_t left = extra / 2 + (extra_left ? extra % 2 : 0);
    return std::string(left, ' ') + text + std::string(extra - left, ' ');
}

std::string crash_flags(std::uint64_t pte) {
    static constexpr std::array<std::pair<unsigned, const char*>, 10> flags{{{0, "PRESENT"},
                                                                             {1, "RW"},
                                                                             {2, "USER"},
                                                                             {3, "PWT"},
                                                                             {4, "PCD"},
                                                                             {5, "ACCESSED"},
                                                                             {6, "DIRTY"},
                                                                             {7, "PSE"},
                                                                             {8, "GLOBAL"},
                                                                             {63, "NX"}}};
    std::string text;
    for (const auto& [bit, name] : flags) {
        if ((pte >> bit & 1) != 0) {
            text += (text.empty() ? "" : "|") + std::string{name};
        }
    }
    return pte == 0 ? "no mapping" : text;
}

// [crash x86_64.c x86_64_kvtop(), x86_64_uvtop_level4(), x86_64_translate_pte()]
std::string crash(const WalkResult& walk, unsigned levels) {
    fmt::memory_buffer buffer;
    const Translation* translation = walk.translation();
    fmt::format_to(Out{buffer}, "{:<16}  {:<16}\n", "VIRTUAL", "PHYSICAL");
    if (translation != nullptr) {
        fmt::format_to(Out{buffer}, "{:<16x}  {:<16x}\n\n", walk.virt().value(), translation->phys.value());
    } else {
        fmt::format_to(Out{buffer}, "{:<16x}  (not mapped)\n\n", walk.virt().value());
    }
    const bool kernel_address = walk.virt().value() >> 63 != 0;
    for (const WalkStep& step : walk.steps()) {
        const std::uint64_t at = step.entry_addr.value();
        const std::uint64_t value = step.entry.raw();
        const bool top = number(step.entry.level()) == levels;
        switch (step.entry.level()) {
        case Level::pml5:
        case Level::pml4:
            if (top && kernel_address) {
                fmt::format_to(Out{buffer}, "PGD DIRECTORY: {:x}\nPAGE DIRECTORY: {:x}\n", at & ~std::uint64_t{0xfff},
                               value);
            } else {
                fmt::format_to(Out{buffer}, "   {}: {:x} => {:x}\n", top ? "PGD" : "P4D", at, value);
            }
            break;
        case Level::pdpt: fmt::format_to(Out{buffer}, "   PUD: {:x} => {:x}\n", at, value); break;
        case Level::pd: fmt::format_to(Out{buffer}, "   PMD: {:x} => {:x}\n", at, value); break;
        case Level::pt: fmt::format_to(Out{buffer}, "   PTE: {:x} => {:x}\n", at, value); break;
        }
    }
    if (translation == nullptr || walk.steps().empty()) {
        return fmt::to_string(buffer);
    }
    const Entry leaf = walk.steps().back().entry;
    const char* size = leaf.level() == Level::pd ? "  (2MB)" : leaf.level() == Level::pdpt ? "  (1GB)" : "";
    fmt::format_to(Out{buffer}, "  PAGE: {:x}{}\n\n", leaf.base().value(), size);
    const std::string pte = fmt::format("{:x}", leaf.raw());
    const std::string phys = fmt::format("{:x}", leaf.base().value());
    const std::size_t pte_width = std::max(pte.size(), std::size_t{3});
    const std::size_t phys_width = std::max(phys.size(), std::size_t{8});
    fmt::format_to(Out{buffer}, "{}  {}  FLAGS\n{}  {}  ({})\n", centred("PTE", pte_width, false),
                   centred("PHYSICAL", phys_width, false), centred(pte, pte_width, true),
                   centred(phys, phys_width, true), crash_flags(leaf.raw()));
    return fmt::to_string(buffer);
}

// A flag of Bochs' debugger: capitals when it is set.
// [Bochs cpu/paging.cc dbg_print_paging_pte(), bx_debug/dbg_main.cc bx_dbg_xlate_address()]
std::string bochs(const WalkResult& walk) {
    fmt::memory_buffer buffer;
    for (const WalkStep& step : walk.steps()) {
        const std::uint64_t raw = step.entry.raw();
        const auto flag = [&](unsigned bit, const char* set, const char* clear) {
            return (raw >> bit & 1) != 0 ? set : clear;
        };
        static constexpr std::array<const char*, 6> names{"", "PTE", "PDE", "PDPE", "PML4", "PML5"};
        fmt::format_to(Out{buffer}, "{:>4}: 0x{:016x}{}", names[number(step.entry.level())], raw,
                       flag(63, " XD", "   "));
        if (step.entry.level() == Level::pt) {
            fmt::format_to(Out{buffer}, "    {} {} {}", flag(8, "G", "g"), flag(7, "PAT", "pat"), flag(6, "D", "d"));
        } else if ((raw & 0x80) != 0) {
            fmt::format_to(Out{buffer}, " PS {} {} {}", flag(8, "G", "g"), flag(12, "PAT", "pat"), flag(6, "D", "d"));
        } else {
            fmt::format_to(Out{buffer}, " ps        ");
        }
        fmt::format_to(Out{buffer}, " {} {} {} {} {} {}\n", flag(5, "A", "a"), flag(4, "PCD", "pcd"),
                       flag(3, "PWT", "pwt"), flag(2, "U", "S"), flag(1, "W", "R"), flag(0, "P", "p"));
    }
    const std::uint64_t page = walk.virt().value() & ~std::uint64_t{0xfff};
    if (const Translation* translation = walk.translation()) {
        fmt::format_to(Out{buffer}, "linear page 0x{:016x} maps to physical page 0x{:012x}\n", page,
                       translation->phys.value() & ~std::uint64_t{0xfff});
    } else {
        fmt::format_to(Out{buffer}, "physical address not available for linear 0x{:016x}\n", page);
    }
    return fmt::to_string(buffer);
}

nlohmann::ordered_json rights_json(AccessRights rights) {
    return {{"writable", rights.writable}, {"executable", rights.executable}, {"user", rights.user}};
}

}  // namespace

std::optional<WalkStyle> find_walk_style(std::string_view name) noexcept {
    if (name == "plain") {
        return WalkStyle::plain;
    }
    if (name == "crash") {
        return WalkStyle::crash;
    }
    if (name == "bochs") {
        return WalkStyle::bochs;
    }
    return std::nullopt;
}

std::string format_walk(const WalkResult& walk, unsigned levels, WalkStyle style, const TableNames& names) {
    switch (style) {
    case WalkStyle::plain: return plain(walk, levels, names);
    case WalkStyle::crash: return crash(walk, levels);
    case WalkStyle::bochs: return bochs(walk);
    }
    return {};
}

std::string walk_to_json(const WalkResult& walk) {
    nlohmann::ordered_json json{{"va", hex(walk.virt().value())}, {"access", to_string(walk.access())}};
    auto steps = nlohmann::ordered_json::array();
    for (const WalkStep& step : walk.steps()) {
        steps.push_back({{"level", number(step.entry.level())},
                         {"entry_pa", hex(step.entry_addr.value())},
                         {"index", step.entry_addr.offset_in(4096) / 8},
                         {"value", hex(step.entry.raw())},
                         {"flags", flag_names(step.entry)},
                         {"rights", rights_json(step.rights)}});
    }
    json["steps"] = std::move(steps);
    if (const Translation* translation = walk.translation()) {
        json["result"] = "ok";
        json["pa"] = hex(translation->phys.value());
        json["page_size"] = bytes(translation->page_size);
        json["rights"] = rights_json(translation->rights);
    } else if (const PageFault* fault = walk.page_fault()) {
        json["result"] = "PF";
        json["error_code"] = fault->error_code;
        json["cr2"] = hex(fault->virt.value());
        json["cause"] = std::string{to_string(fault->cause)};
        json["level"] = number(fault->level);
    } else {
        json["result"] = walk.address_fault()->stack_segment ? "SS" : "GP";
        json["cause"] = walk.address_fault()->cause == AddressFault::Cause::non_canonical ? "non-canonical" : "LASS";
    }
    return json.dump(1) + '\n';
}

}  // namespace pgsim::formats
