// SPDX-License-Identifier: GPL-2.0-only
// Exercises on what a walk costs: entries read without caches, with them, and under a hypervisor.
#include <fmt/format.h>

#include <array>

#include "pgsim/base/units.hpp"
#include "pgsim/mmu/mmu.hpp"
#include "pgsim/mmu/nested.hpp"
#include "scenario/exercise_parts.hpp"

namespace pgsim::exercises {

namespace {

struct Page {
    VirtAddr virt;
    PageSize size = PageSize::k4K;
};

// A few pages near each other and far from each other, with accessed flags set.
std::vector<Page> some_pages(SplitMix64& random, Tables& tables, bool large) {
    std::vector<Page> pages;
    const std::uint64_t user_bits = tables.top() == Level::pml5 ? 56 : 47;
    const std::uint64_t base = random.below(std::uint64_t{1} << user_bits) & ~(2 * 512 * GiB - 1);
    pages.push_back({VirtAddr{base + random.below(16) * 4096}, PageSize::k4K});
    pages.push_back({VirtAddr{base + random.between(16, 511) * 4096}, PageSize::k4K});
    pages.push_back(
        {VirtAddr{base + random.between(1, 500) * 2 * MiB}, large || random.chance(2) ? PageSize::k2M : PageSize::k4K});
    pages.push_back(
        {VirtAddr{base + random.between(1, 500) * GiB}, large || random.chance(2) ? PageSize::k1G : PageSize::k4K});
    pages.push_back({VirtAddr{base + 512 * GiB + random.below(512) * 4096}, PageSize::k4K});
    for (const Page& page : pages) {
        const PhysAddr phys = page.size == PageSize::k1G   ? PhysAddr{random.between(1, 7) * GiB}
                              : page.size == PageSize::k2M ? PhysAddr{random.between(8, 511) * 2 * MiB}
                                                           : tables.new_frame();
        tables.map(page.virt, phys, page.size, 0x67);
    }
    return pages;
}

void count_references(SplitMix64& random, Exercise& exercise, CachePolicy policy) {
    Tables tables{random, random.chance(4) ? 5U : 4U};
    const bool cached = policy == CachePolicy::on;
    const std::vector<Page> pages = some_pages(random, tables, !cached);
    Mmu mmu;
    mmu.set_policy(policy);
    mmu.set_controls(tables.controls());
    exercise.text = fmt::format(
        "{}-level paging. {}\nThe program reads, one after the other:\n\n", number(tables.top()),
        cached
            ? "The TLB and the paging-structure caches (for entries of every level above the page) are\nlarge enough "
              "and empty at the beginning. Nothing is invalidated."
            : "The processor has no TLB and no paging-structure caches.");
    exercise.solution = cached ? "What each access finds cached:\n\n" : "Every access walks from the root:\n\n";
    const std::uint64_t accesses = cached ? 6 : 3;
    for (std::uint64_t i = 1; i <= accesses; ++i) {
        const Page& page = pages[!cached ? random.between(1, 3) : i == 1 ? 0 : random.below(pages.size())];
        const VirtAddr virt = page.virt + (random.below(bytes(page.size)) & ~std::uint64_t{7});
        const MmuStatistics before = mmu.statistics();
        const WalkResult result = mmu.access(tables.memory(), virt, {});
        const MmuStatistics& after = mmu.statistics();
        const std::uint64_t reads = after.walk_steps - before.walk_steps;
        exercise.text += fmt::format("  {}. {} (in a page of {})\n", i, hex16(virt.value()), short_name(page.size));
        exercise.fields.push_back(number(
            fmt::format("r{}", i), fmt::format("table entries read for access {}", i), reads,
            cached ? "Is the page in the TLB? If not: which is the lowest table that an earlier walk already led to?"
                   : "One entry a level, from the root down to the entry that maps the page."));
        exercise.solution += fmt::format("  {}. {}: {} ({})\n", i, hex16(virt.value()),
                                         counted(reads, "entry", "entries"), to_string(result.translation()->source));
    }
    exercise.text += "\nHow many paging-structure entries does the processor read for each?\n";
}

void count_references_plain(SplitMix64& random, Exercise& exercise) {
    count_references(random, exercise, CachePolicy::off);
}

void count_references_cached(SplitMix64& random, Exercise& exercise) {
    count_references(random, exercise, CachePolicy::on);
}

constexpr std::uint64_t ept_rwx = 7;
constexpr std::uint64_t ept_wb = 6U << 3;

// EPT tables that map the first GByte of guest-physical memory one to one with pages of one size.
PhysAddr make_ept(PhysicalMemory& memory, PageSize size, unsigned levels) {
    const std::uint64_t root = 8 * GiB;
    const PhysAddr top{levels == 5 ? root - 0x1000 : root};
    if (levels == 5) {
        memory.write64(top, root | ept_rwx);
    }
    memory.write64(PhysAddr{root}, (root + 0x1000) | ept_rwx);
    if (size == PageSize::k1G) {
        memory.write64(PhysAddr{root + 0x1000}, ept_rwx | ept_wb | bit_ps);
        return top;
    }
    memory.write64(PhysAddr{root + 0x1000}, (root + 0x2000) | ept_rwx);
    for (std::uint64_t i = 0; i < 512; ++i) {
        const std::uint64_t table = root + 0x3000 + i * 4096;
        memory.write64(PhysAddr{root + 0x2000 + i * 8},
                       size == PageSize::k2M ? i * 2 * MiB | ept_rwx | ept_wb | bit_ps : table | ept_rwx);
    }
    return top;
}

void map_ept_page(PhysicalMemory& memory, PhysAddr guest) {
    const std::uint64_t table = 8 * GiB + 0x3000 + guest.value() / (2 * MiB) * 4096;
    memory.write64(PhysAddr{table + guest.value() / 4096 % 512 * 8}, guest.align_down(4096).value() | ept_rwx | ept_wb);
}

void count_references_nested(SplitMix64& random, Exercise& exercise) {
    Tables guest{random, random.chance(4) ? 5U : 4U};
    const std::array sizes{PageSize::k4K, PageSize::k2M, PageSize::k1G};
    const PageSize guest_size = sizes[random.below(3)];
    const PageSize host_size = sizes[random.below(3)];
    const unsigned host_levels = random.chance(4) ? 5 : 4;
    const VirtAddr virt{random.below(std::uint64_t{1} << 47) & ~std::uint64_t{7}};
    const PhysAddr frame = guest_size == PageSize::k1G   ? PhysAddr{0}
                           : guest_size == PageSize::k2M ? PhysAddr{random.between(16, 511) * 2 * MiB}
                                                         : guest.new_frame();
    guest.map(virt, frame, guest_size, 0x67);
    const PhysAddr ept = make_ept(guest.memory(), host_size, host_levels);
    if (host_size == PageSize::k4K) {
        for (const auto& [table, level] : guest.frames()) {
            map_ept_page(guest.memory(), table);
        }
        map_ept_page(guest.memory(), frame + virt.offset_in(bytes(guest_size)));
    }
    const NestedWalker walker{guest.memory(), guest.controls(),
                              EptControls::from_eptp(ept.value() | (host_levels - 1) << 3 | 6, 46)};
    const NestedWalkResult walk = walker.walk(virt);
    std::uint64_t guest_reads = 0;
    for (const NestedStep& step : walk.steps()) {
        guest_reads += step.stage == NestedStep::Stage::guest ? 1 : 0;
    }
    exercise.text = fmt::format(
        "A guest runs with {}-level paging, CR3 = {}, under a hypervisor that uses {}-level EPT. All guest-physical "
        "memory is mapped by EPT pages of {}. The guest reads the byte at {}, in one of its pages of {}; nothing is "
        "cached.\n\nHow many entries does the processor read, of the guest's tables and of the EPT tables?\n",
        number(guest.top()), hex(guest.root().value()), host_levels, short_name(host_size), hex(virt.value()),
        short_name(guest_size));
    const std::string hint =
        "CR3 and each guest entry hold guest-physical addresses: each must go through EPT before "
        "memory can be read there.";
    exercise.fields.push_back(
        number("guest", "guest entries read", guest_reads, "As without a hypervisor: one a level down to the page."));
    ExerciseField nested = number("nested", "EPT entries read", walk.steps().size() - guest_reads, hint);
    const std::uint64_t one_walk = host_levels - (host_size == PageSize::k4K ? 0 : host_size == PageSize::k2M ? 1 : 2);
    const std::uint64_t without_final = guest_reads * one_walk;
    nested.slips.emplace_back(std::to_string(without_final),
                              "That finds the guest's tables. The page itself has a guest-physical address, too.");
    exercise.fields.push_back(std::move(nested));
    exercise.fields.push_back(number("total", "both together", walk.steps().size(), "The sum."));
    exercise.solution = "The two-dimensional walk, an entry a line:\n\n  ";
    for (const char letter : to_string(walk)) {
        exercise.solution += letter;
        exercise.solution += letter == '\n' ? "  " : "";
    }
    exercise.solution += fmt::format("\n\nOf {} entries, {} are the guest's.\n", walk.steps().size(), guest_reads);
}

constexpr std::array exercises_here{
    ExerciseEntry{{"count-references", "Entries read by a walk"}, count_references_plain},
    ExerciseEntry{{"count-references-cached", "Entries read with TLB and paging-structure caches"},
                  count_references_cached},
    ExerciseEntry{{"count-references-nested", "Entries read by a two-dimensional walk"}, count_references_nested}};

}  // namespace

std::span<const ExerciseEntry> reference_exercises() {
    return exercises_here;
}

}  // namespace pgsim::exercises
