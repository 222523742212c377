// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/scenario/page_account.hpp"

#include <fmt/format.h>

#include "pgsim/inspect/address_space.hpp"
#include "pgsim/kernel/mm_init.hpp"

namespace pgsim {

namespace {

template <class... Args>
void line(std::string& out, fmt::format_string<Args...> format, Args&&... args) {
    out += fmt::format(format, std::forward<Args>(args)...);
    out += '\n';
}

std::string type_name(std::uint32_t type) {
    switch (type) {
    case kernel::page_type::none: return "mapcount -1, no page type";
    case kernel::page_type::buddy: return "page type Buddy";
    case kernel::page_type::table: return "page type Table";
    case kernel::page_type::offline: return "page type Offline";
    default: return fmt::format("mapcount field {:#x}", type);
    }
}

const kernel::ZoneFreeArea* area_of(const Checkpoint& checkpoint, const kernel::Zone& zone) {
    for (const kernel::ZoneFreeArea& area : checkpoint.free_areas) {
        if (area.nid == zone.nid && area.type == zone.type) {
            return &area;
        }
    }
    return nullptr;
}

}  // namespace

std::optional<std::uint64_t> StructPageView::buddy_order() const noexcept {
    if (!words || page_type() != kernel::page_type::buddy) {
        return std::nullopt;
    }
    return (*words)[kernel::page_field::private_ / 8];
}

StructPageView struct_page(const Boot& boot, const Checkpoint& checkpoint, Pfn pfn) {
    const unsigned reach = checkpoint.levels() == 5 ? 52 : 46;
    if (pfn.value() >> (reach - 12) != 0) {
        throw Error{"page frame " + hex(pfn.value()),
                    "lies beyond the " + std::to_string(reach) + " physical address bits of this paging mode"};
    }
    StructPageView view;
    view.pfn = pfn;
    view.address = VirtAddr{checkpoint.kernel.vmemmap_base} + pfn.value() * kernel::sizeof_page;
    view.layout = kernel::page_flags_layout(boot.scenario().inputs.config);
    view.pg_reserved_bit = boot.scenario().inputs.series.pg_reserved_bit;
    const AddressSpace space{checkpoint.machine.memory, RootRef{checkpoint.root(), checkpoint.levels()}};
    view.walk = space.walk(view.address);
    if (const Translation* found = view.walk.translation()) {
        auto& words = view.words.emplace();
        for (std::size_t i = 0; i < words.size(); ++i) {
            words[i] = checkpoint.machine.memory.read64(found->phys + 8 * i);
        }
    }
    return view;
}

std::string to_string(const StructPageView& page) {
    std::string out;
    line(out, "struct page of frame {:#x} (physical {}) at {}", page.pfn.value(), to_string(page.pfn.address()),
         to_string(page.address));
    for (const WalkStep& step : page.walk.steps()) {
        line(out, "  {}  at {}", to_string(step.entry), to_string(step.entry_addr));
    }
    if (!page.words) {
        line(out, "  not mapped: there is no memmap for this frame");
        return out;
    }
    const auto& w = *page.words;
    line(out, "  lies at physical {}", to_string(page.walk.translation()->phys));
    line(out, "  flags    {:#018x}  node {}, zone {} ({}){}", w[0], page.nid(), page.zone(),
         kernel::zone_name(static_cast<kernel::ZoneType>(page.zone())), page.reserved() ? ", PG_reserved" : "");
    line(out, "  lru      {:#018x} {:#018x}{}", w[1], w[2],
         w[1] == page.address.value() + kernel::page_field::lru_next ? "  (empty list)" : "");
    line(out, "  mapping  {:#018x}", w[3]);
    line(out, "  index    {:#018x}", w[4]);
    line(out, "  private  {:#018x}", w[5]);
    line(out, "  {}, refcount {}", type_name(page.page_type()), page.refcount());
    line(out, "  memcg    {:#018x}", w[7]);
    if (const auto order = page.buddy_order()) {
        line(out, "  leads a free block of order {}: frames {:#x}-{:#x}", *order, page.pfn.value(),
             page.pfn.value() + (std::uint64_t{1} << *order) - 1);
    }
    return out;
}

std::string zoneinfo(const Checkpoint& checkpoint) {
    std::string out;
    const kernel::Watermarks marks = kernel::setup_watermarks(checkpoint.zones, {});
    for (const kernel::ZoneWatermarks& mark : marks.zones) {
        const kernel::Node* node = checkpoint.zones.node(mark.nid);
        const kernel::Zone& zone = node->zones[static_cast<std::size_t>(mark.type)];
        const kernel::ZoneFreeArea* area = area_of(checkpoint, zone);
        line(out, "Node {}, zone {:>8}", mark.nid, kernel::zone_name(mark.type));
        line(out, "  pages free     {}", area == nullptr ? 0 : area->free_pages());
        line(out, "        boost    0");
        line(out, "        min      {}", mark.min);
        line(out, "        low      {}", mark.low);
        line(out, "        high     {}", mark.high);
        line(out, "        promo    {}", mark.promo);
        line(out, "        spanned  {}", zone.spanned);
        line(out, "        present  {}", zone.present);
        line(out, "        managed  {}", zone.managed);
        line(out, "        protection: ({})", fmt::join(mark.lowmem_reserve, ", "));
        line(out, "  start_pfn:           {}", zone.start_pfn);
    }
    return out;
}

}  // namespace pgsim
