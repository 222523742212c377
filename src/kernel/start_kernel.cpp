// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/kernel/start_kernel.hpp"

#include <algorithm>
#include <optional>
#include <vector>

#include "pgsim/kernel/builtin_requests.hpp"
#include "pgsim/kernel/cpu_entry_area.hpp"
#include "pgsim/kernel/fixmap.hpp"
#include "pgsim/kernel/kernel.hpp"

namespace pgsim::kernel {

namespace {

constexpr PhysAddr io_apic_address{0xfec0'0000};

bool has_madt(const Kernel& k) {
    const auto& tables = k.inputs.acpi_tables;
    return std::any_of(tables.begin(), tables.end(), [](const auto& table) { return table.signature == "APIC"; });
}

// Plays the requests of subsystems that are not simulated to memblock, in their order.
class Requests {
public:
    explicit Requests(Kernel& kernel)
        : k_{kernel},
          requests_{kernel.inputs.memblock_requests ? *kernel.inputs.memblock_requests : built_in(kernel)},
          granted_(requests_.size()) {}

    void run() {
        for (std::size_t i = 0; i < requests_.size(); ++i) {
            const MemblockRequest& request = requests_[i];
            if (request.by == "spp_getpage") {
                enter_trap_init();
            } else if (request.op == "phys_free") {
                const std::uint64_t base =
                    request.of ? granted_.at(*request.of).value_or(PhysAddr{}).value() + request.offset : request.base;
                k_.memblock.phys_free(base, request.size, request.by);
            } else {
                granted_[i] = allocate(request);
                note(request, granted_[i]);
            }
        }
        enter_trap_init();
    }

private:
    static std::vector<MemblockRequest> built_in(const Kernel& k) {
        return builtin_requests(
            {.inputs = k.inputs, .state = k.state, .memblock = k.memblock, .zones = k.zones, .e820 = k.e820.entries()});
    }

    std::optional<PhysAddr> allocate(const MemblockRequest& r) {
        if (r.op == "phys_alloc_range") {
            return k_.memblock.phys_alloc_range(r.size, r.align, r.from, r.max_addr, r.by);
        }
        if (r.op == "alloc_exact_nid_raw") {
            return k_.memblock.alloc_exact_nid_raw(r.size, r.align, r.from, r.max_addr, r.nid, r.by);
        }
        if (r.op == "alloc_try_nid_raw") {
            return k_.memblock.alloc_try_nid_raw(r.size, r.align, r.from, r.max_addr, r.nid, r.by);
        }
        return k_.memblock.alloc_try_nid(r.size, r.align, r.from, r.max_addr, r.nid, r.by);
    }

    // The first chunk of per-CPU memory begins with the boot CPU's unit.
    void note(const MemblockRequest& request, std::optional<PhysAddr> area) {
        const bool first_chunk = request.by == "pcpu_fc_alloc" || request.by == "pcpu_embed_first_chunk";
        if (first_chunk && request.align >= 0x20'0000 && area && !per_cpu_) {
            per_cpu_ = area;
        }
    }

    // trap_init maps the CPU entry area; the tables for it are the requests of spp_getpage.
    void enter_trap_init() {
        if (!trap_init_done_ && per_cpu_) {
            setup_cpu_entry_areas(k_, *per_cpu_);
        }
        if (!trap_init_done_) {
            cpu_init();
        }
        trap_init_done_ = true;
    }

    // With PCIDs the kernel's address space runs as PCID 1 from now on: kern_pcid(0).
    void cpu_init() {
        if (k_.inputs.series.trap_init_sets_fsgsbase && k_.inputs.cpu.has(Feature::fsgsbase)) {
            k_.write_cr4(k_.cpu().cr4 | Cr4::fsgsbase);
        }
        const std::uint64_t pcid = (k_.cpu().cr4 & Cr4::pcide) != 0 ? 1 : 0;
        k_.write_cr3(k_.symbol_pa("init_top_pgt") | pcid);
    }

    Kernel& k_;
    std::vector<MemblockRequest> requests_;
    std::vector<std::optional<PhysAddr>> granted_;
    std::optional<PhysAddr> per_cpu_;
    bool trap_init_done_ = false;
};

}  // namespace

void start_kernel_before_buddy(Kernel& k) {
    if (has_madt(k)) {
        const auto origin = k.origin("io_apic_init_mappings", "R9.1");
        set_fixmap(k, FixedAddress::io_apic_base_0, io_apic_address, page_kernel_io_nocache);
    }
    Requests{k}.run();
}

}  // namespace pgsim::kernel
