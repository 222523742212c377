// SPDX-License-Identifier: GPL-2.0-only
// Linux's page-table dump. [linux-6.6 arch/x86/mm/dump_pagetables.c note_page(), mm/ptdump.c]
#include <algorithm>
#include <array>

#include "formats/dump_parts.hpp"

namespace pgsim::formats {

namespace {

// Bits of an entry that are not address: what Linux calls PTE_FLAGS_MASK. PAT of a large page (bit 12) is not in it.
constexpr std::uint64_t flag_mask = ~std::uint64_t{0x000f'ffff'ffff'f000};
constexpr std::uint64_t present = 1;
constexpr std::uint64_t rw = 2;
constexpr std::uint64_t user = 4;
constexpr std::uint64_t pse = 0x80;
constexpr std::uint64_t nx = std::uint64_t{1} << 63;

// Depths as Linux counts them: 0 pgd … 4 pte. With four levels the p4d is folded, its holes count as the pgd's.
constexpr std::array<std::string_view, 5> depth_names{"pgd", "p4d", "pud", "pmd", "pte"};

class Ptdump {
public:
    Ptdump(const AddressSpace& space, const DumpOptions& options)
        // Linux knows no reserved bits: the walk is one over a processor that has everything.
        : space_{space.memory(), RootRef{space.root(), space.levels()}},
          filter_{options.filter},
          markers_{options.markers.empty() ? linux_markers(KernelAreas::standard(space.levels())) : options.markers} {}

    std::string write() {
        const std::uint64_t half = std::uint64_t{1} << (space_.levels() == 5 ? 56 : 47);
        // Linux walks the lower half, then from the end of the guard hole on: 16 top-level entries are not looked at.
        const std::uint64_t guard_hole_end = ~half + 1 + (half >> 4);
        walk(0, half - 1);
        walk(guard_hole_end, ~std::uint64_t{0});
        note(0, -1, 0, 0);  // prints what is left; the end of the last line is 0
        return fmt::to_string(buffer_);
    }

private:
    void walk(std::uint64_t first, std::uint64_t last) {
        space_.for_each_entry(
            [&](const EntryVisit& visit) {
                const unsigned level = number(visit.entry.level());
                int depth = 5 - static_cast<int>(level);
                const std::uint64_t raw = visit.entry.raw();
                if (depth == 1 && space_.levels() == 4 && raw == 0) {
                    depth = 0;
                }
                const std::uint64_t flags = raw & flag_mask;
                std::uint64_t effective = flags;
                if (level < space_.levels()) {
                    const std::uint64_t above = effective_[level + 1];
                    effective = (above & flags & (user | rw)) | ((above | flags) & nx);
                }
                effective_[level] = effective;
                if (level == 1 || raw == 0 || (level <= 3 && (raw & pse) != 0)) {
                    note(visit.virt.value(), depth, raw, raw == 0 ? 0 : effective);
                    return VisitNext::skip;
                }
                return VisitNext::descend;
            },
            VirtAddr{first}, VirtAddr{last});
    }

    // A series ends when flags, effective rights or depth change, or a marker is reached.
    void note(std::uint64_t address, int depth, std::uint64_t raw, std::uint64_t effective) {
        const std::uint64_t flags = raw & flag_mask;
        if (depth_ == -1) {
            begin(address, depth, flags, effective);
            heading();
            return;
        }
        const bool at_marker = marker_ + 1 < markers_.size() && address >= markers_[marker_ + 1].start.value();
        if (flags == flags_ && effective == rights_ && depth == depth_ && !at_marker) {
            return;
        }
        const AddressMarker& area = markers_[marker_];
        if (area.max_lines == 0 || lines_ < area.max_lines) {
            print_series(address);
        }
        ++lines_;
        if (at_marker) {
            if (area.max_lines != 0 && lines_ > area.max_lines) {
                const unsigned skipped = lines_ - area.max_lines;
                fmt::format_to(out(), "... {} entr{} skipped ... \n", skipped, skipped == 1 ? "y" : "ies");
            }
            ++marker_;
            lines_ = 0;
            heading();
        }
        begin(address, depth, flags, effective);
    }

    void begin(std::uint64_t address, int depth, std::uint64_t flags, std::uint64_t effective) {
        start_ = address;
        depth_ = depth;
        flags_ = flags;
        rights_ = effective;
    }

    void heading() { fmt::format_to(out(), "---[ {} ]---\n", markers_[marker_].name); }

    void print_series(std::uint64_t end) {
        if (!wanted(end)) {
            return;
        }
        static constexpr std::string_view units = "BKMGTPE";
        std::uint64_t size = end - start_;
        std::size_t unit = 0;
        while ((size & 1023) == 0 && unit + 1 < units.size()) {
            size >>= 10;
            ++unit;
        }
        fmt::format_to(out(), "0x{:016x}-0x{:016x}   {:9}{} {}{}\n", start_, end, size, units[unit], flag_columns(),
                       depth_names[static_cast<std::size_t>(depth_)]);
    }

    [[nodiscard]] std::string flag_columns() const {
        if ((flags_ & present) == 0) {
            return std::string(30, ' ');
        }
        std::string text;
        const auto column = [&](bool set, const char* word, const char* otherwise) { text += set ? word : otherwise; };
        column((flags_ & user) != 0, "USR ", "    ");
        column((flags_ & rw) != 0, "RW ", "ro ");
        column((flags_ & 0x08) != 0, "PWT ", "    ");
        column((flags_ & 0x10) != 0, "PCD ", "    ");
        column(depth_ <= 3 && (flags_ & pse) != 0, "PSE ", "    ");
        column(depth_ == 4 && (flags_ & pse) != 0, "PAT ", "    ");
        column((flags_ & 0x100) != 0, "GLB ", "    ");
        column((flags_ & nx) != 0, "NX ", "x  ");
        return text;
    }

    // With a filter, lines that it does not accept are left out; without one, Linux's text is whole.
    [[nodiscard]] bool wanted(std::uint64_t end) const {
        const std::uint64_t last = end - 1;
        if (last < filter_.first.value() || start_ > filter_.last.value()) {
            return false;
        }
        const bool mapped = (flags_ & present) != 0;
        const auto fits = [&](const std::optional<bool>& want, bool is) { return !want || (mapped && *want == is); };
        const bool size_fits = !filter_.size || (mapped && depth_ >= 2 && *filter_.size == page_size());
        return fits(filter_.writable, (rights_ & rw) != 0) && fits(filter_.executable, (rights_ & nx) == 0) &&
               fits(filter_.user, (rights_ & user) != 0) && size_fits;
    }
    [[nodiscard]] PageSize page_size() const {
        return depth_ == 4 ? PageSize::k4K : depth_ == 3 ? PageSize::k2M : PageSize::k1G;
    }

    std::back_insert_iterator<fmt::memory_buffer> out() { return std::back_inserter(buffer_); }

    AddressSpace space_;
    const PageFilter& filter_;
    std::vector<AddressMarker> markers_;
    fmt::memory_buffer buffer_;
    std::array<std::uint64_t, 6> effective_{};
    std::size_t marker_ = 0;
    unsigned lines_ = 0;
    std::uint64_t start_ = 0;
    std::uint64_t flags_ = 0;
    std::uint64_t rights_ = 0;
    int depth_ = -1;
};

}  // namespace

std::string dump_ptdump(const AddressSpace& space, const DumpOptions& options) {
    return Ptdump{space, options}.write();
}

KernelAreas KernelAreas::standard(unsigned levels) {
    KernelAreas areas;
    areas.levels = levels;
    if (levels == 5) {
        areas.page_offset = VirtAddr{0xff11'0000'0000'0000};
        areas.vmalloc = VirtAddr{0xffa0'0000'0000'0000};
        areas.vmemmap = VirtAddr{0xffd4'0000'0000'0000};
    }
    return areas;
}

std::vector<AddressMarker> linux_markers(const KernelAreas& areas) {
    std::vector<AddressMarker> markers;
    const auto add = [&](std::uint64_t start, const char* name, unsigned max_lines = 0) {
        markers.push_back({VirtAddr{start}, name, max_lines});
    };
    add(0, "User Space");
    add(std::uint64_t{1} << 63, "Kernel Space");
    if (areas.ldt_remap) {
        // LDT_PGD_ENTRY is -240 in a table of pgd entries. [linux-6.6 pgtable_64_types.h]
        add(areas.levels == 5 ? 0xff10'0000'0000'0000 : 0xffff'8800'0000'0000, "LDT remap");
    }
    add(areas.page_offset.value(), "Low Kernel Mapping");
    add(areas.vmalloc.value(), "vmalloc() Area");
    add(areas.vmemmap.value(), "Vmemmap");
    add(0xffff'fe00'0000'0000, "CPU entry Area");
    if (areas.espfix) {
        add(0xffff'ff00'0000'0000, "ESPfix Area", 16);
    }
    if (areas.efi) {
        add(0xffff'ffef'0000'0000, "EFI Runtime Services");
    }
    add(0xffff'ffff'8000'0000, "High Kernel Mapping");
    add(areas.modules.value(), "Modules");
    add(0xffff'ffff'ff00'0000, "End Modules");
    add(areas.fixaddr_start.value(), "Fixmap Area");
    return markers;
}

}  // namespace pgsim::formats
