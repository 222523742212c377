// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pgsim/inspect/address_space.hpp"

namespace pgsim::formats {

/// An address space made of another tool's text: tables are built that map what the text lists. Where those tables lie
/// is our choice (from the top of physical memory down); the levels above the leaves allow everything.
struct ImportedSpace {
    AddressSpace space;
    bool physical_known = true;      ///< false: the text has no physical addresses (ptdump)
    std::vector<std::string> notes;  ///< what had to be guessed, one sentence each
};

/// The text of QEMU's monitor command `info tlb`.
///
/// It does not say how large a page with the letter P is: taken for 1 GiB where both addresses are multiples of it and
/// the next line lies at least so far on, else for 2 MiB; `notes` says how many.
/// Lines that are not of its form (a prompt, an empty line) are skipped at the beginning and the end.
/// @param levels  4 or 5; 0: 5 if an address needs them
/// @throws Error  naming the line: not of the form, not canonical, not ascending; or no line at all
[[nodiscard]] ImportedSpace import_qemu_tlb(std::string_view text, std::string_view name = "info tlb",
                                            unsigned levels = 0);

/// The text of Linux's /sys/kernel/debug/page_tables/* (or of dmesg's: time stamps before the lines are skipped).
/// Physical addresses are not in it: each page gets one that equals the low bits of its linear address.
/// @throws Error  as import_qemu_tlb; also when the text lists more than 2^24 pages
[[nodiscard]] ImportedSpace import_ptdump(std::string_view text, std::string_view name = "ptdump", unsigned levels = 0);

/// Registers that a dump's notes hold.
struct DumpedCpu {
    std::uint64_t cr0 = 0;
    std::uint64_t cr2 = 0;
    std::uint64_t cr3 = 0;
    std::uint64_t cr4 = 0;
    std::uint64_t rip = 0;
};

/// A guest's memory in a file. The file is mapped, not read: only what is looked at costs anything.
struct MemoryImage {
    MemorySnapshot memory;
    std::vector<DumpedCpu> cpus;  ///< empty when the file does not say
    std::uint64_t bytes = 0;      ///< of memory in the file

    /// The address space of a root: `cr3`, or the first CPU's. Levels from its CR4 when `levels` is 0, else 4.
    /// @throws Error  without `cr3` when the file has no registers, or paging is off in them
    [[nodiscard]] AddressSpace space(std::optional<std::uint64_t> cr3 = {}, unsigned levels = 0) const;
};

/// Opens an ELF core of a guest: QEMU's `dump-guest-memory` (registers are in its notes), or a vmcore.
/// @throws Error  not an x86-64 ELF core, damaged or cut, or too many segments
[[nodiscard]] MemoryImage open_elf_core(const std::string& path);

/// Opens a raw image of physical memory (QEMU's `pmemsave`): the byte at `base` is the first of the file.
/// @throws Error  if the file cannot be mapped, or goes beyond the physical address space
[[nodiscard]] MemoryImage open_raw_image(const std::string& path, PhysAddr base = PhysAddr{0});

/// What a file is, by its beginning.
enum class ImportKind : std::uint8_t { capture, qemu_tlb, ptdump, elf_core, unknown };
/// @param head  the first bytes of the file; a few thousand are enough
[[nodiscard]] ImportKind detect_import(std::string_view head);

}  // namespace pgsim::formats
