// SPDX-License-Identifier: GPL-2.0-only
// Where a command gets the address space from that it looks at: a simulated boot, or a file.
#pragma once

#include <string>
#include <vector>

#include "common.hpp"
#include "pgsim/formats/capture.hpp"
#include "pgsim/formats/dump.hpp"
#include "pgsim/inspect/address_space.hpp"
#include "pgsim/kernel/kernel_layout.hpp"
#include "pgsim/scenario/boot.hpp"

namespace pgsim::cli {

/// The machine to boot: --preset, --e820, --like, --this-machine, with --cpu, --kernel, --cmdline, --numa.
/// Without any: a 4 GiB QEMU q35.
struct MachineOptions {
    std::string preset;
    std::string e820;
    std::string like;
    bool this_machine = false;
    std::string cpu;
    std::string kernel;
    std::optional<std::string> cmdline;
    std::string numa;
    std::string srat;

    void add_to(CLI::App& command);
    /// @throws Error  for input that cannot be read or booted
    [[nodiscard]] BootScenario scenario() const;
};

/// Boots, with progress on standard error.
[[nodiscard]] Boot boot_with_progress(const BootScenario& scenario, BootOptions options);

/// One address space, and what is known around it.
struct Scene {
    std::string title;  ///< for people: "k6.6-4g-4l at init_mem_mapping.exit"
    AddressSpace space;
    formats::TableNames names;
    std::vector<formats::AddressMarker> markers;
};

/// A root of a checkpoint, by name: "" for its own, "cr3" or a static table's symbol for another.
[[nodiscard]] Scene scene_of_boot(const Boot& boot, const Checkpoint& checkpoint, const std::string& root);

/// How a file is to be read: --cr3, --levels, --as.
struct FileOptions {
    std::string cr3;
    unsigned levels = 0;
    std::string as;

    void add_to(CLI::App& command);
};

/// "FILE[:CHECKPOINT]": a checkpoint of a capture (without one, `fallback`, and when that is empty the last one),
/// QEMU's info tlb or Linux's ptdump text, an ELF core or a raw memory image. What it is, its content tells.
/// @param notes  gets what had to be guessed
[[nodiscard]] Scene scene_of_file(const std::string& text, const std::string& fallback, const std::string& root,
                                  const FileOptions& options, std::vector<std::string>& notes);

/// The address space as a capture of one checkpoint, "tables": every other command can read it again.
[[nodiscard]] formats::Capture capture_of(const Scene& scene);

/// Whether a format is made for people to read here, not for another tool.
[[nodiscard]] bool shows_people(formats::DumpFormat format);

/// Whether a file's beginning is that of something with page tables in it (as scene_of_file reads them).
[[nodiscard]] bool has_tables(const std::string& file);

/// MACHINE, or --file; with --at and --root.
struct SourceOptions {
    MachineOptions machine;
    std::string file;
    FileOptions reading;
    std::string at;
    std::string root;

    void add_to(CLI::App& command);
    /// @throws Error  when the source cannot be read or booted, or has no such checkpoint or root
    [[nodiscard]] Scene load() const;
};

}  // namespace pgsim::cli
