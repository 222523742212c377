// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "pgsim/memory/physical_memory.hpp"
#include "pgsim/mmu/access.hpp"
#include "pgsim/mmu/paging_controls.hpp"
#include "pgsim/mmu/walker.hpp"

namespace pgsim {

/// The walker for streams of millions: the same checks and the same answers as `Walker::translate`, without a trace.
///
/// Reads every entry of every walk, as a walk does: it caches no translation. What it remembers is where in host memory
/// the bytes of a page table were last found, and it checks that guess against the entry that names the table.
/// Large (32 KiB): keep one, do not make one a walk. Not for use by several threads at once.
class LeanWalker {
public:
    /// An optional physical address that fits one register.
    class Result {
    public:
        constexpr Result() noexcept = default;
        constexpr explicit Result(std::uint64_t phys) noexcept : value_{phys} {}
        [[nodiscard]] constexpr explicit operator bool() const noexcept { return value_ != none; }
        /// Only if there is one.
        [[nodiscard]] constexpr PhysAddr operator*() const { return PhysAddr{value_}; }

    private:
        static constexpr std::uint64_t none = ~std::uint64_t{0};
        std::uint64_t value_ = none;
    };

    /// `memory` must outlive the walker. @throws Error  as Walker does
    LeanWalker(const PhysicalMemory& memory, const PagingControls& controls);

    /// The physical address, with all checks of `Walker`; none for any fault, and when flags would have to be set:
    /// ask `Walker` what then.
    [[nodiscard]] Result translate(VirtAddr virt, Access access = {}) const;

    /// The general walker with the same controls.
    [[nodiscard]] const Walker& walker() const noexcept { return walker_; }

private:
    struct Guess {
        std::uint64_t table = ~std::uint64_t{0};  // physical address of the table
        const std::byte* bytes = nullptr;
    };
    /// Entry bits that must be 1 (or 0) over the path for one kind of access.
    struct Rule {
        std::uint64_t checked = 0;               // of the AND of all entries
        std::uint64_t wanted = 0;                // what those bits must be
        std::uint64_t forbidden = 0;             // of the OR of all entries
        std::uint64_t leaf = ~std::uint64_t{0};  // must be 1 in the leaf
    };

    struct Path {
        std::uint64_t table = 0;  // of the next entry; in the end the page
        std::uint64_t all = ~std::uint64_t{0};
        std::uint64_t any = 0;
        std::uint64_t raw = 0;
    };

    [[nodiscard]] Result decide(VirtAddr virt, Access access) const;
    template <bool fill>
    [[nodiscard]] Result attempt(std::uint64_t linear, Access access) const;
    template <unsigned top, bool fill>
    [[nodiscard]] unsigned descend(std::uint64_t linear, Path& path) const;
    template <unsigned level, bool fill>
    [[nodiscard]] bool step(std::uint64_t linear, Path& path) const;
    template <unsigned level>
    [[nodiscard]] Guess& guess_for(std::uint64_t linear) const;
    [[nodiscard]] bool find(Guess& guess, std::uint64_t table) const;
    void forget() const;
    [[nodiscard]] static std::size_t rule_index(Access access) noexcept {
        return static_cast<std::size_t>(access.kind) * 12 + static_cast<std::size_t>(access.mode) * 4 +
               (access.cpl & 3U);
    }
    [[nodiscard]] Rule make_rule(Access access) const noexcept;

    Walker walker_;
    const PhysicalMemory* memory_;
    std::uint64_t root_ = 0;
    unsigned unused_bits_ = 16;  // of a linear address
    std::uint64_t address_mask_ = 0;
    std::array<std::uint64_t, 6> bad_{};       // P inverted, and reserved bits of any entry of the level
    std::array<std::uint64_t, 6> bad_page_{};  // further ones of an entry that maps a page
    std::array<Rule, 72> rules_{};             // by `rule_index`; shadow-stack accesses are never allowed here
    mutable std::uint64_t generation_ = 0;
    mutable std::array<Guess, 2> roots_{};
    mutable std::array<Guess, 16> pdpts_{};
    mutable std::array<Guess, 256> pds_{};
    mutable std::array<Guess, 2048> pts_{};
};

}  // namespace pgsim
