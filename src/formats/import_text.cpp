// SPDX-License-Identifier: GPL-2.0-only
// Text of QEMU's `info tlb` and of Linux's ptdump, back into tables.
#include <algorithm>
#include <array>
#include <charconv>

#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/formats/import.hpp"
#include "pgsim/memory/physical_memory.hpp"
#include "pgsim/mmu/paging_controls.hpp"

namespace pgsim::formats {

namespace {

constexpr std::uint64_t nx = std::uint64_t{1} << 63;
constexpr std::size_t max_tables = std::size_t{1} << 17;  // 512 MiB of tables
constexpr std::uint64_t max_pages = std::uint64_t{1} << 24;

// Builds tables for pages that are given in any order.
class SpaceBuilder {
public:
    SpaceBuilder(unsigned levels, std::string_view name) : levels_{levels}, name_{name} {
        memory_.map_region({PhysAddr{0}, PhysAddr{PhysSpace::last}}, RegionKind::ram);
        root_ = new_table();
    }

    // @param flags  of the leaf, PS included
    void map(VirtAddr virt, std::uint64_t phys, Level level, std::uint64_t flags) {
        PhysAddr table = root_;
        for (unsigned at = levels_; at > number(level); --at) {
            const PhysAddr entry = table + std::uint64_t{index_at(static_cast<Level>(at), virt.value())} * 8;
            std::uint64_t value = memory_.read64(entry);
            if (value == 0) {
                value = new_table().value() | 0x67;  // present, writable, user, accessed, dirty
                memory_.write64(entry, value);
            } else if ((value & 0x80) != 0) {
                throw Error{name_, "two pages of different sizes at " + hex(virt.value())};
            }
            table = PhysAddr{value & 0x000f'ffff'ffff'f000};
        }
        const PhysAddr entry = table + std::uint64_t{index_at(level, virt.value())} * 8;
        if (memory_.read64(entry) != 0) {
            throw Error{name_, "two pages at " + hex(virt.value())};
        }
        memory_.write64(entry, phys | flags);
    }

    [[nodiscard]] AddressSpace build() const { return {memory_.snapshot(), RootRef{root_, levels_}}; }

private:
    PhysAddr new_table() {
        if (++tables_ > max_tables) {
            throw Error{name_, "the pages lie so far apart that their tables would take more than 512 MiB"};
        }
        return PhysAddr{(PhysSpace::last & ~std::uint64_t{0xfff}) - tables_ * 4096};
    }

    PhysicalMemory memory_;
    unsigned levels_;
    std::string name_;
    std::size_t tables_ = 0;
    PhysAddr root_;
};

// The lines of a text, one after the other, without line ends.
class Lines {
public:
    explicit Lines(std::string_view text) : rest_{text} {}
    bool next(std::string_view& line) {
        if (rest_.empty()) {
            return false;
        }
        const std::size_t end = rest_.find('\n');
        line = rest_.substr(0, end);
        rest_ = end == std::string_view::npos ? std::string_view{} : rest_.substr(end + 1);
        if (!line.empty() && line.back() == '\r') {
            line.remove_suffix(1);
        }
        ++number_;
        return true;
    }
    [[nodiscard]] std::size_t number() const { return number_; }

private:
    std::string_view rest_;
    std::size_t number_ = 0;
};

[[noreturn]] void fail(std::string_view name, std::size_t line, std::string_view reason) {
    throw Error{std::string{name} + ": line " + std::to_string(line), reason};
}

// 16 hexadecimal digits at the start of `text`, which moves on past them.
std::optional<std::uint64_t> take_hex16(std::string_view& text) {
    std::uint64_t value = 0;
    if (text.size() < 16) {
        return std::nullopt;
    }
    const auto result = std::from_chars(text.data(), text.data() + 16, value, 16);
    if (result.ec != std::errc{} || result.ptr != text.data() + 16) {
        return std::nullopt;
    }
    text.remove_prefix(16);
    return value;
}

bool take(std::string_view& text, std::string_view prefix) {
    if (text.substr(0, prefix.size()) != prefix) {
        return false;
    }
    text.remove_prefix(prefix.size());
    return true;
}

bool canonical(std::uint64_t virt, unsigned levels) {
    return CanonicalAddr::check(VirtAddr{virt}, levels == 5 ? PagingMode::five_level : PagingMode::four_level)
        .has_value();
}

unsigned levels_for(unsigned asked, bool needs_five, std::string_view name) {
    if (asked != 0 && asked != 4 && asked != 5) {
        throw Error{name, "there are 4 or 5 levels"};
    }
    if (asked == 4 && needs_five) {
        throw Error{name, "an address needs 5 levels"};
    }
    return asked != 0 ? asked : needs_five ? 5 : 4;
}

struct TlbLine {
    std::uint64_t virt = 0;
    std::uint64_t phys = 0;
    std::uint64_t flags = 0;
    bool large = false;
    std::size_t line = 0;
};

// "ffff888000200000: 0000000000200000 XGPDA---W"
std::optional<TlbLine> parse_tlb_line(std::string_view text) {
    static constexpr std::string_view letters = "XGPDACTUW";
    static constexpr std::array<unsigned, 9> bits{63, 8, 7, 6, 5, 4, 3, 2, 1};
    TlbLine line;
    const auto virt = take_hex16(text);
    if (!virt || !take(text, ": ")) {
        return std::nullopt;
    }
    const auto phys = take_hex16(text);
    if (!phys || !take(text, " ") || text.size() != letters.size()) {
        return std::nullopt;
    }
    line.virt = *virt;
    line.phys = *phys;
    line.flags = 1;
    for (std::size_t i = 0; i < letters.size(); ++i) {
        if (text[i] == letters[i]) {
            line.flags |= std::uint64_t{1} << bits[i];
        } else if (text[i] != '-') {
            return std::nullopt;
        }
    }
    line.large = (line.flags & 0x80) != 0;
    return line;
}

std::vector<TlbLine> parse_tlb(std::string_view text, std::string_view name) {
    std::vector<TlbLine> pages;
    Lines lines{text};
    std::size_t first_odd = 0;  // a line after the list that is not of its form; nothing may follow it
    for (std::string_view line; lines.next(line);) {
        auto page = parse_tlb_line(line);
        if (!page) {
            first_odd = !pages.empty() && first_odd == 0 ? lines.number() : first_odd;
            continue;
        }
        if (first_odd != 0) {
            fail(name, first_odd, "not of the form \"ADDRESS: ADDRESS XGPDACTUW\"");
        }
        page->line = lines.number();
        if (page->phys >> 52 != 0 || page->phys % 4096 != 0) {
            fail(name, page->line, "the physical address is not one of a page");
        }
        if (!canonical(page->virt, 5)) {
            fail(name, page->line, "the linear address is not canonical");
        }
        if (page->virt % (page->large ? 2 * MiB : 4 * KiB) != 0) {
            fail(name, page->line, "the linear address is not a multiple of the page size");
        }
        if (!pages.empty() && pages.back().virt >= page->virt) {
            fail(name, page->line, "the linear addresses do not ascend");
        }
        pages.push_back(*page);
    }
    if (pages.empty()) {
        throw Error{name, "no line of the form \"ADDRESS: ADDRESS XGPDACTUW\""};
    }
    return pages;
}

// Whether a page with P is 1 GiB large, as far as its neighbours tell.
bool may_be_1g(const std::vector<TlbLine>& pages, std::size_t i) {
    const TlbLine& page = pages[i];
    if (page.virt % GiB != 0 || page.phys % GiB != 0) {
        return false;
    }
    return i + 1 == pages.size() || pages[i + 1].virt - page.virt >= GiB;
}

}  // namespace

ImportedSpace import_qemu_tlb(std::string_view text, std::string_view name, unsigned levels) {
    const std::vector<TlbLine> pages = parse_tlb(text, name);
    const bool needs_five =
        std::any_of(pages.begin(), pages.end(), [](const TlbLine& page) { return !canonical(page.virt, 4); });
    SpaceBuilder builder{levels_for(levels, needs_five, name), name};
    std::size_t guessed = 0;
    for (std::size_t i = 0; i < pages.size(); ++i) {
        const TlbLine& page = pages[i];
        if (!page.large) {
            builder.map(VirtAddr{page.virt}, page.phys, Level::pt, page.flags);
        } else if (may_be_1g(pages, i)) {
            ++guessed;
            builder.map(VirtAddr{page.virt}, page.phys, Level::pdpt, page.flags);
        } else if (page.phys % (2 * MiB) != 0) {
            fail(name, page.line, "a page with P, but the physical address is not a multiple of 2 MiB");
        } else {
            builder.map(VirtAddr{page.virt}, page.phys, Level::pd, page.flags);
        }
    }
    ImportedSpace result{builder.build(), true, {}};
    result.notes.emplace_back("info tlb shows leaf entries only: rights that upper levels take away are not in it.");
    if (guessed != 0) {
        result.notes.push_back(std::to_string(guessed) +
                               " large pages were taken for 1 GiB: the text does not say their size.");
    }
    return result;
}

namespace {

struct PtdumpLine {
    std::uint64_t start = 0;
    std::uint64_t last = 0;
    std::uint64_t flags = 0;
    std::string_view level;
    bool present = false;
};

// What dmesg puts before a line: "[    0.009458] ", "> ".
std::string_view without_prefix(std::string_view line) {
    const std::size_t start = line.find("0x");
    const std::size_t mark = line.find("---[");
    const std::size_t at = std::min(start, mark);
    return at == std::string_view::npos ? std::string_view{} : line.substr(at);
}

// "0xffff888000200000-0xffff88803fe00000        1020M     RW         PSE     GLB NX pmd"
std::optional<PtdumpLine> parse_ptdump_line(std::string_view text) {
    PtdumpLine line;
    if (!take(text, "0x")) {
        return std::nullopt;
    }
    const auto start = take_hex16(text);
    if (!start || !take(text, "-0x")) {
        return std::nullopt;
    }
    const auto end = take_hex16(text);
    if (!end) {
        return std::nullopt;
    }
    line.start = *start;
    line.last = *end - 1;
    line.flags = 1;
    bool size_seen = false;
    for (std::size_t at = text.find_first_not_of(' '); at != std::string_view::npos;
         at = text.find_first_not_of(' ', at)) {
        const std::size_t stop = std::min(text.find(' ', at), text.size());
        const std::string_view word = text.substr(at, stop - at);
        at = stop;
        if (!size_seen) {
            size_seen = true;  // the size repeats what start and end say
        } else if (word == "USR") {
            line.flags |= 4;
        } else if (word == "RW") {
            line.flags |= 2;
        } else if (word == "PWT") {
            line.flags |= 8;
        } else if (word == "PCD") {
            line.flags |= 0x10;
        } else if (word == "PSE" || word == "PAT") {
            line.flags |= 0x80;
        } else if (word == "GLB") {
            line.flags |= 0x100;
        } else if (word == "NX") {
            line.flags |= nx;
        } else if (word == "pgd" || word == "p4d" || word == "pud" || word == "pmd" || word == "pte") {
            line.level = word;
        } else if (word != "ro" && word != "x") {
            return std::nullopt;
        }
        line.present = line.present || word == "ro" || word == "RW";
    }
    return line.level.empty() ? std::nullopt : std::optional{line};
}

std::optional<Level> leaf_level(std::string_view name) {
    if (name == "pte") {
        return Level::pt;
    }
    if (name == "pmd") {
        return Level::pd;
    }
    return name == "pud" ? std::optional{Level::pdpt} : std::nullopt;
}

}  // namespace

ImportedSpace import_ptdump(std::string_view text, std::string_view name, unsigned levels) {
    std::vector<std::pair<PtdumpLine, std::size_t>> ranges;
    bool needs_five = false;
    std::uint64_t pages = 0;
    std::uint64_t next_start = 0;
    Lines lines{text};
    for (std::string_view whole; lines.next(whole);) {
        const std::string_view line = without_prefix(whole);
        if (line.empty() || line.substr(0, 4) == "---[") {
            continue;
        }
        const auto range = parse_ptdump_line(line);
        if (!range) {
            fail(name, lines.number(), "not a line of a page-table dump");
        }
        if (range->last < range->start || (!ranges.empty() && range->start < next_start)) {
            fail(name, lines.number(), "the linear addresses do not ascend");
        }
        next_start = range->last;
        if (!range->present) {
            continue;
        }
        const auto level = leaf_level(range->level);
        if (!level) {
            fail(name, lines.number(), "a present range whose level has no pages");
        }
        const std::uint64_t size = span_of(*level);
        if (range->start % size != 0 || (range->last + 1) % size != 0) {
            fail(name, lines.number(), "the range is not a multiple of its page size");
        }
        if (!canonical(range->start, 5) || !canonical(range->last, 5)) {
            fail(name, lines.number(), "the linear address is not canonical");
        }
        pages += (range->last - range->start) / size + 1;
        if (pages > max_pages) {
            fail(name, lines.number(), "more than 2^24 pages");
        }
        needs_five = needs_five || !canonical(range->start, 4) || !canonical(range->last, 4);
        ranges.emplace_back(*range, lines.number());
    }
    if (ranges.empty()) {
        throw Error{name, "no line of a page-table dump that maps anything"};
    }
    SpaceBuilder builder{levels_for(levels, needs_five, name), name};
    for (const auto& [range, line] : ranges) {
        const Level level = *leaf_level(range.level);
        for (std::uint64_t at = range.start;; at += span_of(level)) {
            builder.map(VirtAddr{at}, at & (PhysSpace::last >> 4) & ~(span_of(level) - 1), level, range.flags);
            if (range.last - at < span_of(level)) {
                break;
            }
        }
    }
    return {builder.build(),
            false,
            {"A page-table dump has no physical addresses: those shown are made up.",
             "It shows leaf entries only: rights that upper levels take away are not in it.",
             "It does not show Accessed and Dirty bits: they are clear."}};
}

ImportKind detect_import(std::string_view head) {
    if (head.substr(0, 4) ==
        "\x7f"
        "ELF") {
        return ImportKind::elf_core;
    }
    const std::size_t first = head.find_first_not_of(" \t\r\n");
    if (first != std::string_view::npos && head[first] == '{') {
        return ImportKind::capture;
    }
    Lines lines{head};
    for (std::string_view line; lines.next(line);) {
        if (parse_tlb_line(line)) {
            return ImportKind::qemu_tlb;
        }
        if (parse_ptdump_line(without_prefix(line))) {
            return ImportKind::ptdump;
        }
    }
    return ImportKind::unknown;
}

}  // namespace pgsim::formats
