// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/base/error.hpp"
#include "pgsim/kernel/kernel_config.hpp"
#include "pgsim/kernel/kernel_layout.hpp"
#include "pgsim/kernel/kernel_series.hpp"
#include "support/catch.hpp"

using namespace pgsim;
using kernel::KernelConfig;
using kernel::KernelLayout;
using kernel::KernelSeries;

TEST_CASE("A series is found by number or by release string", "[kernel]") {
    CHECK(KernelSeries::of("6.1").name == "6.1");
    CHECK(KernelSeries::of("6.6").name == "6.6");
    CHECK(KernelSeries::of("6.12").name == "6.12");
    CHECK(KernelSeries::of("6.1.0-56-amd64").name == "6.1");
    CHECK(KernelSeries::of("6.12.117+deb12-amd64").name == "6.12");
    CHECK(KernelSeries::of("Linux version 6.6.17 (root@vm)").name == "6.6");
    CHECK(KernelSeries::of("6.8.0-31-generic").name == "6.6");
    CHECK_THROWS_AS(KernelSeries::of("latest"), Error);
    CHECK_THROWS_AS(KernelSeries::of("6"), Error);
    CHECK_THROWS_AS(KernelSeries::of(""), Error);
}

TEST_CASE("The three series differ as the specification's boxes say", "[kernel][spec]") {
    const KernelSeries v61 = KernelSeries::of("6.1");
    const KernelSeries v66 = KernelSeries::of("6.6");
    const KernelSeries v612 = KernelSeries::of("6.12");
    CHECK(v61.pg_reserved_bit == 12);  // R8.16
    CHECK(v66.pg_reserved_bit == 14);
    CHECK(v612.pg_reserved_bit == 13);
    CHECK(v61.node_data_alignment == 4096);  // R7.5
    CHECK(v66.node_data_alignment == 4096);
    CHECK(v612.node_data_alignment == 64);
    CHECK(v61.top_down_survives_failure);  // R6.13
    CHECK_FALSE(v66.top_down_survives_failure);
    CHECK(v612.top_down_survives_failure);
    CHECK_FALSE(v61.max_pfn_counts_acpi);  // R5.11
    CHECK_FALSE(v66.max_pfn_counts_acpi);
    CHECK(v612.max_pfn_counts_acpi);
    CHECK(v66 == KernelSeries{});
}

TEST_CASE("A build option is off, on, a module, a number or a string", "[kernel]") {
    KernelConfig config;
    config.set("NUMA", "y");
    config.set("X86_PMEM_LEGACY", "m");
    config.set("KASAN", "n");
    config.set("NODES_SHIFT", "10");
    config.set("PHYSICAL_START", "0x1000000");
    config.set("CC", "gcc 12");
    CHECK(config.enabled("NUMA"));
    CHECK(config.enabled("X86_PMEM_LEGACY"));
    CHECK_FALSE(config.enabled("KASAN"));
    CHECK_FALSE(config.enabled("XEN"));
    CHECK(config.number("NODES_SHIFT", 0) == 10);
    CHECK(config.number("PHYSICAL_START", 0) == 0x1000000);
    CHECK(config.number("NR_CPUS", 1) == 1);
    CHECK_THROWS_AS(config.number("CC", 0), Error);
    CHECK(config.max_numnodes() == 1024);

    SECTION("LOAD_PHYSICAL_ADDR rounds the start up to the alignment") {
        config.set("PHYSICAL_ALIGN", "0x200000");
        CHECK(config.load_physical_addr() == 0x1000000);
        config.set("PHYSICAL_START", "0x1000001");
        CHECK(config.load_physical_addr() == 0x1200000);
    }
    SECTION("page table isolation has two names") {
        CHECK_FALSE(config.page_table_isolation());
        config.set("MITIGATION_PAGE_TABLE_ISOLATION", "y");
        CHECK(config.page_table_isolation());
    }
}

TEST_CASE("A symbol moves with KASLR, its physical address with text_pa; per-CPU offsets stay", "[kernel]") {
    KernelLayout layout;
    layout.set_symbol("_text", 0xffffffff81000000_va);
    layout.set_symbol("init_top_pgt", 0xffffffff82a10000_va);
    layout.set_symbol("gdt_page", 0xb000_va);
    layout.text_pa = 0x105c00000_pa;
    layout.kaslr_offset = 0x2600000;
    CHECK(layout.va("init_top_pgt") == 0xffffffff85010000_va);
    CHECK(layout.pa("init_top_pgt") == 0x107610000_pa);
    CHECK(layout.va("gdt_page") == 0xb000_va);
    CHECK(layout.has("_text"));
    CHECK_FALSE(layout.has("_etext"));
    CHECK_THROWS_AS(layout.va("_etext"), Error);
    CHECK_THROWS_AS(layout.pa("_etext"), Error);
}

TEST_CASE("The presets have Debian's values", "[kernel][spec-appendix-C]") {
    const KernelLayout v61 = KernelLayout::preset("debian-6.1");
    CHECK(v61.va("_text") == 0xffffffff81000000_va);
    CHECK(v61.va("__brk_base") == 0xffffffff84400000_va);
    CHECK(v61.va("_end") == 0xffffffff84430000_va);
    CHECK(v61.va("early_top_pgt") == 0xffffffff830ec000_va);
    CHECK(v61.va("early_dynamic_pgts") == 0xffffffff830ee000_va);
    CHECK(v61.va("init_top_pgt") == 0xffffffff82a10000_va);
    CHECK(v61.pglist_data_size == 174208);
    const KernelLayout v612 = KernelLayout::preset("debian-6.12");
    CHECK(v612.va("__brk_base") == 0xffffffff83c00000_va);
    CHECK(v612.va("level3_kernel_pgt") == 0xffffffff82c27000_va);
    CHECK(v612.va("bm_pte") == 0xffffffff8373b000_va);
    CHECK(v612.pglist_data_size == 174464);
    CHECK(KernelConfig::preset("debian-6.1").number("NODES_SHIFT", 0) == 10);
    CHECK(KernelConfig::preset("defconfig-6.6").number("NODES_SHIFT", 0) == 6);
    CHECK(KernelConfig::preset("debian-6.12").page_table_isolation());
    CHECK_THROWS_AS(KernelConfig::preset("debian-5.10"), Error);
    CHECK_THROWS_AS(KernelLayout::preset(""), Error);
}
