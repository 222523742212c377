// SPDX-License-Identifier: GPL-2.0-only
// Vectors of one access, within a page or across a page boundary; what the runners share.
#include <array>
#include <charconv>

#include "mmu_vector_runners.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/mmu/walker.hpp"

namespace pgsim::formats::vectors {

VectorMemory::VectorMemory() {
    memory_.map_region({PhysAddr{0}, PhysAddr{PhysSpace::last}}, RegionKind::ram);
}

void VectorMemory::place(const Json& entries, unsigned bytes) {
    for (const Json& entry : entries) {
        if (!entry.is_array() || entry.size() != 2) {
            throw Error{"mem", "an entry is [address, value]"};
        }
        const PhysAddr at = physical(number(entry[0]));
        if (!at.is_aligned(bytes)) {
            throw Error{"mem", hex(at.value()) + " is not aligned"};
        }
        const std::uint64_t value = number(entry[1]);
        if (bytes == 4) {
            memory_.write32(at, static_cast<std::uint32_t>(value));
        } else {
            memory_.write64(at, value);
        }
        placed_.emplace_back(at, bytes);
    }
}

void VectorMemory::clear() {
    for (const auto& [at, bytes] : placed_) {
        if (bytes == 4) {
            memory_.write32(at, 0);
        } else {
            memory_.write64(at, 0);
        }
    }
    placed_.clear();
}

std::uint64_t number(const Json& value) {
    if (value.is_number_unsigned() || (value.is_number_integer() && value.get<std::int64_t>() >= 0)) {
        return value.get<std::uint64_t>();
    }
    if (value.is_string()) {
        const auto& text = value.get_ref<const std::string&>();
        const bool is_hex = text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
        const char* const begin = text.data() + (is_hex ? 2 : 0);
        const char* const end = text.data() + text.size();
        std::uint64_t result = 0;
        const auto [stop, error] = std::from_chars(begin, end, result, is_hex ? 16 : 10);
        if (error == std::errc{} && stop == end) {
            return result;
        }
    }
    throw Error{value.is_string() ? value.get_ref<const std::string&>() : value.type_name(), "no 64-bit number"};
}

const Json& member(const Json& object, const char* key) {
    const auto found = object.find(key);
    if (found == object.end()) {
        throw Error{key, "the vector has no such field"};
    }
    return *found;
}

std::uint64_t number_at(const Json& object, const char* key) {
    return number(member(object, key));
}

std::uint64_t number_or(const Json& object, const char* key, std::uint64_t otherwise) {
    const auto found = object.find(key);
    return found == object.end() ? otherwise : number(*found);
}

std::string hex_string(std::uint64_t value) {
    return hex(value);
}

PhysAddr physical(std::uint64_t value) {
    const auto address = PhysAddr::try_from(value);
    if (!address) {
        throw Error{hex(value), "no physical address: wider than 52 bits"};
    }
    return *address;
}

Access access_of(const Json& vector) {
    struct Name {
        std::string_view name;
        Access access;
    };
    static const std::array names{
        Name{"read", {AccessKind::read}},
        Name{"write", {AccessKind::write}},
        Name{"rmw", {AccessKind::rmw}},
        Name{"fetch", {AccessKind::fetch}},
        Name{"read_ss", {AccessKind::read, 0, AccessMode::by_cpl, true}},
        Name{"write_ss", {AccessKind::write, 0, AccessMode::by_cpl, true}},
        Name{"sys_read", {AccessKind::read, 0, AccessMode::implicit}},
        Name{"sys_write", {AccessKind::rmw, 0, AccessMode::implicit}},
        Name{"ss_read", {AccessKind::shadow_stack_read}},
        Name{"ss_write", {AccessKind::shadow_stack_write}},
        Name{"ss_write_user", {AccessKind::shadow_stack_write, 0, AccessMode::user_shadow_stack}},
    };
    const auto& wanted = member(vector, "acc").get_ref<const std::string&>();
    const std::uint64_t cpl = number_at(vector, "cpl");
    if (cpl > 3) {
        throw Error{"cpl", "privilege levels are 0 to 3"};
    }
    for (const auto& [name, access] : names) {
        if (name == wanted) {
            Access result = access;
            result.cpl = static_cast<std::uint8_t>(cpl);
            return result;
        }
    }
    throw Error{"acc", "no such access: \"" + wanted + "\""};
}

CpuFeatures features_of(const Json& vector) {
    CpuFeatures features;
    for (std::size_t i = 0; i < static_cast<std::size_t>(Feature::count_); ++i) {
        features.enable(static_cast<Feature>(i));
    }
    // Vectors speak of processors without address masking: their CR3 and EFER have no such bits.
    features.disable(Feature::lam).disable(Feature::uai);
    const std::uint64_t maxphy = number_or(vector, "maxphy", 40);
    features.set_maxphyaddr(static_cast<unsigned>(std::min<std::uint64_t>(maxphy, 64)));
    const auto vendor = vector.find("vendor");
    features.vendor = vendor != vector.end() && *vendor == "amd" ? Vendor::amd : Vendor::intel;
    return features;
}

CpuState state_of(const Json& st, bool long_code) {
    CpuState cpu;
    cpu.cr0 = number_at(st, "cr0");
    cpu.cr3 = number_at(st, "cr3");
    cpu.cr4 = number_at(st, "cr4");
    cpu.efer = number_at(st, "efer");
    cpu.ac = number_or(st, "ac", 0) != 0;
    cpu.pkru = static_cast<std::uint32_t>(number_or(st, "pkru", 0));
    cpu.pkrs = static_cast<std::uint32_t>(number_or(st, "pkrs", 0));
    cpu.pat = number_or(st, "pat", pat_at_reset);
    cpu.cs_long = long_code;
    return cpu;
}

void add_changes(const WalkResult& walk, Json& set) {
    for (const FlagUpdate& update : walk.flag_updates()) {
        Json change = Json::array({hex_string(update.entry_addr.value()), hex_string(update.after.raw())});
        bool known = false;
        for (Json& earlier : set) {
            if (earlier[0] == change[0]) {
                earlier[1] = hex_string(number(earlier[1]) | update.after.raw());
                known = true;
            }
        }
        if (!known) {
            set.push_back(std::move(change));
        }
    }
}

namespace {

void add_fault(const WalkResult& walk, Json& observed) {
    if (const PageFault* const fault = walk.page_fault()) {
        observed["r"] = "PF";
        observed["err"] = fault->error_code;
        observed["cr2"] = hex_string(fault->virt.value());
    } else {
        observed["r"] = walk.address_fault()->stack_segment ? "SS" : "GP";
        observed["err"] = 0;
    }
}

/// log2 of the page size; 0 without paging.
unsigned page_of(const Translation& translation) {
    return translation.source == TranslationSource::none ? 0 : static_cast<unsigned>(translation.page_size);
}

struct Inputs {
    PagingControls controls;
    unsigned entry_bytes = 8;
};

Inputs inputs_of(const Json& vector, VectorMemory& tables) {
    CpuState cpu = state_of(member(vector, "st"), !vector.contains("mode"));
    Inputs inputs;
    inputs.entry_bytes = cpu.paging_mode() == PagingMode::bits32 ? 4 : 8;
    tables.place(member(vector, "mem"), inputs.entry_bytes);
    if (cpu.paging_mode() == PagingMode::pae) {
        for (std::size_t i = 0; i < cpu.pdptes.size(); ++i) {
            cpu.pdptes[i] = tables.memory().read64(PhysAddr{cpu.cr3 & 0xffff'ffe0} + 8 * i);
        }
    }
    inputs.controls = PagingControls::from(cpu, features_of(vector));
    return inputs;
}

}  // namespace

Json run_access(const Json& vector, VectorMemory& tables) {
    const Inputs inputs = inputs_of(vector, tables);
    const WalkResult walk =
        Walker{tables.memory(), inputs.controls}.walk(VirtAddr{number_at(vector, "va")}, access_of(vector));
    Json observed;
    if (const Translation* const translation = walk.translation()) {
        observed["r"] = "ok";
        observed["pa"] = hex_string(translation->phys.value());
        observed["page"] = page_of(*translation);
    } else {
        add_fault(walk, observed);
    }
    Json& set = observed["set"] = Json::array();
    add_changes(walk, set);
    return observed;
}

Json run_crossing(const Json& vector, VectorMemory& tables) {
    const Inputs inputs = inputs_of(vector, tables);
    const Walker walker{tables.memory(), inputs.controls};
    const Access access = access_of(vector);
    const VirtAddr first{number_at(vector, "va")};
    const VirtAddr second{(first.value() | 0xfff) + 1};
    Json observed;
    Json& set = observed["set"] = Json::array();
    const WalkResult two = walker.walk(second, access);
    // The addresses of all bytes are checked before any page is.
    if (const WalkResult one = walker.walk(first, access);
        one.address_fault() != nullptr || two.address_fault() != nullptr) {
        add_fault(one.address_fault() != nullptr ? one : two, observed);
    } else if (one.translation() == nullptr) {
        add_fault(one, observed);
        add_changes(one, set);
    } else if (two.translation() == nullptr) {
        add_fault(two, observed);
        add_changes(two, set);
    } else {
        observed["r"] = "ok";
        observed["pa"] =
            Json::array({hex_string(one.translation()->phys.value()), hex_string(two.translation()->phys.value())});
        observed["page"] = Json::array({page_of(*one.translation()), page_of(*two.translation())});
        add_changes(one, set);
        add_changes(two, set);
    }
    return observed;
}

}  // namespace pgsim::formats::vectors
