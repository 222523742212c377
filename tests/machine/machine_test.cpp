// SPDX-License-Identifier: GPL-2.0-only
#include "support/catch.hpp"

#include "pgsim/machine/machine.hpp"

using namespace pgsim;

namespace {

Machine fresh(const char* cpu = "max") {
    Machine machine{parse_cpu(cpu)};
    machine.memory().map_region({PhysAddr{0}, PhysAddr{1ULL << 30}}, RegionKind::ram);
    return machine;
}

// Identity map of the first GiB with one PDPTE-level table of 2-MByte pages, root at 0x1000; level 5 above if wanted.
void write_identity_map(Machine& machine, bool five_level) {
    if (five_level) {
        machine.store64(0x9000_va, 0x1003);
    }
    machine.store64(0x1000_va, 0x2003);
    machine.store64(0x2000_va, 0x3003);
    for (std::uint64_t i = 0; i < 512; ++i) {
        machine.store64(VirtAddr{0x3000 + 8 * i}, i << 21 | 0x83);
    }
}

void enter_long_mode(Machine& machine, bool five_level = false) {
    write_identity_map(machine, five_level);
    REQUIRE(machine.mov_cr4(Cr4::pae | (five_level ? Cr4::la57 : 0)).ok());
    REQUIRE(machine.mov_cr3(five_level ? 0x9000 : 0x1000).ok());
    REQUIRE(machine.wrmsr_efer(Efer::lme | Efer::nxe).ok());
    REQUIRE(machine.mov_cr0(Cr0::pg | Cr0::pe | Cr0::wp).ok());
    machine.load_cs(true);
}

}  // namespace

TEST_CASE("Without paging the linear address is the physical address, modulo 2^32", "[machine]") {
    Machine machine = fresh();
    CHECK(machine.store32(0x1000_va, 0xdeadbeef).ok());
    CHECK(machine.memory().read32(0x1000_pa) == 0xdeadbeef);
    CHECK(machine.load32(0x1'0000'1000_va).value == 0xdeadbeef);
    CHECK(machine.mmu().statistics().walks == 0);
}

TEST_CASE("Long mode is entered in the manual's order", "[machine][sdm-ia32e-initialization]") {
    const bool five_level = GENERATE(false, true);
    Machine machine = fresh();
    enter_long_mode(machine, five_level);
    CHECK(machine.cpu().long_code());
    CHECK((machine.cpu().efer & Efer::lma) != 0);
    CHECK(machine.cpu().paging_mode() == (five_level ? PagingMode::five_level : PagingMode::four_level));
    CHECK(machine.store64(0x20'0008_va, 7).ok());
    CHECK(machine.memory().read64(0x20'0008_pa) == 7);
    CHECK(machine.memory().read64(0x3008_pa) == (0x20'0083 | 0x60));  // A and D
    CHECK(machine.memory().read64(0x1000_pa) == 0x2023);              // A alone: it maps no page
}

TEST_CASE("LA57 cannot change in long mode, and PG not be cleared in 64-bit mode: #GP",
          "[machine][sdm-control-registers]") {
    Machine machine = fresh();
    enter_long_mode(machine);
    unsigned faults = 0;
    machine.set_exception_handler(Vector::gp, [&](Machine&, const ExceptionFrame& frame) {
        ++faults;
        CHECK(frame.error_code == 0);
        CHECK(frame.register_fault.has_value());
        return HandlerResult::skip;
    });
    CHECK(machine.mov_cr4(Cr4::pae | Cr4::la57).fault == RegisterFault::la57_while_paging);
    CHECK(machine.mov_cr0(Cr0::pe).fault == RegisterFault::clear_pg_in_64_bit);
    CHECK(faults == 2);
    CHECK_FALSE(machine.stopped());
    CHECK(machine.cpu().cr4 == Cr4::pae);
}

TEST_CASE("A page fault is delivered to the handler and the access retried", "[machine][delivery]") {
    Machine machine = fresh();
    enter_long_mode(machine);
    machine.set_exception_handler(Vector::pf, [](Machine& m, const ExceptionFrame& frame) {
        CHECK(frame.error_code == PageFaultError::wr);
        CHECK(m.cpu().cr2 == 0x4000'0018);
        m.store64(0x2008_va, 0x4003);
        m.store64(0x4000_va, 0x80'0083);
        return HandlerResult::retry;
    });
    CHECK(machine.store64(0x4000'0018_va, 0x55).ok());
    CHECK(machine.memory().read64(0x80'0018_pa) == 0x55);
    CHECK(machine.exception_count() == 1);
}

TEST_CASE("A handler may fault itself; the inner fault is handled first", "[machine][delivery]") {
    Machine machine = fresh();
    enter_long_mode(machine);
    std::vector<unsigned> depths;
    machine.set_exception_handler(Vector::pf, [&](Machine& m, const ExceptionFrame& frame) {
        depths.push_back(frame.depth);
        if (frame.depth == 0) {
            m.load64(0x8000'0000_va);  // not mapped either
            m.store64(0x2008_va, 0x83 | 0x4000'0000);
        } else {
            m.store64(0x2010_va, 0x83);
        }
        return HandlerResult::retry;
    });
    CHECK(machine.load64(0x4000'0000_va).ok());
    CHECK(depths == std::vector<unsigned>{0, 1});
}

TEST_CASE("A page fault without a gate becomes a double, then a triple fault",
          "[machine][delivery][sdm-double-fault]") {
    Machine machine = fresh();
    enter_long_mode(machine);
    SECTION("and the machine stops with an account") {
        const AccessResult result = machine.load64(0x4000'0000_va);
        REQUIRE_FALSE(result.ok());
        CHECK(result.stop->reason == MachineStop::Reason::triple_fault);
        REQUIRE(result.stop->chain.size() == 4);
        CHECK(result.stop->chain[0].vector == Vector::pf);
        CHECK(result.stop->chain[1].vector == Vector::gp);
        CHECK(result.stop->chain[2].vector == Vector::df);
        CHECK(result.stop->cpu.cr2 == 0x4000'0000);
        CHECK(result.stop->walk.page_fault()->level == Level::pdpt);
        CHECK_FALSE(to_string(*result.stop).empty());
        CHECK_FALSE(machine.store64(0x1000_va, 0).ok());
        CHECK(machine.memory().read64(0x1000_pa) == 0x2023);
    }
    SECTION("unless a double-fault handler is there, which ends it") {
        bool called = false;
        machine.set_exception_handler(Vector::df, [&](Machine&, const ExceptionFrame& frame) {
            called = frame.error_code == 0;
            return HandlerResult::not_handled;
        });
        CHECK(machine.load64(0x4000'0000_va).stop->reason == MachineStop::Reason::unhandled_exception);
        CHECK(called);
    }
}

TEST_CASE("A frame that cannot be pushed is a double fault", "[machine][delivery][sdm-double-fault]") {
    Machine machine = fresh();
    enter_long_mode(machine);
    machine.set_exception_handler(Vector::pf, [](Machine&, const ExceptionFrame&) { return HandlerResult::retry; });
    machine.set_exception_stack(0x5000'0000_va);  // not mapped
    const AccessResult result = machine.load64(0x4000'0000_va);
    REQUIRE_FALSE(result.ok());
    CHECK(result.stop->reason == MachineStop::Reason::triple_fault);
    CHECK(result.stop->chain[1].vector == Vector::pf);
    CHECK(result.stop->chain[1].virt == 0x4fff'fff8_va);
    CHECK(result.stop->chain[2].vector == Vector::df);
}

TEST_CASE("A handler that changes nothing cannot hang the machine", "[machine][delivery]") {
    Machine machine = fresh();
    enter_long_mode(machine);
    SECTION("by asking for a retry for ever") {
        machine.set_exception_handler(Vector::pf, [](Machine&, const ExceptionFrame&) { return HandlerResult::retry; });
        CHECK(machine.load64(0x4000'0000_va).stop->reason == MachineStop::Reason::no_progress);
    }
    SECTION("by faulting at the same place") {
        machine.set_exception_handler(Vector::pf, [](Machine& m, const ExceptionFrame&) {
            m.load64(0x4000'0000_va);
            return HandlerResult::retry;
        });
        CHECK(machine.load64(0x4000'0000_va).stop->reason == MachineStop::Reason::nested_too_deep);
    }
}

TEST_CASE("Non-canonical addresses raise #GP, not #PF", "[machine][delivery]") {
    Machine machine = fresh();
    enter_long_mode(machine);
    machine.set_exception_handler(Vector::gp, [](Machine&, const ExceptionFrame&) { return HandlerResult::skip; });
    CHECK(machine.load64(0x8000'0000'0000_va).ok());
    CHECK(machine.exception_count() == 1);
}

TEST_CASE("fill, copy and accesses across pages go through the tables", "[machine]") {
    Machine machine = fresh();
    enter_long_mode(machine);
    CHECK(machine.fill(0x10'0ffc_va, 0x2008, 0xcc).ok());
    CHECK(machine.memory().read32(0x10'0ffc_pa) == 0xcccccccc);
    CHECK(machine.memory().read64(0x10'2ff8_pa) == 0xcccccccccccccccc);
    CHECK(machine.copy(0x20'0001_va, 0x10'0fff_va, 0x1800).ok());
    CHECK(machine.load(0x20'1800_va, AccessSize::byte).value == 0xcc);
    CHECK(machine.store64(0x2f'fffd_va, 0x1122334455667788).ok());
    CHECK(machine.load64(0x2f'fffd_va).value == 0x1122334455667788);
    CHECK(machine.load(0x30'0000_va, AccessSize::qword).value == 0x11'2233'4455);
}

TEST_CASE("The journal says who wrote, also for the MMU's own flags", "[machine][provenance]") {
    Machine machine = fresh();
    enter_long_mode(machine);
    auto journal = std::make_shared<WriteJournal>();
    machine.memory().set_journal(journal);
    {
        auto scope = machine.origin("reset_early_page_tables", "kernel head", "R4.2");
        machine.store64(0x20'0000_va, 1);
    }
    machine.store64(0x20'0008_va, 2);
    std::vector<std::string> who;
    for (const WriteRecord& record : journal->records()) {
        who.push_back(journal->origins()[record.origin].function);
    }
    CHECK(who == std::vector<std::string>{"MMU", "MMU", "MMU", "reset_early_page_tables", ""});
}

TEST_CASE("A run with the translation caches off leaves the same bytes", "[machine][tlb]") {
    const auto run = [](CachePolicy policy) {
        Machine machine = fresh();
        machine.mmu().set_policy(policy);
        enter_long_mode(machine);
        for (std::uint64_t i = 0; i < 1000; ++i) {
            machine.store64(VirtAddr{0x10'0000 + (i * 0x12348 & 0xff'fff8)}, i);
        }
        std::vector<std::uint64_t> bytes;
        for (std::uint64_t at = 0x1000; at < 0x4000; at += 8) {
            bytes.push_back(machine.memory().read64(PhysAddr{at}));
        }
        return bytes;
    };
    CHECK(run(CachePolicy::off) == run(CachePolicy::on));
    CHECK(run(CachePolicy::off) == run(CachePolicy::strict));
}

TEST_CASE("A snapshot brings back memory, registers and clock", "[machine]") {
    Machine machine = fresh();
    enter_long_mode(machine);
    const MachineSnapshot snapshot = machine.snapshot();
    machine.store64(0x1000_va, 0);
    machine.load64(0x4000'0000_va);
    CHECK(machine.stopped());
    machine.restore(snapshot);
    CHECK_FALSE(machine.stopped());
    CHECK(machine.load64(0x1000_va).value == 0x2023);
    CHECK(machine.cpu().paging());
}

TEST_CASE("MTRRs and PAT are written as MSRs and give each access its memory type", "[machine][memory-type]") {
    Machine machine = fresh();
    enter_long_mode(machine);
    machine.set_exception_handler(Vector::gp, [](Machine&, const ExceptionFrame&) { return HandlerResult::skip; });
    CHECK(machine.memory_type(0x20'0000_va) == MemoryType::uc);  // MTRRs are off after reset
    CHECK(machine.wrmsr(0x2ff, 0x806).ok());
    CHECK(machine.memory_type(0x20'0000_va) == MemoryType::wb);
    CHECK(machine.wrmsr(0x200, 0x20'0000 | 1).ok());  // 2 MiB of WC
    CHECK(machine.wrmsr(0x201, 0xff'ffe0'0800).ok());
    CHECK(machine.memory_type(0x20'0000_va) == MemoryType::wc);
    CHECK(machine.memory_type(0x40'0000_va) == MemoryType::wb);
    CHECK_FALSE(machine.memory_type(0x4000'0000_va));            // not mapped
    CHECK(machine.wrmsr(0x277, 0x0007'0406'0007'0400).ok());     // PAT entry 0: UC
    CHECK(machine.memory_type(0x40'0000_va) == MemoryType::cd);  // AMD's name for UC over WB

    CHECK(machine.wrmsr(0x200, 2).fault == RegisterFault::mtrr_type);           // no such type
    CHECK(machine.wrmsr(0x201, 0x400).fault == RegisterFault::mtrr_type);       // reserved bit
    CHECK(machine.wrmsr(0x200, 1ULL << 40).fault == RegisterFault::mtrr_type);  // beyond MAXPHYADDR
    CHECK(machine.wrmsr(0x2ff, 0x207).fault == RegisterFault::mtrr_type);
    CHECK(machine.wrmsr(0x268, 0x0707'0707'0707'0707).fault == RegisterFault::mtrr_type);
    CHECK(machine.wrmsr(0x268, 0x0606'0606'0606'0606).ok());
    CHECK(machine.wrmsr(0x277, 2).fault == RegisterFault::pat_type);
    CHECK(machine.wrmsr(0x1234, 0).fault == RegisterFault::no_such_msr);
}

TEST_CASE("The C-bit is stripped from CR3 and from entries", "[machine][apm-sme]") {
    CpuFeatures features = parse_cpu("EPYC-Milan");
    features.c_bit = 47;
    Machine machine{features};
    machine.memory().map_region({PhysAddr{0}, PhysAddr{1ULL << 30}}, RegionKind::ram);
    constexpr std::uint64_t c = std::uint64_t{1} << 47;
    machine.store64(0x1000_va, 0x2003 | c);
    machine.store64(0x2000_va, 0x83 | c);
    REQUIRE(machine.mov_cr4(Cr4::pae).ok());
    REQUIRE(machine.mov_cr3(0x1000 | c).ok());
    REQUIRE(machine.wrmsr_efer(Efer::lme).ok());
    REQUIRE(machine.mov_cr0(Cr0::pg | Cr0::pe).ok());
    CHECK(machine.cpu().cr3 == (0x1000 | c));
    CHECK(machine.translate(0x12'3456_va).translation()->phys == 0x12'3456_pa);
    CHECK(machine.store64(0x5000_va, 9).ok());
    CHECK(machine.memory().read64(0x5000_pa) == 9);
}
