// SPDX-License-Identifier: GPL-2.0-only
// What the types forbid. Each line that ends in "forbidden" must be refused by the compiler, and no other line may be:
// the allowed way stands beside it, so that a refusal is never for another reason.
#include "pgsim/base/address.hpp"
#include "pgsim/base/level.hpp"
#include "pgsim/base/range.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/machine/machine.hpp"
#include "pgsim/mmu/entry.hpp"

using namespace pgsim;

void the_two_address_spaces_never_mix(VirtAddr va, PhysAddr pa) {
    PhysAddr{va.value()};
    PhysAddr{va};  // forbidden
    VirtAddr{pa.value()};
    VirtAddr{pa};  // forbidden
    va = VirtAddr{1};
    va = pa;  // forbidden
    static_cast<void>(va == va);
    static_cast<void>(va == pa);  // forbidden
    static_cast<void>(pa < pa);
    static_cast<void>(va < pa);  // forbidden
    va - va;
    va - pa;  // forbidden
}

void an_address_is_not_a_number(VirtAddr va, PhysAddr pa) {
    pa = PhysAddr{0x1000};
    pa = 0x1000;  // forbidden
    std::uint64_t number = pa.value();
    number = pa;  // forbidden
    va + 8;
    va + va;  // forbidden
    pa + 8;
    pa + pa;                 // forbidden
    0x10'0000'0000'0000_pa;  // forbidden
    0xf'ffff'ffff'ffff_pa;
}

void frames_ranges_and_units_are_types(VirtAddr va, PhysAddr pa, Pfn pfn, PhysRange range, Cycles cycles) {
    Pfn::of(pa);
    Pfn{pa};      // forbidden
    Pfn::of(va);  // forbidden
    pfn.address();
    PhysAddr{pfn};  // forbidden
    Range{va, va};
    Range{va, pa};  // forbidden
    range.contains(pa);
    range.contains(va);  // forbidden
    cycles + Cycles{1};
    cycles + 1;  // forbidden
}

void levels_sizes_and_entries_are_types(Entry entry) {
    index_shift(Level::pml4);
    index_shift(4);  // forbidden
    bytes(PageSize::k2M);
    bytes(Level::pd);  // forbidden
    Entry{Level::pt, 0x1067};
    Entry{0x1067};  // forbidden
    entry.with(EntryFlag::p);
    entry | 1;  // forbidden
}

void memory_takes_physical_addresses_and_the_machine_linear_ones(VirtAddr va, PhysAddr pa, Machine& machine,
                                                                 PhysicalMemory& memory) {
    memory.read64(pa);
    memory.read64(va);  // forbidden
    machine.load64(va);
    machine.load64(pa);  // forbidden
    machine.load(va, AccessSize::dword);
    machine.load(va, 3);  // forbidden
    machine.snapshot();
    Machine{machine};  // forbidden
}
