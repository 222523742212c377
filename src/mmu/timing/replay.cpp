// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/mmu/timing_replay.hpp"

#include <fmt/format.h>

#include "pgsim/base/error.hpp"

namespace pgsim {

namespace {

constexpr std::uint64_t present = 1U << 0;
constexpr std::uint64_t writable_bit = 1U << 1;
constexpr std::uint64_t user_bit = 1U << 2;
constexpr std::uint64_t accessed_bit = 1U << 5;
constexpr std::uint64_t dirty_bit = 1U << 6;
constexpr std::uint64_t large_bit = 1U << 7;

constexpr std::uint64_t table_base = 16 * MiB;
constexpr std::uint64_t table_end = 512 * GiB;

constexpr Level leaf_level(PageSize size) noexcept {
    return size == PageSize::k4K ? Level::pt : size == PageSize::k2M ? Level::pd : Level::pdpt;
}

}  // namespace

Replay::Replay(const ReplayOptions& options)
    : options_{options}, next_table_{table_base}, next_data_{options.data_base} {
    memory_.map_region({PhysAddr{0}, PhysAddr{table_end}}, RegionKind::ram);
    controls_.mode = options.five_level ? PagingMode::five_level : PagingMode::four_level;
    controls_.root = PhysAddr{new_table()};
    controls_.nxe = true;
    controls_.cr0_wp = true;
    controls_.pge = true;
    mmu_.set_controls(controls_);
    mmu_.set_core(options.core);
}

std::uint64_t Replay::new_table() {
    if (next_table_ == table_end) {
        throw Error{"replay", "the page tables of this trace do not fit in 512 GiB"};
    }
    const std::uint64_t table = next_table_;
    next_table_ += 4096;
    return table;
}

void Replay::map(VirtAddr virt, PhysAddr phys, PageSize size, bool writable, bool user) {
    if (!CanonicalAddr::check(virt, controls_.mode)) {
        throw Error{to_string(virt), "is not canonical: it cannot be mapped"};
    }
    const std::uint64_t set = options_.tables_accessed ? accessed_bit | dirty_bit : 0;
    const Level leaf = leaf_level(size);
    std::uint64_t table = controls_.root.value();
    for (Level level = options_.five_level ? Level::pml5 : Level::pml4;; level = *below(level)) {
        const PhysAddr at{table + 8 * index_at(level, virt.value())};
        const std::uint64_t entry = memory_.read64(at);
        const bool names_table = (entry & present) != 0 && level != Level::pt && (entry & large_bit) == 0;
        if (level == leaf) {
            if (names_table) {
                throw Error{to_string(virt), "smaller pages are mapped there already"};
            }
            memory_.write64(at, phys.value() | present | set | (writable ? writable_bit : 0) | (user ? user_bit : 0) |
                                    (leaf == Level::pt ? 0 : large_bit));
            return;
        }
        if ((entry & present) != 0 && !names_table) {
            throw Error{to_string(virt), "a larger page is mapped there already"};
        }
        if (!names_table) {
            table = new_table();
            memory_.write64(at, table | present | writable_bit | user_bit | (set & accessed_bit));
        } else {
            table = entry & 0x000f'ffff'ffff'f000;
        }
    }
}

bool Replay::mapped(VirtAddr virt) const {
    std::uint64_t table = controls_.root.value();
    for (Level level = options_.five_level ? Level::pml5 : Level::pml4;; level = *below(level)) {
        const std::uint64_t entry = memory_.read64(PhysAddr{table + 8 * index_at(level, virt.value())});
        if ((entry & present) == 0) {
            return false;
        }
        if (level == Level::pt || (level != Level::pml4 && level != Level::pml5 && (entry & large_bit) != 0)) {
            return true;
        }
        table = entry & 0x000f'ffff'ffff'f000;
    }
}

const WalkResult& Replay::access(VirtAddr virt, Access access) {
    if (options_.map_on_demand && CanonicalAddr::check(virt, controls_.mode) && !mapped(virt)) {
        const PageSize size = *options_.map_on_demand;
        map(virt.align_down(bytes(size)), PhysAddr{next_data_}.align_up(bytes(size)), size);
        next_data_ = PhysAddr{next_data_}.align_up(bytes(size)).value() + bytes(size);
    }
    last_ = mmu_.access(memory_, virt, access);
    if (last_.translation() == nullptr) {
        ++faults_;
        if (TimingModel* const timing = mmu_.timing()) {
            timing->event(TimedEvent::page_fault);
            timing->event(TimedEvent::iret);
        }
    }
    return last_;
}

void Replay::mov_cr3(std::uint16_t pcid, bool keep) {
    if (TimingModel* const timing = mmu_.timing()) {
        timing->event(keep ? TimedEvent::mov_cr3_keep : TimedEvent::mov_cr3_flush);
    }
    mmu_.set_pcid(pcid);
    if (!keep) {
        mmu_.flush({TranslationFlush::Scope::pcid, pcid});
    }
}

void Replay::invlpg(VirtAddr virt) {
    if (TimingModel* const timing = mmu_.timing()) {
        timing->event(TimedEvent::invlpg);
    }
    mmu_.invalidate_page(virt);
}

void Replay::run(const TraceStep& step) {
    switch (step.kind) {
    case TraceStep::Kind::access: access(step.virt, step.access); break;
    case TraceStep::Kind::map: map(step.virt, step.phys, step.size, step.writable, step.user); break;
    case TraceStep::Kind::invlpg: invlpg(step.virt); break;
    case TraceStep::Kind::mov_cr3: mov_cr3(step.pcid, step.keep); break;
    case TraceStep::Kind::invpcid:
        if (TimingModel* const timing = mmu_.timing()) {
            timing->event(TimedEvent::invpcid_single_context);
        }
        mmu_.flush({TranslationFlush::Scope::pcid, step.pcid});
        break;
    }
}

std::string to_string(const TimingStatistics& s, const CoreDescription& core) {
    const auto per_access = [&](std::uint64_t value) {
        return s.accesses == 0 ? 0.0 : static_cast<double>(value) / static_cast<double>(s.accesses);
    };
    std::string text =
        fmt::format("{}, {} GHz\n{} accesses, {} cycles: {:.2f} an access ({:.2f} ns)\n", core.title, core.ghz,
                    s.accesses, s.cycles, per_access(s.cycles), per_access(s.cycles) / core.ghz);
    constexpr std::array<const char*, 7> names{"first-level TLB", "second-level TLB", "walk start", "walk steps",
                                               "table entries",   "accessed/dirty",   "data"};
    for (std::size_t i = 0; i < names.size(); ++i) {
        text += fmt::format("  {:<18}{:>14} cycles{:>10.2f} an access\n", names[i], s.cycles_for[i],
                            per_access(s.cycles_for[i]));
    }
    text += fmt::format("  {:<18}{:>14} cycles\n", "events", s.event_cycles);
    text += fmt::format(
        "walkers busy{:>20} cycles, {} walker{}: at least {:.2f} cycles an access when accesses overlap\n",
        s.walker_busy, core.walkers, core.walkers == 1 ? "" : "s", per_access(s.walker_busy) / core.walkers);
    text += "walks by table entries read:";
    for (std::size_t length = 0; length < s.walks_by_length.size(); ++length) {
        if (s.walks_by_length[length] != 0) {
            text += fmt::format("  {}: {}", length, s.walks_by_length[length]);
        }
    }
    text += fmt::format("\nflag assists: {}\nanswered by    ", s.flag_assists);
    for (std::size_t level = 0; level < memory_levels; ++level) {
        text += fmt::format("{:>14}", to_string(static_cast<MemoryLevel>(level)));
    }
    text += "\n  table entries";
    for (const std::uint64_t count : s.references) {
        text += fmt::format("{:>14}", count);
    }
    text += "\n  data         ";
    for (const std::uint64_t count : s.data) {
        text += fmt::format("{:>14}", count);
    }
    text += fmt::format("\n{:<22}{:>14}{:>14}{:>14}{:>14}\n", "structure", "hits", "misses", "fills", "evictions");
    for (const ArrayStatistics& array : s.arrays) {
        text += fmt::format("{:<22}{:>14}{:>14}{:>14}{:>14}\n", array.name, array.hits, array.misses, array.fills,
                            array.evictions);
    }
    return text;
}

}  // namespace pgsim
