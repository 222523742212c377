// SPDX-License-Identifier: GPL-2.0-only
// Vectors of one access of a guest, through two stages of tables.
#include "mmu_vector_runners.hpp"
#include "pgsim/mmu/nested.hpp"

namespace pgsim::formats::vectors {

namespace {

struct Says {
    Json& observed;

    void operator()(const NestedTranslation& t) const {
        observed["r"] = "ok";
        observed["pa"] = hex_string(t.phys.value());
        observed["gpa"] = hex_string(t.guest_phys.value());
        observed["gpage"] = static_cast<unsigned>(t.guest_page_size);
        observed["npage"] = static_cast<unsigned>(t.nested_page_size);
    }
    void operator()(const PageFault& fault) const {
        observed["r"] = "PF";
        observed["err"] = fault.error_code;
        observed["cr2"] = hex_string(fault.virt.value());
    }
    void operator()(const AddressFault& fault) const {
        observed["r"] = fault.stack_segment ? "SS" : "GP";
        observed["err"] = 0;
    }
    void operator()(const NestedPageFault& fault) const {
        observed["r"] = "NPF";
        observed["info1"] = hex_string(fault.info1);
        observed["info2"] = hex_string(fault.guest_phys.value());
    }
    void operator()(const EptViolation& violation) const {
        observed["r"] = "EPTV";
        observed["qual"] = hex_string(violation.qualification);
        observed["gpa"] = hex_string(violation.guest_phys.value());
        observed["gla"] = hex_string(violation.guest_linear.value());
    }
    void operator()(const EptMisconfiguration& wrong) const {
        observed["r"] = "EPTM";
        observed["gpa"] = hex_string(wrong.guest_phys.value());
    }
};

template <class Second>
Json run_nested(const Json& vector, VectorMemory& tables, const Second& second) {
    tables.place(member(vector, "gmem"), 8);
    tables.place(member(vector, "nmem"), 8);
    const PagingControls guest = PagingControls::from(state_of(member(vector, "st"), true), features_of(vector));
    const NestedWalkResult walk =
        NestedWalker{tables.memory(), guest, second}.walk(VirtAddr{number_at(vector, "va")}, access_of(vector));
    Json observed;
    std::visit(Says{observed}, walk.outcome());
    Json& set = observed["set"] = Json::array();
    for (const NestedFlagUpdate& update : walk.flag_updates()) {
        set.push_back(Json::array({hex_string(update.entry_addr.value()), hex_string(update.after)}));
    }
    return observed;
}

std::uint8_t maxphyaddr_of(const Json& vector) {
    return static_cast<std::uint8_t>(features_of(vector).maxphyaddr());
}

}  // namespace

Json run_npt(const Json& vector, VectorMemory& tables) {
    const Json& st = member(vector, "st");
    NptControls npt;
    npt.root = physical(number_at(st, "ncr3") & ~std::uint64_t{0xfff});
    npt.nxe = (number_at(st, "hefer") & Efer::nxe) != 0;
    npt.maxphyaddr = maxphyaddr_of(vector);
    return run_nested(vector, tables, npt);
}

Json run_ept(const Json& vector, VectorMemory& tables) {
    const Json& st = member(vector, "st");
    EptControls ept = EptControls::from_eptp(number_at(st, "eptp"), maxphyaddr_of(vector));
    ept.mode_based_execute = number_or(st, "mbec", 0) != 0;
    ept.execute_only = number_or(st, "exec_only", 0) != 0;
    return run_nested(vector, tables, ept);
}

}  // namespace pgsim::formats::vectors
