// SPDX-License-Identifier: GPL-2.0-only
#pragma once

// Page tables as the subject of Catch2 tests (2.13 or 3): matchers whose failure text shows the walk, and generators.
//
//     REQUIRE_THAT(space, MapsTo(0xffffffff81000000_va, 0x1000000_pa).size(PageSize::k2M).executable());
//     REQUIRE_THAT(space, FaultsWith(0x1000_va, 0x6).on({.kind = AccessKind::write, .cpl = 3}));
//     REQUIRE_THAT(after, SameTablesAs(before));

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#define PGSIM_CATCH2_MAJOR 3
#elif __has_include(<catch2/catch.hpp>)
#include <catch2/catch.hpp>
#define PGSIM_CATCH2_MAJOR 2
#else
#error "pgsim/testing/catch2.hpp needs Catch2, 2.13 or 3"
#endif

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "pgsim/base/range.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/inspect/address_space.hpp"
#include "pgsim/inspect/space_diff.hpp"

namespace Catch {

/// How Catch2 shows an address space in a failed assertion.
template <>
struct StringMaker<pgsim::AddressSpace> {
    static std::string convert(const pgsim::AddressSpace& space) {
        return "address space with root " + pgsim::to_string(space.root()) + ", " + std::to_string(space.levels()) +
               " levels";
    }
};

}  // namespace Catch

namespace pgsim::testing {

#if PGSIM_CATCH2_MAJOR == 3
template <class T>
using MatcherBase = Catch::Matchers::MatcherBase<T>;
#else
template <class T>
using MatcherBase = Catch::MatcherBase<T>;
#endif

/// What a matcher over address spaces expected, and what it found: the description shows both.
class SpaceMatcher : public MatcherBase<AddressSpace> {
public:
    [[nodiscard]] std::string describe() const override { return expected() + found_; }

protected:
    [[nodiscard]] virtual std::string expected() const = 0;
    bool found(bool holds, const std::string& what) const {
        found_ = holds ? std::string{} : "\n" + what;
        return holds;
    }

private:
    mutable std::string found_;
};

/// An access to one address translates, to this physical address, with these properties.
class MapsTo : public SpaceMatcher {
public:
    MapsTo(VirtAddr virt, PhysAddr phys) : virt_{virt}, phys_{phys} {}

    MapsTo& size(PageSize size) { return size_ = size, *this; }
    MapsTo& writable(bool is = true) { return writable_ = is, *this; }
    MapsTo& executable(bool is = true) { return executable_ = is, *this; }
    MapsTo& user(bool is = true) { return user_ = is, *this; }
    MapsTo& supervisor() { return user(false); }
    MapsTo& global(bool is = true) { return global_ = is, *this; }

    bool match(const AddressSpace& space) const override {
        const WalkResult walk = space.walk(virt_);
        const Translation* t = walk.translation();
        const auto agrees = [](const std::optional<bool>& want, bool is) { return !want || *want == is; };
        const bool holds = t != nullptr && t->phys == phys_ && (!size_ || *size_ == t->page_size) &&
                           agrees(writable_, t->rights.writable) && agrees(executable_, t->rights.executable) &&
                           agrees(user_, t->rights.user) &&
                           agrees(global_, walk.steps().empty() ? false : walk.steps().back().entry.has(EntryFlag::g));
        return found(holds, to_string(walk));
    }

private:
    [[nodiscard]] std::string expected() const override {
        std::string text = "maps " + to_string(virt_) + " to " + to_string(phys_);
        const auto add = [&](const std::optional<bool>& want, const char* yes, const char* no) {
            text += want ? std::string{", "} + (*want ? yes : no) : "";
        };
        text += size_ ? " by a page of " + std::string{short_name(*size_)} : "";
        add(writable_, "writable", "read-only");
        add(executable_, "executable", "not executable");
        add(user_, "for user mode", "for the supervisor only");
        add(global_, "global", "not global");
        return text;
    }

    VirtAddr virt_;
    PhysAddr phys_;
    std::optional<PageSize> size_;
    std::optional<bool> writable_;
    std::optional<bool> executable_;
    std::optional<bool> user_;
    std::optional<bool> global_;
};

/// An access raises #PF with exactly this error code.
class FaultsWith : public SpaceMatcher {
public:
    FaultsWith(VirtAddr virt, std::uint32_t error_code) : virt_{virt}, error_code_{error_code} {}
    /// The access; a supervisor read if not said.
    FaultsWith& on(Access access) { return access_ = access, *this; }

    bool match(const AddressSpace& space) const override {
        const WalkResult walk = space.walk(virt_, access_);
        const PageFault* fault = walk.page_fault();
        return found(fault != nullptr && fault->error_code == error_code_, to_string(walk));
    }

private:
    [[nodiscard]] std::string expected() const override {
        return "faults on " + to_string(access_) + " of " + to_string(virt_) + " with error code " + hex(error_code_);
    }

    VirtAddr virt_;
    std::uint32_t error_code_;
    Access access_;
};

/// On the way to an address, the entry of this level holds this value. Accessed and Dirty count only if asked for.
class HasEntry : public SpaceMatcher {
public:
    HasEntry(VirtAddr virt, Level level, std::uint64_t raw) : virt_{virt}, level_{level}, raw_{raw} {}
    HasEntry& with_accessed_dirty() { return ignored_ = 0, *this; }

    bool match(const AddressSpace& space) const override {
        const WalkResult walk = space.walk(virt_);
        for (const WalkStep& step : walk.steps()) {
            if (step.entry.level() == level_) {
                return found(((step.entry.raw() ^ raw_) & ~ignored_) == 0, to_string(walk));
            }
        }
        return found(false, to_string(walk));
    }

private:
    [[nodiscard]] std::string expected() const override {
        return "has the " + to_string(Entry{level_, raw_}) + " on the way to " + to_string(virt_);
    }

    VirtAddr virt_;
    Level level_;
    std::uint64_t raw_;
    std::uint64_t ignored_ = 0x60;
};

/// The same tables at the same addresses with the same entries. Accessed and Dirty count only if asked for.
class SameTablesAs : public SpaceMatcher {
public:
    explicit SameTablesAs(AddressSpace other) : other_{std::move(other)} {}
    SameTablesAs& with_accessed_dirty() { return options_.accessed_dirty = true, *this; }

    bool match(const AddressSpace& space) const override {
        const SpaceDiff result = diff(other_, space, options_);
        std::string text = std::to_string(result.entries.size()) + " entries differ";
        for (std::size_t i = 0; i < result.entries.size() && i < 8; ++i) {
            const EntryChange& change = result.entries[i];
            text += "\n  " + std::string{entry_name(change.level)} + ' ' + to_string(change.entry_addr) + " (va " +
                    to_string(change.virt) + "): expected " + hex(change.before) + ", is " + hex(change.after);
        }
        const bool same_root = other_.root() == space.root() && other_.levels() == space.levels();
        return found(result.empty() && same_root, same_root ? text : "the roots or levels differ; " + text);
    }

private:
    [[nodiscard]] std::string expected() const override {
        return "has the same tables as the one with root " + to_string(other_.root());
    }

    AddressSpace other_;
    DiffOptions options_;
};

/// Every byte of a physical range is mapped at `offset` plus its physical address.
class CoversDirectMap : public SpaceMatcher {
public:
    CoversDirectMap(VirtAddr offset, PhysRange range) : offset_{offset}, range_{range} {}

    bool match(const AddressSpace& space) const override {
        if (range_.empty()) {
            return found(true, {});
        }
        RangeOptions options;
        options.by_page_size = false;
        options.filter.first = offset_ + range_.start().value();
        options.filter.last = offset_ + (range_.end().value() - 1);
        std::uint64_t next = range_.start().value();
        for (const MappedRange& mapped : space.ranges(options).ranges) {
            const std::uint64_t start = mapped.virt - offset_;
            if (mapped.phys.value() != start) {
                return found(false, "the mapping is another: " + to_string(mapped));
            }
            if (start > next) {
                break;
            }
            next = start + mapped.bytes;
            if (next >= range_.end().value()) {
                return found(true, {});
            }
        }
        return found(false, "nothing maps physical address " + hex(next) + "; the walk:\n" +
                                to_string(space.walk(offset_ + next)));
    }

private:
    [[nodiscard]] std::string expected() const override {
        return "maps all of [" + to_string(range_.start()) + ", " + to_string(range_.end()) + ") from " +
               to_string(offset_) + " on";
    }

    VirtAddr offset_;
    PhysRange range_;
};

/// Every byte of a range has the same linear and physical address.
class IsIdentityMapped : public CoversDirectMap {
public:
    explicit IsIdentityMapped(PhysRange range) : CoversDirectMap{VirtAddr{0}, range} {}
};

namespace detail {

template <class T, class Draw>
class RandomGenerator final : public Catch::Generators::IGenerator<T> {
public:
    RandomGenerator(Draw draw, std::uint64_t seed) : draw_{std::move(draw)}, random_{seed}, value_{draw_(random_)} {}
    const T& get() const override { return value_; }
    bool next() override {
        value_ = draw_(random_);
        return true;
    }

private:
    Draw draw_;
    std::mt19937_64 random_;
    T value_;
};

template <class T, class Draw>
Catch::Generators::GeneratorWrapper<T> random_generator(Draw draw, std::uint64_t seed) {
#if PGSIM_CATCH2_MAJOR == 3
    return Catch::Generators::GeneratorWrapper<T>{new RandomGenerator<T, Draw>{std::move(draw), seed}};
#else
    return Catch::Generators::GeneratorWrapper<T>{
        std::unique_ptr<Catch::Generators::IGenerator<T>>{new RandomGenerator<T, Draw>{std::move(draw), seed}}};
#endif
}

}  // namespace detail

/// Canonical linear addresses without end, the same for the same seed: half of them near the borders that matter (of
/// the halves, of entries of every level). `GENERATE(take(100, canonical_addresses(4)))`
/// @param levels  4 or 5
inline auto canonical_addresses(unsigned levels, std::uint64_t seed = 1) {
    const auto draw = [levels](std::mt19937_64& random) {
        const unsigned unused = levels == 5 ? 7 : 16;
        std::uint64_t bits = random();
        if (random() % 2 == 0) {
            const unsigned shift = 12 + 9 * static_cast<unsigned>(random() % levels);
            bits = (bits >> shift << shift) - random() % 2;
        }
        return VirtAddr{static_cast<std::uint64_t>(static_cast<std::int64_t>(bits << unused) >> unused)};
    };
    return detail::random_generator<VirtAddr>(draw, seed);
}

/// Memory maps without end: ascending physical ranges that do not touch, 1 to 8 of them below `limit`, their borders at
/// 4 KiB, 2 MiB or 1 GiB. `GENERATE(take(50, memory_maps(16 * GiB)))`
inline auto memory_maps(std::uint64_t limit, std::uint64_t seed = 1) {
    const auto draw = [limit](std::mt19937_64& random) {
        static constexpr std::uint64_t units[] = {4 * KiB, 2 * MiB, 1 * GiB};
        std::vector<std::uint64_t> borders;
        for (std::uint64_t i = 0, count = 2 * (1 + random() % 8); i < count; ++i) {
            const std::uint64_t unit = units[random() % 3];
            borders.push_back(random() % limit / unit * unit);
        }
        std::sort(borders.begin(), borders.end());
        borders.erase(std::unique(borders.begin(), borders.end()), borders.end());
        std::vector<PhysRange> map;
        for (std::size_t i = 0; i + 1 < borders.size(); i += 2) {
            map.emplace_back(PhysAddr{borders[i]}, PhysAddr{borders[i + 1]});
        }
        if (map.empty()) {
            map.emplace_back(PhysAddr{0}, PhysAddr{limit});
        }
        return map;
    };
    return detail::random_generator<std::vector<PhysRange>>(draw, seed);
}

}  // namespace pgsim::testing
