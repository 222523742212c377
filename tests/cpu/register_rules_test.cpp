// SPDX-License-Identifier: GPL-2.0-only
// What the control vectors leave out: LAM, UAI and the order of entering long mode.
#include "support/catch.hpp"

#include "pgsim/cpu/cpu_state.hpp"

using namespace pgsim;

TEST_CASE("CR3's LAM bits exist with LAM only", "[cpu][sdm-lam]") {
    CpuState cpu;
    CHECK(check_cr3(cpu, parse_cpu("SierraForest"), 0x1000 | Cr3::lam_u48).ok());
    CHECK(check_cr3(cpu, parse_cpu("SierraForest"), 0x1000 | Cr3::lam_u57).value == (0x1000 | Cr3::lam_u57));
    CHECK(check_cr3(cpu, parse_cpu("SapphireRapids"), 0x1000 | Cr3::lam_u48).fault == RegisterFault::cr3_reserved);
    CHECK(check_cr4(cpu, parse_cpu("SierraForest"), Cr4::lam_sup | Cr4::lass).ok());
    CHECK(check_cr4(cpu, parse_cpu("SapphireRapids"), Cr4::lam_sup).fault == RegisterFault::cr4_reserved);
}

TEST_CASE("EFER.UAIE exists on AMD processors with UAI only", "[cpu][apm-uai]") {
    CHECK(check_efer({}, parse_cpu("EPYC-Genoa"), Efer::uaie).ok());
    CHECK(check_efer({}, parse_cpu("EPYC-Milan"), Efer::uaie).fault == RegisterFault::efer_reserved);
    CHECK(check_efer({}, parse_cpu("SierraForest"), Efer::uaie).fault == RegisterFault::efer_reserved);
}

TEST_CASE("Long mode is entered by LME, PAE and then PG, and left in the reverse order",
          "[cpu][sdm-ia32e-initialization]") {
    const CpuFeatures features = parse_cpu("max");
    CpuState cpu;
    const std::uint64_t pg = cpu.cr0 | Cr0::pg;

    SECTION("LME without PAE: CR0.PG faults") {
        cpu.efer = Efer::lme;
        CHECK(check_cr0(cpu, features, pg).fault == RegisterFault::lme_without_pae);
    }
    SECTION("with CS.L = 1 it faults as well") {
        cpu.efer = Efer::lme;
        cpu.cr4 = Cr4::pae;
        cpu.cs_long = true;
        CHECK(check_cr0(cpu, features, pg).fault == RegisterFault::lme_with_cs_long);
    }
    SECTION("in order, PG sets LMA; then LME, PAE, LA57 are locked until PG is cleared") {
        cpu.cr4 = check_cr4(cpu, features, Cr4::pae).value;
        cpu.efer = check_efer(cpu, features, Efer::lme).value;
        CHECK((cpu.efer & Efer::lma) == 0);
        apply_cr0(cpu, check_cr0(cpu, features, pg));
        CHECK((cpu.efer & Efer::lma) != 0);
        CHECK(check_efer(cpu, features, 0).fault == RegisterFault::lme_while_paging);
        CHECK(check_cr4(cpu, features, 0).fault == RegisterFault::clear_pae_in_long_mode);
        CHECK(check_cr4(cpu, features, Cr4::pae | Cr4::la57).fault == RegisterFault::la57_while_paging);
        apply_cr0(cpu, check_cr0(cpu, features, cpu.cr0 & ~Cr0::pg));
        CHECK((cpu.efer & (Efer::lma | Efer::lme)) == Efer::lme);
        CHECK(check_cr4(cpu, features, Cr4::pae | Cr4::la57).ok());
    }
}

TEST_CASE("Every broken rule has a sentence of its own", "[cpu]") {
    for (int i = 0; i <= static_cast<int>(RegisterFault::invpcid_descriptor); ++i) {
        CHECK(to_string(static_cast<RegisterFault>(i)) != "?");
    }
}
