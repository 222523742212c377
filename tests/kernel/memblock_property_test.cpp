// SPDX-License-Identifier: GPL-2.0-only
// memblock against a second implementation: one cell for each KiB.
#include <rapidcheck.h>
#include <array>

#include "pgsim/kernel/memblock.hpp"
#include "support/catch.hpp"

using namespace pgsim;
using namespace pgsim::kernel;

namespace {

constexpr std::uint64_t cell = 1024;
constexpr std::size_t cells = 512;
constexpr int none = 1024;

struct Cell {
    bool present = false;
    int nid = none;
    std::uint32_t flags = 0;
    bool operator==(const Cell&) const = default;
};
using Map = std::array<Cell, cells>;

void put(Map& map, std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) {
        if (!map[i].present) {
            map[i] = {true, none, 0};
        }
    }
}

void clear(Map& map, std::size_t from, std::size_t to) {
    std::fill(map.begin() + static_cast<std::ptrdiff_t>(from), map.begin() + static_cast<std::ptrdiff_t>(to), Cell{});
}

/// Regions are the longest runs of equal cells.
std::vector<MemblockRegion> runs(const Map& map) {
    std::vector<MemblockRegion> result;
    for (std::size_t i = 0; i < cells; ++i) {
        if (!map[i].present) {
            continue;
        }
        if (i > 0 && map[i - 1] == map[i]) {
            result.back().size += cell;
        } else {
            result.push_back({i * cell, cell, map[i].flags, map[i].nid});
        }
    }
    return result;
}

std::uint64_t total(const Map& map) {
    return cell *
           static_cast<std::uint64_t>(std::count_if(map.begin(), map.end(), [](const Cell& c) { return c.present; }));
}

struct Model {
    Map memory;
    Map reserved;

    bool free_block(std::size_t at, std::size_t count, int nid) const {
        for (std::size_t i = at; i < at + count; ++i) {
            if (i >= cells || !memory[i].present || reserved[i].present || !(memory[i] == memory[at]) ||
                (nid >= 0 && memory[i].nid != nid)) {
                return false;
            }
        }
        return true;
    }

    /// The highest (or lowest) aligned block of free cells within one region and [start, end).
    std::size_t find(std::size_t count, std::size_t align, std::size_t start, std::size_t end, int nid,
                     bool lowest) const {
        std::size_t best = 0;
        start = std::max<std::size_t>(start, 4096 / cell);
        for (std::size_t at = 0; at < cells; at += align) {
            if (at >= start && at + count <= end && free_block(at, count, nid) && (best == 0 || !lowest)) {
                best = at;
            }
        }
        return best;
    }
};

struct Operation {
    int kind = 0;
    std::size_t from = 0, to = 0;
    int nid = 0;
    std::size_t align = 1;
};

Operation make_operation() {
    const auto a = *rc::gen::inRange<std::size_t>(0, cells);
    const auto b = *rc::gen::inRange<std::size_t>(0, cells);
    Operation op;
    op.kind = *rc::gen::inRange(0, 9);
    op.from = std::min(a, b);
    op.to = std::max(a, b) + 1;
    op.nid = *rc::gen::inRange(0, 3);
    op.align = std::size_t{1} << *rc::gen::inRange(0, 5);
    return op;
}

/// What the growth of an array did besides the operation itself.
void apply_growth(const std::vector<MemblockCall>& calls, Model& model) {
    for (const MemblockCall& call : calls) {
        if (call.by == "memblock_double_array") {
            const std::size_t from = call.base / cell;
            const std::size_t to = from + call.size / cell;
            call.op == "reserve" ? put(model.reserved, from, to) : clear(model.reserved, from, to);
        }
    }
}

void apply(const Operation& op, Memblock& m, Model& model) {
    const std::uint64_t base = op.from * cell;
    const std::uint64_t size = (op.to - op.from) * cell;
    const auto set_all = [&](Map& map, auto&& change) {
        for (std::size_t i = op.from; i < op.to; ++i) {
            if (map[i].present) {
                change(map[i]);
            }
        }
    };
    const std::size_t count = std::min<std::size_t>(op.to - op.from, 1 + op.from % 24);
    const auto check_alloc = [&](const std::optional<PhysAddr>& got, std::size_t wanted) {
        RC_ASSERT(got.has_value() == (wanted != 0));
        if (got) {
            RC_ASSERT(got->value() == wanted * cell);
            put(model.reserved, wanted, wanted + count);
        }
    };
    m.take_calls();
    switch (op.kind) {
    case 0:
    case 1:
        m.add(base, size);
        put(model.memory, op.from, op.to);
        break;
    case 2:
        m.remove(base, size);
        clear(model.memory, op.from, op.to);
        break;
    case 3:
        m.reserve(base, (op.to - op.from) / 4 * cell);
        put(model.reserved, op.from, op.from + (op.to - op.from) / 4);
        break;
    case 4:
        m.phys_free(base, size);
        clear(model.reserved, op.from, op.to);
        break;
    case 5:
        m.set_node(base, size, MemblockArray::memory, op.nid);
        set_all(model.memory, [&](Cell& c) { c.nid = op.nid; });
        break;
    case 6:
        op.nid == 0 ? m.clear_hotplug(base, size) : m.mark_hotplug(base, size);
        set_all(model.memory, [&](Cell& c) { c.flags = op.nid == 0 ? 0 : memblock_flag::hotplug; });
        break;
    case 7: {
        const std::size_t wanted = model.find(count, op.align, op.from, op.to, -1, m.bottom_up);
        check_alloc(m.phys_alloc_range(count * cell, op.align * cell, base, op.to * cell), wanted);
        break;
    }
    default: {
        std::size_t wanted = 0;
        for (const std::size_t start : {op.from, std::size_t{0}}) {
            for (const int nid : {op.nid, -1}) {
                wanted = wanted == 0 ? model.find(count, op.align, start, op.to, nid, m.bottom_up) : wanted;
            }
        }
        check_alloc(m.alloc_try_nid(count * cell, op.align * cell, base, op.to * cell, op.nid), wanted);
    }
    }
    apply_growth(m.calls(), model);
}

}  // namespace

TEST_CASE("memblock agrees with a map of cells", "[kernel][memblock][property][R5.14][R5.15]") {
    CHECK(rc::check("any sequence of operations", [] {
        Memblock m;
        Model model;
        m.current_limit = cells * cell;
        m.bottom_up = *rc::gen::arbitrary<bool>();
        const int length = *rc::gen::inRange(1, 60);
        for (int i = 0; i < length; ++i) {
            apply(make_operation(), m, model);
            RC_ASSERT(m.memory.regions == runs(model.memory));
            RC_ASSERT(m.reserved.regions == runs(model.reserved));
            RC_ASSERT(m.memory.total_size == total(model.memory));
            RC_ASSERT(m.reserved.total_size == total(model.reserved));
        }
    }));
}

TEST_CASE("memblock agrees with a map of cells while its arrays grow", "[kernel][memblock][property][R5.14]") {
    CHECK(rc::check("reservations in a small array", [] {
        Memblock m;
        Model model;
        m.current_limit = cells * cell;
        m.can_resize = true;
        m.reserved.max = 4;
        m.add(0, cells * cell);
        put(model.memory, 0, cells);
        const int length = *rc::gen::inRange(1, 30);
        for (int i = 0; i < length; ++i) {
            const auto at = *rc::gen::inRange<std::size_t>(0, cells);
            if (m.reserve(at * cell, cell) == MemblockStatus::ok) {
                put(model.reserved, at, at + 1);
            }
            apply_growth(m.take_calls(), model);
            RC_ASSERT(m.reserved.regions == runs(model.reserved));
            RC_ASSERT(m.reserved.total_size == total(model.reserved));
            RC_ASSERT(m.reserved.regions.size() <= m.reserved.max);
        }
    }));
}
