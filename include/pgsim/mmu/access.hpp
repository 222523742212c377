// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <string>

namespace pgsim {

enum class AccessKind : std::uint8_t {
    read,
    write,
    rmw,    ///< read and write as one, e.g. a locked instruction: faults as a write
    fetch,  ///< instruction fetch
    shadow_stack_read,
    shadow_stack_write,
};

/// On whose behalf the processor accesses memory. [SDM-3A "Access Rights"]
enum class AccessMode : std::uint8_t {
    by_cpl,             ///< user-mode at CPL 3, supervisor-mode else
    implicit,           ///< implicit supervisor access (descriptor tables, TSS): supervisor-mode at any CPL
    user_shadow_stack,  ///< WRUSS: a user-mode shadow-stack access at CPL 0
};

/// One access to memory as the MMU sees it.
struct Access {
    AccessKind kind = AccessKind::read;
    std::uint8_t cpl = 0;  ///< 0 ..= 3
    AccessMode mode = AccessMode::by_cpl;
    bool stack_segment = false;  ///< through SS: a non-canonical address raises #SS, not #GP

    [[nodiscard]] constexpr bool user_mode() const noexcept {
        return mode == AccessMode::user_shadow_stack || (mode == AccessMode::by_cpl && cpl == 3);
    }
    [[nodiscard]] constexpr bool writes() const noexcept {
        return kind == AccessKind::write || kind == AccessKind::rmw || kind == AccessKind::shadow_stack_write;
    }
    [[nodiscard]] constexpr bool fetches() const noexcept { return kind == AccessKind::fetch; }
    [[nodiscard]] constexpr bool on_shadow_stack() const noexcept {
        return kind == AccessKind::shadow_stack_read || kind == AccessKind::shadow_stack_write;
    }

    friend constexpr bool operator==(Access, Access) noexcept = default;
};

/// "read at CPL 0", "implicit supervisor write", …
[[nodiscard]] std::string to_string(Access access);

}  // namespace pgsim
