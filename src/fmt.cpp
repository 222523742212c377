// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/fmt.hpp"

#include <string>

namespace pgsim {
namespace {

template <class T>
std::string text_of(const T& value) {
    return std::string{to_string(value)};
}
std::string text_of(Pfn pfn) {
    return hex(pfn.value());
}
std::string text_of(Level level) {
    return std::string{entry_name(level)};
}
std::string text_of(PageSize size) {
    return std::string{short_name(size)};
}
std::string text_of(Cycles cycles) {
    return std::to_string(cycles.count());
}
template <class T>
std::string text_of(const Range<T>& range) {
    return '[' + hex(range.start().value()) + ", " + hex(range.end().value()) + ')';
}

}  // namespace

template <class T>
auto TextFormatter<T>::format(const T& value, fmt::format_context& ctx) const -> fmt::format_context::iterator {
    return fmt::formatter<fmt::string_view>::format(text_of(value), ctx);
}

template struct TextFormatter<PhysAddr>;
template struct TextFormatter<VirtAddr>;
template struct TextFormatter<Pfn>;
template struct TextFormatter<PhysRange>;
template struct TextFormatter<VirtRange>;
template struct TextFormatter<PfnRange>;
template struct TextFormatter<Level>;
template struct TextFormatter<PageSize>;
template struct TextFormatter<Cycles>;
template struct TextFormatter<Entry>;
template struct TextFormatter<Access>;
template struct TextFormatter<FaultCause>;
template struct TextFormatter<TranslationSource>;
template struct TextFormatter<WalkResult>;
template struct TextFormatter<PagingMode>;
template struct TextFormatter<RegisterFault>;
template struct TextFormatter<Feature>;
template struct TextFormatter<Vendor>;
template struct TextFormatter<MemoryType>;
template struct TextFormatter<RegionKind>;
template struct TextFormatter<Vector>;
template struct TextFormatter<MachineStop>;
template struct TextFormatter<MachineStop::Reason>;

}  // namespace pgsim
