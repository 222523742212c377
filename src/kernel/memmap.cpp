// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/memmap.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace pgsim::kernel {

namespace {

constexpr std::uint64_t pages_per_section = 32768;

// Appends the maximal aligned blocks of [start, end), ascending. [spec M-A17, M-A20]
void append_blocks(FreeBlocks& zone, std::uint64_t start, std::uint64_t end) {
    while (start < end) {
        unsigned order =
            start == 0 ? max_order : std::min<unsigned>(max_order, static_cast<unsigned>(std::countr_zero(start)));
        while (start + (std::uint64_t{1} << order) > end) {
            --order;
        }
        const std::uint64_t size = std::uint64_t{1} << order;
        const std::uint64_t count = order == max_order ? (end - start) >> order : 1;
        zone.runs[order].push_back({start, count});
        zone.managed_pages += count * size;
        start += count * size;
    }
}

// Contents of the memmap frames from `first_frame` on.
class MemmapSource final : public FrameSource {
public:
    MemmapSource(std::shared_ptr<const Memmap> contents, std::uint64_t first_frame, std::uint64_t first_pfn)
        : contents_{std::move(contents)}, first_frame_{first_frame}, first_pfn_{first_pfn} {}

    void fill(Pfn frame, FrameBytes out) const override {
        constexpr std::uint64_t per_frame = frame_bytes / sizeof_page;
        const std::uint64_t first = first_pfn_ + (frame.value() - first_frame_) * per_frame;
        for (std::uint64_t i = 0; i < per_frame; ++i) {
            const auto words = contents_->page(first + i);
            std::memcpy(out.data() + i * sizeof_page, words.data(), sizeof_page);
        }
    }

private:
    std::shared_ptr<const Memmap> contents_;
    std::uint64_t first_frame_;
    std::uint64_t first_pfn_;
};

}  // namespace

std::uint64_t FreeBlocks::nr_free(unsigned order) const noexcept {
    std::uint64_t count = 0;
    for (const BlockRun& run : runs[order]) {
        count += run.count;
    }
    return count;
}

FreedMemory free_ranges(const std::vector<PfnRange>& ranges, const ZoneState& zones) {
    FreedMemory freed;
    std::vector<PfnRange> joined;  // blocks merge across the borders of memory regions
    for (const PfnRange& range : ranges) {
        if (range.empty()) {
            continue;
        }
        freed.totalram_pages += range.size();
        if (!joined.empty() && joined.back().end() == range.start()) {
            joined.back() = PfnRange{joined.back().start(), range.end()};
        } else {
            joined.push_back(range);
        }
    }
    for (const Node& node : zones.nodes) {
        for (const Zone& zone : node.zones) {
            if (zone.present == 0) {
                continue;
            }
            FreeBlocks& blocks = freed.zones.emplace_back();
            blocks.nid = zone.nid;
            blocks.type = zone.type;
            const std::uint64_t limit = std::min(zone.end_pfn(), node.first_deferred_pfn);
            for (const PfnRange& range : joined) {
                append_blocks(blocks, std::max(range.start().value(), zone.start_pfn),
                              std::min(range.end().value(), limit));
            }
        }
    }
    return freed;
}

FreedMemory memblock_free_all(const Memblock& memblock, const ZoneState& zones, std::uint64_t max_low_pfn) {
    // Nodes may interleave: each zone gets the ranges of its own node's regions.
    FreedMemory freed;
    for (const Node& node : zones.nodes) {
        std::vector<PfnRange> ranges;
        memblock.for_each_free_mem_range(node.nid, memblock_flag::hotplug,
                                         [&](std::uint64_t start, std::uint64_t end, int) {
                                             const std::uint64_t first = (start + 0xfff) >> 12;
                                             const std::uint64_t last = std::min(end >> 12, max_low_pfn);
                                             if (first < last) {
                                                 ranges.emplace_back(Pfn{first}, Pfn{last});
                                             }
                                         });
        ZoneState alone;
        alone.nodes.push_back(node);
        FreedMemory of_node = free_ranges(ranges, alone);
        freed.totalram_pages += of_node.totalram_pages;
        for (FreeBlocks& blocks : of_node.zones) {
            freed.zones.push_back(std::move(blocks));
        }
    }
    return freed;
}

Memmap::Memmap(const Memblock& memblock, const ZoneState& zones, Setup setup) : setup_{std::move(setup)} {
    pieces_.push_back({});
    std::uint64_t hole = 0;
    std::uint64_t end_of_all = 0;
    unsigned last_zone = 0;
    int last_nid = 0;
    memblock.for_each_mem_pfn_range(numa_no_node, [&](std::uint64_t start, std::uint64_t end, int nid) {
        end_of_all = end;
        last_nid = nid;
        const Node* const node = zones.node(nid);
        if (node == nullptr) {
            return;
        }
        for (const Zone& zone : node->zones) {
            if (zone.present == 0) {
                continue;
            }
            last_zone = static_cast<unsigned>(zone.type);
            const std::uint64_t from = std::clamp(start, zone.start_pfn, zone.end_pfn());
            const std::uint64_t to = std::clamp(end, zone.start_pfn, zone.end_pfn());
            if (from >= to) {
                continue;
            }
            const std::uint64_t links = setup_.flags.links(static_cast<unsigned>(nid), last_zone);
            paint(from, std::min(to, std::max(from, node->first_deferred_pfn)), links, State::initialised);
            if (hole < from) {
                paint(hole, from, links, State::reserved);
            }
            hole = to;
        }
    });
    end_of_all = (end_of_all + pages_per_section - 1) / pages_per_section * pages_per_section;
    if (hole < end_of_all) {
        paint(hole, end_of_all, setup_.flags.links(static_cast<unsigned>(last_nid), last_zone), State::reserved);
    }
}

void Memmap::paint(std::uint64_t start, std::uint64_t end, std::uint64_t links, State state) {
    if (start >= end) {
        return;
    }
    const auto by_start = [](const Piece& piece, std::uint64_t pfn) { return piece.start < pfn; };
    const Piece after = piece_of(end);
    auto first = std::lower_bound(pieces_.begin(), pieces_.end(), start, by_start);
    const auto last = std::upper_bound(pieces_.begin(), pieces_.end(), end,
                                       [](std::uint64_t pfn, const Piece& piece) { return pfn < piece.start; });
    first = pieces_.erase(first, last);
    first = pieces_.insert(first, {start, links, state});
    pieces_.insert(first + 1, {end, after.links, after.state});
}

const Memmap::Piece& Memmap::piece_of(std::uint64_t pfn) const {
    const auto next = std::upper_bound(pieces_.begin(), pieces_.end(), pfn,
                                       [](std::uint64_t at, const Piece& piece) { return at < piece.start; });
    return *(next - 1);
}

// Pages that were deferred get their zone and node now, as init_reserved_page() does.
void Memmap::repaint(std::uint64_t start, std::uint64_t end, State state, const ZoneState& zones) {
    while (start < end) {
        const auto next = std::upper_bound(pieces_.begin(), pieces_.end(), start,
                                           [](std::uint64_t at, const Piece& piece) { return at < piece.start; });
        const std::uint64_t stop = next == pieces_.end() ? end : std::min(end, next->start);
        const Piece here = *(next - 1);
        if (here.state != State::absent) {
            paint(start, stop, here.links, state);
            start = stop;
            continue;
        }
        std::uint64_t links = 0;
        std::uint64_t zone_stop = stop;
        bool found = false;
        for (const Node& node : zones.nodes) {
            for (const Zone& zone : node.zones) {
                if (!found && zone.contains(start)) {
                    links = setup_.flags.links(static_cast<unsigned>(zone.nid), static_cast<unsigned>(zone.type));
                    zone_stop = std::min(stop, zone.end_pfn());
                    found = true;
                }
            }
        }
        if (found) {
            paint(start, zone_stop, links, state);
        }
        start = zone_stop;
    }
}

void Memmap::free_all(const Memblock& memblock, const ZoneState& zones, const FreedMemory& freed) {
    const auto reserve = [&](std::uint64_t base, std::uint64_t end) {
        repaint(base >> 12, (end + 0xfff) >> 12, State::reserved, zones);
    };
    for (const MemblockRegion& region : memblock.memory.regions) {
        if ((region.flags & memblock_flag::nomap) != 0) {
            reserve(region.base, region.end());
        }
    }
    for (const MemblockRegion& region : memblock.reserved.regions) {
        reserve(region.base, region.end());
    }
    for (const FreeBlocks& zone : freed.zones) {
        const VirtAddr zone_address = setup_.node_data[static_cast<std::size_t>(zone.nid)] +
                                      static_cast<std::uint64_t>(zone.type) * setup_.zone_size;
        for (unsigned order = 0; order <= max_order; ++order) {
            const std::uint64_t head = zone_address.value() + free_list_offset(order, MigrateType::movable);
            const auto& runs = zone.runs[order];
            for (std::size_t i = 0; i < runs.size(); ++i) {
                Block block{runs[i].start_pfn, runs[i].count, order, head, head};
                if (i > 0) {
                    block.before = lru_address(runs[i - 1].start_pfn + ((runs[i - 1].count - 1) << order));
                }
                if (i + 1 < runs.size()) {
                    block.after = lru_address(runs[i + 1].start_pfn);
                }
                blocks_.push_back(block);
                repaint(block.start, block.start + (block.count << order), State::free, zones);
            }
        }
    }
    std::sort(blocks_.begin(), blocks_.end(), [](const Block& a, const Block& b) { return a.start < b.start; });
}

std::array<std::uint64_t, 8> Memmap::page(std::uint64_t pfn) const {
    std::array<std::uint64_t, 8> words{};
    const Piece& piece = piece_of(pfn);
    if (piece.state == State::absent) {
        return words;
    }
    words[0] = piece.links | (piece.state == State::reserved ? std::uint64_t{1} << setup_.pg_reserved_bit : 0);
    words[1] = words[2] = lru_address(pfn);
    const std::uint64_t refcount = piece.state == State::free ? 0 : 1;
    words[6] = refcount << 32 | page_type::none;
    if (piece.state != State::free) {
        return words;
    }
    const auto next = std::upper_bound(blocks_.begin(), blocks_.end(), pfn,
                                       [](std::uint64_t at, const Block& block) { return at < block.start; });
    if (next == blocks_.begin()) {
        return words;
    }
    const Block& run = *(next - 1);
    const std::uint64_t number = (pfn - run.start) >> run.order;
    if (number >= run.count || (pfn & ((std::uint64_t{1} << run.order) - 1)) != 0) {
        return words;
    }
    const std::uint64_t size = std::uint64_t{1} << run.order;
    words[1] = number + 1 < run.count ? lru_address(pfn + size) : run.after;
    words[2] = number > 0 ? lru_address(pfn - size) : run.before;
    words[5] = run.order;
    words[6] = page_type::buddy;
    return words;
}

void Memmap::attach(PhysicalMemory& memory, PfnRange frames, std::uint64_t first_pfn,
                    std::shared_ptr<const Memmap> contents) {
    memory.set_source(frames, std::make_shared<MemmapSource>(std::move(contents), frames.start().value(), first_pfn));
}

}  // namespace pgsim::kernel
