// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pgsim/firmware/e820_table.hpp"
#include "pgsim/firmware/numa_description.hpp"

namespace pgsim::firmware {

/// An address range as Linux prints it: [start, end], end **inclusive**.
struct LogRange {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    friend bool operator==(const LogRange&, const LogRange&) = default;
};

/// A change that the kernel made to its E820 table: op "update", "remove" or "reserve RAM buffer"; text is what was
/// printed after the range ("usable ==> reserved", "usable", "").
struct LogE820Change {
    std::string op;
    LogRange range;
    std::string text;
    friend bool operator==(const LogE820Change&, const LogE820Change&) = default;
};

/// One init_memory_mapping call and the page sizes of its parts ("4k", "2M", "1G").
struct LogMapping {
    struct Chunk {
        LogRange range;
        std::string page;
        friend bool operator==(const Chunk&, const Chunk&) = default;
    };
    LogRange range;
    std::vector<Chunk> chunks;
    friend bool operator==(const LogMapping&, const LogMapping&) = default;
};

/// A zone of the machine: "DMA", "DMA32", "Normal", "Movable", "Device"; without a range it was printed as empty.
struct LogZone {
    std::string zone;
    std::optional<LogRange> range;
    friend bool operator==(const LogZone&, const LogZone&) = default;
};

/// A range that belongs to a node; nullopt where the line does not name the node.
struct LogNodeRange {
    std::optional<int> node;
    LogRange range;
    friend bool operator==(const LogNodeRange&, const LogNodeRange&) = default;
};

/// A part of the struct page array: virtual range, "PMD" or "PTE", the memory behind it as direct-map addresses.
struct LogVmemmap {
    LogRange range;
    std::string kind;
    LogRange backing;
    int node = 0;
    friend bool operator==(const LogVmemmap&, const LogVmemmap&) = default;
};

/// "On node N totalpages" and the zone lines below it, in pages; the parts by name ("pages", "used_for_memmap", …).
struct LogNodePages {
    using Parts = std::vector<std::pair<std::string, std::uint64_t>>;
    int node = 0;
    std::uint64_t totalpages = 0;
    std::vector<std::pair<std::string, Parts>> zones;
    friend bool operator==(const LogNodePages&, const LogNodePages&) = default;
};

struct LogUnavailable {
    std::optional<int> node;
    std::string zone;
    std::uint64_t pages = 0;
    friend bool operator==(const LogUnavailable&, const LogUnavailable&) = default;
};

/// The "Memory:" line, in KiB (available_k 0: not known); the parts in the brackets by name ("kernel_code_k",
/// "reserved_k", …).
struct LogMemory {
    std::uint64_t available_k = 0;
    std::uint64_t total_k = 0;
    std::vector<std::pair<std::string, std::uint64_t>> parts;
    std::string line;
    friend bool operator==(const LogMemory&, const LogMemory&) = default;
};

/// A memory affinity line of the SRAT with the node that Linux gave it.
struct LogSrat {
    int node = 0;
    std::uint32_t pxm = 0;
    LogRange range;
    std::string flags;  ///< "hotplug", "non-volatile", "" …
    friend bool operator==(const LogSrat&, const LogSrat&) = default;
};

struct LogCpus {
    std::uint64_t nr_cpus = 0;
    std::uint64_t nr_cpumask_bits = 0;
    std::uint64_t nr_cpu_ids = 0;
    std::uint64_t nr_node_ids = 0;
    friend bool operator==(const LogCpus&, const LogCpus&) = default;
};

struct LogZonelists {
    std::uint64_t count = 0;
    std::uint64_t total_pages = 0;
    friend bool operator==(const LogZonelists&, const LogZonelists&) = default;
};

/// "Fallback order for Node 1: 1 0": the nodes in the order of a zonelist.
struct LogFallback {
    int node = 0;
    std::vector<int> order;
    friend bool operator==(const LogFallback&, const LogFallback&) = default;
};

/// A variable-range MTRR as logged; mask and base in bytes.
struct LogMtrr {
    std::uint64_t base = 0;
    std::uint64_t mask = 0;
    std::string type;  ///< "write-back", "uncachable", …
    friend bool operator==(const LogMtrr&, const LogMtrr&) = default;
};

/// What a boot says about a machine's memory: the inputs (map, parameters, SRAT, …) and what the kernel made of them.
/// Read from a log or a machine file, or made by a simulated boot; so that both can be held against each other.
/// nullopt: not said. The fields have the names of the "pgsim-machine/1" files.
struct MachineRecord {
    // what firmware and boot loader gave
    std::string name;
    std::string kernel;                          ///< release
    std::string upstream;                        ///< the kernel.org release behind it ("6.1.192"); empty: not said
    std::optional<std::string> machine;          ///< the DMI line
    std::optional<std::string> firmware;         ///< "uefi", "legacy-bios", "coreboot", "vmm-direct", "kexec"
    std::optional<std::string> hypervisor;       ///< "Hypervisor detected:"
    std::vector<std::string> memory_parameters;  ///< the parameters that concern memory
    std::optional<std::string> command_line;     ///< all of it, when the log has it
    E820Table e820;
    std::optional<LogRange> ramdisk;
    std::optional<std::vector<LogSrat>> srat_memory;
    std::vector<std::uint32_t> srat_cpu_domains;  ///< proximity domains of processors, in order of appearance
    std::optional<bool> gb_pages_line;            ///< "Using GB pages for direct mapping"
    std::optional<bool> nx;
    std::optional<std::string> mtrr_default;  ///< "uncachable", "write-back"
    std::vector<LogMtrr> mtrr;
    std::optional<std::uint64_t> top_mem2;  ///< "TOM2: … aka …M": bytes
    std::vector<AcpiTable> acpi_tables;
    std::vector<LogRange> acpi_reserved;  ///< "ACPI: Reserving … table memory at"
    std::optional<LogRange> mp_table;     ///< "found SMP MP-table at"
    std::vector<LogRange> graphics;       ///< "Reserving Intel graphics memory at": the quirk adds it to the map
    std::vector<LogRange> efi_removed;    ///< "efi: Remove memNN: MMIO range"

    // what the kernel made of it
    std::optional<E820Table> e820_extended_by_setup_data;
    std::optional<E820Table> e820_user_defined;
    std::vector<LogE820Change> e820_changes;
    std::vector<std::uint64_t> last_pfn;
    std::optional<std::uint64_t> max_arch_pfn;
    std::optional<std::vector<LogMapping>> init_memory_mapping;
    std::optional<std::vector<LogRange>> brk_pgtable;
    std::optional<std::vector<LogNodeRange>> node_data;
    std::optional<std::vector<LogVmemmap>> vmemmap;
    std::vector<LogZone> zone_ranges;
    std::vector<LogNodeRange> early_node_ranges;
    std::vector<LogNodeRange> initmem_setup;
    std::optional<std::vector<LogNodePages>> node_totalpages;
    std::optional<std::vector<LogUnavailable>> unavailable_ranges;
    std::optional<std::vector<LogRange>> nosave;
    std::optional<LogRange> pci_gap;
    std::optional<LogCpus> setup_percpu;
    std::optional<LogZonelists> zonelists;
    std::vector<LogFallback> fallback_order;  ///< printed from 5.16 on
    std::optional<LogMemory> memory;
    /// "DirectMap4k", "DirectMap2M", "DirectMap1G" of /proc/meminfo, in KiB. [spec: only a simulated boot has them]
    std::vector<std::pair<std::string, std::uint64_t>> direct_map;

    friend bool operator==(const MachineRecord&, const MachineRecord&) = default;
};

}  // namespace pgsim::firmware
