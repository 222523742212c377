// SPDX-License-Identifier: GPL-2.0-only
#include <filesystem>
#include <fstream>
#include <sstream>

#include "firmware/text_scan.hpp"
#include "formats/json_view.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/firmware/memory_map_import.hpp"
#include "pgsim/formats/text_file.hpp"
#include "pgsim/scenario/boot_scenario.hpp"
#include "pgsim/scenario/machine_json.hpp"

namespace pgsim {

namespace {

enum class Kind { capture, machine, log, memmap, iomem, empty, unknown };

bool looks_like_iomem(std::string_view line) {
    firmware::TextScan scan{line};
    return scan.number(16) && scan.literal("-") && scan.number(16) && scan.literal(" : ");
}

bool looks_like_memmap(std::string_view line) {
    firmware::TextScan scan{line};
    scan.literal("memmap=");
    return scan.literal("exactmap") || (scan.number() && line.find_first_of("@#$!") != std::string_view::npos);
}

/// The first line that is not empty and not a comment.
std::string_view first_line(std::string_view text) {
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = firmware::trimmed(text.substr(0, end));
        if (!line.empty() && line.front() != '#') {
            return line;
        }
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return {};
}

Kind kind_of(std::string_view text, const std::string& name) {
    const std::string_view line = first_line(text);
    if (line.empty()) {
        return Kind::empty;
    }
    if (line.front() == '{') {
        const formats::Json json = formats::parse_json(text, name);
        const formats::JsonView root{json, name};
        const auto format = root.find("format");
        const std::string word = format && format->json().is_string() ? format->string() : std::string{};
        return word == "pgsim-capture/1" || word == "pgsim-inputs/1" ? Kind::capture : Kind::machine;
    }
    if (text.find("BIOS-e820:") != std::string_view::npos || text.find("Linux version ") != std::string_view::npos) {
        return Kind::log;
    }
    if (looks_like_iomem(line)) {
        return Kind::iomem;
    }
    return looks_like_memmap(line) ? Kind::memmap : Kind::unknown;
}

std::string base_name(const std::string& path) {
    const std::string file = std::filesystem::path{path}.filename().string();
    return file.substr(0, file.find('.'));
}

firmware::MachineRecord named(firmware::MachineRecord record, const std::string& path) {
    if (record.name.empty()) {
        record.name = base_name(path);
    }
    return record;
}

std::string read_if_there(const std::string& path) {
    std::ifstream file{path};
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

/// The words after "flags" and "address sizes" of the first processor in /proc/cpuinfo.
void take_cpuinfo(std::string_view text, BootScenario& scenario) {
    CpuFeatures& cpu = scenario.inputs.cpu;
    cpu = CpuFeatures{};
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        firmware::TextScan line{text.substr(0, end)};
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.at_end()) {
            break;
        }
        const std::string_view whole = line.rest();
        line.past(": ");
        if (whole.substr(0, 5) == "flags") {
            for (std::string_view word = line.word(); !word.empty(); line.blanks(), word = line.word()) {
                if (const auto feature = find_feature(word)) {
                    cpu.enable(*feature);
                }
            }
        } else if (whole.substr(0, 9) == "vendor_id") {
            cpu.vendor = line.rest() == "AuthenticAMD" ? Vendor::amd : Vendor::intel;
        } else if (whole.substr(0, 13) == "address sizes") {
            const auto bits = line.number();
            if (bits && *bits >= 32 && *bits <= 52) {
                cpu.set_maxphyaddr(static_cast<unsigned>(*bits));
            }
        }
    }
}

}  // namespace

std::optional<firmware::MachineRecord> load_machine_record(const std::string& path) {
    if (std::filesystem::is_directory(path)) {
        return std::nullopt;
    }
    const std::string text = formats::read_text_maybe_xz(path);
    switch (kind_of(text, path)) {
    case Kind::machine: return named(machine_record_from_json(text, path), path);
    case Kind::log: try { return named(firmware::parse_dmesg(text), path);
        } catch (const Error& error) {
            throw error.within(path);
        }
    default: return std::nullopt;
    }
}

BootScenario load_scenario(const std::string& path) {
    try {
        if (std::filesystem::is_directory(path)) {
            return scenario_from_map(firmware::read_sys_firmware_memmap(path), base_name(path));
        }
        const std::string text = formats::read_text_maybe_xz(path);
        switch (kind_of(text, path)) {
        case Kind::capture: return scenario_from_capture(text, path);
        case Kind::machine: return scenario_from_record(named(machine_record_from_json(text, path), path));
        case Kind::log: return scenario_from_record(named(firmware::parse_dmesg(text), path));
        case Kind::iomem: return scenario_from_map(firmware::parse_proc_iomem(text), base_name(path));
        case Kind::memmap: return scenario_from_map(firmware::parse_memmap_text(text), base_name(path));
        case Kind::empty: throw Error{"the file is empty"};
        case Kind::unknown: break;
        }
    } catch (const Error& error) {
        const bool named_already = std::string_view{error.what()}.substr(0, path.size()) == path;
        throw named_already ? error : error.within(path);
    }
    throw Error{path,
                "not a memory map: expected a capture, a machine file, a boot log, memmap= text, /proc/iomem or "
                "a folder as /sys/firmware/memmap"};
}

BootScenario scenario_from_this_machine(const std::string& root) {
    const std::string memmap = root + "/sys/firmware/memmap";
    firmware::MachineRecord record;
    record.name = "this-machine";
    if (std::filesystem::is_directory(memmap)) {
        record.e820 = firmware::read_sys_firmware_memmap(memmap);
    } else {
        try {
            record.e820 = firmware::parse_proc_iomem(read_if_there(root + "/proc/iomem"));
        } catch (const Error& error) {
            throw Error{"this machine", std::string{"has no "} + memmap + " (not in a container), and " + error.what() +
                                            "; give a boot log instead"};
        }
    }
    record.command_line = std::string{firmware::trimmed(read_if_there(root + "/proc/cmdline"))};
    record.kernel = std::string{firmware::trimmed(read_if_there(root + "/proc/sys/kernel/osrelease"))};
    if (std::filesystem::is_directory(root + "/sys/firmware/efi")) {
        record.firmware = "uefi";
    }
    BootScenario scenario = scenario_from_record(record);
    if (const std::string cpuinfo = read_if_there(root + "/proc/cpuinfo"); !cpuinfo.empty()) {
        take_cpuinfo(cpuinfo, scenario);
    }
    check_scenario(scenario);
    return scenario;
}

}  // namespace pgsim
