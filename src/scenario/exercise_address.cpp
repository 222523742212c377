// SPDX-License-Identifier: GPL-2.0-only
// Exercises on linear addresses: cutting them up, putting them together, which exist at all.
#include <fmt/format.h>

#include <array>

#include "pgsim/base/units.hpp"
#include "pgsim/scenario/boot.hpp"
#include "pgsim/scenario/presets.hpp"
#include "scenario/exercise_parts.hpp"

namespace pgsim::exercises {

namespace {

std::string lower_name(Level level) {
    switch (level) {
    case Level::pml5: return "pml5";
    case Level::pml4: return "pml4";
    case Level::pdpt: return "pdpt";
    case Level::pd: return "pd";
    case Level::pt: return "pt";
    }
    return {};
}

// The bits of an address as the processor cuts them, a line a piece.
std::string cut_up(VirtAddr virt, unsigned levels) {
    const unsigned width = 12 + 9 * levels;
    std::string text = fmt::format("  {:>5}  {:0{}b}  copies of bit {}\n", fmt::format("63:{}", width),
                                   virt.value() >> width, 64 - width, width - 1);
    for (unsigned n = levels; n != 0; --n) {
        const Level level{static_cast<std::uint8_t>(n)};
        const unsigned shift = index_shift(level);
        text += fmt::format("  {:>5}  {:09b}  = {}: index into {}\n", fmt::format("{}:{}", shift + 8, shift),
                            index_at(level, virt.value()), index_at(level, virt.value()), table_name(level));
    }
    return text +
           fmt::format("   11:0  {:012b}  = {}: offset in the page\n", virt.offset_in(4096), hex(virt.offset_in(4096)));
}

void split_address_of(SplitMix64& random, Exercise& exercise, unsigned levels) {
    Tables tables{random, levels};
    const VirtAddr virt = some_address(random, levels);
    tables.map(virt, tables.new_frame(), PageSize::k4K, 0x67);
    const WalkResult walk = tables.walk(virt);
    exercise.text = fmt::format(
        "In {}-level paging, which index into each table does the processor take from the linear "
        "address\n\n  {}\n\nand what is the offset in the 4-KByte page?\n",
        levels, hex16(virt.value()));
    for (const WalkStep& step : walk.steps()) {
        const Level level = step.entry.level();
        const unsigned shift = index_shift(level);
        ExerciseField field = number(lower_name(level), fmt::format("index into {}", table_name(level)), index_of(step),
                                     fmt::format("Nine bits of the address, {}:{}.", shift + 8, shift));
        const std::uint64_t shifted = virt.value() >> (shift + 1) & 511;
        if (shifted != index_of(step)) {
            field.slips.emplace_back(std::to_string(shifted), "One bit too high: count the bits from 0.");
        }
        exercise.fields.push_back(std::move(field));
    }
    exercise.fields.push_back(address("offset", "offset in the page", walk.translation()->phys.offset_in(4096),
                                      "The lowest twelve bits: three hexadecimal digits."));
    exercise.solution = "The address in binary, as the processor cuts it:\n\n" + cut_up(virt, levels) +
                        "\nThe walk reads:\n\n" + told(walk);
}

void split_address(SplitMix64& random, Exercise& exercise) {
    split_address_of(random, exercise, 4);
}

void split_address_5(SplitMix64& random, Exercise& exercise) {
    split_address_of(random, exercise, 5);
}

void join_address(SplitMix64& random, Exercise& exercise) {
    const unsigned levels = random.chance(3) ? 5 : 4;
    Tables tables{random, levels};
    const VirtAddr virt = some_address(random, levels);
    tables.map(virt, tables.new_frame(), PageSize::k4K, 0x67);
    std::uint64_t page = 0;
    tables.space().for_each_page({}, [&](const Mapping& mapping) {
        page = mapping.virt.value();
        return false;
    });
    const std::uint64_t answer = page + virt.offset_in(4096);
    exercise.text = fmt::format("A page is reached in {}-level paging through these indices:\n\n", levels);
    for (unsigned n = levels; n != 0; --n) {
        const Level level{static_cast<std::uint8_t>(n)};
        exercise.text += fmt::format("  {:<5} {}\n", table_short(level), index_at(level, virt.value()));
    }
    exercise.text +=
        fmt::format("\nWhat is the linear address of the byte at offset {} in it?\n", hex(virt.offset_in(4096)));
    ExerciseField field = address("address", "the linear address", answer,
                                  "Nine bits for each index, highest table first, then twelve bits of offset.");
    const unsigned width = 12 + 9 * levels;
    const std::uint64_t unsigned_address = answer & ((std::uint64_t{1} << width) - 1);
    if (unsigned_address != answer) {
        field.slips.emplace_back(hex(unsigned_address),
                                 "The indices are right, but this address is not canonical: what must the bits above "
                                 "the highest index be?");
    }
    exercise.fields.push_back(std::move(field));
    exercise.solution = "Each index as nine binary digits, then the offset:\n\n" + cut_up(virt, levels) +
                        fmt::format("\nBit {} is {}, and the bits above repeat it: {}.\n", width - 1,
                                    answer >> (width - 1) & 1, hex16(answer));
}

void canonical(SplitMix64& random, Exercise& exercise) {
    const unsigned levels = random.chance(2) ? 5 : 4;
    const Tables tables{random, levels};
    const std::uint64_t edge = std::uint64_t{1} << (levels == 5 ? 56 : 47);
    const std::uint64_t other = std::uint64_t{1} << (levels == 5 ? 47 : 56);
    const std::array<std::uint64_t, 9> pool{edge - 1 - random.below(4096),
                                            edge + random.below(4096),
                                            ~edge + 1 + random.below(4096),
                                            ~edge - random.below(4096),
                                            other + random.below(GiB),
                                            ~other - random.below(GiB),
                                            random.next(),
                                            0xffff'ffff'8000'0000 + random.below(GiB),
                                            0x8000'0000'0000'0000 + random.below(TiB)};
    const std::uint64_t first = random.below(pool.size());
    exercise.text = fmt::format("Which of these linear addresses are canonical in {}-level paging?\n\n", levels);
    exercise.solution = fmt::format("Bits 63:{} must all be equal.\n\n", 11 + 9 * levels);
    std::vector<std::string> good;
    for (std::size_t i = 0; i < 6; ++i) {
        const VirtAddr virt{pool[(first + i * 2) % pool.size()]};
        const std::string letter(1, static_cast<char>('a' + i));
        const bool refused = tables.walk(virt).address_fault() != nullptr;
        exercise.text += fmt::format("  {}  {}\n", letter, hex16(virt.value()));
        exercise.solution += fmt::format("  {}  {}: bits 63:{} are {:0{}b}: {}\n", letter, hex16(virt.value()),
                                         11 + 9 * levels, virt.value() >> (11 + 9 * levels), 53 - 9 * levels,
                                         refused ? "not canonical, #GP before any table is read" : "canonical");
        if (!refused) {
            good.push_back(letter);
        }
    }
    exercise.fields.push_back(
        list("canonical", "the letters of those that are", good,
             fmt::format("Translation uses bits {}:0; what must the bits above be?", 11 + 9 * levels)));
}

void direct_map_address(SplitMix64& random, Exercise& exercise) {
    const bool five = random.chance(3);
    BootScenario scenario = presets::qemu_q35("2G");
    if (five) {
        use_cpu(scenario, "max");
    }
    const Boot boot = run(scenario, {.until = "init_mem_mapping.exit"});
    const Checkpoint& checkpoint = boot.last();
    const AddressSpace space{checkpoint.machine.memory, PagingControls::from(checkpoint.cpu(), scenario.inputs.cpu)};
    // Behind the kernel's image, so that only the direct map has it.
    const PhysAddr phys{random.between(256 * MiB, 2 * GiB - 2 * MiB)};
    const PhysAddr text = PhysAddr{scenario.inputs.layout.text_pa.value() + random.below(8 * MiB)};
    const auto of_phys = space.mappings_of(phys);
    const auto of_text = space.mappings_of(text);
    const VirtAddr answer = of_phys.at(0).virt + (phys - of_phys.at(0).phys);
    const VirtAddr high = of_text.back().virt + (text - of_text.back().phys);
    const VirtAddr asked = answer + random.below(MiB);
    exercise.text = fmt::format(
        "A Linux kernel runs with {}-level paging and without KASLR; its image lies at physical {}, linked for\n{}.\n\n"
        "  1. At which linear address does the direct map show the physical address {}?\n"
        "  2. Which physical address is behind the direct-map address {}?\n"
        "  3. At which linear address does the kernel's own image mapping show the physical address {}?\n",
        five ? 5 : 4, hex(scenario.inputs.layout.text_pa.value()), hex(scenario.inputs.layout.va("_text").value()),
        hex(phys.value()), hex(asked.value()), hex(text.value()));
    exercise.fields.push_back(address("linear", "direct-map address of the first", answer.value(),
                                      "The direct map begins at page_offset_base; which is it in this paging mode?"));
    exercise.fields.push_back(address("phys", "physical address of the second",
                                      space.walk(asked).translation()->phys.value(),
                                      "The distance from the start of the direct map is the physical address."));
    exercise.fields.push_back(address("image", "image address of the third", high.value(),
                                      "The image keeps its distance from _text, which has a linear and a physical "
                                      "address."));
    const std::uint64_t base = checkpoint.kernel.page_offset_base;
    exercise.solution = fmt::format(
        "The direct map begins at {} (page_offset_base, {}-level).\n\n"
        "  1. {} + {} = {}\n  2. {} - {} = {}\n  3. {} - {} = {} above _text: {}\n\nAs the tables of a "
        "simulated boot say:\n\n{}",
        hex(base), five ? 5 : 4, hex(base), hex(phys.value()), hex(answer.value()), hex(asked.value()), hex(base),
        hex(asked.value() - base), hex(text.value()), hex(scenario.inputs.layout.text_pa.value()),
        hex(text - scenario.inputs.layout.text_pa), hex(high.value()), told(space.walk(answer)));
}

constexpr std::array exercises_here{
    ExerciseEntry{{"split-address", "Split a linear address (4-level)"}, split_address},
    ExerciseEntry{{"split-address-5", "Split a linear address (5-level)"}, split_address_5},
    ExerciseEntry{{"join-address", "From indices back to the address"}, join_address},
    ExerciseEntry{{"canonical", "Which addresses exist at all"}, canonical},
    ExerciseEntry{{"direct-map-address", "Physical address, direct map and kernel image"}, direct_map_address}};

}  // namespace

std::span<const ExerciseEntry> address_exercises() {
    return exercises_here;
}

}  // namespace pgsim::exercises
