// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/cpu/cpu_features.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "pgsim/base/error.hpp"

namespace pgsim {

namespace {

// In the order of `Feature`.
constexpr std::array<std::string_view, static_cast<std::size_t>(Feature::count_)> feature_names{
    "fpu",    "vme",        "de",       "pse",     "tsc",     "msr",     "pae",    "mce",     "cx8",
    "apic",   "sep",        "mtrr",     "pge",     "mca",     "cmov",    "pat",    "pse36",   "clflush",
    "mmx",    "fxsr",       "sse",      "sse2",    "vmx",     "smx",     "pcid",   "x2apic",  "xsave",
    "rdrand", "hypervisor", "fsgsbase", "smep",    "erms",    "invpcid", "rdseed", "smap",    "umip",
    "pku",    "shstk",      "la57",     "pks",     "kl",      "uintr",   "ibt",    "fred",    "lass",
    "lam",    "syscall",    "nx",       "ffxsr",   "pdpe1gb", "rdtscp",  "lm",     "lahf_lm", "svm",
    "tce",    "invlpgb",    "npt",      "tlbsize", "uai",     "ept",     "ept_1g", "ept_ad",  "ept_exec_only",
    "mbec",   "sme",
};

constexpr std::pair<std::string_view, Feature> aliases[]{
    {"cet", Feature::shstk},        {"cet_ss", Feature::shstk},    {"cet_ibt", Feature::ibt},
    {"fxsr_opt", Feature::ffxsr},   {"fxsr-opt", Feature::ffxsr},  {"xd", Feature::nx},
    {"1gb", Feature::pdpe1gb},      {"lahf-lm", Feature::lahf_lm}, {"aeskle", Feature::kl},
    {"user_shstk", Feature::shstk},
};

struct Need {
    Feature feature;
    Feature needs;
};

// What makes no sense alone. [SDM-1 "Processor Identification and Feature Determination"], [SDM-3A "Paging Modes and
// Control Bits"]: 5-level paging extends 4-level paging, which long mode brings; long mode and NX need PAE.
constexpr Need needs[]{
    {Feature::lm, Feature::pae},
    {Feature::lm, Feature::msr},
    {Feature::nx, Feature::pae},
    {Feature::la57, Feature::lm},
    {Feature::pdpe1gb, Feature::lm},
    {Feature::pcid, Feature::lm},
    {Feature::pku, Feature::lm},
    {Feature::pks, Feature::lm},
    {Feature::lam, Feature::lm},
    {Feature::lass, Feature::lm},
    {Feature::uai, Feature::lm},
    {Feature::invlpgb, Feature::lm},
    {Feature::npt, Feature::svm},
    {Feature::ept, Feature::vmx},
    {Feature::ept_1g, Feature::ept},
    {Feature::ept_ad, Feature::ept},
    {Feature::ept_exec_only, Feature::ept},
    {Feature::mbec, Feature::ept},
    {Feature::pse36, Feature::pse},
    {Feature::fred, Feature::lm},
    {Feature::uintr, Feature::lm},
};

std::optional<unsigned> number_in(std::string_view text) noexcept {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

void apply_option(CpuFeatures& features, std::string_view option) {
    constexpr std::string_view phys_bits = "phys-bits=";
    if (option.substr(0, phys_bits.size()) == phys_bits) {
        const auto bits = number_in(option.substr(phys_bits.size()));
        if (!bits) {
            throw Error{option, "phys-bits= wants a number from 32 to 52"};
        }
        features.set_maxphyaddr(*bits);
        return;
    }
    if (option.size() < 2 || (option.front() != '+' && option.front() != '-')) {
        throw Error{option, "a CPU option is +feature, -feature or phys-bits=N"};
    }
    const auto feature = find_feature(option.substr(1));
    if (!feature) {
        throw Error{option, "no such CPU feature"};
    }
    if (option.front() == '+') {
        features.enable(*feature);
    } else {
        features.disable(*feature);
    }
}

}  // namespace

std::string_view to_string(Feature feature) noexcept {
    const auto index = static_cast<std::size_t>(feature);
    return index < feature_names.size() ? feature_names[index] : "?";
}

std::optional<Feature> find_feature(std::string_view name) noexcept {
    for (std::size_t index = 0; index < feature_names.size(); ++index) {
        if (feature_names[index] == name) {
            return static_cast<Feature>(index);
        }
    }
    for (const auto& [alias, feature] : aliases) {
        if (alias == name) {
            return feature;
        }
    }
    return std::nullopt;
}

std::string_view to_string(Vendor vendor) noexcept {
    switch (vendor) {
    case Vendor::intel: return "GenuineIntel";
    case Vendor::amd: return "AuthenticAMD";
    }
    return "?";
}

CpuFeatures& CpuFeatures::set_maxphyaddr(unsigned bits) {
    if (bits < 32 || bits > 52) {
        throw Error{"MAXPHYADDR " + std::to_string(bits), "physical addresses have 32 to 52 bits"};
    }
    maxphyaddr_ = bits;
    return *this;
}

std::vector<std::string_view> CpuFeatures::names() const {
    std::vector<std::string_view> list;
    for (std::size_t index = 0; index < feature_names.size(); ++index) {
        if (has(static_cast<Feature>(index))) {
            list.push_back(feature_names[index]);
        }
    }
    return list;
}

std::optional<std::string> CpuFeatures::inconsistency() const {
    for (const Need& need : needs) {
        if (has(need.feature) && !has(need.needs)) {
            return std::string{to_string(need.feature)} + " needs " + std::string{to_string(need.needs)};
        }
    }
    constexpr Feature intel_only[]{Feature::vmx, Feature::lam, Feature::lass, Feature::pks};
    for (const Feature feature : intel_only) {
        if (vendor == Vendor::amd && has(feature)) {
            return std::string{to_string(feature)} + " exists on Intel processors only";
        }
    }
    constexpr Feature amd_only[]{Feature::svm, Feature::uai, Feature::tce, Feature::invlpgb, Feature::sme};
    for (const Feature feature : amd_only) {
        if (vendor == Vendor::intel && has(feature)) {
            return std::string{to_string(feature)} + " exists on AMD processors only";
        }
    }
    return std::nullopt;
}

CpuFeatures parse_cpu(std::string_view text) {
    const std::string_view name = text.substr(0, text.find(','));
    const auto profiles = cpu_profiles();
    const auto found =
        std::find_if(profiles.begin(), profiles.end(), [name](const CpuProfile& p) { return p.name == name; });
    if (found == profiles.end()) {
        std::string known;
        for (const CpuProfile& profile : profiles) {
            known += known.empty() ? "" : ", ";
            known += profile.name;
        }
        throw Error{"CPU '" + std::string{name} + "'", "no such profile; known are " + known};
    }
    CpuFeatures features = found->features;
    for (std::size_t at = name.size(); at < text.size();) {
        const std::size_t start = at + 1;
        const std::size_t end = std::min(text.find(',', start), text.size());
        apply_option(features, text.substr(start, end - start));
        at = end;
    }
    if (const auto reason = features.inconsistency()) {
        throw Error{"CPU '" + std::string{text} + "'", *reason};
    }
    return features;
}

}  // namespace pgsim
