// SPDX-License-Identifier: GPL-2.0-only
// Processors known by name: the paging side of QEMU's CPU models, as data.
#include <algorithm>
#include <vector>

#include "pgsim/cpu/cpu_features.hpp"

namespace pgsim {

namespace {

using enum Feature;

struct Row {
    std::string_view name;
    std::string_view description;
    Vendor vendor;
    unsigned family, model, stepping;
    unsigned phys_bits;
    int inherits;  ///< index of the row whose features come first; -1: none
    std::vector<Feature> adds;
    std::vector<Feature> removes = {};
};

constexpr Vendor I = Vendor::intel;
constexpr Vendor A = Vendor::amd;

const std::vector<Row>& rows() {
    static const std::vector<Row> table{
        /* 0 */ {
            "qemu64", "QEMU's plain 64-bit processor", A, 15, 107, 1, 40, -1, {fpu,   de,         pse,     tsc,  msr,
                                                                               pae,   mce,        cx8,     apic, sep,
                                                                               mtrr,  pge,        mca,     cmov, pat,
                                                                               pse36, clflush,    mmx,     fxsr, sse,
                                                                               sse2,  hypervisor, lahf_lm, lm,   nx,
                                                                               svm,   syscall}},
        /* 1 */
        {"max",
         "everything that QEMU 7.2 emulates",
         A,
         15,
         107,
         1,
         40,
         0,
         {erms, fsgsbase, la57, npt, pdpe1gb, pku, rdrand, rdseed, rdtscp, smap, smep, umip, vme, xsave, ffxsr}},
        /* 2 */ {"qemu32", "QEMU's plain 32-bit processor", I, 6, 6, 3, 36, -1, {fpu,   de,        pse, tsc,  msr,
                                                                                 pae,   mce,       cx8, apic, sep,
                                                                                 mtrr,  pge,       mca, cmov, pat,
                                                                                 pse36, clflush,   mmx, fxsr, sse,
                                                                                 sse2,  hypervisor}},
        /* 3 */ {"kvm64", "the common part of 64-bit Intel and AMD", I, 15, 6, 1, 40, 0, {vme}, {svm, lahf_lm}},
        /* 4 */
        {"pentium", "P5: 4-MByte pages, no PAE", I, 5, 4, 3, 32, -1, {fpu, vme, de, pse, tsc, msr, mce, cx8, mmx}},
        /* 5 */ {"pentium3", "P6: PAE, global pages, PAT", I, 6, 7, 3, 36, -1, {fpu,  vme, de,    pse, tsc,  msr, pae,
                                                                                mce,  cx8, apic,  sep, mtrr, pge, mca,
                                                                                cmov, pat, pse36, mmx, fxsr, sse}},
        /* 6 */ {"Nehalem", "Intel Core i7 9xx (2008)", I, 6, 26, 3, 40, 0, {vme, vmx, ept, rdtscp}, {svm}},
        /* 7 */
        {"Westmere", "Intel Westmere (2010): 1-GByte pages in silicon, PCID", I, 6, 44, 1, 40, 6, {pcid, ept_1g}},
        /* 8 */ {"SandyBridge", "Intel Xeon E312xx (2011)", I, 6, 42, 1, 40, 7, {x2apic, xsave}},
        /* 9 */ {"IvyBridge", "Intel Xeon E3-12xx v2 (2012): SMEP", I, 6, 58, 9, 40, 8, {smep, erms, fsgsbase, rdrand}},
        /* 10 */
        {"Haswell", "Intel Haswell (2013): INVPCID, EPT A/D", I, 6, 60, 4, 39, 9, {invpcid, ept_ad, ept_exec_only}},
        /* 11 */ {"Broadwell", "Intel Broadwell (2014): SMAP", I, 6, 61, 2, 39, 10, {smap, rdseed}},
        /* 12 */ {"Skylake-Client", "Intel Core, Skylake (2015)", I, 6, 94, 3, 39, 11, {pdpe1gb, mbec}},
        /* 13 */ {"Skylake-Server", "Intel Xeon, Skylake-SP (2017): protection keys", I, 6, 85, 4, 46, 12, {pku}},
        /* 14 */ {"Cascadelake-Server", "Intel Xeon, Cascade Lake (2019)", I, 6, 85, 6, 46, 13, {}},
        /* 15 */
        {"Icelake-Server", "Intel Xeon, Ice Lake-SP (2021): 5-level paging, UMIP", I, 6, 134, 0, 52, 14, {la57, umip}},
        /* 16 */
        {"SapphireRapids",
         "Intel Xeon, Sapphire Rapids (2023): CET, PKS",
         I,
         6,
         143,
         4,
         52,
         15,
         {pks, shstk, ibt, uintr}},
        /* 17 */ {"SierraForest", "Intel Xeon, Sierra Forest (2024): LAM, LASS", I, 6, 175, 3, 52, 16, {lam, lass}},
        /* 18 */ {"Opteron_G1", "AMD K8", A, 15, 6, 1, 40, 0, {vme}, {svm, lahf_lm}},
        /* 19 */
        {"Opteron_G3",
         "AMD K10: nested paging, 1-GByte pages in silicon",
         A,
         16,
         2,
         3,
         48,
         0,
         {vme, rdtscp, pdpe1gb, npt}},
        /* 20 */
        {"EPYC",
         "AMD Zen (2017): SMEP, SMAP",
         A,
         23,
         1,
         2,
         48,
         19,
         {smep, smap, fsgsbase, xsave, rdrand, rdseed, ffxsr, tce}},
        /* 21 */ {"EPYC-Rome", "AMD Zen 2 (2019): UMIP", A, 23, 49, 0, 48, 20, {umip}},
        /* 22 */
        {"EPYC-Milan",
         "AMD Zen 3 (2021): PCID, INVPCID, protection keys",
         A,
         25,
         1,
         1,
         48,
         21,
         {pcid, invpcid, pku, erms, invlpgb, shstk}},
        /* 23 */ {"EPYC-Genoa", "AMD Zen 4 (2022): 5-level paging", A, 25, 17, 0, 52, 22, {la57, uai}},
    };
    return table;
}

CpuFeatures features_of(const Row& row) {
    CpuFeatures features;
    if (row.inherits >= 0) {
        features = features_of(rows()[static_cast<std::size_t>(row.inherits)]);
    }
    features.vendor = row.vendor;
    features.family = row.family;
    features.model = row.model;
    features.stepping = row.stepping;
    features.set_maxphyaddr(row.phys_bits);
    for (const Feature feature : row.removes) {
        features.disable(feature);
    }
    for (const Feature feature : row.adds) {
        features.enable(feature);
    }
    return features;
}

}  // namespace

std::span<const CpuProfile> cpu_profiles() {
    static const std::vector<CpuProfile> profiles = [] {
        std::vector<CpuProfile> list;
        for (const Row& row : rows()) {
            list.push_back({row.name, row.description, features_of(row)});
        }
        return list;
    }();
    return profiles;
}

}  // namespace pgsim
