// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "firmware/text_scan.hpp"
#include "pgsim/firmware/machine_record.hpp"

namespace pgsim::firmware {

/// Collects a MachineRecord from the lines of a log, one after the other.
class DmesgReader {
public:
    /// @throws Error  naming the line, for a line of the firmware's map that cannot be what it claims to be
    void read_line(std::string_view line, std::size_t number);
    /// @throws Error  when there was no map
    [[nodiscard]] MachineRecord take();
    /// What was read so far.
    [[nodiscard]] const MachineRecord& record() const noexcept { return record_; }

private:
    enum class Section { none, zones };
    using Handler = bool (DmesgReader::*)(TextScan);
    struct Rule {
        std::string_view prefix;
        Handler handler;
    };
    static const Rule rules[];

    [[noreturn]] void fail(std::string_view reason) const;

    // what firmware and loader gave (dmesg_inputs.cpp)
    bool linux_version(TextScan scan);
    bool command_line(TextScan scan);
    bool firmware_map(TextScan scan);
    bool setup_data_map(TextScan scan);
    bool user_map(TextScan scan);
    bool dmi(TextScan scan);
    bool efi(TextScan scan);
    bool hypervisor(TextScan scan);
    bool nx(TextScan scan);
    bool gb_pages(TextScan scan);
    bool ramdisk(TextScan scan);
    bool srat(TextScan scan);
    bool mtrr_default(TextScan scan);
    bool mtrr_range(TextScan scan);
    bool top_mem2(TextScan scan);
    bool mp_table(TextScan scan);
    bool acpi_reserving(TextScan scan);
    bool graphics(TextScan scan);
    bool acpi_table(TextScan scan);
    [[nodiscard]] E820Entry map_entry(TextScan scan) const;

    // what the kernel made of it (dmesg_facts.cpp)
    bool update(TextScan scan);
    bool update_old(TextScan scan);
    bool remove(TextScan scan);
    bool remove_old(TextScan scan);
    bool ram_buffer(TextScan scan);
    bool last_pfn(TextScan scan);
    bool mapping(TextScan scan);
    bool bracket(TextScan scan);
    bool brk(TextScan scan);
    bool node_data(TextScan scan);
    bool zones_heading(TextScan scan);
    bool zone(TextScan scan);
    bool node_range(TextScan scan);
    bool initmem(TextScan scan);
    bool on_node(TextScan scan);
    bool zone_pages(TextScan scan);
    bool nosave(TextScan scan);
    bool percpu(TextScan scan);
    bool fallback_order(TextScan scan);
    bool zonelists(TextScan scan);
    bool memory(TextScan scan);

    MachineRecord record_;
    std::size_t line_ = 0;
    bool seen_map_ = false;
    bool seen_efi_ = false;
};

/// "[mem 0x…-0x…]" or "[gap …]", with the end inclusive; or "0000… - 0000…" with the end exclusive, as old kernels
/// print it. nullopt for anything else, and for an end below the start.
[[nodiscard]] std::optional<LogRange> scan_range(TextScan& scan);

}  // namespace pgsim::firmware
