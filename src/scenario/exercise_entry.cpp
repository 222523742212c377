// SPDX-License-Identifier: GPL-2.0-only
// Exercises on single entries and on the rights of a path.
#include <fmt/format.h>

#include <array>

#include "pgsim/base/units.hpp"
#include "scenario/exercise_parts.hpp"

namespace pgsim::exercises {

namespace {

struct Drawn {
    Level level = Level::pt;
    std::uint64_t raw = 0;
};

// A present entry with no reserved bit set.
Drawn draw_entry(SplitMix64& random) {
    const Level level{static_cast<std::uint8_t>(random.between(1, 4))};
    const bool page = level == Level::pt || ((level == Level::pd || level == Level::pdpt) && random.chance(2));
    std::uint64_t raw = bit_p | (random.next() & (bit_rw | bit_us | 1U << 3 | 1U << 4 | bit_a | bit_xd));
    const std::uint64_t align = page ? bytes(*page_size_at(level)) : 4096;
    raw |= random.below(64 * GiB) & ~(align - 1);
    if (page) {
        raw |= random.next() & (bit_d | bit_g);
        raw |= level == Level::pt ? 0 : bit_ps;
        if (random.chance(3)) {
            raw |= level == Level::pt ? 1U << 7 : 1U << 12;  // PAT
        }
    }
    return {level, raw};
}

std::string set_or_clear(bool set) {
    return set ? "set" : "clear";
}

std::string bits_told(Entry entry) {
    const auto line = [&](std::string_view bit, std::string_view name, bool set, std::string_view meaning) {
        return fmt::format("  bit {:<3} {:<4} {}{}{}\n", bit, name, set ? "1" : "0", meaning.empty() ? "" : "  ",
                           meaning);
    };
    std::string text = line("0", "P", entry.present(), "present");
    text += line("1", "R/W", entry.has(EntryFlag::rw), entry.has(EntryFlag::rw) ? "writes allowed" : "read-only");
    text += line("2", "U/S", entry.has(EntryFlag::us), entry.has(EntryFlag::us) ? "user mode too" : "supervisor only");
    text += line("3", "PWT", entry.has(EntryFlag::pwt), "");
    text += line("4", "PCD", entry.has(EntryFlag::pcd), "");
    text += line("5", "A", entry.has(EntryFlag::a), "");
    if (entry.level() == Level::pd || entry.level() == Level::pdpt) {
        text += line("7", "PS", *entry.ps(), *entry.ps() ? "maps a page" : "names a table");
    }
    if (entry.maps_page()) {
        text += line("6", "D", entry.has(EntryFlag::d), "");
        text += line("8", "G", entry.has(EntryFlag::g), "");
        text += line(entry.level() == Level::pt ? "7" : "12", "PAT", *entry.pat(), "");
    }
    return text +
           line("63", "XD", entry.has(EntryFlag::xd), entry.has(EntryFlag::xd) ? "no fetches" : "fetches allowed");
}

void decode_entry(SplitMix64& random, Exercise& exercise) {
    const Drawn drawn = draw_entry(random);
    const Entry entry{drawn.level, drawn.raw};
    exercise.text = fmt::format("4-level paging, IA32_EFER.NXE = 1. {} holds\n\n  {}\n\nWhat does it say?\n",
                                fmt::format("An entry of {}", table_name(drawn.level)), hex16(drawn.raw));
    exercise.fields.push_back(word("kind", "does it name a table or map a page?", entry.maps_page() ? "page" : "table",
                                   {"page", "table"}, "At which level is it, and what is bit 7 there?"));
    ExerciseField base = address("base", "physical address of that table or page", entry.base().value(),
                                 "Where does the address field begin for a page of this size? The flags below it, and "
                                 "XD, are no part of it.");
    const std::uint64_t plain = drawn.raw & 0xf'ffff'ffff'f000;
    if (plain != entry.base().value()) {
        base.slips.emplace_back(hex(plain), "Bit 12 of a large page's entry is not an address bit.");
    }
    exercise.fields.push_back(std::move(base));
    exercise.fields.push_back(yes_no("writable", "does it allow writes?", entry.has(EntryFlag::rw), "Bit 1."));
    exercise.fields.push_back(yes_no("user", "does it allow user mode?", entry.has(EntryFlag::us), "Bit 2."));
    exercise.fields.push_back(yes_no("executable", "does it allow instruction fetches?", !entry.has(EntryFlag::xd),
                                     "Bit 63 forbids when it is set."));
    exercise.solution = "Bit by bit:\n\n" + bits_told(entry);
    if (entry.maps_page()) {
        exercise.fields.push_back(
            yes_no("global", "is it a global page (CR4.PGE = 1)?", entry.has(EntryFlag::g), "Bit 8."));
        exercise.fields.push_back(number("pat", "which entry of IA32_PAT gives the memory type, 0 to 7",
                                         PageAttributes::of(entry).pat_index,
                                         "Three bits: PAT, PCD, PWT. Where is PAT in an entry of this level?"));
        exercise.solution +=
            fmt::format("\nPAT, PCD, PWT together select entry {} of IA32_PAT.\n", PageAttributes::of(entry).pat_index);
    }
    exercise.solution += "\nIn one line: " + to_string(entry) + '\n';
}

void encode_entry(SplitMix64& random, Exercise& exercise) {
    const Drawn drawn = draw_entry(random);
    const Entry entry{drawn.level, drawn.raw & ~std::uint64_t{1U << 3 | 1U << 4 | 1U << 12 |
                                                              (drawn.level == Level::pt ? 1U << 7 : 0)}};
    const std::uint64_t raw =
        entry.base().value() | (entry.raw() & ~(((std::uint64_t{1} << 52) - 1) & ~std::uint64_t{0xfff}));
    const std::string what =
        entry.maps_page()
            ? fmt::format("maps the {} page at physical {}", short_name(*entry.page_size()), hex(entry.base().value()))
            : fmt::format("names the table at physical {}", hex(entry.base().value()));
    exercise.text = fmt::format(
        "4-level paging, IA32_EFER.NXE = 1. Write down the entry of {} that {}\nsuch that it\n\n  - {} writes\n  - {} "
        "user mode\n  - {} instruction fetches\n  - has its accessed flag {}\n",
        table_name(drawn.level), what, entry.has(EntryFlag::rw) ? "allows" : "forbids",
        entry.has(EntryFlag::us) ? "allows" : "forbids", entry.has(EntryFlag::xd) ? "forbids" : "allows",
        set_or_clear(entry.has(EntryFlag::a)));
    if (entry.maps_page()) {
        exercise.text += fmt::format("  - has its dirty flag {}\n  - is{} global\n",
                                     set_or_clear(entry.has(EntryFlag::d)), entry.has(EntryFlag::g) ? "" : " not");
    }
    exercise.text += "  - selects entry 0 of IA32_PAT (PAT, PCD and PWT clear); all ignored bits are 0\n";
    ExerciseField value = address("value", "the entry, 64 bits", raw,
                                  "Decode your value again, bit by bit: pgsim "
                                  "exercise decode-entry --solve shows how.");
    const auto slip = [&](std::uint64_t wrong, std::string says) {
        if (wrong != raw) {
            value.slips.emplace_back(hex(wrong), std::move(says));
        }
    };
    slip(raw & ~bit_p, "It is not present: the processor would not look at the rest.");
    slip(raw ^ bit_xd, "Look at bit 63 again: it forbids.");
    if (drawn.level == Level::pd || drawn.level == Level::pdpt) {
        slip(raw ^ bit_ps, "Table or page? One bit decides.");
    }
    slip(raw ^ bit_us, "Look at bit 2 again.");
    slip(raw ^ bit_rw, "Look at bit 1 again.");
    exercise.fields.push_back(std::move(value));
    const Entry whole{drawn.level, raw};
    exercise.solution = fmt::format(
        "The address {} stands in the entry as it is; the flags go into the bits that it leaves "
        "free:\n\n{}\nTogether: {}\n",
        hex(whole.base().value()), bits_told(whole), hex16(raw));
}

void effective_rights(SplitMix64& random, Exercise& exercise) {
    Tables tables{random, 4};
    const VirtAddr virt{random.below(std::uint64_t{1} << 47) & ~std::uint64_t{4095}};
    tables.map(virt, tables.new_frame(), PageSize::k4K, 0x67);
    for (const Level level : {Level::pml4, Level::pdpt, Level::pd, Level::pt}) {
        const PhysAddr at = tables.entry_at(virt, level);
        std::uint64_t value = tables.memory().read64(at);
        value = random.chance(4) ? value & ~bit_rw : value;
        value = random.chance(5) ? value & ~bit_us : value;
        value = random.chance(5) ? value | bit_xd : value;
        tables.put(at, value);
    }
    PagingControls& controls = tables.controls();
    controls.cr0_wp = !random.chance(3);
    controls.smep = random.chance(2);
    controls.smap = random.chance(3);
    const auto allowed = [&](AccessKind kind, std::uint8_t cpl) {
        return tables.walk(virt, {.kind = kind, .cpl = cpl}).translation() != nullptr;
    };
    exercise.text = fmt::format(
        "4-level paging, NXE = 1, CR0.WP = {:d}, CR4.SMEP = {:d}, CR4.SMAP = {:d}, RFLAGS.AC = 0, no "
        "protection keys.\nThe walk of {} reads these entries:\n\n",
        controls.cr0_wp, controls.smep, controls.smap, hex(virt.value()));
    const WalkResult walk = tables.walk(virt);
    for (const WalkStep& step : walk.steps()) {
        exercise.text += fmt::format("  {:<6} {}\n", entry_name(step.entry.level()), hex16(step.entry.raw()));
    }
    exercise.text += "\nWhich accesses are allowed?\n";
    const std::string path = "A right must be given by every entry of the path; XD of one entry is enough to forbid.";
    exercise.fields = {yes_no("user-read", "a read at CPL 3", allowed(AccessKind::read, 3), path),
                       yes_no("user-write", "a write at CPL 3", allowed(AccessKind::write, 3), path),
                       yes_no("user-fetch", "an instruction fetch at CPL 3", allowed(AccessKind::fetch, 3), path),
                       yes_no("kernel-read", "a read at CPL 0", allowed(AccessKind::read, 0),
                              "Is it a user page? What does CR4.SMAP say of those?"),
                       yes_no("kernel-write", "a write at CPL 0", allowed(AccessKind::write, 0),
                              "Does R/W bind the supervisor? CR0.WP decides; and SMAP may forbid before."),
                       yes_no("kernel-fetch", "an instruction fetch at CPL 0", allowed(AccessKind::fetch, 0),
                              "Is it a user page? What does CR4.SMEP say of those? And XD binds everybody.")};
    exercise.solution = "The rights of the path, entry by entry (R/W and U/S are ANDed, XD is ORed):\n\n";
    for (const WalkStep& step : walk.steps()) {
        exercise.solution += fmt::format(
            "  {}: so far {}, {}, {}\n", to_string(step.entry), step.rights.writable ? "writable" : "read-only",
            step.rights.user ? "user" : "supervisor only", step.rights.executable ? "executable" : "not executable");
    }
    exercise.solution += '\n';
    for (const std::uint8_t cpl : {std::uint8_t{3}, std::uint8_t{0}}) {
        for (const AccessKind kind : {AccessKind::read, AccessKind::write, AccessKind::fetch}) {
            const WalkResult result = tables.walk(virt, {.kind = kind, .cpl = cpl});
            exercise.solution += fmt::format("  {}: {}\n", to_string(result.access()),
                                             result.translation() != nullptr
                                                 ? std::string{"allowed"}
                                                 : "#PF: " + std::string{to_string(result.page_fault()->cause)});
        }
    }
}

constexpr std::array exercises_here{
    ExerciseEntry{{"decode-entry", "What a 64-bit entry says"}, decode_entry},
    ExerciseEntry{{"encode-entry", "Write an entry"}, encode_entry},
    ExerciseEntry{{"effective-rights", "What a path of four entries allows"}, effective_rights}};

}  // namespace

std::span<const ExerciseEntry> entry_exercises() {
    return exercises_here;
}

}  // namespace pgsim::exercises
