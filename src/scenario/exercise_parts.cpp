// SPDX-License-Identifier: GPL-2.0-only
#include "scenario/exercise_parts.hpp"

#include <fmt/format.h>

#include <sstream>

#include "pgsim/base/units.hpp"

namespace pgsim::exercises {

ExerciseField number(std::string name, std::string what, std::uint64_t answer, std::string hint) {
    return {std::move(name), std::move(what), AnswerKind::number, std::to_string(answer), std::move(hint), {}, {}};
}

ExerciseField address(std::string name, std::string what, std::uint64_t answer, std::string hint) {
    return {std::move(name), std::move(what), AnswerKind::address, hex(answer), std::move(hint), {}, {}};
}

ExerciseField word(std::string name, std::string what, std::string answer, std::vector<std::string> choices,
                   std::string hint) {
    return {
        std::move(name), std::move(what), AnswerKind::word, std::move(answer), std::move(hint), std::move(choices), {}};
}

ExerciseField yes_no(std::string name, std::string what, bool answer, std::string hint) {
    return word(std::move(name), std::move(what), answer ? "yes" : "no", {"yes", "no"}, std::move(hint));
}

ExerciseField list(std::string name, std::string what, const std::vector<std::string>& items, std::string hint) {
    std::string answer;
    for (const std::string& item : items) {
        answer += (answer.empty() ? "" : ",") + item;
    }
    return {
        std::move(name), std::move(what), AnswerKind::list, answer.empty() ? "none" : answer, std::move(hint), {}, {}};
}

std::string hex16(std::uint64_t value) {
    return fmt::format("0x{:016x}", value);
}

std::string counted(std::uint64_t count, std::string_view one, std::string_view many) {
    const bool plain = count == 1 || many.empty();
    return fmt::format("{} {}{}", count, plain ? one : many, count != 1 && many.empty() ? "s" : "");
}

std::string filled(const std::string& text) {
    constexpr std::size_t columns = 100;
    std::string result;
    std::size_t used = 0;  // columns of the line that is being filled; 0: none is
    std::istringstream lines{text};
    for (std::string line; std::getline(lines, line);) {
        const bool prose = !line.empty() && line.front() != ' ';
        if (used != 0 && !prose) {
            result += '\n';
            used = 0;
        }
        if (!prose) {
            result += line + '\n';
            continue;
        }
        std::istringstream words{line};
        for (std::string word; words >> word;) {
            const bool fits = used != 0 && used + 1 + word.size() <= columns;
            result += used == 0 ? "" : fits ? " " : "\n";
            used = (fits ? used + 1 : 0) + word.size();
            result += word;
        }
    }
    return used != 0 ? result + '\n' : result;
}

Tables::Tables(SplitMix64& random, unsigned levels) : random_{&random} {
    memory_.map_region({PhysAddr{0}, PhysAddr{1 * TiB}}, RegionKind::ram);
    controls_.mode = levels == 5 ? PagingMode::five_level : PagingMode::four_level;
    controls_.cr0_wp = controls_.nxe = controls_.pge = true;
    controls_.maxphyaddr = 46;
    controls_.root = new_table(top());
}

PhysAddr Tables::new_frame() {
    while (true) {
        const PhysAddr frame{random_->between(1, 0xfff) << 12};
        if (!used_.emplace(frame, true).second) {
            continue;
        }
        return frame;
    }
}

PhysAddr Tables::new_table(Level level) {
    const PhysAddr frame = new_frame();
    frames_.emplace(frame, level);
    return frame;
}

PhysAddr Tables::entry_at(VirtAddr virt, Level level, std::uint64_t table_flags) {
    PhysAddr table = root();
    for (Level at = top();; at = *below(at)) {
        const PhysAddr entry = table + std::uint64_t{8} * index_at(at, virt.value());
        if (at == level) {
            return entry;
        }
        std::uint64_t value = memory_.read64(entry);
        if (value == 0) {
            value = new_table(*below(at)).value() | table_flags;
            memory_.write64(entry, value);
        }
        table = Entry{at, value}.base();
    }
}

void Tables::map(VirtAddr virt, PhysAddr phys, PageSize size, std::uint64_t flags, std::uint64_t table_flags) {
    const Level level = size == PageSize::k1G ? Level::pdpt : size == PageSize::k2M ? Level::pd : Level::pt;
    const PhysAddr entry = entry_at(virt, level, table_flags);
    memory_.write64(entry, phys.value() | flags | (level == Level::pt ? 0 : bit_ps));
}

std::string Tables::dump() const {
    const MemorySnapshot snapshot = memory_.snapshot();
    std::string text;
    for (const auto& [frame, level] : frames_) {
        for (std::uint64_t offset = 0; offset < 4096; offset += 8) {
            if (const std::uint64_t value = snapshot.read64(frame + offset); value != 0) {
                text += fmt::format("  {}: {}\n", hex((frame + offset).value()), hex16(value));
            }
        }
    }
    return text;
}

std::string_view table_name(Level level) noexcept {
    switch (level) {
    case Level::pml5: return "the PML5";
    case Level::pml4: return "the PML4";
    case Level::pdpt: return "the page-directory-pointer table";
    case Level::pd: return "the page directory";
    case Level::pt: return "the page table";
    }
    return "?";
}

std::string_view table_short(Level level) noexcept {
    switch (level) {
    case Level::pml5: return "PML5";
    case Level::pml4: return "PML4";
    case Level::pdpt: return "PDPT";
    case Level::pd: return "PD";
    case Level::pt: return "PT";
    }
    return "?";
}

unsigned index_of(const WalkStep& step) noexcept {
    return static_cast<unsigned>(step.entry_addr.offset_in(4096) / 8);
}

VirtAddr some_address(SplitMix64& random, unsigned levels) {
    const unsigned user_bits = levels == 5 ? 56 : 47;
    switch (random.below(6)) {
    case 0: return VirtAddr{0xffff'ffff'8000'0000 + random.below(GiB)};  // the kernel's image
    case 1: return VirtAddr{(levels == 5 ? 0xff11'0000'0000'0000 : 0xffff'8880'0000'0000) + random.below(TiB)};
    case 2: return VirtAddr{~std::uint64_t{0} << user_bits | random.below(std::uint64_t{1} << user_bits)};
    case 3: return VirtAddr{0x40'0000 + random.below(64 * MiB)};  // a program
    default: return VirtAddr{random.below(std::uint64_t{1} << user_bits)};
    }
}

std::string told(const WalkResult& walk) {
    std::string text;
    for (const WalkStep& step : walk.steps()) {
        const Level level = step.entry.level();
        const unsigned shift = index_shift(level);
        text += fmt::format("  bits {}:{} of the address are {}; {} + 8 * {} = {} holds {}\n", shift + 8, shift,
                            index_of(step), hex(step.entry_addr.align_down(4096).value()), index_of(step),
                            hex(step.entry_addr.value()), to_string(step.entry));
    }
    return text;
}

}  // namespace pgsim::exercises
