// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pgsim/inspect/address_space.hpp"

namespace pgsim::formats {

/// Ways to write an address space as text.
enum class DumpFormat : std::uint8_t {
    tree,      ///< tables and entries, indented, equal neighbours joined
    ranges,    ///< merged ranges, one a line
    ptdump,    ///< as Linux's /sys/kernel/debug/page_tables/kernel (CONFIG_PTDUMP_DEBUGFS) since 5.7
    qemu_tlb,  ///< as QEMU's monitor command `info tlb`
    qemu_mem,  ///< as QEMU's monitor command `info mem`
    json,
    dot,  ///< Graphviz
    svg,
    vmprint,  ///< as xv6's vmprint
    boxes,    ///< a blackboard drawing in text
};

/// By the name that the command line has: "tree", "ptdump", "qemu-tlb", "info-mem", …; nullopt for any other.
[[nodiscard]] std::optional<DumpFormat> find_dump_format(std::string_view name) noexcept;
/// The names, in the order of DumpFormat; aliases are left out.
[[nodiscard]] std::vector<std::string_view> dump_format_names();

/// From here on the address space is called so, in ptdump text. Linux keeps them in an array, ascending.
struct AddressMarker {
    VirtAddr start;
    std::string name;
    unsigned max_lines = 0;  ///< lines printed before "... N entries skipped ..."; 0: all
};

/// Where a kernel has put its areas: what ptdump's markers depend on.
struct KernelAreas {
    unsigned levels = 4;
    VirtAddr page_offset{0xffff'8880'0000'0000};
    VirtAddr vmalloc{0xffff'c900'0000'0000};
    VirtAddr vmemmap{0xffff'ea00'0000'0000};
    VirtAddr modules{0xffff'ffff'c000'0000};  ///< 0xffffffffa0000000 without CONFIG_RANDOMIZE_BASE
    VirtAddr fixaddr_start{0xffff'ffff'ff57'8000};
    bool ldt_remap = true;  ///< CONFIG_MODIFY_LDT_SYSCALL
    bool espfix = true;     ///< CONFIG_X86_ESPFIX64
    bool efi = true;        ///< CONFIG_EFI

    /// The areas without KASLR, for 4 or 5 levels.
    [[nodiscard]] static KernelAreas standard(unsigned levels);
};

/// The markers of arch/x86/mm/dump_pagetables.c for a kernel with these areas. [linux-6.6 address_markers]
[[nodiscard]] std::vector<AddressMarker> linux_markers(const KernelAreas& areas);

/// Names for tables, by physical address, e.g. "level3_kernel_pgt".
using TableNames = std::map<PhysAddr, std::string>;

struct DumpOptions {
    PageFilter filter{};  ///< what is not accepted is left out
    TableNames names{};   ///< shown where a format has room for names
    /// For ptdump; empty: linux_markers(KernelAreas::standard(levels)).
    std::vector<AddressMarker> markers{};
    std::size_t max_tables = 400;  ///< dot, svg, boxes: draw no more; a note says how many are missing
};

/// The address space as text. Ends with a line end.
[[nodiscard]] std::string dump(const AddressSpace& space, DumpFormat format, const DumpOptions& options = {});

/// How a single walk is written.
enum class WalkStyle : std::uint8_t {
    plain,  ///< every step with its rights, the outcome in words
    crash,  ///< as the crash utility's `vtop`
    bochs,  ///< as Bochs' debugger command `page`
};
[[nodiscard]] std::optional<WalkStyle> find_walk_style(std::string_view name) noexcept;

/// One walk as text. Ends with a line end.
[[nodiscard]] std::string format_walk(const WalkResult& walk, unsigned levels, WalkStyle style,
                                      const TableNames& names = {});
/// One walk as a JSON object.
[[nodiscard]] std::string walk_to_json(const WalkResult& walk);

}  // namespace pgsim::formats
