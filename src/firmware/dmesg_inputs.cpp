// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>
#include <utility>

#include "firmware/dmesg_reader.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/firmware/memory_map_import.hpp"

namespace pgsim::firmware {

namespace {

/// "12.345678]" after a bracket: the kernel's time stamp.
bool time_stamp(TextScan& scan) {
    TextScan probe = scan;
    probe.blanks();
    if (!probe.number() || !probe.literal(".") || !probe.number() || !probe.literal("]")) {
        return false;
    }
    scan = probe;
    return true;
}

/// The message without what printk, dmesg, syslog or journalctl put before it.
std::string_view message_of(std::string_view line) {
    constexpr std::size_t longest_prefix = 160;
    TextScan scan{line};
    while (scan.past("[") && line.size() - scan.rest().size() < longest_prefix) {
        if (time_stamp(scan)) {
            TextScan caller = scan;  // "[    T0]" with CONFIG_PRINTK_CALLER
            if (caller.literal("[")) {
                caller.blanks();
                if ((caller.literal("T") || caller.literal("C")) && caller.number() && caller.literal("]")) {
                    scan = caller;
                }
            }
            return trimmed(scan.rest());
        }
    }
    TextScan syslog{line};
    if (syslog.past(" kernel: ")) {
        return trimmed(syslog.rest());
    }
    TextScan level{line};
    if (level.literal("<") && level.number() && level.literal(">")) {
        return trimmed(level.rest());
    }
    return trimmed(line);
}

/// "639   KB", "1.9 GB": sizes that some kernels put between range and type.
void skip_size(TextScan& scan) {
    TextScan probe = scan;
    if (!probe.number()) {
        return;
    }
    if (probe.literal(".")) {
        (void)probe.number();
    }
    probe.blanks();
    const std::string_view unit = probe.word();
    if (unit == "KB" || unit == "MB" || unit == "GB" || unit == "TB") {
        probe.blanks();
        scan = probe;
    }
}

/// What the end of the banner says: "… #1 SMP Debian 6.1.192-2 (2026-…)", "(Ubuntu 5.15.0-60.66-generic 5.15.78)".
std::string upstream_release(std::string_view banner) {
    TextScan scan{banner};
    if (scan.past(" Debian ")) {
        return std::string{scan.word("-+~")};
    }
    if (scan.past("(Ubuntu ")) {
        scan.word();
        scan.blanks();
        return std::string{scan.word(")")};
    }
    return {};
}

}  // namespace

std::optional<LogRange> scan_range(TextScan& scan) {
    TextScan probe = scan;
    probe.blanks();
    std::optional<std::uint64_t> start;
    std::optional<std::uint64_t> end;
    if (probe.literal("[mem ") || probe.literal("[gap ")) {
        start = probe.hex();
        if (!start || !probe.literal("-")) {
            return std::nullopt;
        }
        end = probe.hex();
        if (!end || !probe.literal("]")) {
            return std::nullopt;
        }
    } else {
        start = probe.number(16);
        if (!start || !probe.literal(" - ")) {
            return std::nullopt;
        }
        end = probe.number(16);
        if (!end || *end == 0) {
            return std::nullopt;
        }
        --*end;
    }
    if (*end < *start) {
        return std::nullopt;
    }
    scan = probe;
    scan.blanks();
    return LogRange{*start, *end};
}

const DmesgReader::Rule DmesgReader::rules[] = {
    {"Linux version ", &DmesgReader::linux_version},
    {"Command line: ", &DmesgReader::command_line},
    {"Kernel command line: ", &DmesgReader::command_line},
    {"BIOS-e820: ", &DmesgReader::firmware_map},
    {"BIOS-e801: ", &DmesgReader::firmware_map},
    {"BIOS-88: ", &DmesgReader::firmware_map},
    {"Xen: ", &DmesgReader::firmware_map},
    {"reserve setup_data: ", &DmesgReader::setup_data_map},
    {"user: ", &DmesgReader::user_map},
    {"DMI: ", &DmesgReader::dmi},
    {"efi: ", &DmesgReader::efi},
    {"Hypervisor detected: ", &DmesgReader::hypervisor},
    {"NX (Execute Disable) protection: ", &DmesgReader::nx},
    {"Using GB pages for direct mapping", &DmesgReader::gb_pages},
    {"RAMDISK: ", &DmesgReader::ramdisk},
    {"ACPI: SRAT: ", &DmesgReader::srat},
    {"SRAT: ", &DmesgReader::srat},
    {"MTRR default type: ", &DmesgReader::mtrr_default},
    {"TOM2: ", &DmesgReader::top_mem2},
    {"found SMP MP-table at ", &DmesgReader::mp_table},
    {"ACPI: Reserving ", &DmesgReader::acpi_reserving},
    {"Reserving Intel graphics ", &DmesgReader::graphics},
    {"ACPI: ", &DmesgReader::acpi_table},
    {"update ", &DmesgReader::update},
    {"e820 update range: ", &DmesgReader::update_old},
    {"remove ", &DmesgReader::remove},
    {"e820 remove range: ", &DmesgReader::remove_old},
    {"reserve RAM buffer", &DmesgReader::ram_buffer},
    {"last_pfn = ", &DmesgReader::last_pfn},
    {"init_memory_mapping: ", &DmesgReader::mapping},
    {"BRK [", &DmesgReader::brk},
    {"NODE_DATA", &DmesgReader::node_data},
    {"Zone ranges:", &DmesgReader::zones_heading},
    {"node ", &DmesgReader::node_range},
    {"Initmem setup node ", &DmesgReader::initmem},
    {"On node ", &DmesgReader::on_node},
    {"PM: Registered nosave memory: ", &DmesgReader::nosave},
    {"PM: hibernation: Registered nosave memory: ", &DmesgReader::nosave},
    {"setup_percpu: ", &DmesgReader::percpu},
    {"Fallback order for Node ", &DmesgReader::fallback_order},
    {"Built ", &DmesgReader::zonelists},
    {"Memory: ", &DmesgReader::memory},
    {"", &DmesgReader::bracket},
    {"", &DmesgReader::zone},
    {"", &DmesgReader::zone_pages},
    {"", &DmesgReader::mtrr_range},
};

void DmesgReader::fail(std::string_view reason) const {
    throw Error{"line " + std::to_string(line_), reason};
}

void DmesgReader::read_line(std::string_view line, std::size_t number) {
    line_ = number;
    TextScan message{message_of(line)};
    message.literal("e820: ");
    for (const Rule& rule : rules) {
        TextScan scan = message;
        if (scan.literal(rule.prefix) && (this->*rule.handler)(scan)) {
            return;
        }
    }
}

MachineRecord DmesgReader::take() {
    if (!seen_map_) {
        throw Error{"boot log", "holds no memory map (no \"BIOS-e820:\" line)"};
    }
    check_imported_map(record_.e820);
    if (!record_.last_pfn.empty()) {
        // The lines of the same age are there, so a missing one was not printed.
        record_.gb_pages_line = record_.gb_pages_line.value_or(false);
    }
    if (!record_.firmware) {
        record_.firmware = seen_efi_ ? "uefi" : record_.machine ? "legacy-bios" : "vmm-direct";
    }
    return std::move(record_);
}

bool DmesgReader::linux_version(TextScan scan) {
    if (seen_map_) {  // another boot begins
        record_ = MachineRecord{};
        seen_map_ = false;
        seen_efi_ = false;
    }
    record_.kernel = std::string{scan.word()};
    record_.upstream = upstream_release(scan.rest());
    return true;
}

bool DmesgReader::command_line(TextScan scan) {
    record_.command_line = std::string{scan.rest()};
    return true;
}

E820Entry DmesgReader::map_entry(TextScan scan) const {
    scan.blanks();
    TextScan ends = scan;
    const auto range = scan_range(scan);
    if (!range) {
        const bool bracket = ends.literal("[mem ");
        const auto start = bracket ? ends.hex() : ends.number(16);
        const auto end = ends.literal(bracket ? "-" : " - ") ? (bracket ? ends.hex() : ends.number(16)) : std::nullopt;
        if (!start || !end) {
            fail("not a memory range: \"" + std::string{scan.rest().substr(0, 60)} + '"');
        }
        if (*start == *end + (bracket ? 1 : 0)) {
            fail("the range is empty");
        }
        fail(*end < *start ? "the end lies below the start" : "not a memory range");
    }
    skip_size(scan);
    std::string_view words = trimmed(scan.rest());
    if (words.size() > 2 && words.front() == '(' && words.back() == ')') {
        words = words.substr(1, words.size() - 2);
    }
    const auto type = e820_type_of(words);
    if (!type) {
        fail("unknown kind of memory: \"" + std::string{words.substr(0, 60)} + '"');
    }
    if (range->end - range->start == ~std::uint64_t{0}) {
        fail("the range covers the whole address space");
    }
    return {range->start, range->end - range->start + 1, *type};
}

bool DmesgReader::firmware_map(TextScan scan) {
    scan.blanks();
    if (scan.literal("[gap ")) {
        return true;
    }
    if (seen_map_ && record_.e820.size() > e820_max_entries_zeropage) {
        fail("boot_params holds 128 entries, the map has more");
    }
    record_.e820.push_back(map_entry(scan));
    seen_map_ = true;
    return true;
}

bool DmesgReader::setup_data_map(TextScan scan) {
    if (!record_.e820_extended_by_setup_data) {
        record_.e820_extended_by_setup_data.emplace();
    }
    if (!scan.literal("[gap ")) {
        record_.e820_extended_by_setup_data->push_back(map_entry(scan));
    }
    return true;
}

bool DmesgReader::user_map(TextScan scan) {
    if (!record_.e820_user_defined) {
        record_.e820_user_defined.emplace();
    }
    if (!scan.literal("[gap ")) {
        record_.e820_user_defined->push_back(map_entry(scan));
    }
    return true;
}

bool DmesgReader::dmi(TextScan scan) {
    if (!record_.machine && scan.rest().find(", BIOS") != std::string_view::npos) {
        record_.machine = std::string{scan.rest()};
    }
    return true;
}

bool DmesgReader::efi(TextScan scan) {
    seen_efi_ = seen_efi_ || scan.rest().substr(0, 5) == "EFI v";
    if (scan.literal("Remove mem") && scan.past("range=[")) {
        const auto start = scan.hex();
        const auto end = scan.literal("-") ? scan.hex() : std::nullopt;
        if (start && end && *start <= *end) {
            record_.efi_removed.push_back({*start, *end});
        }
    }
    return true;
}

bool DmesgReader::hypervisor(TextScan scan) {
    record_.hypervisor = std::string{scan.rest()};
    return true;
}

bool DmesgReader::nx(TextScan scan) {
    record_.nx = scan.literal("active");
    return true;
}

bool DmesgReader::gb_pages(TextScan) {
    record_.gb_pages_line = true;
    return true;
}

bool DmesgReader::ramdisk(TextScan scan) {
    if (const auto range = scan_range(scan)) {
        record_.ramdisk = *range;
    }
    return true;
}

bool DmesgReader::srat(TextScan scan) {
    if (scan.literal("PXM ")) {  // "PXM 0 -> APIC 0x00 -> Node 0"
        const auto pxm = scan.number();
        auto& domains = record_.srat_cpu_domains;
        if (pxm && *pxm <= 0xffff'ffff && scan.literal(" -> APIC") &&
            std::find(domains.begin(), domains.end(), *pxm) == domains.end()) {
            domains.push_back(static_cast<std::uint32_t>(*pxm));
        }
        return true;
    }
    if (!scan.literal("Node ")) {
        return false;
    }
    const auto node = scan.number();
    const auto pxm = scan.literal(" PXM ") ? scan.number() : std::nullopt;
    const auto range = scan_range(scan);
    if (!node || !pxm || !range || *node > 0xffff || *pxm > 0xffff'ffff) {
        return false;
    }
    if (!record_.srat_memory) {
        record_.srat_memory.emplace();
    }
    record_.srat_memory->push_back(
        {static_cast<int>(*node), static_cast<std::uint32_t>(*pxm), *range, std::string{trimmed(scan.rest())}});
    return true;
}

bool DmesgReader::mtrr_default(TextScan scan) {
    record_.mtrr_default = std::string{scan.word()};
    return true;
}

bool DmesgReader::top_mem2(TextScan scan) {
    record_.top_mem2 = scan.number(16);
    return true;
}

bool DmesgReader::mtrr_range(TextScan scan) {
    if (!scan.number() || !scan.literal(" base ")) {
        return false;
    }
    const auto base = scan.number(16);
    const auto mask = scan.literal(" mask ") ? scan.number(16) : std::nullopt;
    if (!base || !mask || !scan.literal(" ")) {
        return false;
    }
    record_.mtrr.push_back({*base, *mask, std::string{scan.word()}});
    return true;
}

bool DmesgReader::mp_table(TextScan scan) {
    if (const auto range = scan_range(scan)) {
        record_.mp_table = *range;
    }
    return true;
}

bool DmesgReader::acpi_reserving(TextScan scan) {
    if (scan.past(" table memory at ")) {
        if (const auto range = scan_range(scan)) {
            record_.acpi_reserved.push_back(*range);
        }
    }
    return true;
}

bool DmesgReader::graphics(TextScan scan) {
    if (scan.past(" at ")) {
        if (const auto range = scan_range(scan)) {
            record_.graphics.push_back(*range);
        }
    }
    return true;
}

bool DmesgReader::acpi_table(TextScan scan) {  // "FACP 0x00000000A6560000 000114 (v06 LENOVO …"
    const std::string_view signature = scan.word();
    scan.blanks();
    scan.literal("0x");
    const auto address = scan.number(16);
    scan.blanks();
    const auto length = scan.number(16);
    const auto place = address ? PhysAddr::try_from(*address) : std::nullopt;
    if (signature.size() != 4 || !place || !length || *length > 0xffff'ffff) {
        return false;
    }
    record_.acpi_tables.push_back({std::string{signature}, *place, *length});
    return true;
}

MachineRecord parse_dmesg(std::string_view text) {
    DmesgReader reader;
    std::size_t number = 0;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        reader.read_line(text.substr(0, end), ++number);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return reader.take();
}

}  // namespace pgsim::firmware
