// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pgsim/base/address.hpp"
#include "pgsim/base/level.hpp"
#include "pgsim/mmu/access.hpp"

namespace pgsim {

/// One line of a trace: what a processor does next. (docs/traces.md)
struct TraceStep {
    enum class Kind : std::uint8_t {
        access,
        map,  ///< `virt` is mapped to `phys` with a page of `size`
        invlpg,
        mov_cr3,  ///< to the address space `pcid`; `keep`: without a flush
        invpcid,  ///< all translations of `pcid`
    };
    Kind kind = Kind::access;
    VirtAddr virt;
    Access access{AccessKind::read, 3};
    PhysAddr phys;
    PageSize size = PageSize::k4K;
    bool writable = true;
    bool user = true;
    std::uint16_t pcid = 0;
    bool keep = false;
};

/// Reads a trace. @throws Error  the number of the line, and what is wrong in it
[[nodiscard]] std::vector<TraceStep> parse_trace(std::string_view text);

/// A pseudo-random address stream that is the same everywhere: SplitMix64.
class AddressStream {
public:
    enum class Pattern : std::uint8_t {
        stride,   ///< one page after the other, again and again
        uniform,  ///< pages at random, each as likely
        zipf,     ///< pages at random, the n-th most popular 1/n as likely as the first; popular ones scattered
    };

    /// Addresses in [base, base + bytes), at a random 8-byte word of the page.
    /// @throws Error  unless `bytes` is a multiple of the page size and at least one page
    AddressStream(Pattern pattern, VirtAddr base, std::uint64_t bytes, PageSize page, std::uint64_t seed = 1);

    /// "stride:64M", "uniform:1G", "uniform:64G:2M", "zipf:1G": pattern, bytes, page size (4K where it is left out).
    /// @throws Error
    [[nodiscard]] static AddressStream parse(std::string_view text, VirtAddr base, std::uint64_t seed = 1);

    [[nodiscard]] VirtAddr next() noexcept;
    [[nodiscard]] PageSize page_size() const noexcept { return page_; }
    [[nodiscard]] VirtAddr base() const noexcept { return base_; }
    [[nodiscard]] std::uint64_t pages() const noexcept { return pages_; }

private:
    [[nodiscard]] std::uint64_t random() noexcept;
    [[nodiscard]] std::uint64_t below(std::uint64_t limit) noexcept;

    Pattern pattern_;
    VirtAddr base_;
    PageSize page_;
    std::uint64_t pages_;
    std::uint64_t state_;
    std::uint64_t position_ = 0;
    std::vector<double> cumulative_;  // zipf: weight of the popular pages up to here
};

}  // namespace pgsim
