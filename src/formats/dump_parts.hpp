// SPDX-License-Identifier: GPL-2.0-only
// The formats behind `dump`, one function each, and what they share.
#pragma once

#include <fmt/format.h>

#include <string>

#include "pgsim/formats/dump.hpp"

namespace pgsim::formats {

[[nodiscard]] std::string dump_tree(const AddressSpace& space, const DumpOptions& options);
[[nodiscard]] std::string dump_ranges(const AddressSpace& space, const DumpOptions& options);
[[nodiscard]] std::string dump_ptdump(const AddressSpace& space, const DumpOptions& options);
[[nodiscard]] std::string dump_qemu_tlb(const AddressSpace& space, const DumpOptions& options);
[[nodiscard]] std::string dump_qemu_mem(const AddressSpace& space, const DumpOptions& options);
[[nodiscard]] std::string dump_json(const AddressSpace& space, const DumpOptions& options);
[[nodiscard]] std::string dump_dot(const AddressSpace& space, const DumpOptions& options);
[[nodiscard]] std::string dump_svg(const AddressSpace& space, const DumpOptions& options);
[[nodiscard]] std::string dump_vmprint(const AddressSpace& space, const DumpOptions& options);
[[nodiscard]] std::string dump_boxes(const AddressSpace& space, const DumpOptions& options);

/// "P RW US A D PS G XD": the flags of an entry in the SDM's names.
[[nodiscard]] std::string flag_names(Entry entry);

/// The name of a table, or "".
[[nodiscard]] std::string name_of(const TableNames& names, PhysAddr table);

/// "PML4", "PDPT", "PD", "PT".
[[nodiscard]] std::string_view table_kind(Level level) noexcept;

/// Neighbouring entries of one table that differ by a constant step of the address field.
struct EntryGroup {
    unsigned index = 0;
    unsigned count = 1;
    Entry first{Level::pt, 0};
    EntryKind kind = EntryKind::not_present;
    std::uint64_t stride = 0;  ///< from each entry to the next
    [[nodiscard]] bool joined() const noexcept { return count > 1; }
};

/// The entries that are not 0, pages and entries that are not present joined to groups. Entries that name tables are
/// never joined.
[[nodiscard]] std::vector<EntryGroup> groups_of(const PageTable& table, const PagingControls& controls);

/// The tables to draw, root first in the order of reachable_tables; at most `limit`, the others are counted.
struct Drawing {
    struct Box {
        TableRef table;
        std::string title;  ///< "PDPT level3_kernel_pgt 0x2a15000"
        std::vector<EntryGroup> rows;
    };
    std::vector<Box> boxes;
    std::map<std::pair<PhysAddr, Level>, std::size_t> index;  ///< into boxes
    std::size_t left_out = 0;
    /// The box that a row's arrow leads to, if it is drawn.
    [[nodiscard]] std::optional<std::size_t> target(const Box& box, const EntryGroup& row) const;
};
[[nodiscard]] Drawing drawing_of(const AddressSpace& space, const DumpOptions& options);

/// "[3] 0x4401067 P RW US A D" or "[0..511] 0x0 2M pages P RW ...": one row of a drawing.
[[nodiscard]] std::string row_text(const EntryGroup& row);

}  // namespace pgsim::formats
