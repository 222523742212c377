// SPDX-License-Identifier: GPL-2.0-only
// What the kernel prints about its E820 table when memory is set up, computed from the table.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "pgsim/firmware/machine_record.hpp"
#include "pgsim/kernel/kernel_series.hpp"

namespace pgsim::scenario {

using E820Span = std::span<const firmware::E820Entry>;

/// e820__register_nosave_regions, a range for each call. [linux-6.6 arch/x86/kernel/e820.c]
[[nodiscard]] std::vector<firmware::LogRange> nosave_ranges(E820Span e820, std::uint64_t limit_pfn,
                                                            const kernel::KernelSeries& series);

/// e820__setup_pci_gap: the largest hole below 4 GiB of at least 4 MiB, the lower one of equals.
/// [linux-6.6 arch/x86/kernel/e820.c]
[[nodiscard]] firmware::LogRange pci_gap(E820Span e820, std::uint64_t max_pfn);

/// e820__reserve_resources_late: after each RAM entry up to the next round address.
[[nodiscard]] std::vector<firmware::LogRange> ram_buffers(E820Span e820);

/// What EFI told this kernel besides the map: ranges that it took out of the table, or made reserved, as its log says.
struct EfiChanges {
    std::vector<firmware::LogRange> removed;   ///< run-time MMIO, "remove … reserved"
    std::vector<firmware::LogRange> reserved;  ///< memory of EFI's tables, "update … usable ==> reserved"
    std::vector<firmware::LogRange> added;     ///< graphics memory that a quirk adds as reserved
};
/// From the record's own lines. The changes that the map and the command line lead to are left out: `computed`.
[[nodiscard]] EfiChanges efi_changes(const firmware::MachineRecord& record,
                                     const std::vector<firmware::LogE820Change>& computed);
/// The table as it was when the late lines were printed.
[[nodiscard]] std::vector<firmware::E820Entry> with_efi_changes(E820Span e820, const EfiChanges& changes);

/// "e820: update …" lines as records.
[[nodiscard]] std::vector<firmware::LogE820Change> parse_changes(const std::vector<std::string>& printed);

}  // namespace pgsim::scenario
