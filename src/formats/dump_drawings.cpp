// SPDX-License-Identifier: GPL-2.0-only
// Tables as boxes with arrows: Graphviz, SVG, and text as on a blackboard.
#include <algorithm>
#include <array>

#include "formats/dump_parts.hpp"
#include "pgsim/base/units.hpp"

namespace pgsim::formats {

namespace {

using Out = std::back_insert_iterator<fmt::memory_buffer>;

std::string escaped(const std::string& text, std::string_view special, const char* (*replacement)(char)) {
    std::string result;
    for (const char letter : text) {
        if (special.find(letter) == std::string_view::npos) {
            result += letter;
        } else {
            result += replacement(letter);
        }
    }
    return result;
}

std::string for_dot(const std::string& text) {
    return escaped(text, "\"\\{}<>|", [](char letter) {
        switch (letter) {
        case '"': return "\\\"";
        case '\\': return "\\\\";
        case '{': return "\\{";
        case '}': return "\\}";
        case '<': return "\\<";
        case '>': return "\\>";
        default: return "\\|";
        }
    });
}

std::string for_xml(const std::string& text) {
    return escaped(text, "&<>\"", [](char letter) {
        switch (letter) {
        case '&': return "&amp;";
        case '<': return "&lt;";
        case '>': return "&gt;";
        default: return "&quot;";
        }
    });
}

// Where the boxes of an SVG stand: a column a level, root left.
struct Place {
    std::size_t x = 0;
    std::size_t y = 0;
};

constexpr std::size_t box_width = 330;
constexpr std::size_t column_width = 420;
constexpr std::size_t row_height = 18;
constexpr std::size_t gap = 24;

std::size_t box_height(const Drawing::Box& box) {
    return (box.rows.size() + 1) * row_height + 8;
}

std::vector<Place> places_of(const Drawing& drawing, unsigned levels, std::size_t& height) {
    std::vector<Place> places;
    std::array<std::size_t, 6> next{};
    next.fill(gap);
    for (const Drawing::Box& box : drawing.boxes) {
        const unsigned level = number(box.table.level);
        places.push_back({gap + (levels - level) * column_width, next[level]});
        next[level] += box_height(box) + gap;
        height = std::max(height, next[level]);
    }
    return places;
}

}  // namespace

std::string dump_dot(const AddressSpace& space, const DumpOptions& options) {
    const Drawing drawing = drawing_of(space, options);
    fmt::memory_buffer buffer;
    fmt::format_to(Out{buffer},
                   "digraph address_space {{\n  rankdir=LR;\n  node [shape=record, fontname=\"monospace\"];\n");
    const auto id = [](const Drawing::Box& box) {
        return fmt::format("t{}_{:x}", number(box.table.level), box.table.address.value());
    };
    for (const Drawing::Box& box : drawing.boxes) {
        std::string label = for_dot(box.title);
        for (const EntryGroup& row : box.rows) {
            label += fmt::format("|<e{}> {}", row.index, for_dot(row_text(row)));
        }
        fmt::format_to(Out{buffer}, "  {} [label=\"{}\"];\n", id(box), label);
    }
    for (const Drawing::Box& box : drawing.boxes) {
        for (const EntryGroup& row : box.rows) {
            if (const auto target = drawing.target(box, row)) {
                fmt::format_to(Out{buffer}, "  {}:e{} -> {};\n", id(box), row.index, id(drawing.boxes[*target]));
            }
        }
    }
    if (drawing.left_out != 0) {
        fmt::format_to(Out{buffer}, "  more [shape=plaintext, label=\"{} more tables\"];\n", drawing.left_out);
    }
    fmt::format_to(Out{buffer}, "}}\n");
    return fmt::to_string(buffer);
}

std::string dump_svg(const AddressSpace& space, const DumpOptions& options) {
    const Drawing drawing = drawing_of(space, options);
    std::size_t height = 2 * gap;
    const std::vector<Place> places = places_of(drawing, space.levels(), height);
    fmt::memory_buffer buffer;
    const std::size_t width = space.levels() * column_width;
    fmt::format_to(
        Out{buffer},
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
        "font-family=\"monospace\" font-size=\"12\" role=\"img\">\n<title>Paging structures from {2}</title>\n",
        width, height + row_height, hex(space.root().value()));
    fmt::format_to(Out{buffer},
                   "<style>rect{{fill:#fff;stroke:#333}} path{{fill:none;stroke:#06c;stroke-width:1.5}} "
                   ".head{{font-weight:bold}}</style>\n"
                   "<defs><marker id=\"a\" markerWidth=\"8\" markerHeight=\"8\" refX=\"7\" refY=\"4\" orient=\"auto\">"
                   "<path d=\"M0,0 L8,4 L0,8\"/></marker></defs>\n");
    for (std::size_t i = 0; i < drawing.boxes.size(); ++i) {
        const Drawing::Box& box = drawing.boxes[i];
        const Place& at = places[i];
        fmt::format_to(Out{buffer}, "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>\n", at.x, at.y, box_width,
                       box_height(box));
        fmt::format_to(Out{buffer}, "<text class=\"head\" x=\"{}\" y=\"{}\">{}</text>\n", at.x + 6, at.y + 15,
                       for_xml(box.title));
        for (std::size_t row = 0; row < box.rows.size(); ++row) {
            const std::size_t y = at.y + (row + 1) * row_height + 15;
            fmt::format_to(Out{buffer}, "<text x=\"{}\" y=\"{}\">{}</text>\n", at.x + 6, y,
                           for_xml(row_text(box.rows[row])));
            if (const auto target = drawing.target(box, box.rows[row])) {
                const Place& to = places[*target];
                fmt::format_to(Out{buffer}, "<path d=\"M{},{} C{},{} {},{} {},{}\" marker-end=\"url(#a)\"/>\n",
                               at.x + box_width, y - 4, at.x + box_width + 45, y - 4, to.x - 45, to.y + 11, to.x,
                               to.y + 11);
            }
        }
    }
    if (drawing.left_out != 0) {
        fmt::format_to(Out{buffer}, "<text x=\"{}\" y=\"{}\">{} more tables are not drawn</text>\n", gap, height,
                       drawing.left_out);
    }
    fmt::format_to(Out{buffer}, "</svg>\n");
    return fmt::to_string(buffer);
}

std::string dump_boxes(const AddressSpace& space, const DumpOptions& options) {
    const Drawing drawing = drawing_of(space, options);
    fmt::memory_buffer buffer;
    for (std::size_t i = 0; i < drawing.boxes.size(); ++i) {
        const Drawing::Box& box = drawing.boxes[i];
        std::size_t width = box.title.size();
        for (const EntryGroup& row : box.rows) {
            width = std::max(width, row_text(row).size());
        }
        const std::string indent((space.levels() - number(box.table.level)) * 4, ' ');
        const std::string border = indent + "    +" + std::string(width + 2, '-') + "+\n";
        fmt::format_to(Out{buffer}, "{0}{1}({2}) | {3:<{4}} |\n{1}    |{5}|\n", border, indent, i + 1, box.title, width,
                       std::string(width + 2, '-'));
        if (box.rows.empty()) {
            fmt::format_to(Out{buffer}, "{}    | {:<{}} |\n", indent, "all zero", width);
        }
        for (const EntryGroup& row : box.rows) {
            fmt::format_to(Out{buffer}, "{}    | {:<{}} |", indent, row_text(row), width);
            if (const auto target = drawing.target(box, row)) {
                fmt::format_to(Out{buffer}, "---> ({}) {}", *target + 1, drawing.boxes[*target].title);
            }
            buffer.push_back('\n');
        }
        fmt::format_to(Out{buffer}, "{}\n", border);
    }
    if (drawing.left_out != 0) {
        fmt::format_to(Out{buffer}, "{} more tables are not drawn\n", drawing.left_out);
    }
    return fmt::to_string(buffer);
}

}  // namespace pgsim::formats
