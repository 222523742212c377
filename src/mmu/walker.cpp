// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/mmu/walker.hpp"

#include <algorithm>
#include <type_traits>

#include "access_rules.hpp"
#include "lean_walk.hpp"
#include "nested_tables.hpp"
#include "pgsim/base/error.hpp"

namespace pgsim {

namespace {

constexpr std::uint64_t bit_p = 1U << 0;
constexpr std::uint64_t bit_rw = 1U << 1;
constexpr std::uint64_t bit_us = 1U << 2;
constexpr std::uint64_t bit_a = 1U << 5;
constexpr std::uint64_t bit_d = 1U << 6;
constexpr std::uint64_t bit_ps = 1U << 7;
constexpr std::uint64_t bit_g = 1U << 8;
constexpr std::uint64_t bit_xd = std::uint64_t{1} << 63;

/// Bits `high` ..= `low`; none when high < low.
constexpr std::uint64_t bits(unsigned high, unsigned low) noexcept {
    return high < low ? 0 : (~std::uint64_t{0} << low) & (~std::uint64_t{0} >> (63 - high));
}
static_assert(bits(51, 40) == 0x000f'ff00'0000'0000 && bits(39, 40) == 0);

constexpr std::uint64_t sign_extend(std::uint64_t value, unsigned from_bit) noexcept {
    const unsigned shift = 63 - from_bit;
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(value << shift) >> shift);
}

constexpr Level lower(Level level) noexcept {
    return static_cast<Level>(number(level) - 1);
}

}  // namespace

PagingControls PagingControls::from(const CpuState& cpu, const CpuFeatures& features) noexcept {
    const PagingMode mode = cpu.paging_mode();
    const bool ia32e = mode == PagingMode::four_level || mode == PagingMode::five_level;
    const auto cr4 = [&cpu](std::uint64_t bit) { return (cpu.cr4 & bit) != 0; };
    PagingControls c;
    c.mode = mode;
    const std::uint64_t root_bits = ia32e                     ? bits(features.maxphyaddr() - 1, 12)
                                    : mode == PagingMode::pae ? bits(31, 5)
                                                              : bits(31, 12);
    const std::uint64_t c_bit = features.c_bit == 0 ? 0 : std::uint64_t{1} << features.c_bit;
    c.root = PhysAddr{cpu.cr3 & root_bits & ~c_bit};
    c.cr0_wp = (cpu.cr0 & Cr0::wp) != 0;
    c.nxe = (cpu.efer & Efer::nxe) != 0 && mode != PagingMode::bits32 && mode != PagingMode::none;
    c.pge = cr4(Cr4::pge);
    c.smep = cr4(Cr4::smep);
    c.smap = cr4(Cr4::smap);
    c.ac = cpu.ac;
    c.pke = ia32e && cr4(Cr4::pke);
    c.pks = ia32e && cr4(Cr4::pks);
    c.cet = cr4(Cr4::cet);
    c.lass = cpu.long_code() && cr4(Cr4::lass);
    c.pse = cr4(Cr4::pse);
    c.pse36 = features.has(Feature::pse36);
    c.pages_1g = features.has(Feature::pdpe1gb);
    c.lam_u57 = cpu.long_code() && (cpu.cr3 & Cr3::lam_u57) != 0;
    c.lam_u48 = cpu.long_code() && (cpu.cr3 & Cr3::lam_u48) != 0;
    c.lam_sup = cpu.long_code() && cr4(Cr4::lam_sup);
    c.uai = cpu.long_code() && (cpu.efer & Efer::uaie) != 0;
    c.vendor = features.vendor;
    c.fault_accessed = features.fault_accessed;
    c.maxphyaddr = static_cast<std::uint8_t>(features.maxphyaddr());
    c.c_bit = static_cast<std::uint8_t>(features.c_bit);
    c.pkru = cpu.pkru;
    c.pkrs = cpu.pkrs;
    c.pdptes = cpu.pdptes;
    return c;
}

VirtAddr strip_metadata(const PagingControls& c, VirtAddr virt, Access access) noexcept {
    const bool none = !c.lam_u48 && !c.lam_u57 && !c.lam_sup && !c.uai;
    if (none || access.fetches() || access.mode == AccessMode::implicit) {
        return virt;
    }
    std::uint64_t value = virt.value();
    if (c.uai) {
        value = sign_extend(value, 56);
    }
    const bool supervisor_pointer = (value & bit_xd) != 0;
    unsigned keep = 63;  // the highest address bit below the metadata
    if (supervisor_pointer) {
        keep = !c.lam_sup ? 63 : c.mode == PagingMode::five_level ? 56 : 47;
    } else if (c.lam_u57) {
        keep = 56;
    } else if (c.lam_u48) {
        keep = 47;
    }
    if (keep != 63) {
        value = (sign_extend(value, keep) & ~bit_xd) | (value & bit_xd);
    }
    return VirtAddr{value};
}

std::optional<AddressFault> check_address(const PagingControls& c, VirtAddr virt, Access access) noexcept {
    using Cause = AddressFault::Cause;
    const bool stack = access.stack_segment && !access.fetches();
    if (!CanonicalAddr::check(virt, c.mode)) {
        return AddressFault{virt, Cause::non_canonical, stack};
    }
    if (c.lass) {
        const bool supervisor_address = (virt.value() & bit_xd) != 0;
        const bool smap_binds = c.smap && (!c.ac || access.mode == AccessMode::implicit);
        const bool forbidden =
            access.user_mode() ? supervisor_address : !supervisor_address && (access.fetches() || smap_binds);
        if (forbidden) {
            return AddressFault{virt, Cause::linear_address_space_separation, stack};
        }
    }
    return std::nullopt;
}

template <class Tables>
struct BasicWalker<Tables>::Path {
    enum class End : std::uint8_t { leaf, not_present, reserved };
    End end = End::not_present;
    Level level = Level::pt;
    std::uint64_t table = 0;
    std::uint64_t all = ~std::uint64_t{0};    // AND of the entries
    std::uint64_t upper = ~std::uint64_t{0};  // the same without the leaf
    std::uint64_t any = 0;                    // OR of the entries
    std::uint64_t leaf = 0;
};

template <class Tables>
BasicWalker<Tables>::BasicWalker(const Tables& tables, const PagingControls& controls)
    : tables_{&tables}, controls_{controls} {
    const PagingControls& c = controls_;
    if (c.maxphyaddr < 32 || c.maxphyaddr > 52) {
        throw Error{"MAXPHYADDR " + std::to_string(c.maxphyaddr), "physical addresses have 32 to 52 bits"};
    }
    const std::uint64_t c_bit = c.c_bit == 0 ? 0 : std::uint64_t{1} << c.c_bit;
    address_mask_ = bits(51, 12) & ~c_bit;
    const auto at = [](Level level) { return std::size_t{number(level)}; };
    if (c.mode == PagingMode::bits32) {
        format_ = EntryFormat::bits32;
        top_ = Level::pd;
        address_mask_ = bits(31, 12);
        ps_[at(Level::pd)] = c.pse ? bit_ps : 0;
        // [SDM-3A "32-Bit Paging"]: PSE-36 widens a 4-MByte page's address to min(40, MAXPHYADDR) bits.
        const unsigned width = c.pse36 ? std::min(40U, unsigned{c.maxphyaddr}) : 32;
        reserved_page_[at(Level::pd)] = bits(21, width - 19);
        return;
    }
    const unsigned high = c.mode == PagingMode::pae ? 62 : 51;
    const std::uint64_t reserved = (bits(high, c.maxphyaddr) & ~c_bit) | (c.nxe ? 0 : bit_xd);
    reserved_table_.fill(reserved);
    reserved_page_.fill(reserved);
    ps_[at(Level::pd)] = bit_ps;
    reserved_page_[at(Level::pd)] |= bits(20, 13);
    if (c.mode == PagingMode::pae) {
        format_ = EntryFormat::pae;
        top_ = Level::pdpt;
        reserved_table_[at(Level::pdpt)] = (bits(63, c.maxphyaddr) & ~c_bit) | bits(2, 1) | bits(8, 5);
        return;
    }
    top_ = c.mode == PagingMode::five_level ? Level::pml5 : Level::pml4;
    ps_[at(Level::pdpt)] = c.pages_1g ? bit_ps : 0;
    reserved_page_[at(Level::pdpt)] |= bits(29, 13);
    reserved_table_[at(Level::pdpt)] |= c.pages_1g ? 0 : bit_ps;
    // [APM-2 "Page-Translation Table Entry Formats"]: bit 8 of a PML4E or PML5E must be zero; Intel ignores it.
    const std::uint64_t top_bits = bit_ps | (c.vendor == Vendor::amd ? bit_g : 0);
    reserved_table_[at(Level::pml4)] |= top_bits;
    reserved_table_[at(Level::pml5)] |= top_bits;
    make_lean_rules();
}

template <class Tables>
void BasicWalker<Tables>::make_lean_rules() noexcept {
    const PagingControls& c = controls_;
    lean_.top = top_;
    const bool ia32e = c.mode == PagingMode::four_level || c.mode == PagingMode::five_level;
    lean_.plain = ia32e && !c.lass && !c.lam_u48 && !c.lam_u57 && !c.lam_sup && !c.uai && c.c_bit == 0;
    lean_.sign_bit = static_cast<std::uint8_t>(linear_bits(c.mode) - 1);
    for (std::size_t n = 1; n < level_count; ++n) {
        const bool leaf_possible = n == number(Level::pt) || ps_[n] != 0;
        lean_.not_a_table[n] = bit_p | reserved_table_[n] | ps_[n];
        lean_.names_table[n] = lean_.not_a_table[n] | detail::lean_address;
        lean_.not_a_page[n] = leaf_possible ? bit_p | reserved_page_[n] : ~std::uint64_t{0};
    }
    // [SDM-3A "Determination of Access Rights"], as masks. Protection keys that forbid anything and
    // shadow stacks are left to the full walk.
    lean_.needs.fill({});
    if (!lean_.plain || (c.pke && c.pkru != 0) || (c.pks && c.pkrs != 0)) {
        return;
    }
    for (const AccessKind kind : {AccessKind::read, AccessKind::write, AccessKind::rmw, AccessKind::fetch}) {
        for (std::uint8_t cpl = 0; cpl < 4; ++cpl) {
            const Access access{kind, cpl};
            const bool user = access.user_mode();
            const bool shut_out = !user && (access.fetches() ? c.smep : c.smap && !c.ac);  // from user pages
            detail::LeanNeeds& needs = lean_.needs[4 * static_cast<std::size_t>(kind) + cpl];
            // Reserved address bits: a hint may be that of a walker with a larger MAXPHYADDR.
            needs.mask = bit_a | bits(51, c.maxphyaddr) | (user || shut_out ? bit_us : 0) |
                         (access.writes() ? bit_d : 0) | (access.writes() && (user || c.cr0_wp) ? bit_rw : 0) |
                         (access.fetches() && c.nxe ? bit_xd : 0);
            needs.value = shut_out ? bit_us : 0;
        }
    }
}

template <class Tables>
std::uint64_t BasicWalker<Tables>::read_entry(std::uint64_t at) const {
    if (format_ == EntryFormat::bits32) {
        return tables_->read64(PhysAddr{at & ~std::uint64_t{7}}) >> (8 * (at & 4)) & 0xffff'ffff;
    }
    return tables_->read64(PhysAddr{at});
}

template <class Tables>
template <bool trace>
void BasicWalker<Tables>::descend(Path& path, std::uint64_t linear, WalkResult* result) const {
    const unsigned index_bits = format_ == EntryFormat::bits32 ? 10 : 9;
    const unsigned entry_shift = format_ == EntryFormat::bits32 ? 2 : 3;
    const std::uint64_t index_mask = (std::uint64_t{1} << index_bits) - 1;
    for (;; path.level = lower(path.level)) {
        const std::size_t depth = number(path.level);
        const std::uint64_t index = linear >> (12 + index_bits * (depth - 1)) & index_mask;
        const bool in_register = format_ == EntryFormat::pae && path.level == Level::pdpt;
        const std::uint64_t at = in_register ? 0 : path.table + (index << entry_shift);
        const std::uint64_t raw = in_register ? controls_.pdptes[index & 3] : read_entry(at);
        const bool maps_page = path.level == Level::pt || (raw & ps_[depth]) != 0;
        if (!in_register) {
            path.upper = path.all;
            path.all &= raw;
            path.any |= raw;
        }
        if constexpr (trace) {
            result->push(
                PhysAddr{at}, Entry{path.level, raw, format_},
                {(path.all & bit_rw) != 0, (path.all & bit_us) != 0, !controls_.nxe || (path.any & bit_xd) == 0});
        }
        if ((raw & bit_p) == 0) {
            path.end = Path::End::not_present;
            return;
        }
        if ((raw & (maps_page ? reserved_page_ : reserved_table_)[depth]) != 0) {
            path.end = Path::End::reserved;
            return;
        }
        if (maps_page) {
            path.end = Path::End::leaf;
            path.leaf = raw;
            return;
        }
        path.table = raw & address_mask_;
    }
}

template <class Tables>
void BasicWalker<Tables>::fault(FaultCause cause, bool key_forbids, Level level, WalkResult& result) const {
    result.outcome_ =
        PageFault{result.virt_, detail::error_code(controls_, cause, key_forbids, result.access_), cause, level};
    if (controls_.fault_accessed == FaultAccessed::none) {
        return;
    }
    // The entries that the walk went through were used; the one at which it ended was not.
    for (unsigned i = 0; i + 1 < result.count_; ++i) {
        const WalkStep& step = result.steps_[i];
        const bool in_register = format_ == EntryFormat::pae && step.entry.level() == Level::pdpt;
        if (!in_register && (step.entry.raw() & bit_a) == 0) {
            result.accessed_ = static_cast<std::uint8_t>(result.accessed_ | 1U << i);
        }
    }
}

template <class Tables>
PhysAddr BasicWalker<Tables>::physical(const Path& path, std::uint64_t linear) const noexcept {
    if (path.level == Level::pt) {
        return PhysAddr{(path.leaf & address_mask_) | (linear & 0xfff)};
    }
    if (format_ == EntryFormat::bits32) {
        const std::uint64_t above_4g = (path.leaf >> 13 & 0xff) << 32;
        return PhysAddr{above_4g | (path.leaf & bits(31, 22)) | (linear & bits(21, 0))};
    }
    const std::uint64_t offset = span_of(path.level) - 1;
    return PhysAddr{(path.leaf & address_mask_ & ~offset) | (linear & offset)};
}

template <class Tables>
void BasicWalker<Tables>::finish(const Path& path, WalkResult& result) const {
    const Access access = result.access_;
    if (path.end != Path::End::leaf) {
        fault(path.end == Path::End::reserved ? FaultCause::reserved_bit : FaultCause::not_present, false, path.level,
              result);
        return;
    }
    const bool ia32e = format_ == EntryFormat::ia32e;
    const detail::PageRights page{
        result.steps_[result.count_ - 1U].rights,
        controls_.cet && (path.upper & bit_rw) != 0 && (path.leaf & (bit_rw | bit_d)) == bit_d,
        static_cast<std::uint8_t>(ia32e ? path.leaf >> 59 & 15 : 0)};
    if (const auto cause = detail::violation(controls_, page, access)) {
        fault(*cause, detail::key_forbids(controls_, page, access), path.level, result);
        return;
    }
    Translation translation;
    translation.phys = physical(path, result.virt_.value());
    translation.page_size =
        format_ == EntryFormat::bits32 && path.level == Level::pd ? PageSize::k4M : *page_size_at(path.level);
    translation.rights = page.rights;
    translation.global = controls_.pge && (path.leaf & bit_g) != 0;
    translation.dirty = access.writes() || (path.leaf & bit_d) != 0;
    translation.protection_key = page.protection_key;
    const unsigned pat_bit = path.level == Level::pt ? 7 : 12;
    translation.pat_index = static_cast<std::uint8_t>((path.leaf >> pat_bit & 1) << 2 | (path.leaf >> 3 & 3));
    result.outcome_ = translation;
    result.shadow_stack_ = page.shadow_stack;
    result.dirty_ = access.writes() && (path.leaf & bit_d) == 0;
    if ((path.all & bit_a) == 0) {
        for (unsigned i = 0; i < result.count_; ++i) {
            const Entry entry = result.steps_[i].entry;
            const bool in_register = format_ == EntryFormat::pae && entry.level() == Level::pdpt;
            if (!in_register && (entry.raw() & bit_a) == 0) {
                result.accessed_ = static_cast<std::uint8_t>(result.accessed_ | 1U << i);
            }
        }
    }
}

template <class Tables>
WalkResult BasicWalker<Tables>::walk_path(Path& path, VirtAddr linear, Access access) const {
    WalkResult result;
    result.virt_ = linear;
    result.access_ = access;
    descend<true>(path, linear.value(), &result);
    finish(path, result);
    return result;
}

template <class Tables>
WalkResult BasicWalker<Tables>::without_paging(VirtAddr virt, Access access) const {
    WalkResult result;
    result.virt_ = virt;
    result.access_ = access;
    Translation identity;
    identity.phys = PhysAddr{virt.value() & 0xffff'ffff};
    identity.source = TranslationSource::none;
    result.outcome_ = identity;
    return result;
}

template <class Tables>
WalkResult BasicWalker<Tables>::walk(VirtAddr virt, Access access) const {
    const VirtAddr linear = strip_metadata(controls_, virt, access);
    if (const auto refused = check_address(controls_, linear, access)) {
        WalkResult result;
        result.virt_ = virt;
        result.access_ = access;
        result.outcome_ = AddressFault{virt, refused->cause, refused->stack_segment};
        return result;
    }
    if (controls_.mode == PagingMode::none) {
        return without_paging(linear, access);
    }
    Path path;
    path.level = top_;
    path.table = controls_.root.value();
    return walk_path(path, linear, access);
}

template <class Tables>
WalkResult BasicWalker<Tables>::walk_from(const WalkStart& start, VirtAddr virt, Access access) const {
    Path path;
    path.level = start.level;
    path.table = start.table.value();
    path.all = ~std::uint64_t{0} ^ (start.rights.writable ? 0 : bit_rw) ^ (start.rights.user ? 0 : bit_us);
    path.any = start.rights.executable ? 0 : bit_xd;
    WalkResult result = walk_path(path, virt, access);
    if (auto* translation = std::get_if<Translation>(&result.outcome_); translation != nullptr && start.level != top_) {
        translation->source = TranslationSource::paging_structure_cache;
    }
    return result;
}

template <class Tables>
template <detail::LeanTry attempt>
inline typename BasicWalker<Tables>::Found BasicWalker<Tables>::find_lean(VirtAddr virt, Access access) const {
    detail::LeanPath path;
    detail::NoTrace no_trace;
    const auto finish = [&](auto) -> Found {
        return detail::lean_allows(lean_, access, path.lacks) ? Found{PhysAddr{path.phys & PhysSpace::last}, 1}
                                                              : Found{};
    };
    const std::uint64_t root = controls_.root.value();
    if (!detail::lean_canonical(lean_, virt.value())) [[unlikely]] {
        return {};
    }
    if (top_ == Level::pml4) [[likely]] {
        return detail::lean_walk_at<Found, Level::pml4, attempt>(*tables_, lean_, root, detail::lean_root_hint, path,
                                                                 no_trace, virt.value(), finish);
    }
    return detail::lean_walk_at<Found, Level::pml5, attempt>(*tables_, lean_, root, detail::lean_root_hint, path,
                                                             no_trace, virt.value(), finish);
}

template <class Tables>
typename BasicWalker<Tables>::Found BasicWalker<Tables>::find(VirtAddr virt, Access access) const {
    if constexpr (std::is_same_v<Tables, PhysicalMemory>) {
        const Found found = find_lean<detail::LeanTry::as_it_is>(virt, access);
        return found.there != 0 ? found : find_with_new_hints(virt, access);
    }
    return find_slowly(virt, access);
}

template <class Tables>
typename BasicWalker<Tables>::Found BasicWalker<Tables>::find_with_new_hints(VirtAddr virt, Access access) const {
    if constexpr (std::is_same_v<Tables, PhysicalMemory>) {
        if (lean_.plain) {
            if (const Found found = find_lean<detail::LeanTry::with_new_hints>(virt, access); found.there != 0) {
                return found;
            }
        }
    }
    return find_slowly(virt, access);
}

template <class Tables>
typename BasicWalker<Tables>::Found BasicWalker<Tables>::find_slowly(VirtAddr virt, Access access) const {
    const VirtAddr linear = strip_metadata(controls_, virt, access);
    if (check_address(controls_, linear, access)) {
        return {};
    }
    if (controls_.mode == PagingMode::none) {
        return {PhysAddr{linear.value()}, 1};
    }
    Path path;
    path.level = top_;
    path.table = controls_.root.value();
    descend<false>(path, linear.value(), nullptr);
    if (path.end != Path::End::leaf || (path.all & bit_a) == 0 || (access.writes() && (path.leaf & bit_d) == 0)) {
        return {};
    }
    const detail::PageRights page{
        {(path.all & bit_rw) != 0, (path.all & bit_us) != 0, !controls_.nxe || (path.any & bit_xd) == 0},
        controls_.cet && (path.upper & bit_rw) != 0 && (path.leaf & (bit_rw | bit_d)) == bit_d,
        static_cast<std::uint8_t>(format_ == EntryFormat::ia32e ? path.leaf >> 59 & 15 : 0)};
    if (detail::violation(controls_, page, access)) {
        return {};
    }
    return {physical(path, linear.value()), 1};
}

template class BasicWalker<PhysicalMemory>;
template class BasicWalker<QuietMemory>;
template class BasicWalker<MemorySnapshot>;
template class BasicWalker<NestedTables>;

void apply_flag_updates(PhysicalMemory& memory, const WalkResult& walk) {
    for (const FlagUpdate& update : walk.flag_updates()) {
        if (update.after.format() == EntryFormat::bits32) {
            memory.write32(update.entry_addr, static_cast<std::uint32_t>(update.after.raw()));
        } else {
            memory.write64(update.entry_addr, update.after.raw());
        }
    }
}

}  // namespace pgsim
