// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>

namespace pgsim {

// Bit masks of the control registers and MSRs that paging depends on, to be used on plain 64-bit values:
// `if (cpu.cr4 & Cr4::pge)`. [SDM-3A "Control Registers"], [SDM-3A "Extended Feature Enable Register"],
// [APM-2 "System-Control Registers"]

struct Cr0 {
    static constexpr std::uint64_t pe = 1U << 0;   ///< Protection enable
    static constexpr std::uint64_t mp = 1U << 1;   ///< Monitor coprocessor
    static constexpr std::uint64_t em = 1U << 2;   ///< Emulation
    static constexpr std::uint64_t ts = 1U << 3;   ///< Task switched
    static constexpr std::uint64_t et = 1U << 4;   ///< Extension type; always 1
    static constexpr std::uint64_t ne = 1U << 5;   ///< Numeric error
    static constexpr std::uint64_t wp = 1U << 16;  ///< Write protect: R/W binds supervisor writes too
    static constexpr std::uint64_t am = 1U << 18;  ///< Alignment mask
    static constexpr std::uint64_t nw = 1U << 29;  ///< Not write-through
    static constexpr std::uint64_t cd = 1U << 30;  ///< Cache disable
    static constexpr std::uint64_t pg = 1U << 31;  ///< Paging
    static constexpr std::uint64_t defined = pe | mp | em | ts | et | ne | wp | am | nw | cd | pg;
};

struct Cr3 {
    static constexpr std::uint64_t pwt = 1U << 3;
    static constexpr std::uint64_t pcd = 1U << 4;
    static constexpr std::uint64_t pcid_mask = 0xfff;                  ///< with CR4.PCIDE = 1
    static constexpr std::uint64_t lam_u57 = std::uint64_t{1} << 61;   ///< user pointers: bits 62:57 are metadata
    static constexpr std::uint64_t lam_u48 = std::uint64_t{1} << 62;   ///< user pointers: bits 62:48 are metadata
    static constexpr std::uint64_t no_flush = std::uint64_t{1} << 63;  ///< in the operand of MOV CR3; never stored
};

struct Cr4 {
    static constexpr std::uint64_t vme = 1U << 0;
    static constexpr std::uint64_t pvi = 1U << 1;
    static constexpr std::uint64_t tsd = 1U << 2;
    static constexpr std::uint64_t de = 1U << 3;
    static constexpr std::uint64_t pse = 1U << 4;  ///< 4-MByte pages in 32-bit paging
    static constexpr std::uint64_t pae = 1U << 5;  ///< 8-byte entries
    static constexpr std::uint64_t mce = 1U << 6;
    static constexpr std::uint64_t pge = 1U << 7;  ///< Global pages
    static constexpr std::uint64_t pce = 1U << 8;
    static constexpr std::uint64_t osfxsr = 1U << 9;
    static constexpr std::uint64_t osxmmexcpt = 1U << 10;
    static constexpr std::uint64_t umip = 1U << 11;
    static constexpr std::uint64_t la57 = 1U << 12;  ///< 57-bit linear addresses
    static constexpr std::uint64_t vmxe = 1U << 13;
    static constexpr std::uint64_t smxe = 1U << 14;
    static constexpr std::uint64_t fsgsbase = 1U << 16;
    static constexpr std::uint64_t pcide = 1U << 17;  ///< Process-context identifiers
    static constexpr std::uint64_t osxsave = 1U << 18;
    static constexpr std::uint64_t kl = 1U << 19;
    static constexpr std::uint64_t smep = 1U << 20;  ///< no supervisor fetches from user addresses
    static constexpr std::uint64_t smap = 1U << 21;  ///< no supervisor data accesses to user addresses
    static constexpr std::uint64_t pke = 1U << 22;   ///< protection keys for user addresses
    static constexpr std::uint64_t cet = 1U << 23;
    static constexpr std::uint64_t pks = 1U << 24;  ///< protection keys for supervisor addresses
    static constexpr std::uint64_t uintr = 1U << 25;
    static constexpr std::uint64_t lass = 1U << 27;     ///< linear-address-space separation
    static constexpr std::uint64_t lam_sup = 1U << 28;  ///< supervisor pointers carry metadata
    static constexpr std::uint64_t fred = std::uint64_t{1} << 32;
};

struct Efer {
    static constexpr std::uint64_t sce = 1U << 0;
    static constexpr std::uint64_t lme = 1U << 8;   ///< Long mode enable
    static constexpr std::uint64_t lma = 1U << 10;  ///< Long mode active; set and cleared by the processor
    static constexpr std::uint64_t nxe = 1U << 11;  ///< bit 63 of an entry is execute-disable
    static constexpr std::uint64_t svme = 1U << 12;
    static constexpr std::uint64_t lmsle = 1U << 13;
    static constexpr std::uint64_t ffxsr = 1U << 14;
    static constexpr std::uint64_t tce = 1U << 15;   ///< AMD: translation cache extension
    static constexpr std::uint64_t uaie = 1U << 20;  ///< AMD: upper address ignore
    static constexpr std::uint64_t autoibrs = 1U << 21;
};

/// Bits of a page-fault error code. [SDM-3A "Page-Fault Exceptions"]
struct PageFaultError {
    static constexpr std::uint32_t p = 1U << 0;     ///< not caused by a not-present entry
    static constexpr std::uint32_t wr = 1U << 1;    ///< W/R: the access was a write
    static constexpr std::uint32_t us = 1U << 2;    ///< U/S: a user-mode access
    static constexpr std::uint32_t rsvd = 1U << 3;  ///< a reserved bit was set in an entry
    static constexpr std::uint32_t id = 1U << 4;    ///< I/D: an instruction fetch (only with SMEP, or PAE and NXE)
    static constexpr std::uint32_t pk = 1U << 5;    ///< a protection key forbade the access
    static constexpr std::uint32_t ss = 1U << 6;    ///< a shadow-stack access
};

}  // namespace pgsim
