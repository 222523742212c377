// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <optional>

#include "pgsim/cpu/registers.hpp"
#include "pgsim/mmu/access.hpp"
#include "pgsim/mmu/paging_controls.hpp"
#include "pgsim/mmu/walk_result.hpp"

namespace pgsim::detail {

/// What the access-rights rules look at besides registers and the access.
struct PageRights {
    AccessRights rights;
    bool shadow_stack = false;  ///< a shadow-stack page: R/W = 1 above, R/W = 0 and D = 1 in the leaf
    std::uint8_t protection_key = 0;
};

/// Does a protection key forbid this access? [SDM-3A "Protection Keys"]
[[nodiscard]] inline bool key_forbids(const PagingControls& c, const PageRights& page, Access access) noexcept {
    if (access.fetches() || !(page.rights.user ? c.pke : c.pks)) {
        return false;
    }
    const std::uint32_t bits = (page.rights.user ? c.pkru : c.pkrs) >> (2 * page.protection_key) & 3;
    if ((bits & 1) != 0) {
        return true;
    }
    // WD binds user-mode writes always and supervisor-mode writes with CR0.WP only.
    return (bits & 2) != 0 && access.writes() && (access.user_mode() || c.cr0_wp);
}

/// The first rule that forbids the access, protection keys last. [SDM-3A "Determination of Access Rights"]
[[nodiscard]] inline std::optional<FaultCause> violation(const PagingControls& c, const PageRights& page,
                                                         Access access) noexcept {
    const AccessRights& rights = page.rights;
    const bool user_mode = access.user_mode();
    if (user_mode && !rights.user) {
        return FaultCause::user_access_to_supervisor_page;
    }
    if (access.on_shadow_stack()) {
        if (!user_mode && rights.user) {
            return FaultCause::shadow_stack_access_to_user_page;
        }
        if (!page.shadow_stack) {
            return FaultCause::not_a_shadow_stack_page;
        }
    } else if (access.fetches()) {
        if (!user_mode && rights.user && c.smep) {
            return FaultCause::smep;
        }
        if (!rights.executable) {
            return FaultCause::execute_disable;
        }
    } else {
        if (!user_mode && rights.user && c.smap && (!c.ac || access.mode == AccessMode::implicit)) {
            return FaultCause::smap;
        }
        if (access.writes() && !rights.writable && (user_mode || c.cr0_wp)) {
            return FaultCause::not_writable;
        }
    }
    if (key_forbids(c, page, access)) {
        return FaultCause::protection_key;
    }
    return std::nullopt;
}

/// The architecture's error code for one of our causes. [SDM-3A "Page-Fault Exceptions"]
[[nodiscard]] inline std::uint32_t error_code(const PagingControls& c, FaultCause cause, bool key_forbids,
                                              Access access) noexcept {
    std::uint32_t code = 0;
    if (cause != FaultCause::not_present) {
        code |= PageFaultError::p;
    }
    if (cause == FaultCause::reserved_bit) {
        code |= PageFaultError::rsvd;
    }
    if (access.writes()) {
        code |= PageFaultError::wr;
    }
    if (access.user_mode()) {
        code |= PageFaultError::us;
    }
    if (access.fetches() && (c.smep || c.nxe)) {
        code |= PageFaultError::id;
    }
    if (key_forbids) {
        code |= PageFaultError::pk;
    }
    if (access.on_shadow_stack()) {
        code |= PageFaultError::ss;
    }
    return code;
}

}  // namespace pgsim::detail
