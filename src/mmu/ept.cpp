// SPDX-License-Identifier: GPL-2.0-only
#include "ept.hpp"

#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"

namespace pgsim {

EptControls EptControls::from_eptp(std::uint64_t eptp, unsigned maxphyaddr) {
    if (maxphyaddr < 32 || maxphyaddr > 52) {
        throw Error{"MAXPHYADDR " + std::to_string(maxphyaddr), "physical addresses have 32 to 52 bits"};
    }
    const std::uint64_t address = eptp & ~std::uint64_t{0xfff};
    if ((address >> maxphyaddr) != 0) {
        throw Error{"EPTP " + hex(eptp), "an address bit above MAXPHYADDR is set"};
    }
    const std::uint64_t type = eptp & 7;
    if (type != 0 && type != 6) {
        throw Error{"EPTP " + hex(eptp), "the memory type of EPT structures is 0 (UC) or 6 (WB)"};
    }
    const std::uint64_t length = (eptp >> 3 & 7) + 1;
    if (length != 4 && length != 5) {
        throw Error{"EPTP " + hex(eptp), "an EPT walk has 4 or 5 steps"};
    }
    EptControls ept;
    ept.root = PhysAddr{address};
    ept.top = length == 5 ? Level::pml5 : Level::pml4;
    ept.accessed_dirty = (eptp >> 6 & 1) != 0;
    ept.maxphyaddr = static_cast<std::uint8_t>(maxphyaddr);
    ept.table_type = static_cast<MemoryType>(type);
    return ept;
}

namespace detail {

namespace {

constexpr std::uint64_t bits(unsigned high, unsigned low) noexcept {
    return high < low ? 0 : (~std::uint64_t{0} << low) & (~std::uint64_t{0} >> (63 - high));
}

constexpr std::uint64_t ept_page = 1U << 7;

// [SDM-3C "EPT Misconfigurations"]
bool misconfigured(const EptControls& ept, std::uint64_t raw, Level level, bool maps_page) noexcept {
    if ((raw & ept_r) == 0) {
        const std::uint64_t execute = ept_x | (ept.mode_based_execute ? ept_xu : 0);
        if ((raw & ept_w) != 0 || (!ept.execute_only && (raw & execute) != 0)) {
            return true;
        }
    }
    std::uint64_t reserved = bits(51, ept.maxphyaddr);
    if (!maps_page) {
        const bool no_page_bit = level >= Level::pml4 || (level == Level::pdpt && !ept.pages_1g);
        reserved |= no_page_bit ? bits(7, 3) : bits(6, 3);
    } else if (level != Level::pt) {
        reserved |= bits(index_shift(level) - 1, 12);
    }
    if ((raw & reserved) != 0) {
        return true;
    }
    return maps_page && !mtrr_type(static_cast<std::uint8_t>(raw >> 3 & 7));
}

}  // namespace

EptWalk walk_ept(const PhysicalMemory& memory, const EptControls& ept, PhysAddr guest_phys, EptAccess access) {
    EptWalk walk;
    const std::uint64_t gpa = guest_phys.value();
    if (ept.top == Level::pml4 && (gpa >> 48) != 0) {
        walk.all = 0;
        return walk;
    }
    const std::uint64_t present = ept_r | ept_w | ept_x | (ept.mode_based_execute ? ept_xu : 0);
    PhysAddr table = ept.root;
    for (Level level = ept.top;; level = *below(level)) {
        const PhysAddr at = table + 8 * std::uint64_t{index_at(level, gpa)};
        const std::uint64_t raw = memory.read64(at);
        walk.steps[walk.count++] = {at, raw, level};
        walk.all &= raw;
        if ((raw & present) == 0) {
            return walk;
        }
        const bool may_map = level == Level::pd || (level == Level::pdpt && ept.pages_1g);
        const bool maps_page = level == Level::pt || (may_map && (raw & ept_page) != 0);
        if (misconfigured(ept, raw, level, maps_page)) {
            walk.end = EptWalk::End::misconfiguration;
            return walk;
        }
        const std::uint64_t address = raw & bits(51, 12);
        if (maps_page) {
            const std::uint64_t offset = span_of(level) - 1;
            walk.phys = PhysAddr{(address & ~offset) | (gpa & offset)};
            walk.page_size = *page_size_at(level);
            break;
        }
        table = PhysAddr{address};
    }
    const std::uint64_t execute = ept.mode_based_execute && access.user_linear ? ept_xu : ept_x;
    const std::uint64_t needs = (access.read ? ept_r : 0) | (access.write ? ept_w : 0) | (access.fetch ? execute : 0);
    walk.end = (walk.all & needs) == needs ? EptWalk::End::translated : EptWalk::End::violation;
    return walk;
}

std::uint64_t ept_qualification(const EptControls& ept, const EptWalk& walk, EptAccess access) noexcept {
    std::uint64_t bits_tried = (access.read ? 1U : 0U) | (access.write ? 2U : 0U) | (access.fetch ? 4U : 0U);
    bits_tried |= (walk.all & (ept_r | ept_w | ept_x)) << 3;
    if (ept.mode_based_execute && (walk.all & ept_xu) != 0) {
        bits_tried |= 1U << 6;
    }
    return bits_tried;
}

}  // namespace detail

}  // namespace pgsim
