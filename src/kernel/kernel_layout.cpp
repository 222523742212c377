// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/kernel_layout.hpp"

#include "kernel/presets.hpp"
#include "pgsim/base/error.hpp"

namespace pgsim::kernel {

namespace {

/// Addresses below 4 GiB are offsets in the per-CPU section: KASLR does not move them. [captures "FORMAT"]
constexpr std::uint64_t per_cpu_limit = std::uint64_t{1} << 32;

}  // namespace

void KernelLayout::set_symbol(std::string_view name, VirtAddr link_time) {
    symbols_.insert_or_assign(std::string{name}, link_time);
}

VirtAddr KernelLayout::va(std::string_view symbol) const {
    const auto found = symbols_.find(symbol);
    if (found == symbols_.end()) {
        throw Error{"layout", "the kernel has no symbol \"" + std::string{symbol} + "\""};
    }
    const VirtAddr link_time = found->second;
    return link_time.value() < per_cpu_limit ? link_time : VirtAddr{link_time.value() + kaslr_offset};
}

PhysAddr KernelLayout::pa(std::string_view symbol) const {
    return PhysAddr{text_pa.value() + (va(symbol) - va("_text"))};
}

bool KernelLayout::has(std::string_view symbol) const {
    return symbols_.find(symbol) != symbols_.end();
}

KernelLayout KernelLayout::preset(std::string_view name) {
    const KernelPreset& preset = kernel_preset(name);
    KernelLayout layout;
    layout.struct_page_size = preset.struct_page_size;
    layout.pglist_data_size = preset.pglist_data_size;
    layout.zone_size = preset.zone_size;
    for (const PresetSize& size : preset.struct_sizes) {
        layout.struct_sizes.emplace(size.name, size.bytes);
    }
    for (const PresetSymbol& symbol : preset.symbols) {
        layout.set_symbol(symbol.name, VirtAddr{symbol.link_time});
    }
    return layout;
}

}  // namespace pgsim::kernel
