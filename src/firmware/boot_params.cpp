// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/firmware/boot_params.hpp"

#include <algorithm>
#include <string_view>

#include "pgsim/base/error.hpp"

namespace pgsim::firmware {

namespace {

constexpr std::uint16_t protocol_version = 0x020f;
constexpr std::uint64_t header_magic = 0x202;
constexpr std::uint64_t e820_entry_size = 20;

class ZeroPage {
public:
    void put(std::uint64_t offset, std::uint64_t value, std::size_t width) {
        for (std::size_t i = 0; i < width; ++i) {
            bytes_[static_cast<std::size_t>(offset) + i] = static_cast<std::byte>(value >> (8 * i) & 0xff);
        }
    }

    void put(std::uint64_t offset, std::string_view text) {
        std::transform(text.begin(), text.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(offset),
                       [](char c) { return static_cast<std::byte>(c); });
    }

    /// A 64-bit value in two fields, as the header extends its old 32-bit fields.
    void put_split(std::uint64_t low_offset, std::uint64_t high_offset, std::uint64_t value) {
        put(low_offset, value & 0xffff'ffff, 4);
        put(high_offset, value >> 32, 4);
    }

    [[nodiscard]] const auto& bytes() const noexcept { return bytes_; }

private:
    std::array<std::byte, zero_page::size> bytes_{};
};

}  // namespace

std::array<std::byte, zero_page::size> encode_zero_page(const BootParams& params) {
    if (params.e820.size() > e820_max_entries_zeropage) {
        throw Error{"e820", "boot_params holds 128 entries, the map has " + std::to_string(params.e820.size())};
    }
    ZeroPage page;
    page.put(zero_page::ext_mem_k, std::min<std::uint32_t>(params.ext_mem_k, 0xffff), 2);
    page.put(zero_page::alt_mem_k, params.alt_mem_k, 4);
    if (params.efi) {
        page.put(zero_page::efi_info, "EL64");
    }
    page.put(zero_page::sentinel, params.sentinel, 1);
    page.put(header_magic, "HdrS");
    page.put(zero_page::version, protocol_version, 2);
    page.put(zero_page::type_of_loader, params.type_of_loader, 1);
    page.put(zero_page::loadflags, params.loadflags, 1);
    page.put_split(zero_page::ramdisk_image, zero_page::ext_ramdisk_image, params.ramdisk_image.value());
    page.put_split(zero_page::ramdisk_size, zero_page::ext_ramdisk_size, params.ramdisk_size);
    page.put_split(zero_page::cmd_line_ptr, zero_page::ext_cmd_line_ptr, params.cmd_line_ptr.value());
    page.put(zero_page::kernel_alignment, params.kernel_alignment, 4);
    page.put(zero_page::setup_data, params.setup_data.empty() ? 0 : params.setup_data.front().address.value(), 8);
    page.put(zero_page::pref_address, params.pref_address.value(), 8);
    page.put(zero_page::init_size, params.init_size, 4);
    page.put(zero_page::e820_entries, params.e820.size(), 1);
    std::uint64_t offset = zero_page::e820_table;
    for (const E820Entry& entry : params.e820) {
        page.put(offset, entry.start, 8);
        page.put(offset + 8, entry.size, 8);
        page.put(offset + 16, static_cast<std::uint32_t>(entry.type), 4);
        offset += e820_entry_size;
    }
    return page.bytes();
}

}  // namespace pgsim::firmware
