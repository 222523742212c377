// SPDX-License-Identifier: GPL-2.0-only
// A kernel with one process, for tests of faults and reclaim.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pgsim/base/units.hpp"
#include "pgsim/kernel/bare_kernel.hpp"
#include "pgsim/kernel/mm.hpp"
#include "pgsim/kernel/mm_check.hpp"
#include "pgsim/kernel/pgtable_generic.hpp"
#include "pgsim/kernel/processes.hpp"

namespace pgsim::test {

using namespace pgsim::kernel;

inline constexpr std::uint64_t at = 0x1000'0000'0000;

struct MmWorld {
    explicit MmWorld(const BareKernelSetup& machine = {.memory_bytes = 256 * MiB}, const MmSetup& setup = {})
        : kernel{machine},
          mm{kernel.machine(),      kernel.memory(),    kernel.state(), kernel.buddy(),
             kernel.init_top_pgt(), kernel.zero_page(), kernel.lists(), setup},
          p{&create_process(mm, "P")} {}

    long map_private(unsigned rights, std::uint64_t pages, std::uint64_t address = at, unsigned flags = 0) {
        return do_mmap(mm, *p, address, pages << 12, rights, map::private_ | map::anonymous | map::fixed | flags,
                       nullptr, 0);
    }
    long map_file(unsigned rights, std::uint64_t pages, const std::shared_ptr<address_space>& file, unsigned how,
                  std::uint64_t address = at, std::uint64_t pgoff = 0) {
        return do_mmap(mm, *p, address, pages << 12, rights, how | map::fixed, file, pgoff);
    }
    std::shared_ptr<address_space> file_with(FileKind kind, std::uint64_t pages) {
        auto file = mm.new_file(kind, "file");
        file_write(mm, *p, file, 0, pages);
        return file;
    }

    std::optional<FaultSignal> write(std::uint64_t address, std::uint8_t value = 1) {
        return user_store(mm, *p, VirtAddr{address}, value).signal;
    }
    std::optional<FaultSignal> read(std::uint64_t address) { return user_load(mm, *p, VirtAddr{address}).signal; }
    std::optional<FaultSignal> call(std::uint64_t address) { return user_fetch(mm, *p, VirtAddr{address}).signal; }

    /// Where the PTE of an address lies in the direct map; null address: there is no page table.
    [[nodiscard]] VirtAddr pte_place(const task_struct& task, std::uint64_t address) {
        const VirtAddr va{address};
        const pgd_ptr pgd = pgd_offset_pgd(mm.pt, task.mm->pgd, va);
        if (pgd_none(mm.state, pgdp_get(mm.pt, pgd))) {
            return {};
        }
        const p4d_ptr p4d = p4d_offset(mm.pt, pgd, va);
        if (p4d_none(p4dp_get(mm.pt, p4d))) {
            return {};
        }
        const pud_ptr pud = pud_offset(mm.pt, p4d, va);
        if (pud_none(pudp_get(mm.pt, pud))) {
            return {};
        }
        const pmd_ptr pmd = pmd_offset(mm.pt, pud, va);
        const pmd_t entry = pmdp_get(mm.pt, pmd);
        if (pmd_none(entry) || pmd_trans_huge(entry)) {
            return {};
        }
        return pte_offset_map(mm.pt, pmd, va).va();
    }
    [[nodiscard]] std::uint64_t pte(const task_struct& task, std::uint64_t address) {
        const VirtAddr place = pte_place(task, address);
        return place == VirtAddr{} ? 0 : kernel.memory().read64(place);
    }
    [[nodiscard]] std::uint64_t pte(std::uint64_t address) { return pte(*p, address); }
    [[nodiscard]] std::uint64_t frame(std::uint64_t address) { return pte_pfn(pte_t{pte(address)}); }

    [[nodiscard]] std::uint64_t table_pages() const {
        return static_cast<std::uint64_t>(p->mm->pgtables_bytes) / page_size;
    }
    /// Functions that passed since the last call of this, once listening began.
    void listen() {
        mm.trace = [this](const TraceStep& step) { passed.push_back(step.function + ": " + step.what); };
    }
    [[nodiscard]] std::size_t times(const std::string& what) const {
        std::size_t count = 0;
        for (const std::string& step : passed) {
            count += step.find(what) != std::string::npos ? 1 : 0;
        }
        return count;
    }
    [[nodiscard]] std::vector<std::string> broken() { return check_invariants(mm); }

    BareKernel kernel;
    Mm mm;
    task_struct* p;
    std::vector<std::string> passed;
};

inline constexpr unsigned r = prot::read;
inline constexpr unsigned w = prot::write;
inline constexpr unsigned x = prot::exec;
inline const std::vector<std::string> nothing;

}  // namespace pgsim::test
