// SPDX-License-Identifier: GPL-2.0-only
// The free lists as SVG: memory as a grid of cells, coloured by the largest free block, and the lists as bars.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "buddy_views.hpp"
#include "pgsim/base/units.hpp"

namespace pgsim {

namespace {

using namespace kernel;

constexpr std::uint64_t columns = 64;
constexpr unsigned cell = 10;      // pixels
constexpr unsigned left = 90;      // room for addresses
constexpr unsigned bars_at = 760;  // pixels from the left
constexpr unsigned bar_width = 260;

// From pale (order 0) to dark (order 10); what is not free is grey.
constexpr std::array<const char*, max_order + 1> shades{"#f7fbff", "#e3eef9", "#cfe1f2", "#b5d4e9",
                                                        "#93c3df", "#6daed5", "#4b97c9", "#2f7ebc",
                                                        "#1864aa", "#0a4a90", "#08306b"};

const char* colour(std::int8_t largest) {
    return largest < 0 ? "#bbbbbb" : shades[static_cast<std::size_t>(largest)];
}

void draw_cells(const ZoneCells& view, unsigned top, std::string& out) {
    for (std::size_t i = 0; i < view.cells.size();) {
        // Equal neighbours of one row are one rectangle.
        std::size_t end = i + 1;
        while (end < view.cells.size() && end % columns != 0 && view.cells[end].largest == view.cells[i].largest) {
            ++end;
        }
        const std::uint64_t first = view.first_pfn + i * view.pages;
        const std::string what =
            view.cells[i].largest < 0 ? "nothing free" : fmt::format("free up to order {}", view.cells[i].largest);
        out += fmt::format(
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"><title>{:#x} to {:#x}: {}"
            "</title></rect>\n",
            left + (i % columns) * cell, top + i / columns * cell, (end - i) * cell - 1, cell - 1,
            colour(view.cells[i].largest), first, view.first_pfn + end * view.pages - 1, what);
        i = end;
    }
    for (std::size_t row = 0; row * columns < view.cells.size(); ++row) {
        out += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{:x}</text>\n", left - 6,
                           top + row * cell + cell - 2, view.first_pfn + row * columns * view.pages);
    }
}

void draw_lists(const Buddy& buddy, const BuddyZone& zone, unsigned top, std::string& out) {
    std::uint64_t most = 1;
    for (unsigned order = 0; order <= max_order; ++order) {
        most = std::max(most, buddy.nr_free(zone, order) << order);
    }
    for (unsigned order = 0; order <= max_order; ++order) {
        const std::uint64_t blocks = buddy.nr_free(zone, order);
        const std::uint64_t width = (blocks << order) * bar_width / most;
        const unsigned y = top + order * (cell + 2);
        out += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n", bars_at - 6, y + cell - 2, order);
        out += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\" stroke=\"#888\"/>\n",
                           bars_at, y, std::max<std::uint64_t>(width, blocks == 0 ? 0 : 1), cell, shades[order]);
        out += fmt::format("<text x=\"{}\" y=\"{}\">{} blocks, {}</text>\n", bars_at + width + 6, y + cell - 2, blocks,
                           human_bytes((blocks << order) << 12));
    }
}

}  // namespace

std::string free_lists_svg(const Buddy& buddy) {
    std::string body;
    unsigned top = 20;
    for (const BuddyZone& zone : buddy.zones()) {
        const ZoneCells view = cells_of(buddy, zone, columns * 32);
        body += fmt::format(
            "<text x=\"6\" y=\"{}\" font-weight=\"bold\">Node {}, zone {}: {} free of {}; a square is "
            "{}</text>\n",
            top, zone.span.nid, zone_name(zone.span.type), human_bytes(zone.nr_free_pages << 12),
            human_bytes(zone.managed_pages << 12), human_bytes(view.pages << 12));
        draw_cells(view, top + 8, body);
        draw_lists(buddy, zone, top + 8, body);
        const auto rows = static_cast<unsigned>((view.cells.size() + columns - 1) / columns);
        top += 8 + std::max(rows * cell, (max_order + 1) * (cell + 2)) + 28;
    }
    return fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1180\" height=\"{0}\" viewBox=\"0 0 1180 {0}\" "
        "font-family=\"sans-serif\" font-size=\"9\">\n<rect width=\"1180\" height=\"{0}\" fill=\"white\"/>"
        "\n{1}</svg>\n",
        top, body);
}

}  // namespace pgsim
