// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/mmu/timing_trace.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"

namespace pgsim {

namespace {

/// The words of one line, up to a '#'.
std::vector<std::string_view> words(std::string_view line) {
    line = line.substr(0, line.find('#'));
    std::vector<std::string_view> result;
    while (true) {
        const auto begin = line.find_first_not_of(" \t\r");
        if (begin == std::string_view::npos) {
            return result;
        }
        const auto end = std::min(line.find_first_of(" \t\r", begin), line.size());
        result.push_back(line.substr(begin, end - begin));
        line.remove_prefix(end);
    }
}

std::uint64_t number(std::string_view text, const std::string& where) {
    const bool hexadecimal = text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const std::string_view digits = hexadecimal ? text.substr(2) : text;
    std::uint64_t value = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, hexadecimal ? 16 : 10);
    if (error != std::errc{} || end != digits.data() + digits.size()) {
        throw Error{where, "\"" + std::string{text} + "\" is no number"};
    }
    return value;
}

std::optional<PageSize> find_page_size(std::string_view text) {
    for (const PageSize size : {PageSize::k4K, PageSize::k2M, PageSize::k1G}) {
        if (text == short_name(size)) {
            return size;
        }
    }
    return std::nullopt;
}

constexpr std::array<std::pair<std::string_view, AccessKind>, 4> access_words{
    {{"R", AccessKind::read}, {"W", AccessKind::write}, {"X", AccessKind::fetch}, {"M", AccessKind::rmw}}};

TraceStep parse_map(const std::vector<std::string_view>& line, const std::string& where) {
    if (line.size() < 4 || line.size() > 5) {
        throw Error{where, "expected: map VIRTUAL PHYSICAL 4K|2M|1G [rights]"};
    }
    TraceStep step;
    step.kind = TraceStep::Kind::map;
    const auto size = find_page_size(line[3]);
    const auto phys = PhysAddr::try_from(number(line[2], where));
    if (!size || !phys) {
        throw Error{where, !size ? "a page size is 4K, 2M or 1G" : "the physical address does not fit in 52 bits"};
    }
    step.size = *size;
    step.virt = VirtAddr{number(line[1], where)};
    step.phys = *phys;
    if (!step.virt.is_aligned(bytes(*size)) || !step.phys.is_aligned(bytes(*size))) {
        throw Error{where, "both addresses must be multiples of the page size"};
    }
    if (line.size() == 5) {
        if (line[4].find_first_not_of("ukrw") != std::string_view::npos) {
            throw Error{where, "rights are letters of: u user, k supervisor only, r read-only, w writable"};
        }
        step.writable = line[4].find('r') == std::string_view::npos;
        step.user = line[4].find('k') == std::string_view::npos;
    }
    return step;
}

TraceStep parse_line(const std::vector<std::string_view>& line, const std::string& where) {
    const auto pcid = [&](std::size_t at) {
        const std::uint64_t value = number(line[at], where);
        if (value > 0xfff) {
            throw Error{where, "a PCID has 12 bits"};
        }
        return static_cast<std::uint16_t>(value);
    };
    TraceStep step;
    if (line[0] == "map") {
        return parse_map(line, where);
    }
    if (line[0] == "invlpg" && line.size() == 2) {
        step.kind = TraceStep::Kind::invlpg;
        step.virt = VirtAddr{number(line[1], where)};
        return step;
    }
    if (line[0] == "invpcid" && line.size() == 2) {
        step.kind = TraceStep::Kind::invpcid;
        step.pcid = pcid(1);
        return step;
    }
    if (line[0] == "cr3" && (line.size() == 2 || (line.size() == 3 && line[2] == "keep"))) {
        step.kind = TraceStep::Kind::mov_cr3;
        step.pcid = pcid(1);
        step.keep = line.size() == 3;
        return step;
    }
    const auto found = std::find_if(access_words.begin(), access_words.end(),
                                    [&](const auto& known) { return known.first == line[0]; });
    const bool supervisor = line.size() == 3 && line[2] == "k";
    if (found == access_words.end() || (line.size() != 2 && !supervisor)) {
        throw Error{where, "expected: R|W|X|M ADDRESS [k], map, invlpg ADDRESS, cr3 PCID [keep] or invpcid PCID"};
    }
    step.virt = VirtAddr{number(line[1], where)};
    step.access = Access{found->second, static_cast<std::uint8_t>(supervisor ? 0 : 3)};
    return step;
}

std::uint64_t byte_count(std::string_view text) {
    const std::string where = "stream size " + std::string{text};
    std::uint64_t unit = 1;
    if (!text.empty()) {
        switch (text.back()) {
        case 'K': unit = KiB; break;
        case 'M': unit = MiB; break;
        case 'G': unit = GiB; break;
        case 'T': unit = TiB; break;
        default: break;
        }
    }
    const std::uint64_t value = number(unit == 1 ? text : text.substr(0, text.size() - 1), where);
    if (value == 0 || value > (128 * TiB) / unit) {
        throw Error{where, "at least one page and at most 128T are possible"};
    }
    return value * unit;
}

}  // namespace

std::vector<TraceStep> parse_trace(std::string_view text) {
    std::vector<TraceStep> steps;
    for (std::size_t number_of_line = 1; !text.empty(); ++number_of_line) {
        const auto end = std::min(text.find('\n'), text.size());
        const auto line = words(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (!line.empty()) {
            steps.push_back(parse_line(line, "line " + std::to_string(number_of_line)));
        }
    }
    return steps;
}

AddressStream::AddressStream(Pattern pattern, VirtAddr base, std::uint64_t bytes, PageSize page, std::uint64_t seed)
    : pattern_{pattern}, base_{base}, page_{page}, pages_{bytes / pgsim::bytes(page)}, state_{seed} {
    if (pages_ == 0 || bytes % pgsim::bytes(page) != 0) {
        throw Error{"address stream", "its size must be a multiple of the page size"};
    }
    if (pattern_ == Pattern::zipf) {
        if (pages_ > 1U << 24) {
            throw Error{"address stream", "zipf is limited to 16777216 pages"};
        }
        cumulative_.resize(static_cast<std::size_t>(pages_));
        double sum = 0;
        for (std::size_t rank = 0; rank < cumulative_.size(); ++rank) {
            sum += 1.0 / static_cast<double>(rank + 1);
            cumulative_[rank] = sum;
        }
    }
}

AddressStream AddressStream::parse(std::string_view text, VirtAddr base, std::uint64_t seed) {
    const std::string where = "stream \"" + std::string{text} + "\"";
    const auto first = text.find(':');
    if (first == std::string_view::npos) {
        throw Error{where, "expected: stride|uniform|zipf:BYTES[:4K|2M|1G], as in \"uniform:64G:2M\""};
    }
    const auto second = text.find(':', first + 1);
    const std::string_view name = text.substr(0, first);
    const std::uint64_t size = byte_count(text.substr(first + 1, second - first - 1));
    const auto page = second == std::string_view::npos ? PageSize::k4K : find_page_size(text.substr(second + 1));
    if (!page) {
        throw Error{where, "a page size is 4K, 2M or 1G"};
    }
    if (name == "stride") {
        return {Pattern::stride, base, size, *page, seed};
    }
    if (name == "uniform") {
        return {Pattern::uniform, base, size, *page, seed};
    }
    if (name == "zipf") {
        return {Pattern::zipf, base, size, *page, seed};
    }
    throw Error{where, "a pattern is stride, uniform or zipf"};
}

std::uint64_t AddressStream::random() noexcept {
    state_ += 0x9e37'79b9'7f4a'7c15;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
    z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
    return z ^ (z >> 31);
}

// Not exactly uniform where `limit` is no power of two; by less than 2^-24 of a page's share for what fits in memory.
std::uint64_t AddressStream::below(std::uint64_t limit) noexcept {
    return random() % limit;
}

VirtAddr AddressStream::next() noexcept {
    std::uint64_t page = 0;
    switch (pattern_) {
    case Pattern::stride: page = position_++ % pages_; break;
    case Pattern::uniform: page = below(pages_); break;
    case Pattern::zipf: {
        const double point = static_cast<double>(random() >> 11) * 0x1p-53 * cumulative_.back();
        const auto rank = static_cast<std::uint64_t>(std::lower_bound(cumulative_.begin(), cumulative_.end(), point) -
                                                     cumulative_.begin());
        // An odd multiplier permutes a power-of-two number of pages: popular pages are no neighbours.
        page = std::min(rank, pages_ - 1) * 0x9e37'79b1 % pages_;
        break;
    }
    }
    const std::uint64_t size = pgsim::bytes(page_);
    return VirtAddr{base_.value() + page * size + (below(size) & ~std::uint64_t{7})};
}

}  // namespace pgsim
