// SPDX-License-Identifier: GPL-2.0-only
// Exercises on the TLB: stale translations, reach, and the working set that accessed flags show.
#include <fmt/format.h>

#include <array>

#include "pgsim/base/units.hpp"
#include "pgsim/mmu/mmu.hpp"
#include "pgsim/mmu/tag_array.hpp"
#include "scenario/exercise_parts.hpp"

namespace pgsim::exercises {

namespace {

std::string joined(const std::vector<std::string>& items) {
    std::string text;
    for (const std::string& item : items) {
        text += (text.empty() ? "" : " ") + item;
    }
    return text.empty() ? "none" : text;
}

// One page that moves between three frames while a processor looks at it.
void tlb_stale(SplitMix64& random, Exercise& exercise) {
    Tables tables{random, 4};
    const VirtAddr virt{random.below(std::uint64_t{1} << 35) << 12};
    const bool global = random.chance(3);
    const std::uint64_t flags = 0x67 | (global ? bit_g : 0);
    const std::array frames{tables.new_frame(), tables.new_frame(), tables.new_frame()};
    tables.map(virt, frames[0], PageSize::k4K, flags);
    const PhysAddr pte = tables.entry_at(virt, Level::pt);
    Mmu mmu;
    mmu.set_controls(tables.controls());
    const std::vector<std::string> choices{"a", "b", "c", "fault"};
    exercise.text = fmt::format(
        "One processor, 4-level paging, CR4.PGE = 1, no PCIDs. Three frames: a at {}, b at {}, c at {}.\nThe page {} "
        "is "
        "mapped to a, its entry is {}global. The TLB is empty and keeps everything until it must go.\nOne after the "
        "other:\n\n",
        hex(frames[0].value()), hex(frames[1].value()), hex(frames[2].value()), hex(virt.value()),
        global ? "" : "not ");
    std::string& lines = exercise.text;
    std::string story;
    unsigned step = 0;
    unsigned loads = 0;
    const auto say = [&](const std::string& what) { lines += fmt::format("  {}. {}\n", ++step, what); };
    const auto load = [&] {
        const WalkResult result = mmu.access(tables.memory(), virt, {});
        std::string sees = "fault";
        std::string from = "page fault: the entry is not present, and no translation is cached";
        if (const Translation* const found = result.translation()) {
            for (std::size_t i = 0; i < frames.size(); ++i) {
                if (found->phys == frames[i]) {
                    sees = choices[i];
                }
            }
            from = found->source == TranslationSource::tlb ? "from the TLB" : "by a walk, and now in the TLB";
        }
        say(fmt::format("a load from the page (load {})", ++loads));
        story += fmt::format("  step {}: load {} gives {}: {}\n", step, loads, sees, from);
        exercise.fields.push_back(
            word(fmt::format("l{}", loads), fmt::format("what load {} sees", loads), sees, choices,
                 "Is a translation of the page in the TLB at this moment? Then the tables are not "
                 "looked at; what takes it away, and what leaves it?"));
    };
    load();
    while (loads < 4) {
        switch (random.below(6)) {
        case 0:
        case 1: {
            const std::uint64_t to = random.below(3);
            tables.put(pte, frames[to].value() | flags);
            say(fmt::format("the entry is changed to frame {}", choices[to]));
            break;
        }
        case 2:
            tables.put(pte, 0);
            say("the entry is cleared");
            break;
        case 3:
            mmu.invalidate_page(virt);
            say("INVLPG of the page");
            story += fmt::format("  step {}: INVLPG takes the page away, global or not\n", step);
            break;
        case 4:
            mmu.flush({TranslationFlush::Scope::all_but_global, 0});
            say("MOV to CR3 (the same value)");
            story += fmt::format("  step {}: MOV to CR3 takes away everything that is not global\n", step);
            break;
        default: break;
        }
        if (!random.chance(3)) {
            load();
        }
    }
    lines += "\nWhat does each load see: frame a, b, c, or a fault?\n";
    exercise.solution = story + "\nA changed entry alone changes nothing for the processor; a fault is never cached.\n";
}

void tlb_reach(SplitMix64& random, Exercise& exercise) {
    const std::uint64_t sets = std::uint64_t{1} << random.between(1, 3);
    const std::uint64_t ways = random.between(2, 4);
    std::uint64_t pages = sets * ways + random.between(0, sets * ways);
    pages -= random.between(0, sets * ways / 2);
    const std::uint64_t base = random.below(std::uint64_t{1} << 30) << 12 << 3;
    TagArray tlb{"exercise", {static_cast<unsigned>(sets), static_cast<unsigned>(ways)}};
    std::uint64_t clock = 0;
    std::array<std::uint64_t, 2> misses{};
    std::vector<std::uint64_t> in_set(sets);
    for (std::uint64_t pass = 0; pass < 2; ++pass) {
        for (std::uint64_t i = 0; i < pages; ++i) {
            const std::uint64_t prefix = Tag::prefix(base + i * 4096, TagKind::k4K);
            const std::uint64_t tag = Tag::make(prefix, TagKind::k4K, 0);
            in_set[tlb.set_of(prefix)] += pass == 0 ? 1 : 0;
            unsigned slot = tlb.find(prefix, tag, tag);
            if (slot == TagArray::none) {
                ++misses[pass];
                slot = tlb.place_for(prefix);
                tlb.put(slot, tag, ++clock);
            } else {
                tlb.touch(slot, ++clock);
            }
        }
    }
    exercise.text = fmt::format(
        "A TLB for 4-KByte pages has {} sets of {} ways; the lowest {} bits of the page number choose the set, and the "
        "least\n"
        "recently used entry of a set makes room. It is empty. A program reads one byte of each of {} pages that "
        "follow each\n"
        "other, from {} on, and then does the same again.\n\nHow many TLB misses are there in the first pass, and how "
        "many in "
        "the second?\n",
        sets, ways,
        sets == 2   ? "1"
        : sets == 4 ? "2"
                    : "3",
        pages, hex(base));
    exercise.fields = {
        number("first", "misses of the first pass", misses[0], "Nothing is there yet."),
        number("second", "misses of the second pass", misses[1],
               "How many of the pages go to each set? In a set with more pages than ways, which entry goes just "
               "before it is needed?"),
        number("reach", "bytes that this TLB can cover at once", sets * ways * 4096, "Entries times page size.")};
    exercise.solution =
        fmt::format("{} entries of 4 KiB cover {}.\nPages in each set:", sets * ways, human_bytes(sets * ways * 4096));
    for (const std::uint64_t count : in_set) {
        exercise.solution += fmt::format(" {}{}", count, count > ways ? " (too many)" : "");
    }
    exercise.solution += fmt::format(
        "\nIn a set with more pages than ways, walking round in the same order, each page is pushed "
        "out just before its turn:\nall of them miss again. First pass {}, second pass {}.\n",
        misses[0], misses[1]);
}

void working_set(SplitMix64& random, Exercise& exercise) {
    Tables tables{random, 4};
    const std::uint64_t pages = random.between(6, 9);
    const VirtAddr base{random.below(std::uint64_t{1} << 30) << 16};
    for (std::uint64_t i = 0; i < pages; ++i) {
        tables.map(base + i * 4096, tables.new_frame(), PageSize::k4K, 0x07);
    }
    Mmu mmu;
    mmu.set_controls(tables.controls());
    exercise.text = fmt::format(
        "A program has {} pages, numbered from 0. At the beginning of each window the kernel clears the accessed flag "
        "of every\n"
        "page and flushes the TLB; at its end it looks which flags the processor has set. The program accesses pages "
        "in this "
        "order\n(r: read, w: write):\n\n",
        pages);
    for (unsigned window = 1; window <= 3; ++window) {
        for (std::uint64_t i = 0; i < pages; ++i) {
            const PhysAddr pte = tables.entry_at(base + i * 4096, Level::pt);
            tables.put(pte, tables.memory().read64(pte) & ~(bit_a | bit_d));
        }
        mmu.flush({TranslationFlush::Scope::all, 0});
        exercise.text += fmt::format("  window {}:", window);
        const std::uint64_t low = random.below(pages - 2);
        for (std::uint64_t i = random.between(6, 12); i != 0; --i) {
            const std::uint64_t page = random.chance(5) ? random.below(pages) : low + random.below(3);
            const bool write = random.chance(3);
            static_cast<void>(mmu.access(tables.memory(), base + page * 4096,
                                         {.kind = write ? AccessKind::write : AccessKind::read, .cpl = 3}));
            exercise.text += fmt::format(" {}{}", write ? 'w' : 'r', page);
        }
        exercise.text += '\n';
        std::vector<std::string> accessed;
        std::vector<std::string> dirty;
        for (std::uint64_t i = 0; i < pages; ++i) {
            const Entry pte{Level::pt, tables.memory().read64(tables.entry_at(base + i * 4096, Level::pt))};
            if (pte.has(EntryFlag::a)) {
                accessed.push_back(std::to_string(i));
            }
            if (pte.has(EntryFlag::d)) {
                dirty.push_back(std::to_string(i));
            }
        }
        exercise.fields.push_back(number(fmt::format("ws{}", window),
                                         fmt::format("pages in the working set of window {}", window), accessed.size(),
                                         "Each page counts once, however often it is accessed."));
        exercise.fields.push_back(list(fmt::format("dirty{}", window),
                                       fmt::format("pages dirty after window {}", window), dirty,
                                       "Only writes set the dirty flag."));
        exercise.solution +=
            fmt::format("  window {}: accessed {}; dirty {}\n", window, joined(accessed), joined(dirty));
    }
    exercise.text += "\nHow large is the working set of each window, and which pages are dirty at its end?\n";
    exercise.solution = "What the processor set in the page table:\n\n" + exercise.solution;
}

constexpr std::array exercises_here{
    ExerciseEntry{{"tlb-stale", "What a load sees while the tables change"}, tlb_stale},
    ExerciseEntry{{"tlb-reach", "Misses of a loop over too many pages"}, tlb_reach},
    ExerciseEntry{{"working-set", "Accessed flags tell what a program needs"}, working_set}};

}  // namespace

std::span<const ExerciseEntry> tlb_exercises() {
    return exercises_here;
}

}  // namespace pgsim::exercises
