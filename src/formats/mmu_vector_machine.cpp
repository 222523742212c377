// SPDX-License-Identifier: GPL-2.0-only
// Vectors that run on a whole machine: invalidation sequences and register writes.
#include "mmu_vector_runners.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/machine/machine.hpp"

namespace pgsim::formats::vectors {

namespace {

/// Runs the steps of one sequence and notes what each access and register write gives.
class Sequence {
public:
    explicit Sequence(const Json& vector) : machine_{features_of(vector)} {
        const bool legacy = vector.contains("mode");
        CpuState cpu = state_of(member(vector, "st"), !legacy);
        PhysicalMemory& memory = machine_.memory();
        memory.map_region({PhysAddr{0}, PhysAddr{PhysSpace::last}}, RegionKind::ram);
        // Sequences that begin in mode none or 32 name PDPTEs of 8 bytes too: all start values fit 8-byte words there.
        const bool narrow =
            cpu.paging_mode() == PagingMode::bits32 && (cpu.cr4 & Cr4::pae) == 0 && !names_wide_entries(vector);
        for (const Json& entry : member(vector, "mem")) {
            store_entry(number(entry.at(0)), number(entry.at(1)), narrow);
        }
        if (cpu.paging_mode() == PagingMode::pae) {
            for (std::size_t i = 0; i < cpu.pdptes.size(); ++i) {
                cpu.pdptes[i] = memory.read64(PhysAddr{cpu.cr3 & 0xffff'ffe0} + 8 * i);
            }
        }
        narrow_ = narrow;
        machine_.set_cpu_state(cpu);
        for (const Vector vector_number : {Vector::pf, Vector::gp, Vector::ss}) {
            machine_.set_exception_handler(vector_number, [this](Machine&, const ExceptionFrame& frame) {
                raised_ = frame;
                return HandlerResult::skip;
            });
        }
    }

    [[nodiscard]] Json run(const Json& steps) {
        Json observed = Json::array();
        for (const Json& step : steps) {
            const auto& op = member(step, "op").get_ref<const std::string&>();
            if (op == "acc") {
                observed.push_back(access(step));
            } else if (op == "set") {
                store_entry(number_at(step, "pa"), number_at(step, "val"), narrow_);
            } else if (op == "rd") {
                observed.push_back({{"val", hex_string(machine_.memory().read64(physical(number_at(step, "pa"))))}});
            } else if (op == "wr") {
                observed.push_back(write_register(step));
            } else if (op == "mov_cr3") {
                machine_.mov_cr3(number_at(step, "val"));
            } else if (op == "invlpg") {
                machine_.invlpg(VirtAddr{number_at(step, "va")});
            } else if (op == "toggle_pge") {
                machine_.mov_cr4(machine_.cpu().cr4 ^ Cr4::pge);
                machine_.mov_cr4(machine_.cpu().cr4 ^ Cr4::pge);
            } else if (op == "invpcid") {
                machine_.invpcid(static_cast<InvpcidType>(number_at(step, "type") & 0xff),
                                 static_cast<std::uint16_t>(number_at(step, "pcid")), VirtAddr{number_at(step, "va")});
            } else {
                throw Error{"op", "no such step: \"" + op + "\""};
            }
        }
        return observed;
    }

private:
    static bool names_wide_entries(const Json& vector) {
        for (const Json& entry : member(vector, "mem")) {
            if ((number(entry.at(0)) & 7) != 0) {
                return false;
            }
        }
        return true;
    }

    void store_entry(std::uint64_t at, std::uint64_t value, bool narrow) {
        if (narrow) {
            machine_.memory().write32(physical(at & ~std::uint64_t{3}), static_cast<std::uint32_t>(value));
        } else {
            machine_.memory().write64(physical(at & ~std::uint64_t{7}), value);
        }
    }

    Json access(const Json& step) {
        const VirtAddr virt{number_at(step, "va")};
        const Access access = access_of(step);
        raised_.reset();
        // The walk alone: what the access would store is restored afterwards in any case.
        const WalkResult walk = machine_.mmu().access(machine_.memory(), virt, access);
        Json observed;
        if (const Translation* const translation = walk.translation()) {
            observed["r"] = "ok";
            observed["pa"] = hex_string(translation->phys.value());
        } else if (const PageFault* const fault = walk.page_fault()) {
            observed["r"] = "PF";
            observed["err"] = fault->error_code;
            observed["cr2"] = hex_string(fault->virt.value());
        } else {
            observed["r"] = walk.address_fault()->stack_segment ? "SS" : "GP";
            observed["err"] = 0;
        }
        return observed;
    }

    Json write_register(const Json& step) {
        const auto& reg = member(step, "reg").get_ref<const std::string&>();
        const std::uint64_t value = number_at(step, "val");
        raised_.reset();
        if (reg == "cr0") {
            machine_.mov_cr0(value);
        } else if (reg == "cr3") {
            machine_.mov_cr3(value);
        } else if (reg == "cr4") {
            machine_.mov_cr4(value);
        } else {
            throw Error{"reg", "no such register: \"" + reg + "\""};
        }
        if (raised_) {
            return {{"r", "GP"}, {"err", raised_->error_code}};
        }
        return {{"r", "ok"}};
    }

    Machine machine_;
    std::optional<ExceptionFrame> raised_;
    bool narrow_ = false;
};

CpuFeatures features_with(const Json& vector) {
    CpuFeatures features;
    features.set_maxphyaddr(static_cast<unsigned>(std::min<std::uint64_t>(number_or(vector, "maxphy", 40), 64)));
    const auto each = [&](const char* list, auto apply) {
        for (const Json& name : member(member(vector, "cpu"), list)) {
            const auto feature = find_feature(name.get_ref<const std::string&>());
            if (!feature) {
                throw Error{"cpu", "no such feature: " + name.dump()};
            }
            apply(*feature);
        }
    };
    each("has", [&](Feature feature) { features.enable(feature); });
    each("lacks", [&](Feature feature) { features.disable(feature); });
    return features;
}

}  // namespace

Json run_sequence(const Json& vector) {
    Json observed;
    observed["steps"] = Sequence{vector}.run(member(vector, "steps"));
    return observed;
}

Json run_control(const Json& vector) {
    const Json& st = member(vector, "st");
    const CpuFeatures features = features_with(vector);
    CpuState cpu = state_of(st, number_or(st, "csl", 0) != 0);
    const Json& write = member(vector, "wr");
    const auto& reg = member(write, "reg").get_ref<const std::string&>();
    std::uint64_t value = number_at(write, "val");
    if (number_at(write, "width") == 32) {
        value &= 0xffff'ffff;
    }
    RegisterWrite checked;
    if (reg == "cr0") {
        checked = check_cr0(cpu, features, value);
        if (checked.ok()) {
            apply_cr0(cpu, checked);
        }
    } else if (reg == "cr3") {
        checked = check_cr3(cpu, features, value);
        cpu.cr3 = checked.ok() ? checked.value : cpu.cr3;
    } else if (reg == "cr4") {
        checked = check_cr4(cpu, features, value);
        cpu.cr4 = checked.ok() ? checked.value : cpu.cr4;
    } else if (reg == "efer") {
        checked = check_efer(cpu, features, value);
        cpu.efer = checked.ok() ? checked.value : cpu.efer;
    } else if (reg == "pat") {
        checked = check_pat(value);
        cpu.pat = checked.ok() ? checked.value : cpu.pat;
    } else if (reg == "pkrs") {
        checked = check_pkrs(features, value);
        cpu.pkrs = checked.ok() ? static_cast<std::uint32_t>(checked.value) : cpu.pkrs;
    } else {
        throw Error{"reg", "no such register: \"" + reg + "\""};
    }
    Json observed;
    observed["r"] = checked.ok() ? "ok" : "GP";
    observed["err"] = 0;
    Json& state = observed["state"];
    state["cr0"] = hex_string(cpu.cr0);
    state["cr3"] = hex_string(cpu.cr3);
    state["cr4"] = hex_string(cpu.cr4);
    state["efer"] = hex_string(cpu.efer);
    if (st.contains("pat")) {
        state["pat"] = hex_string(cpu.pat);
    }
    if (st.contains("pkrs")) {
        state["pkrs"] = hex_string(cpu.pkrs);
    }
    return observed;
}

}  // namespace pgsim::formats::vectors
