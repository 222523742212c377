// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "pgsim/base/address.hpp"

namespace pgsim::kernel {

/// __START_KERNEL_map. [spec R3.1]
inline constexpr std::uint64_t start_kernel_map = 0xffff'ffff'8000'0000;

/// Where a kernel image's symbols lie, the sizes of its structures, and where KASLR put it. [spec appendix C]
class KernelLayout {
public:
    PhysAddr text_pa{0x100'0000};    ///< physical address of _text
    std::uint64_t kaslr_offset = 0;  ///< run-time minus link-time address of _text, bytes
    /// What kernel_randomize_memory chose; nullopt: the fixed bases of the paging mode. [spec R5.25]
    std::optional<VirtAddr> page_offset_base;
    std::optional<VirtAddr> vmalloc_base;
    std::optional<VirtAddr> vmemmap_base;
    std::uint64_t struct_page_size = 64;
    std::uint64_t pglist_data_size = 174208;
    std::uint64_t zone_size = 1664;
    std::map<std::string, std::uint64_t, std::less<>> struct_sizes;  ///< "struct mem_section" -> bytes

    /// @param link_time  address as in System.map
    void set_symbol(std::string_view name, VirtAddr link_time);

    /// Run-time virtual address of a symbol. @throws Error  when the layout does not have it
    [[nodiscard]] VirtAddr va(std::string_view symbol) const;
    /// Its physical address: text_pa plus its distance from _text. @throws Error  as va()
    [[nodiscard]] PhysAddr pa(std::string_view symbol) const;
    [[nodiscard]] bool has(std::string_view symbol) const;

    /// Link-time addresses by name.
    [[nodiscard]] const std::map<std::string, VirtAddr, std::less<>>& symbols() const noexcept { return symbols_; }

    /// "debian-6.1", "debian-6.12", "defconfig-6.6". @throws Error  for any other name
    [[nodiscard]] static KernelLayout preset(std::string_view name);

    friend bool operator==(const KernelLayout&, const KernelLayout&) = default;

private:
    std::map<std::string, VirtAddr, std::less<>> symbols_;
};

}  // namespace pgsim::kernel
