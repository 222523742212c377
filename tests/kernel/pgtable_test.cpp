// SPDX-License-Identifier: GPL-2.0-only
// The page-table header family: values of entries. [spec chapter C]
#include "support/catch.hpp"

#include "pgsim/kernel/pgtable_generic.hpp"

using namespace pgsim;
using namespace pgsim::kernel;

namespace {

const KernelState plain_state{};

KernelState five_levels() {
    KernelState state;
    state.pgtable_l5_enabled = true;
    state.pgdir_shift = 48;
    state.ptrs_per_p4d = 512;
    return state;
}

}  // namespace

TEST_CASE("Protections have the kernel's values", "[kernel][pgtable][M-C4]") {
    CHECK(page_table == 0x67);
    CHECK(kernpg_table == 0x63);
    CHECK(pgprot_val(page_none) == 0x120);
    CHECK(pgprot_val(page_shared) == 0x8000000000000027);
    CHECK(pgprot_val(page_copy) == 0x8000000000000025);
    CHECK(pgprot_val(page_kernel) == 0x8000000000000163);
    CHECK(pgprot_val(page_kernel_ro) == 0x8000000000000121);
    CHECK(pgprot_val(page_kernel_rox) == 0x121);
    CHECK(pgprot_val(page_kernel_large) == 0x80000000000001e3);
    CHECK(pgprot_val(page_kernel_large_exec) == 0x1e3);
}

TEST_CASE("An entry is none when no bit but A and D is set", "[kernel][pgtable][spec-C]") {
    CHECK(pte_none(make_pte(0x60)));
    CHECK_FALSE(pte_none(make_pte(0x1)));
    CHECK(pmd_none(make_pmd(0x60)));
    CHECK(p4d_none(make_p4d(0x20)));
    CHECK_FALSE(pgd_none(plain_state, make_pgd(0)));
    CHECK(pgd_none(five_levels(), make_pgd(0)));
    CHECK_FALSE(pgd_none(five_levels(), make_pgd(0x60)));
}

TEST_CASE("Bad entries differ by level", "[kernel][pgtable][spec-C]") {
    struct Row {
        std::uint64_t value;
        bool pmd, pud, p4d, pgd5;
    };
    const std::uint64_t nx = 0x8000000000000000;
    // 0x65: read-only; 0xe7: large; NX
    for (const Row row : {Row{0x67, false, false, false, false}, Row{0x63, false, false, false, false},
                          Row{0x65, true, false, false, true}, Row{0xe7, true, true, true, true},
                          Row{nx | 0x67, true, true, true, true}}) {
        INFO(std::hex << row.value);
        CHECK(pmd_bad(make_pmd(row.value)) == row.pmd);
        CHECK(pud_bad(make_pud(row.value)) == row.pud);
        CHECK(p4d_bad(plain_state, make_p4d(row.value)) == row.p4d);
        CHECK(pgd_bad(five_levels(), make_pgd(row.value)) == row.pgd5);
        CHECK_FALSE(pgd_bad(plain_state, make_pgd(row.value)));
    }
    KernelState pti;
    pti.pti_enabled = true;
    CHECK_FALSE(p4d_bad(pti, make_p4d(nx | 0x67)));
}

TEST_CASE("A frame comes back out of the entry that it went into", "[kernel][pgtable][spec-C]") {
    for (const std::uint64_t pfn :
         {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{0x12345}, std::uint64_t{0xffffffffff}}) {
        CHECK(pte_pfn(pfn_pte(plain_state, pfn, page_shared)) == pfn);
        CHECK(pte_pfn(pfn_pte(plain_state, pfn, page_none)) == pfn);
        CHECK(pmd_pfn(pfn_pmd(plain_state, pfn, page_kernel_large)) == (pfn & ~std::uint64_t{0x1ff}));
        CHECK(pud_pfn(pfn_pud(plain_state, pfn, page_kernel_large)) == (pfn & ~std::uint64_t{0x3ffff}));
    }
    CHECK(pte_val(pfn_pte(plain_state, 0x1000, page_none)) == (0x000ffffffefff000 | 0x120));
    CHECK(pte_val(pfn_pte(plain_state, 0, make_pgprot(0))) == 0);
}

TEST_CASE("Only supported bits get into present entries", "[kernel][pgtable][M-C4]") {
    KernelState no_nx;
    no_nx.supported_pte_mask = ~page_nx;
    CHECK(pte_val(pfn_pte(no_nx, 0x1000, page_kernel)) == 0x1000163);
    CHECK(pte_val(pfn_pte(plain_state, 0x1000, page_kernel)) == 0x8000000001000163);
}

TEST_CASE("Read-only entries keep their dirtiness in bit 58", "[kernel][pgtable][spec-C]") {
    const pte_t written = make_pte(0x8000000001000067);
    const pte_t read_only = pte_modify(plain_state, written, page_readonly);
    CHECK(pte_val(read_only) == 0x8400000001000025);
    CHECK(pte_dirty(read_only));
    CHECK(pte_val(pte_modify(plain_state, read_only, page_shared)) == 0x8000000001000067);
    CHECK(pte_val(pte_modify(plain_state, pte_modify(plain_state, read_only, page_shared), page_readonly)) ==
          pte_val(read_only));
    CHECK(pte_val(pte_wrprotect(written)) == 0x8400000001000025);
    CHECK(pte_val(pte_wrprotect(written, {.saved_dirty = false})) == 0x8000000001000065);
    CHECK(pte_val(pte_mkwrite(pte_wrprotect(written))) == pte_val(written));
    CHECK(pte_val(pte_mkdirty(make_pte(0x25))) == 0x0400000000000025);
    CHECK(pte_val(pte_mkdirty(make_pte(0x27))) == 0x67);
    CHECK_FALSE(pte_dirty(pte_mkclean(read_only)));
}

TEST_CASE("PROT_NONE keeps the frame, inverted", "[kernel][pgtable][M-D25]") {
    const pte_t written = make_pte(0x8000000001000067);
    const pte_t none = pte_modify(plain_state, written, page_none);
    CHECK(pte_protnone(none));
    CHECK(pte_present(none));
    CHECK((pte_val(none) & page_present) == 0);
    CHECK((pte_val(none) & pte_pfn_mask) == (~std::uint64_t{0x1000000} & pte_pfn_mask));
    CHECK(pte_pfn(none) == 0x1000);
    CHECK(pte_pfn(pte_modify(plain_state, none, page_shared)) == 0x1000);
}

TEST_CASE("PAT is a flag of a 4-KByte entry and no part of a large entry's frame", "[kernel][pgtable][spec-C]") {
    CHECK(pmd_flags(make_pmd(0x402010e7)) == 0x10e7);
    CHECK(pmd_pfn(make_pmd(0x402010e7)) == 0x40200);
    CHECK(pmd_flags(make_pmd(0x40201067)) == 0x67);
}

TEST_CASE("A slot's end at the top of the address space is 2^64", "[kernel][pgtable][spec-C]") {
    const VirtAddr top{0xfffffffffffff000};
    CHECK(pmd_addr_end(top, VirtAddr{0}) == VirtAddr{0});
    CHECK(pgd_addr_end(plain_state, top, VirtAddr{0}) == VirtAddr{0});
    CHECK(pmd_addr_end(0x1ff000_va, 0x1000000_va) == 0x200000_va);
    CHECK(pud_addr_end(0x1ff000_va, 0x1000000_va) == 0x1000000_va);
    CHECK(p4d_addr_end(five_levels(), 0x1000_va, 0x10000000000_va) == 0x8000000000_va);
}

TEST_CASE("The folded level has one slot", "[kernel][pgtable][M-C2]") {
    const VirtAddr address{0xffffc90000000000};
    CHECK(p4d_index(plain_state, address) == 0);
    CHECK(p4d_index(five_levels(), address) == 402);
    CHECK(pgd_index(plain_state, address) == 402);
    CHECK(pgd_index(five_levels(), address) == 511);
}

TEST_CASE("Swap entries stand in the places that the spec gives", "[kernel][pgtable][M-E20]") {
    CHECK(pte_val(swp_entry_to_pte({0, 1})) == 0x07fffffffffffc00);
    CHECK(pte_val(pte_swp_mkexclusive(swp_entry_to_pte({0, 1}))) == 0x07fffffffffffc08);
    CHECK(pte_val(swp_entry_to_pte({0, 0x1234})) == 0x07ffffffffdb9600);
    CHECK(pte_val(pte_swp_mkexclusive(swp_entry_to_pte({3, 0x1234}))) == 0x1fffffffffdb9608);
    const pte_t entry = pte_swp_mkexclusive(swp_entry_to_pte({3, 0x1234}));
    CHECK(pte_to_swp_entry(pte_swp_clear_exclusive(entry)) == swp_entry_t{3, 0x1234});
    CHECK(pte_to_swp_entry(entry) == swp_entry_t{3, 0x1234});
    CHECK_FALSE(pte_present(entry));
    CHECK_FALSE(pte_none(entry));
}
