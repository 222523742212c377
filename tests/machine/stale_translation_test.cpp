// SPDX-License-Identifier: GPL-2.0-only
// The classic lessons of stale translations, on one and on several processors.
#include "support/catch.hpp"

#include "pgsim/machine/machine.hpp"

using namespace pgsim;

namespace {

constexpr VirtAddr page = VirtAddr{0x4000'0000};
constexpr PhysAddr pte = PhysAddr{0x5000};

// Two processors in long mode over one set of tables: `page` -> 0x100000, a 4-KByte page; tables identity-mapped below.
Machine two_cpus(std::uint64_t pte_flags = 0x67, std::uint64_t cr4 = Cr4::pae | Cr4::pge) {
    Machine machine{parse_cpu("Skylake-Client"), 2};
    PhysicalMemory& memory = machine.memory();
    memory.map_region({PhysAddr{0}, PhysAddr{1ULL << 30}}, RegionKind::ram);
    memory.write64(0x1000_pa, 0x2067);
    memory.write64(0x2000_pa, 0x00e7);  // first GByte, identity
    memory.write64(0x2008_pa, 0x3067);
    memory.write64(0x3000_pa, 0x5067);
    memory.write64(pte, 0x10'0000 | pte_flags);
    memory.write64(0x10'0000_pa, 0xaaaa);
    memory.write64(0x20'0000_pa, 0xbbbb);
    for (unsigned i = 0; i < 2; ++i) {
        machine.select_cpu(i);
        CpuState cpu;
        cpu.cr0 |= Cr0::pg | Cr0::wp;
        cpu.cr3 = 0x1000;
        cpu.cr4 = cr4;
        cpu.efer = Efer::lme | Efer::lma;
        cpu.cs_long = true;
        machine.set_cpu_state(cpu);
    }
    machine.select_cpu(0);
    return machine;
}

}  // namespace

TEST_CASE("A changed entry is seen after INVLPG, and may not be before", "[machine][tlb][sdm-invlpg]") {
    Machine machine = two_cpus();
    CHECK(machine.load64(page).value == 0xaaaa);
    machine.store64(VirtAddr{pte.value()}, 0x20'0067);
    SECTION("the old translation is still in the TLB") {
        CHECK(machine.load64(page).value == 0xaaaa);
        CHECK(machine.translate(page).translation()->phys == 0x20'0000_pa);  // what the tables say
        const WalkResult stale = machine.mmu().access(machine.memory(), page, {});
        CHECK(stale.translation()->source == TranslationSource::tlb);
        machine.invlpg(page + 0x123);
        CHECK(machine.load64(page).value == 0xbbbb);
    }
    SECTION("INVLPG of another page does not help") {
        machine.invlpg(page + 0x1000);
        CHECK(machine.load64(page).value == 0xaaaa);
    }
    SECTION("MOV to CR3 does") {
        machine.mov_cr3(0x1000);
        CHECK(machine.load64(page).value == 0xbbbb);
    }
}

TEST_CASE("Strict mode never uses a stale translation, and counts them", "[machine][tlb]") {
    Machine machine = two_cpus();
    machine.mmu().set_policy(CachePolicy::strict);
    CHECK(machine.load64(page).value == 0xaaaa);
    machine.store64(VirtAddr{pte.value()}, 0x20'0067);
    CHECK(machine.load64(page).value == 0xbbbb);
    CHECK(machine.mmu().statistics().stale_refused == 1);
}

TEST_CASE("An entry that becomes present needs no invalidation", "[machine][tlb][sdm-optional-invalidation]") {
    Machine machine = two_cpus(0x66);
    machine.set_exception_handler(Vector::pf, [](Machine& m, const ExceptionFrame&) {
        m.store64(VirtAddr{pte.value()}, 0x10'0067);
        return HandlerResult::retry;
    });
    CHECK(machine.load64(page).value == 0xaaaa);
}

TEST_CASE("Global translations survive MOV to CR3 and go with CR4.PGE", "[machine][tlb][sdm-global-pages]") {
    Machine machine = two_cpus(0x167);
    CHECK(machine.load64(page).value == 0xaaaa);
    machine.store64(VirtAddr{pte.value()}, 0x20'0167);
    machine.mov_cr3(0x1000);
    CHECK(machine.load64(page).value == 0xaaaa);
    machine.mov_cr4(machine.cpu().cr4 & ~Cr4::pge);
    CHECK(machine.load64(page).value == 0xbbbb);
    machine.mov_cr4(machine.cpu().cr4 | Cr4::pge);
    CHECK(machine.load64(page).value == 0xbbbb);
}

TEST_CASE("Another processor keeps its translation until it is told: the shootdown", "[machine][tlb][shootdown]") {
    Machine machine = two_cpus();
    machine.select_cpu(1);
    CHECK(machine.load64(page).value == 0xaaaa);
    machine.select_cpu(0);
    machine.store64(VirtAddr{pte.value()}, 0);
    machine.invlpg(page);
    machine.set_exception_handler(Vector::pf, [](Machine&, const ExceptionFrame&) { return HandlerResult::skip; });
    SECTION("without it, CPU 1 still reaches the freed page") {
        machine.select_cpu(1);
        CHECK(machine.load64(page).value == 0xaaaa);
        CHECK(machine.exception_count() == 0);
    }
    SECTION("with it, CPU 1 faults") {
        machine.shootdown({page, page + 0x1000});
        CHECK(machine.current_cpu() == 0);
        machine.select_cpu(1);
        machine.load64(page);
        CHECK(machine.exception_count() == 1);
    }
}

TEST_CASE("PCIDs keep address spaces apart; bit 63 of MOV to CR3 keeps their translations",
          "[machine][tlb][sdm-pcid]") {
    Machine machine = two_cpus(0x67, Cr4::pae | Cr4::pge | Cr4::pcide);
    machine.load64(page);  // PCID 0
    machine.store64(VirtAddr{pte.value()}, 0x20'0067);
    CHECK(machine.mov_cr3(0x1005).ok());
    CHECK(machine.load64(page).value == 0xbbbb);  // PCID 5 has nothing cached
    CHECK(machine.mov_cr3(Cr3::no_flush | 0x1000).ok());
    CHECK(machine.load64(page).value == 0xaaaa);  // PCID 0 kept the old one
    SECTION("INVPCID type 0 takes one page of one PCID") {
        CHECK(machine.invpcid(InvpcidType::address, 0, page).ok());
        CHECK(machine.load64(page).value == 0xbbbb);
    }
    SECTION("INVPCID type 1 takes a PCID; another's does not help") {
        CHECK(machine.invpcid(InvpcidType::single_context, 5).ok());
        CHECK(machine.load64(page).value == 0xaaaa);
        CHECK(machine.invpcid(InvpcidType::single_context, 0).ok());
        CHECK(machine.load64(page).value == 0xbbbb);
    }
    SECTION("types 2 and 3 take all PCIDs") {
        const auto type = GENERATE(InvpcidType::all_with_global, InvpcidType::all_but_global);
        CHECK(machine.invpcid(type).ok());
        CHECK(machine.load64(page).value == 0xbbbb);
    }
    SECTION("MOV to CR3 without bit 63 takes the new PCID's") {
        CHECK(machine.mov_cr3(0x1000).ok());
        CHECK(machine.load64(page).value == 0xbbbb);
    }
}

TEST_CASE("A stale paging-structure entry serves pages that were never touched",
          "[machine][tlb][sdm-structure-caches]") {
    Machine machine = two_cpus();
    for (std::uint64_t i = 1; i < 4; ++i) {
        machine.memory().write64(pte + 8 * i, 0x10'0067);
        machine.memory().write64(PhysAddr{0x6000 + 8 * i}, 0x20'0067);
    }
    machine.load64(page);                                  // caches PDE -> 0x5000
    machine.store64(0x3000_va, 0x6067);                    // another page table
    CHECK(machine.load64(page + 0x1000).value == 0xaaaa);  // still through the old one
    machine.invlpg(page);                                  // drops structure caches for all addresses
    CHECK(machine.load64(page + 0x2000).value == 0xbbbb);
    CHECK(machine.load64(page + 0x1000).value == 0xaaaa);  // its own translation is still in the TLB
}

TEST_CASE("INVLPG removes a large page whatever part of it is named", "[machine][tlb][sdm-invlpg]") {
    Machine machine = two_cpus();
    machine.memory().write64(0x3008_pa, 0x40'00e7);  // a 2-MByte page at page + 2 MiB
    machine.memory().write64(0x40'0000_pa, 0x1111);
    machine.memory().write64(0x60'0000_pa, 0x2222);
    const VirtAddr large = page + 0x20'0000;
    CHECK(machine.load64(large).value == 0x1111);
    machine.store64(0x3008_va, 0x60'00e7);
    CHECK(machine.load64(large).value == 0x1111);
    machine.invlpg(large + 0x1f'ffff);
    CHECK(machine.load64(large).value == 0x2222);
}

TEST_CASE("PDPTE registers keep what MOV to CR3 loaded, and refuse reserved bits", "[machine][sdm-pdpte-registers]") {
    Machine machine{parse_cpu("pentium3")};
    PhysicalMemory& memory = machine.memory();
    memory.map_region({PhysAddr{0}, PhysAddr{1ULL << 30}}, RegionKind::ram);
    memory.write64(0x1000_pa, 0x2001);
    memory.write64(0x2000_pa, 0x00e3);
    machine.mov_cr4(Cr4::pae | Cr4::pse);
    machine.mov_cr3(0x1000);
    REQUIRE(machine.mov_cr0(Cr0::pe | Cr0::pg).ok());
    CHECK(machine.cpu().paging_mode() == PagingMode::pae);
    CHECK(machine.load32(0x1000_va).value == 0x2001);
    machine.store64(0x1000_va, 0x0001'0000'0000'2007);
    CHECK(machine.load32(0x1000_va).ok());  // memory changed, the registers did not
    machine.set_exception_handler(Vector::gp, [](Machine&, const ExceptionFrame&) { return HandlerResult::skip; });
    CHECK(machine.mov_cr3(0x1000).fault == RegisterFault::pdpte_reserved);
    CHECK(machine.load32(0x1000_va).ok());
}
