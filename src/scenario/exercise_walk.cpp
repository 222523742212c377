// SPDX-License-Identifier: GPL-2.0-only
// Exercises on whole walks: by hand, into a fault, through tables with a mistake in them.
#include <fmt/format.h>

#include <array>

#include "pgsim/base/units.hpp"
#include "scenario/exercise_parts.hpp"

namespace pgsim::exercises {

namespace {

std::string lower_size(PageSize size) {
    return size == PageSize::k4K ? "4k" : size == PageSize::k2M ? "2m" : "1g";
}

// Maps a page of a random size somewhere at `virt`.
void map_some(SplitMix64& random, Tables& tables, VirtAddr virt, std::uint64_t flags = 0x67) {
    switch (random.below(4)) {
    case 0: tables.map(virt, PhysAddr{random.between(1, 63) * GiB}, PageSize::k1G, flags); break;
    case 1: tables.map(virt, PhysAddr{random.between(8, 0x3ff) * 2 * MiB}, PageSize::k2M, flags); break;
    default: tables.map(virt, tables.new_frame(), PageSize::k4K, flags);
    }
}

void walk_by_hand(SplitMix64& random, Exercise& exercise) {
    Tables tables{random, random.chance(4) ? 5U : 4U};
    const unsigned levels = number(tables.top());
    const VirtAddr virt = some_address(random, levels);
    map_some(random, tables, virt);
    const unsigned lowest = number(tables.walk(virt).steps().back().entry.level());
    for (unsigned i = 0; i < 5; ++i) {
        // Neighbours that share tables with the page, so that the right entry has to be picked.
        const Level level{static_cast<std::uint8_t>(random.between(1, 4))};
        const VirtAddr near{virt.value() ^ random.between(1, 7) << index_shift(level)};
        if (number(level) < lowest) {
            continue;
        }
        if (const PhysAddr entry = tables.entry_at(near, level); tables.memory().read64(entry) == 0) {
            tables.put(entry, tables.new_frame().value() | 0x67);
        }
    }
    const WalkResult walk = tables.walk(virt);
    const Translation& found = *walk.translation();
    exercise.text = fmt::format(
        "{}-level paging, CR3 = {}. Memory holds, at the addresses on the left (all other words of "
        "these tables are 0):\n\n{}\nTo which physical address does the linear address\n\n  {}\n\n"
        "translate, and how large is the page?\n",
        levels, hex(tables.root().value()), tables.dump(), hex16(virt.value()));
    ExerciseField phys =
        address("phys", "the physical address", found.phys.value(),
                "Table address + 8 * index gives the place of each entry; bits 51:12 of it name the next "
                "table. Is bit 7 set on the way?");
    const std::uint64_t base = found.phys.value() & ~(bytes(found.page_size) - 1);
    if (base != found.phys.value()) {
        phys.slips.emplace_back(hex(base), "That is where the page begins. Which byte of it?");
    }
    const std::uint64_t short_offset = base | virt.offset_in(4096);
    if (short_offset != found.phys.value()) {
        phys.slips.emplace_back(hex(short_offset), "The right page, but how many bits of offset does its size have?");
    }
    exercise.fields.push_back(std::move(phys));
    exercise.fields.push_back(word("size", "the page's size", lower_size(found.page_size), {"4k", "2m", "1g"},
                                   "At which level did the walk end?"));
    exercise.solution =
        told(walk) + fmt::format("\nThe page is {} large and begins at {}; the offset in it is {}. Result: {}\n",
                                 short_name(found.page_size), hex(base), hex(found.phys.value() - base),
                                 hex(found.phys.value()));
}

void page_fault(SplitMix64& random, Exercise& exercise) {
    Tables tables{random, 4};
    VirtAddr virt{random.below(std::uint64_t{1} << 47)};
    map_some(random, tables, virt);
    const WalkResult good = tables.walk(virt);
    const WalkStep step = good.steps()[random.below(good.steps().size())];
    const std::uint64_t old = step.entry.raw();
    switch (random.below(7)) {
    case 0: tables.put(step.entry_addr, old & ~bit_p); break;
    case 1: tables.put(step.entry_addr, old & ~bit_rw); break;
    case 2: tables.put(step.entry_addr, old & ~bit_us); break;
    case 3: tables.put(step.entry_addr, old | bit_xd); break;
    case 4: tables.put(step.entry_addr, old | std::uint64_t{1} << random.between(46, 51)); break;
    case 5: virt = VirtAddr{virt.value() | std::uint64_t{1} << random.between(47, 62)}; break;
    default: break;
    }
    tables.controls().cr0_wp = !random.chance(3);
    tables.controls().smep = random.chance(3);
    const std::array kinds{AccessKind::read, AccessKind::write, AccessKind::fetch};
    const Access access{.kind = kinds[random.below(3)], .cpl = static_cast<std::uint8_t>(random.chance(3) ? 0 : 3)};
    const WalkResult walk = tables.walk(virt, access);
    exercise.text = fmt::format(
        "4-level paging, CR3 = {}, NXE = 1, CR0.WP = {:d}, CR4.SMEP = {:d}, CR4.SMAP = 0, MAXPHYADDR = 46.\nMemory "
        "holds:"
        "\n\n{}\nThe program makes a {} of\n\n  {}\n\nWhat happens?\n",
        hex(tables.root().value()), tables.controls().cr0_wp, tables.controls().smep, tables.dump(), to_string(access),
        hex16(virt.value()));
    const PageFault* const fault = walk.page_fault();
    const bool gp = walk.address_fault() != nullptr;
    exercise.fields.push_back(
        word("outcome", "ok, pf (#PF) or gp (#GP)",
             gp                 ? "gp"
             : fault != nullptr ? "pf"
                                : "ok",
             {"ok", "pf", "gp"},
             "First: is the address canonical? Then each entry in turn: present, no reserved bit? Last "
             "the rights of the whole path."));
    ExerciseField code =
        number("code", "the error code; 0 if there is none", fault != nullptr ? fault->error_code : 0,
               "P(0): the entries were all present; W/R(1): a write; U/S(2): at CPL 3; RSVD(3): a reserved "
               "bit; I/D(4): a fetch.");
    if (fault != nullptr && (fault->error_code & 1) != 0) {
        code.slips.emplace_back(std::to_string(fault->error_code ^ 1),
                                "Look at bit 0 again: were all entries present?");
    }
    if (fault != nullptr && (fault->error_code & 4) != 0) {
        code.slips.emplace_back(std::to_string(fault->error_code ^ 4), "Look at bit 2 again: who makes the access?");
    }
    exercise.fields.push_back(std::move(code));
    exercise.fields.push_back(
        number("reads", "how many entries the walk reads", walk.steps().size(),
               "A walk ends at the first entry that is not present, has a reserved bit set, or maps a "
               "page; rights are judged at the end."));
    exercise.solution = told(walk);
    if (fault != nullptr) {
        exercise.solution += fmt::format("\n#PF, error code 0x{:x}: {} at the {}.\n", fault->error_code,
                                         to_string(fault->cause), entry_name(fault->level));
    } else {
        exercise.solution += gp ? "The address is not canonical: #GP(0), and no table is read.\n"
                                : "\nEvery entry is present and the path gives the right: the access is made.\n";
    }
}

struct Wanted {
    VirtAddr virt;
    PhysAddr phys;
    AccessRights rights;
    std::string_view what;
};

bool as_wanted(const Tables& tables, const Wanted& page) {
    const WalkResult walk = tables.walk(page.virt);
    return walk.translation() != nullptr && walk.translation()->phys == page.phys &&
           walk.translation()->rights == page.rights;
}

std::string rights_text(AccessRights rights) {
    return fmt::format("r{}{} {}", rights.writable ? 'w' : '-', rights.executable ? 'x' : '-',
                       rights.user ? "user" : "supervisor");
}

void find_the_bug(SplitMix64& random, Exercise& exercise) {
    Tables tables{random, 4};
    const std::uint64_t slot = random.below(16);
    const std::array pages{
        Wanted{VirtAddr{0x40'0000 + slot * 0x1000}, tables.new_frame(), {false, true, true}, "code"},
        Wanted{VirtAddr{0x60'0000 + slot * 0x1000}, tables.new_frame(), {true, true, false}, "data"},
        Wanted{VirtAddr{0x7fff'ffff'0000 - slot * 0x1000}, tables.new_frame(), {true, true, false}, "stack"},
        Wanted{
            VirtAddr{0xffff'8880'0000'0000 + slot * 0x1000}, tables.new_frame(), {true, false, false}, "kernel data"}};
    for (const Wanted& page : pages) {
        const std::uint64_t flags = bit_p | bit_a | (page.rights.writable ? bit_rw | bit_d : 0) |
                                    (page.rights.user ? bit_us : 0) | (page.rights.executable ? 0 : bit_xd);
        tables.map(page.virt, page.phys, PageSize::k4K, flags);
    }
    struct Mistake {
        std::string kind;
        std::uint64_t flip;
    };
    const std::array mistakes{Mistake{"not-present", bit_p},
                              Mistake{"read-only", bit_rw},
                              Mistake{"supervisor", bit_us},
                              Mistake{"no-execute", bit_xd},
                              Mistake{"executable", bit_xd},
                              Mistake{"reserved-bit", std::uint64_t{1} << random.between(46, 51)},
                              Mistake{"wrong-base", random.between(1, 15) << 12}};
    while (true) {
        const Mistake& mistake = mistakes[random.below(mistakes.size())];
        const WalkResult walk = tables.walk(pages[random.below(pages.size())].virt);
        const WalkStep step = walk.steps()[random.below(4)];
        const std::uint64_t old = step.entry.raw();
        const bool leaf = step.entry.level() == Level::pt;
        const bool takes_away = mistake.kind != "no-execute" && mistake.kind != "reserved-bit";
        if ((mistake.kind == "wrong-base" && !leaf) ||
            (mistake.kind != "wrong-base" && takes_away != ((old & mistake.flip) != 0))) {
            continue;
        }
        tables.put(step.entry_addr, old ^ mistake.flip);
        std::string broken;
        for (const Wanted& page : pages) {
            broken += as_wanted(tables, page) ? "" : fmt::format("  {} at {}\n", page.what, hex(page.virt.value()));
        }
        if (broken.empty()) {
            tables.put(step.entry_addr, old);
            continue;
        }
        exercise.text = fmt::format("4-level paging, CR3 = {}, NXE = 1, MAXPHYADDR = 46. These pages were wanted:\n\n",
                                    hex(tables.root().value()));
        for (const Wanted& page : pages) {
            exercise.text += fmt::format("  {:<11} {} -> {}  {}\n", page.what, hex16(page.virt.value()),
                                         hex(page.phys.value()), rights_text(page.rights));
        }
        exercise.text += fmt::format(
            "\nand these are the tables, with one mistake in one entry:\n\n{}\nWhich entry is wrong, "
            "and what is wrong with it?\n",
            tables.dump());
        exercise.fields.push_back(
            address("entry", "physical address of the wrong entry", step.entry_addr.value(),
                    "Walk each of the pages and compare with what was wanted: which entries do the "
                    "broken ones share that the others do not use?"));
        std::vector<std::string> kinds;
        for (const Mistake& other : mistakes) {
            kinds.push_back(other.kind);
        }
        exercise.fields.push_back(word("kind", "what is wrong", mistake.kind, kinds,
                                       "Decode the entry bit by bit and compare with its neighbours."));
        exercise.solution = fmt::format(
            "Pages that are not as wanted:\n\n{}\nThe walk of one of them:\n\n{}\nThe entry at {} "
            "holds {} and should hold {}: {}.\n",
            broken, told(tables.walk(walk.virt())), hex(step.entry_addr.value()), hex16(old ^ mistake.flip), hex16(old),
            mistake.kind);
        return;
    }
}

struct Stretch {
    VirtAddr first;
    std::uint64_t pages = 0;
    PageSize size = PageSize::k4K;
};

void page_table_pages(SplitMix64& random, Exercise& exercise) {
    Tables tables{random, 4};
    exercise.text =
        "A new 4-level address space gets these mappings, each page by an entry of its own size, and nothing "
        "else:\n\n";
    const std::uint64_t parts = random.between(2, 3);
    std::uint64_t at = random.between(1, 100) * GiB;
    for (std::uint64_t i = 0; i < parts; ++i) {
        Stretch part;
        part.size = random.chance(3) ? PageSize::k2M : PageSize::k4K;
        part.pages = part.size == PageSize::k2M ? random.between(1, 1500) : random.between(1, 2500);
        at = (at + random.below(600) * MiB) & ~(bytes(part.size) - 1);
        at += random.chance(2) ? random.below(20) * bytes(part.size) : 0;
        part.first = VirtAddr{at};
        for (std::uint64_t page = 0; page < part.pages; ++page) {
            const PhysAddr phys{page * bytes(part.size)};
            tables.map(part.first + page * bytes(part.size), phys, part.size, 0x67);
        }
        at += part.pages * bytes(part.size);
        exercise.text += fmt::format("  {} - {}  {} pages of {}\n", hex(part.first.value()), hex(at), part.pages,
                                     short_name(part.size));
        at += random.chance(2) ? random.below(3) * 512 * GiB : 0;
    }
    exercise.text += "\nHow many tables of each kind does it need?\n";
    std::array<std::uint64_t, 6> count{};
    std::array<std::string, 6> places;
    for (const TableRef& table : tables.space().tables()) {
        ++count[number(table.level)];
        if (count[number(table.level)] <= 8) {
            places[number(table.level)] += ' ' + hex(table.virt.value());
        }
    }
    for (const Level level : {Level::pt, Level::pd, Level::pdpt}) {
        const std::uint64_t covers = span_of(level) * 512;
        exercise.fields.push_back(number(
            level == Level::pt   ? "pt"
            : level == Level::pd ? "pd"
                                 : "pdpt",
            fmt::format("tables of the kind {}", table_short(level)), count[number(level)],
            fmt::format("One covers {}, aligned: how many such pieces do the mappings that need this level touch?",
                        human_bytes(covers))));
        exercise.solution +=
            fmt::format("  A {} covers {}; needed: {}. They begin at{}{}\n", table_short(level), human_bytes(covers),
                        count[number(level)], places[number(level)], count[number(level)] > 8 ? " ..." : "");
    }
    exercise.fields.push_back(number("total", "tables of all kinds, the PML4 included",
                                     count[1] + count[2] + count[3] + count[4], "The sum, and the PML4 itself."));
    exercise.solution += fmt::format("\nWith the PML4: {} tables, {}.\n", count[1] + count[2] + count[3] + count[4],
                                     human_bytes((count[1] + count[2] + count[3] + count[4]) * 4096));
}

constexpr std::array exercises_here{
    ExerciseEntry{{"walk-by-hand", "Translate an address with paper and pencil"}, walk_by_hand},
    ExerciseEntry{{"page-fault", "Which fault, which error code"}, page_fault},
    ExerciseEntry{{"find-the-bug", "One entry of these tables is wrong"}, find_the_bug},
    ExerciseEntry{{"page-table-pages", "How many tables some mappings need"}, page_table_pages}};

}  // namespace

std::span<const ExerciseEntry> walk_exercises() {
    return exercises_here;
}

}  // namespace pgsim::exercises
