// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pgsim/base/address.hpp"
#include "pgsim/base/range.hpp"
#include "pgsim/firmware/e820_table.hpp"

namespace pgsim::firmware {

/// A node of the setup_data list: header (16 bytes) at `address`, then `length` bytes of payload. [spec R5.5]
struct SetupData {
    PhysAddr address;
    std::uint32_t type = 0;
    std::uint32_t length = 0;
    std::vector<E820Entry> e820_ext{};  ///< the payload of SETUP_E820_EXT: entries that the zero page has no room for
    /// The payload of SETUP_INDIRECT: where the data lies, and of which type it is.
    struct Indirect {
        std::uint32_t type = 0;
        std::uint64_t length = 0;
        PhysAddr address;
        friend bool operator==(const Indirect&, const Indirect&) = default;
    };
    std::optional<Indirect> indirect{};
    friend bool operator==(const SetupData&, const SetupData&) = default;
};

/// Type of a node that holds E820 entries. [spec R5.5]
inline constexpr std::uint32_t setup_e820_ext = 1;

/// Type of a node that only says where its data lies; this type within it is not followed. [spec R5.6]
inline constexpr std::uint32_t setup_indirect = 0x8000'0000;

/// Where the data of a SETUP_INDIRECT node lies; empty for any other node. [spec R5.6]
[[nodiscard]] inline PhysRange indirect_target(const SetupData& node) {
    const bool followed = node.type == setup_indirect && node.indirect && node.indirect->type != setup_indirect;
    return followed ? PhysRange::sized(node.indirect->address, node.indirect->length) : PhysRange{};
}

/// How the loader enters the kernel. [spec R0.1]
enum class BootProtocol : std::uint8_t {
    bits32,  ///< at startup_32, in protected mode without paging
    bits64,  ///< at load address + 0x200, in long mode on the loader's own one-to-one map
};

/// What the boot loader hands to the kernel: the fields of the zero page (struct boot_params) that matter for
/// memory, where it lies, and the two BIOS words that the kernel reads besides it. [spec R0.1, R0.2]
struct BootParams {
    BootProtocol protocol = BootProtocol::bits32;
    /// bits64: where the loader keeps its page tables; it needs 16 pages there.
    PhysAddr loader_tables{0x8'0000};
    unsigned loader_levels = 4;   ///< bits64: 4 or 5, the paging mode in which the loader enters
    PhysAddr address;             ///< of the structure itself, 4096 bytes
    PhysAddr load_address;        ///< where byte 0 of the protected-mode image was put
    std::uint32_t init_size = 0;  ///< bytes that the kernel needs at its run-time place [spec R0.5]
    std::uint32_t kernel_alignment = 0x20'0000;
    PhysAddr pref_address{0x100'0000};
    std::uint8_t type_of_loader = 0;
    std::uint8_t loadflags = 0;
    std::uint8_t sentinel = 0;
    std::uint32_t alt_mem_k = 0;  ///< KiB above 1 MiB (E801)
    std::uint32_t ext_mem_k = 0;  ///< KiB above 1 MiB (int 15h, function 88h)
    PhysAddr cmd_line_ptr;
    std::string cmdline;
    E820Table e820;
    E820Table e820_firmware;  ///< what the firmware had said, when `e820` was replaced; else empty
    PhysAddr ramdisk_image;
    std::uint64_t ramdisk_size = 0;
    std::vector<SetupData> setup_data;
    std::uint16_t ebda_segment = 0;    ///< word at 0x40e
    std::uint16_t base_memory_kb = 0;  ///< word at 0x413
    bool efi = false;                  ///< booted by EFI (the efi_info signature is set)
    std::uint64_t payload_offset = 0;  ///< of the compressed kernel in the image; 0 when not known
    std::uint64_t payload_length = 0;
    friend bool operator==(const BootParams&, const BootParams&) = default;
};

/// Byte offsets in the zero page. [spec R0.2]
namespace zero_page {
inline constexpr std::uint64_t ext_mem_k = 0x002;
inline constexpr std::uint64_t ext_ramdisk_image = 0x0c0;
inline constexpr std::uint64_t ext_ramdisk_size = 0x0c4;
inline constexpr std::uint64_t ext_cmd_line_ptr = 0x0c8;
inline constexpr std::uint64_t efi_info = 0x1c0;
inline constexpr std::uint64_t alt_mem_k = 0x1e0;
inline constexpr std::uint64_t e820_entries = 0x1e8;
inline constexpr std::uint64_t sentinel = 0x1ef;
inline constexpr std::uint64_t version = 0x206;
inline constexpr std::uint64_t type_of_loader = 0x210;
inline constexpr std::uint64_t loadflags = 0x211;
inline constexpr std::uint64_t ramdisk_image = 0x218;
inline constexpr std::uint64_t ramdisk_size = 0x21c;
inline constexpr std::uint64_t cmd_line_ptr = 0x228;
inline constexpr std::uint64_t kernel_alignment = 0x230;
inline constexpr std::uint64_t setup_data = 0x250;
inline constexpr std::uint64_t pref_address = 0x258;
inline constexpr std::uint64_t init_size = 0x260;
inline constexpr std::uint64_t e820_table = 0x2d0;
inline constexpr std::uint64_t size = 4096;
}  // namespace zero_page

/// The 4096 bytes as the boot loader leaves them in memory.
/// @throws Error  for more than 128 E820 entries
[[nodiscard]] std::array<std::byte, zero_page::size> encode_zero_page(const BootParams& params);

}  // namespace pgsim::firmware
