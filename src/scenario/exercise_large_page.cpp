// SPDX-License-Identifier: GPL-2.0-only
// Exercises on large pages: one into 512, and 512 into one.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "pgsim/base/units.hpp"
#include "scenario/exercise_parts.hpp"

namespace pgsim::exercises {

namespace {

constexpr std::uint64_t pat_large = 1U << 12;
constexpr std::uint64_t pat_small = 1U << 7;
constexpr std::uint64_t address_bits = ((std::uint64_t{1} << 52) - 1) & ~std::uint64_t{0xfff};

// Whether two address spaces translate the 2 MiB at `virt` alike: addresses, rights, attributes.
bool same_pages(const AddressSpace& a, const AddressSpace& b, VirtAddr virt) {
    for (std::uint64_t page = 0; page < 512; ++page) {
        const WalkResult one = a.walk(virt + page * 4096);
        const WalkResult two = b.walk(virt + page * 4096);
        const Translation* const x = one.translation();
        const Translation* const y = two.translation();
        if (x == nullptr || y == nullptr || x->phys != y->phys || x->rights != y->rights || x->global != y->global ||
            x->pat_index != y->pat_index || x->protection_key != y->protection_key || x->dirty != y->dirty) {
            return false;
        }
    }
    return true;
}

void split_page(SplitMix64& random, Exercise& exercise) {
    Tables tables{random, 4};
    const VirtAddr virt{random.below(std::uint64_t{1} << 26) * 2 * MiB};
    const std::uint64_t flags =
        bit_p | bit_a | (random.next() & (bit_rw | bit_us | bit_d | bit_g | bit_xd | pat_large));
    tables.map(virt, PhysAddr{random.between(8, 0xfff) * 2 * MiB}, PageSize::k2M, flags);
    const PhysAddr at = tables.entry_at(virt, Level::pd);
    const Entry pde{Level::pd, tables.memory().read64(at)};
    const AddressSpace before = tables.space();
    const PhysAddr table = tables.new_table(Level::pt);
    const std::uint64_t small = (pde.raw() & ~address_bits & ~bit_ps) | (*pde.pat() ? pat_small : 0);
    // The new table is filled, then named: at no moment is the page not mapped.
    for (std::uint64_t i = 0; i < 512; ++i) {
        tables.put(table + i * 8, (pde.base() + i * 4096).value() | small);
    }
    tables.put(at, table.value() | 0x67);
    const AddressSpace after = tables.space();
    const bool alike = same_pages(before, after, virt);
    const std::uint64_t middle = random.between(2, 510);
    exercise.text = fmt::format(
        "4-level paging, NXE = 1. The page-directory entry\n\n  {}\n\nmaps the 2 MiB at {}. It is to be replaced by "
        "the page "
        "table at {}, in which each entry gives the\nsame rights and the same memory type as before; accessed and "
        "dirty "
        "flags are handed on.\nThe new page-directory entry is to allow everything and be marked accessed and dirty "
        "(bits "
        "0x67).\n\nWhat do entries 0, {} and 511 of the page table hold, and the page-directory entry?\n",
        hex16(pde.raw()), hex(virt.value()), hex(table.value()), middle);
    const auto entry = [&](std::uint64_t index, std::string name) {
        const std::uint64_t value = after.memory().read64(table + index * 8);
        ExerciseField field =
            address(std::move(name), fmt::format("entry {} of the page table", index), value,
                    "Address: the 2-MByte page's base and 4096 for each entry before. Flags: PS means "
                    "something else in a page table, and bit 12 belongs to the address there.");
        const auto slip = [&](std::uint64_t wrong, std::string says) {
            if (wrong != value) {
                field.slips.emplace_back(hex(wrong), std::move(says));
            }
        };
        slip((pde.base() + index * 4096).value() | (pde.raw() & ~address_bits) | (*pde.pat() ? pat_large : 0),
             "Flags were copied as they were: bit 7 of a page-table entry is PAT, and bit 12 an address bit.");
        slip((value & ~pat_small) | bit_ps, "Bit 7 of a page-table entry is PAT, not PS.");
        slip(value & ~pat_small, "The memory type would change: where did PAT go?");
        return field;
    };
    exercise.fields.push_back(entry(0, "e0"));
    exercise.fields.push_back(entry(middle, "emid"));
    exercise.fields.push_back(entry(511, "e511"));
    exercise.fields.push_back(address("pde", "the new page-directory entry", after.memory().read64(at),
                                      "The table's address, with bits 0x67; PS must be clear now."));
    exercise.solution = fmt::format(
        "{}\n\nPS (bit 7) goes away; PAT moves from bit 12 to bit 7 of each small entry ({} here); the other flags "
        "stay:\n\n"
        "  flags of each entry: {}\n  entry 0:   {} + 0        -> {}\n  entry {}: {} + {} * 4096 -> {}\n  entry 511: "
        "{} + 511 * "
        "4096 -> {}\n  new PDE:   {}\n\nAll 512 pages translate as before, with the same rights and memory type: {}.\n",
        to_string(pde), *pde.pat() ? "set" : "clear", hex16(small), hex(pde.base().value()),
        hex16(after.memory().read64(table)), middle, hex(pde.base().value()), middle,
        hex16(after.memory().read64(table + middle * 8)), hex(pde.base().value()),
        hex16(after.memory().read64(table + std::uint64_t{511} * 8)), hex16(after.memory().read64(at)),
        alike ? "the walker agrees" : "the walker does not agree");
}

void merge_pages(SplitMix64& random, Exercise& exercise) {
    Tables tables{random, 4};
    const VirtAddr virt{random.below(std::uint64_t{1} << 26) * 2 * MiB};
    const std::uint64_t flags =
        bit_p | bit_a | bit_d | (random.next() & (bit_rw | bit_us | bit_g | bit_xd | pat_small));
    PhysAddr base{random.between(8, 0xfff) * 2 * MiB};
    std::string reason = "none";
    std::uint64_t odd = 0;
    switch (random.below(6)) {
    case 0: base += random.between(1, 511) * 4096, reason = "alignment"; break;
    case 1: reason = "gap", odd = random.between(2, 510); break;
    case 2: reason = "rights", odd = random.between(2, 510); break;
    case 3: reason = "type", odd = random.between(2, 510); break;
    default: break;
    }
    for (std::uint64_t i = 0; i < 512; ++i) {
        std::uint64_t value = (base + i * 4096).value() | flags;
        if (odd != 0 && i == odd) {
            value ^= reason == "gap" ? 0x1000 : reason == "rights" ? bit_rw : pat_small;
        }
        tables.put(tables.entry_at(virt + i * 4096, Level::pt), value);
    }
    const PhysAddr pde_at = tables.entry_at(virt, Level::pd);
    const PhysAddr pt = Entry{Level::pd, tables.memory().read64(pde_at)}.base();
    const std::uint64_t first = tables.memory().read64(pt);
    exercise.text = fmt::format("4-level paging, NXE = 1. The page table at {} maps the 2 MiB at {}. Its entries:\n\n",
                                hex(pt.value()), hex(virt.value()));
    const auto line = [&](std::uint64_t i) {
        return fmt::format("  [{:3}] {}\n", i, hex16(tables.memory().read64(pt + i * 8)));
    };
    exercise.text += line(0) + line(1) + "  ...   (one page further each, with the same flags)\n" +
                     (odd != 0 ? line(odd) + "  ...   (again as the first ones)\n" : "") + line(511);
    exercise.text +=
        "\nCan one 2-MByte page take their place, with the same addresses, rights and memory type? If so, which "
        "page-directory\nentry (accessed and dirty handed on)?\n";
    // Tried out: the large page, against the pages as they are.
    const AddressSpace before = tables.space();
    const std::uint64_t merged = (Entry{Level::pt, first}.base().align_down(2 * MiB)).value() | bit_ps |
                                 (first & ~address_bits & ~pat_small) | ((first & pat_small) != 0 ? pat_large : 0);
    tables.put(pde_at, merged);
    const bool possible = same_pages(before, tables.space(), virt);
    exercise.fields.push_back(
        yes_no("merge", "can they be merged?", possible,
               "Compare addresses, rights and memory type of all, and think of where a 2-MByte page may "
               "begin."));
    exercise.fields.push_back(word(
        "reason", "what stands against it", possible ? "none" : reason, {"none", "alignment", "gap", "rights", "type"},
        "alignment: of the physical address; gap: physical addresses do not go on; rights: R/W, U/S "
        "or XD differ; type: PAT, PCD or PWT differ."));
    ExerciseField pde = address("pde", "the page-directory entry; 0 if there is none", possible ? merged : 0,
                                "If a 2-MByte page is possible: PS is set, and PAT is elsewhere. If not: 0.");
    if (possible && (first & pat_small) != 0) {
        pde.slips.emplace_back(hex(merged & ~pat_large),
                               "The memory type would change: where is PAT in a large page's entry?");
    }
    exercise.fields.push_back(std::move(pde));
    exercise.solution =
        fmt::format("Entry 0 is {}.\nA 2-MByte page must begin at a multiple of 2 MiB: {} is{} one.\n",
                    to_string(Entry{Level::pt, first}), hex(base.value()), base.is_aligned(2 * MiB) ? "" : " not");
    if (odd != 0) {
        exercise.solution += fmt::format("Entry {} differs from what one page would give ({}).\n", odd, reason);
    }
    exercise.solution += possible
                             ? fmt::format("Tried on the simulated tables: {} translates all 512 pages as before.\n",
                                           to_string(Entry{Level::pd, merged}))
                             : "Tried on the simulated tables: one page would change the translation; not possible.\n";
}

constexpr std::array exercises_here{
    ExerciseEntry{{"split-page", "A 2-MByte page becomes 512 pages"}, split_page},
    ExerciseEntry{{"merge-pages", "512 pages become a 2-MByte page, or not"}, merge_pages}};

}  // namespace

std::span<const ExerciseEntry> large_page_exercises() {
    return exercises_here;
}

}  // namespace pgsim::exercises
