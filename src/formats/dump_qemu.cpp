// SPDX-License-Identifier: GPL-2.0-only
// QEMU's `info tlb` and `info mem`. Like QEMU, they look at P and PS only: reserved bits mean nothing to them.
// [QEMU target/i386/monitor.c]
#include "formats/dump_parts.hpp"

namespace pgsim::formats {

namespace {

constexpr char digits[] = "0123456789abcdef";

void append_hex16(std::string& text, std::uint64_t value) {
    for (int shift = 60; shift >= 0; shift -= 4) {
        text += digits[value >> shift & 0xf];
    }
}

// What QEMU takes for a page: it does not know reserved bits, so its walk is not the processor's.
class QemuWalk {
public:
    explicit QemuWalk(const AddressSpace& space) : space_{space} {}

    // `page(virt, raw, level, common)`: common is the AND of all entries. `hole(virt)`: an entry that is not present.
    template <class Page, class Hole>
    void run(Page page, Hole hole) {
        table(space_.root(), space_.root_level(), 0, ~std::uint64_t{0}, page, hole);
    }

private:
    static constexpr std::uint64_t max_tables = std::uint64_t{1} << 22;

    // NOLINTNEXTLINE(misc-no-recursion): at most five levels
    template <class Page, class Hole>
    void table(PhysAddr address, Level level, std::uint64_t linear, std::uint64_t common, Page& page, Hole& hole) {
        if (++tables_ > max_tables) {
            return;
        }
        const PageTable here = space_.table(address, level);
        for (unsigned index = 0; index < PageTable::entry_count; ++index) {
            const std::uint64_t virt = linear | std::uint64_t{index} << index_shift(level);
            const Entry entry = here[index];
            if (!entry.present()) {
                hole(virt);
            } else if (entry.maps_page()) {
                page(virt, entry, common & entry.raw());
            } else {
                table(entry.base(), *below(level), virt, common & entry.raw(), page, hole);
            }
        }
    }

    const AddressSpace& space_;
    std::uint64_t tables_ = 0;
};

VirtAddr canonical(std::uint64_t linear, unsigned levels) {
    const std::uint64_t sign = std::uint64_t{1} << (levels == 5 ? 56 : 47);
    return VirtAddr{(linear & sign) != 0 ? linear | ~(2 * sign - 1) : linear};
}

AccessRights rights_of(std::uint64_t common) {
    return {(common & 2) != 0, (common & 4) != 0, true};
}

}  // namespace

std::string dump_qemu_tlb(const AddressSpace& space, const DumpOptions& options) {
    std::string text;
    const auto page = [&](std::uint64_t linear, Entry entry, std::uint64_t common) {
        const VirtAddr virt = canonical(linear, space.levels());
        if (!options.filter.accepts(virt, entry.base(), *entry.page_size(), rights_of(common))) {
            return;
        }
        append_hex16(text, virt.value());
        text += ": ";
        append_hex16(text, entry.base().value());
        const std::uint64_t raw = entry.raw();
        const auto flag = [&](unsigned bit, char letter) { text += (raw >> bit & 1) != 0 ? letter : '-'; };
        text += ' ';
        flag(63, 'X');
        flag(8, 'G');
        text += entry.level() != Level::pt ? 'P' : '-';  // bit 7 of a PTE is PAT: QEMU takes it out
        flag(6, 'D');
        flag(5, 'A');
        flag(4, 'C');
        flag(3, 'T');
        flag(2, 'U');
        flag(1, 'W');
        text += '\n';
    };
    QemuWalk{space}.run(page, [](std::uint64_t) {});
    return text;
}

std::string dump_qemu_mem(const AddressSpace& space, const DumpOptions& options) {
    constexpr std::uint64_t none = ~std::uint64_t{0};
    std::string text;
    std::uint64_t start = none;
    std::uint64_t last_rights = 0;
    // A range ends where the rights change. The end is exclusive.
    const auto note = [&](std::uint64_t end, std::uint64_t rights) {
        if (rights == last_rights) {
            return;
        }
        if (start != none) {
            append_hex16(text, canonical(start, space.levels()).value());
            text += '-';
            append_hex16(text, canonical(end, space.levels()).value());
            text += ' ';
            append_hex16(text, canonical(end - start, space.levels()).value());
            text += (last_rights & 4) != 0 ? " u" : " -";
            text += 'r';
            text += (last_rights & 2) != 0 ? "w\n" : "-\n";
        }
        start = rights != 0 ? end : none;
        last_rights = rights;
    };
    QemuWalk{space}.run(
        [&](std::uint64_t linear, Entry entry, std::uint64_t common) {
            const bool wanted = options.filter.accepts(canonical(linear, space.levels()), entry.base(),
                                                       *entry.page_size(), rights_of(common));
            note(linear, wanted ? common & 7 : 0);
        },
        [&](std::uint64_t linear) { note(linear, 0); });
    note(std::uint64_t{1} << (space.levels() == 5 ? 57 : 48), 0);
    return text;
}

}  // namespace pgsim::formats
