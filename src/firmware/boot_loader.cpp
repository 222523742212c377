// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/firmware/boot_loader.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <vector>

#include "pgsim/base/error.hpp"
#include "pgsim/base/level.hpp"

namespace pgsim::firmware {

namespace {

constexpr std::uint64_t cmdline_bytes = 2048;

// Regions that are memory chips behind the bus, whatever the system may do with them.
bool holds_ram(E820Type type) {
    switch (type) {
    case E820Type::ram:
    case E820Type::acpi:
    case E820Type::nvs:
    case E820Type::unusable:
    case E820Type::pmem:
    case E820Type::pram:
    case E820Type::reserved_kern:
    case E820Type::soft_reserved: return true;
    case E820Type::reserved: return false;
    }
    return false;
}

// The part of an entry that physical addresses can reach.
PhysRange reachable(const E820Entry& entry) {
    const std::uint64_t start = std::min(entry.start, PhysSpace::last);
    const std::uint64_t end = entry.end() < entry.start ? PhysSpace::last : std::min(entry.end(), PhysSpace::last);
    return PhysRange{PhysAddr{start}, PhysAddr{end}};
}

template <class T>
void put(PhysicalMemory& memory, std::uint64_t address, T value) {
    memory.load(PhysAddr{address}, std::as_bytes(std::span{&value, 1}));
}

// Tables that are taken one after the other from the loader's place.
class LoaderTables {
public:
    LoaderTables(PhysicalMemory& memory, const BootParams& params)
        : memory_{memory}, next_{params.loader_tables}, levels_{params.loader_levels}, root_{take()} {}

    void map_gib(std::uint64_t address) {
        PhysAddr table = root_;
        for (unsigned level = levels_; level > 2; --level) {
            const PhysAddr entry = table + 8 * index_at(static_cast<Level>(level), address);
            if (memory_.read64(entry) == 0) {
                put(memory_, entry.value(), take().value() | pointer);
            }
            table = PhysAddr{memory_.read64(entry) & table_mask};
        }
        for (std::uint64_t i = 0; i < 512; ++i) {
            put(memory_, table.value() + 8 * i, ((address & ~gib_mask) + i * 0x20'0000) | large_page);
        }
    }

    [[nodiscard]] PhysAddr root() const { return root_; }

private:
    static constexpr std::uint64_t pointer = 0x23;     // P RW A
    static constexpr std::uint64_t large_page = 0xe3;  // P RW A D PS
    static constexpr std::uint64_t gib_mask = 0x3fff'ffff;
    static constexpr std::uint64_t table_mask = 0x000f'ffff'ffff'f000;
    static constexpr unsigned most_tables = 16;

    PhysAddr take() {
        if (taken_ == most_tables) {
            throw Error{"loader tables", "the loader's one-to-one map needs more than 16 pages"};
        }
        ++taken_;
        const PhysAddr table = next_;
        next_ += frame_bytes;
        return table;
    }

    PhysicalMemory& memory_;
    PhysAddr next_;
    unsigned levels_;
    unsigned taken_ = 0;
    PhysAddr root_;
};

}  // namespace

PhysAddr load_identity_map(PhysicalMemory& memory, const BootParams& params, const std::vector<PhysRange>& more) {
    constexpr std::uint64_t gib = 0x4000'0000;
    LoaderTables tables{memory, params};
    for (std::uint64_t at = 0; at < 4 * gib; at += gib) {
        tables.map_gib(at);
    }
    for (const PhysRange& range : more) {
        for (std::uint64_t at = range.start().value() & ~(gib - 1); at < range.end().value(); at += gib) {
            if (at >= 4 * gib) {
                tables.map_gib(at);
            }
        }
    }
    return tables.root();
}

void map_physical_memory(PhysicalMemory& memory, const BootParams& params, const std::vector<PhysRange>& more) {
    std::vector<const E820Table*> tables{&params.e820_firmware, &params.e820};
    for (const SetupData& node : params.setup_data) {
        tables.push_back(&node.e820_ext);
    }
    for (const E820Table* table : tables) {
        for (const E820Entry& entry : *table) {
            if (!holds_ram(entry.type)) {
                memory.map_region(reachable(entry), RegionKind::mmio);
            }
        }
    }
    for (const E820Table* table : tables) {
        for (const E820Entry& entry : *table) {
            if (holds_ram(entry.type)) {
                memory.map_region(reachable(entry), RegionKind::ram);
            }
        }
    }
    memory.map_region({PhysAddr{0}, PhysAddr{0xa'0000}}, RegionKind::ram);
    memory.map_region({PhysAddr{0xa'0000}, PhysAddr{0xc'0000}}, RegionKind::mmio);
    memory.map_region({PhysAddr{0xc'0000}, PhysAddr{0x10'0000}}, RegionKind::rom);
    for (const PhysRange& range : more) {
        memory.map_region(range, RegionKind::ram);
    }
}

void load_boot_params(PhysicalMemory& memory, const BootParams& params) {
    put(memory, 0x40e, params.ebda_segment);
    put(memory, 0x413, params.base_memory_kb);
    const auto zero_page_bytes = encode_zero_page(params);
    memory.load(params.address, zero_page_bytes);
    if (params.cmd_line_ptr != PhysAddr{}) {
        std::array<std::byte, cmdline_bytes> text{};
        const std::size_t length = std::min<std::size_t>(params.cmdline.size(), cmdline_bytes - 1);
        std::memcpy(text.data(), params.cmdline.data(), length);
        memory.load(params.cmd_line_ptr, text);
    }
    for (std::size_t i = 0; i < params.setup_data.size(); ++i) {
        const SetupData& node = params.setup_data[i];
        const std::uint64_t at = node.address.value();
        put(memory, at, i + 1 < params.setup_data.size() ? params.setup_data[i + 1].address.value() : std::uint64_t{0});
        put(memory, at + 8, node.type);
        put(memory, at + 12, node.length);
        for (std::size_t entry = 0; entry < node.e820_ext.size(); ++entry) {
            const std::uint64_t place = at + 16 + 20 * entry;
            put(memory, place, node.e820_ext[entry].start);
            put(memory, place + 8, node.e820_ext[entry].size);
            put(memory, place + 16, static_cast<std::uint32_t>(node.e820_ext[entry].type));
        }
        if (node.indirect) {
            put(memory, at + 16, node.indirect->type);
            put(memory, at + 20, std::uint32_t{0});
            put(memory, at + 24, node.indirect->length);
            put(memory, at + 32, node.indirect->address.value());
        }
    }
}

}  // namespace pgsim::firmware
