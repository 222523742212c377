// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/formats/capture_space.hpp"

#include "pgsim/base/error.hpp"
#include "pgsim/cpu/registers.hpp"
#include "pgsim/memory/physical_memory.hpp"

namespace pgsim::formats {

namespace {

void put_table(PhysicalMemory& memory, const CaptureTable& table) {
    const TableEntries words = table.entries.expand();
    memory.load(PhysAddr{table.pa}, std::as_bytes(std::span{words}));
}

std::string names_of_roots(const CaptureCheckpoint& checkpoint) {
    std::string names;
    for (const CaptureRoot& root : checkpoint.extra_roots) {
        names += (names.empty() ? "" : ", ") + root.name;
    }
    return names.empty() ? "no further roots" : names;
}

RootRef find_root(const CaptureCheckpoint& checkpoint, std::string_view name) {
    if (name.empty()) {
        return {PhysAddr{checkpoint.root}, checkpoint.levels};
    }
    for (const CaptureRoot& root : checkpoint.extra_roots) {
        if (root.name == name) {
            return {PhysAddr{root.pa}, root.levels};
        }
    }
    throw Error{checkpoint.name,
                "no root is called \"" + std::string{name} + "\"; there are: " + names_of_roots(checkpoint)};
}

}  // namespace

MemorySnapshot memory_of(const CaptureCheckpoint& checkpoint) {
    PhysicalMemory memory;
    memory.map_region({PhysAddr{0}, PhysAddr{PhysSpace::last}}, RegionKind::ram);
    if (checkpoint.extra_tables) {
        for (const CaptureTable& table : *checkpoint.extra_tables) {
            put_table(memory, table);
        }
    }
    for (const CaptureTable& table : checkpoint.tables) {
        put_table(memory, table);
    }
    return memory.snapshot();
}

PagingControls controls_of(const CaptureCheckpoint& checkpoint, std::string_view root) {
    const RootRef found = find_root(checkpoint, root);
    const std::uint64_t cr0 = checkpoint.cpu.cr0.value_or(Cr0::pe | Cr0::wp | Cr0::pg);
    const std::uint64_t cr4 = checkpoint.cpu.cr4.value_or(Cr4::pae | Cr4::pge);
    PagingControls controls;
    controls.mode = found.levels == 5 ? PagingMode::five_level : PagingMode::four_level;
    controls.root = found.address;
    controls.cr0_wp = (cr0 & Cr0::wp) != 0;
    controls.nxe = (checkpoint.cpu.efer.value_or(Efer::nxe) & Efer::nxe) != 0;
    controls.pge = (cr4 & Cr4::pge) != 0;
    controls.smep = (cr4 & Cr4::smep) != 0;
    controls.smap = (cr4 & Cr4::smap) != 0;
    return controls;
}

AddressSpace address_space(const CaptureCheckpoint& checkpoint, std::string_view root) {
    return {memory_of(checkpoint), controls_of(checkpoint, root)};
}

std::vector<CaptureTable> capture_tables(const MemorySnapshot& memory, std::span<const RootRef> roots) {
    std::vector<CaptureTable> result;
    for (const TableRef& table : reachable_tables(memory, roots)) {
        TableEntries words{};
        memory.read_frame(Pfn::of(table.address), std::as_writable_bytes(std::span{words}));
        result.push_back({"", table.address.value(), number(table.level), TableRuns::encode(words)});
    }
    return result;
}

}  // namespace pgsim::formats
