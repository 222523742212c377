// SPDX-License-Identifier: GPL-2.0-only
#pragma once

// Prints the library's values with {fmt}. The only public header that needs {fmt}: link fmt::fmt beside pgsim::pgsim.

#include <fmt/format.h>

#include "pgsim/base/address.hpp"
#include "pgsim/base/level.hpp"
#include "pgsim/base/range.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/cpu/cpu_features.hpp"
#include "pgsim/cpu/cpu_state.hpp"
#include "pgsim/cpu/mtrr.hpp"
#include "pgsim/machine/exception.hpp"
#include "pgsim/memory/physical_memory.hpp"
#include "pgsim/mmu/access.hpp"
#include "pgsim/mmu/entry.hpp"
#include "pgsim/mmu/walk_result.hpp"

namespace pgsim {

/// Formats `value` as text that may be filled and aligned: "{:>18}". Ranges print as "[0x1000, 0x3000)".
template <class T>
struct TextFormatter : fmt::formatter<fmt::string_view> {
    auto format(const T& value, fmt::format_context& ctx) const -> fmt::format_context::iterator;
};

}  // namespace pgsim

template <>
struct fmt::formatter<pgsim::PhysAddr> : pgsim::TextFormatter<pgsim::PhysAddr> {};
template <>
struct fmt::formatter<pgsim::VirtAddr> : pgsim::TextFormatter<pgsim::VirtAddr> {};
template <>
struct fmt::formatter<pgsim::Pfn> : pgsim::TextFormatter<pgsim::Pfn> {};
template <>
struct fmt::formatter<pgsim::PhysRange> : pgsim::TextFormatter<pgsim::PhysRange> {};
template <>
struct fmt::formatter<pgsim::VirtRange> : pgsim::TextFormatter<pgsim::VirtRange> {};
template <>
struct fmt::formatter<pgsim::PfnRange> : pgsim::TextFormatter<pgsim::PfnRange> {};
template <>
struct fmt::formatter<pgsim::Level> : pgsim::TextFormatter<pgsim::Level> {};
template <>
struct fmt::formatter<pgsim::PageSize> : pgsim::TextFormatter<pgsim::PageSize> {};
template <>
struct fmt::formatter<pgsim::Cycles> : pgsim::TextFormatter<pgsim::Cycles> {};
template <>
struct fmt::formatter<pgsim::Entry> : pgsim::TextFormatter<pgsim::Entry> {};
template <>
struct fmt::formatter<pgsim::Access> : pgsim::TextFormatter<pgsim::Access> {};
template <>
struct fmt::formatter<pgsim::FaultCause> : pgsim::TextFormatter<pgsim::FaultCause> {};
template <>
struct fmt::formatter<pgsim::TranslationSource> : pgsim::TextFormatter<pgsim::TranslationSource> {};
template <>
struct fmt::formatter<pgsim::WalkResult> : pgsim::TextFormatter<pgsim::WalkResult> {};
template <>
struct fmt::formatter<pgsim::PagingMode> : pgsim::TextFormatter<pgsim::PagingMode> {};
template <>
struct fmt::formatter<pgsim::RegisterFault> : pgsim::TextFormatter<pgsim::RegisterFault> {};
template <>
struct fmt::formatter<pgsim::Feature> : pgsim::TextFormatter<pgsim::Feature> {};
template <>
struct fmt::formatter<pgsim::Vendor> : pgsim::TextFormatter<pgsim::Vendor> {};
template <>
struct fmt::formatter<pgsim::MemoryType> : pgsim::TextFormatter<pgsim::MemoryType> {};
template <>
struct fmt::formatter<pgsim::RegionKind> : pgsim::TextFormatter<pgsim::RegionKind> {};
template <>
struct fmt::formatter<pgsim::Vector> : pgsim::TextFormatter<pgsim::Vector> {};
template <>
struct fmt::formatter<pgsim::MachineStop> : pgsim::TextFormatter<pgsim::MachineStop> {};
template <>
struct fmt::formatter<pgsim::MachineStop::Reason> : pgsim::TextFormatter<pgsim::MachineStop::Reason> {};
