// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/memory/physical_memory.hpp"

#include <algorithm>
#include <boost/icl/interval_map.hpp>
#include <cassert>

#include "frame_tree.hpp"

namespace pgsim {

namespace detail {

namespace icl = boost::icl;

struct RegionMap {
    using Interval = icl::right_open_interval<std::uint64_t>;
    icl::interval_map<std::uint64_t, RegionKind, icl::partial_enricher, std::less, icl::inplace_identity,
                      icl::inter_section, Interval>
        kinds;
    struct Source {
        PfnRange range;
        std::shared_ptr<const FrameSource> source;
    };
    std::vector<Source> sources;  // the last one that contains a frame counts

    [[nodiscard]] RegionKind kind_at(std::uint64_t address) const {
        const auto found = kinds.find(address);
        return found == kinds.end() ? RegionKind::hole : found->second;
    }

    /// Up to where, from `address` on, the same kind answers.
    [[nodiscard]] std::uint64_t same_kind_until(std::uint64_t address) const {
        const auto found = kinds.find(address);
        if (found != kinds.end()) {
            return found->first.upper();
        }
        const auto next = kinds.lower_bound(Interval{address, address + 1});
        return next == kinds.end() ? ~std::uint64_t{0} : next->first.lower();
    }

    [[nodiscard]] const FrameSource* source_of(std::uint64_t pfn) const {
        const auto found = std::find_if(sources.rbegin(), sources.rend(),
                                        [pfn](const Source& s) { return s.range.contains(Pfn{pfn}); });
        return found == sources.rend() ? nullptr : found->source.get();
    }
};

MemoryRoot::MemoryRoot(const MemoryRoot& other) noexcept : node_{other.node_} {
    if (node_ != nullptr) {
        node_->references.fetch_add(1, std::memory_order_relaxed);
    }
}

MemoryRoot::~MemoryRoot() {
    if (node_ != nullptr) {
        release_node(node_, tree_depth);
    }
}

}  // namespace detail

using detail::RegionMap;

namespace {

constexpr std::size_t kept_strays = 4096;
constexpr std::array<std::byte, frame_bytes> zero_frame{};

constexpr bool answers(RegionKind kind) noexcept {
    return kind == RegionKind::ram || kind == RegionKind::rom;
}

// True when one kind answers in the whole frame.
bool uniform_frame(const RegionMap& regions, std::uint64_t pfn, RegionKind kind) {
    const std::uint64_t begin = pfn << 12;
    return regions.kind_at(begin) == kind && regions.same_kind_until(begin) >= begin + frame_bytes;
}

std::uint64_t load_word(const std::byte* from) noexcept {
    std::uint64_t value = 0;
    std::memcpy(&value, from, sizeof value);
    return value;
}

}  // namespace

std::string_view to_string(RegionKind kind) noexcept {
    switch (kind) {
    case RegionKind::hole: return "hole";
    case RegionKind::mmio: return "MMIO";
    case RegionKind::ram: return "RAM";
    case RegionKind::rom: return "ROM";
    }
    return "?";
}

PhysicalMemory::PhysicalMemory() : regions_{std::make_shared<RegionMap>()} {}
PhysicalMemory::PhysicalMemory(PhysicalMemory&&) noexcept = default;
PhysicalMemory& PhysicalMemory::operator=(PhysicalMemory&&) noexcept = default;
PhysicalMemory::~PhysicalMemory() = default;

void PhysicalMemory::map_region(PhysRange range, RegionKind kind) {
    if (range.empty()) {
        return;
    }
    auto changed = std::make_shared<RegionMap>(*regions_);
    const RegionMap::Interval interval{range.start().value(), range.end().value()};
    changed->kinds.erase(interval);
    if (kind != RegionKind::hole) {
        changed->kinds.set({interval, kind});
    }
    regions_ = std::move(changed);
    drop_caches();
}

RegionKind PhysicalMemory::kind_at(PhysAddr address) const {
    return regions_->kind_at(address.value());
}

std::vector<std::pair<PhysRange, RegionKind>> PhysicalMemory::regions() const {
    std::vector<std::pair<PhysRange, RegionKind>> list;
    for (const auto& [interval, kind] : regions_->kinds) {
        list.emplace_back(PhysRange{PhysAddr{interval.lower()}, PhysAddr{interval.upper()}}, kind);
    }
    return list;
}

void PhysicalMemory::set_source(PfnRange range, std::shared_ptr<const FrameSource> source) {
    auto changed = std::make_shared<RegionMap>(*regions_);
    changed->sources.push_back({range, std::move(source)});
    regions_ = std::move(changed);
    drop_caches();
}

const std::byte* PhysicalMemory::readable_frame(std::uint64_t pfn) const {
    if (const detail::Frame* frame = detail::find_frame(root_.node_, pfn)) {
        return frame->bytes.data();
    }
    const FrameSource* source = regions_->source_of(pfn);
    if (source == nullptr) {
        return zero_frame.data();
    }
    if (source_frame_pfn_ != pfn) {
        source->fill(Pfn{pfn}, source_frame_);
        source_frame_pfn_ = pfn;
    }
    return source_frame_.data();
}

std::byte* PhysicalMemory::writable_frame(std::uint64_t pfn) {
    WriteSlot& slot = write_cache_[pfn % cache_slots];
    if (slot.pfn == pfn) {
        return slot.bytes;
    }
    detail::Frame*& place = detail::frame_place(root_.node_, pfn);
    if (place == nullptr) {
        auto fresh = std::make_unique<detail::Frame>();
        std::memcpy(fresh->bytes.data(), readable_frame(pfn), frame_bytes);
        place = fresh.release();
    } else if (place->references.load(std::memory_order_acquire) != 1) {
        auto copy = std::make_unique<detail::Frame>();
        copy->bytes = place->bytes;
        if (place->hinted.load(std::memory_order_relaxed)) {
            hints_.fill({});
        }
        detail::release_frame(place);
        place = copy.release();
    }
    std::byte* const bytes = place->bytes.data();
    slot = {pfn, bytes, uniform_frame(*regions_, pfn, RegionKind::ram)};
    ReadSlot& reading = read_cache_[pfn % cache_slots];
    if (reading.frame == pfn * frame_bytes) {
        reading.bytes = bytes;
    }
    return bytes;
}

std::uint64_t PhysicalMemory::read64_slow(PhysAddr address) const {
    assert(address.is_aligned(8));
    const std::uint64_t pfn = address.value() >> 12;
    if (detail::Frame* frame = detail::find_frame(root_.node_, pfn); frame != nullptr && answers_whole(pfn)) {
        read_cache_[pfn % cache_slots] = {pfn * frame_bytes, frame->bytes.data()};
        return load_word(frame->bytes.data() + address.offset_in(frame_bytes));
    }
    std::uint64_t value = 0;
    read_piece(address, std::as_writable_bytes(std::span{&value, 1}));
    return value;
}

std::uint32_t PhysicalMemory::read32(PhysAddr address) const {
    assert(address.is_aligned(4));
    std::uint32_t value = 0;
    read_piece(address, std::as_writable_bytes(std::span{&value, 1}));
    return value;
}

const std::byte* PhysicalMemory::set_frame_hint(std::size_t number, PhysAddr frame) const {
    const std::uint64_t pfn = frame.value() >> 12;
    detail::Frame* const found = detail::find_frame(root_.node_, pfn);
    if (found == nullptr || !answers_whole(pfn)) {
        return nullptr;
    }
    found->hinted.store(true, std::memory_order_relaxed);
    hints_[number] = {frame.value(), found->bytes.data()};
    return found->bytes.data();
}

// The last region that answered is remembered: most frames that are asked for lie in it.
bool PhysicalMemory::answers_whole(std::uint64_t pfn) const {
    if (pfn >= whole_first_ && pfn < whole_end_) [[likely]] {
        return true;
    }
    const auto found = regions_->kinds.find(pfn << 12);
    if (found == regions_->kinds.end() || !answers(found->second)) {
        return false;
    }
    const std::uint64_t first = (found->first.lower() + frame_bytes - 1) >> 12;
    const std::uint64_t end = found->first.upper() >> 12;
    if (pfn < first || pfn >= end) {
        return false;
    }
    whole_first_ = first;
    whole_end_ = end;
    return true;
}

std::uint64_t PhysicalMemory::peek64_slow(PhysAddr address) const {
    return answers(regions_->kind_at(address.value())) ? read64(address) : ~std::uint64_t{0};
}

// Within one frame.
void PhysicalMemory::read_piece(PhysAddr address, std::span<std::byte> out) const {
    const std::uint64_t begin = address.value();
    std::size_t done = 0;
    while (done < out.size()) {
        const std::uint64_t at = begin + done;
        const RegionKind kind = regions_->kind_at(at);
        const std::size_t length =
            static_cast<std::size_t>(std::min<std::uint64_t>(out.size() - done, regions_->same_kind_until(at) - at));
        if (answers(kind)) {
            std::memcpy(out.data() + done, readable_frame(at >> 12) + (at & 0xfff), length);
        } else {
            record_stray(PhysAddr{at}, false, kind);
            std::memset(out.data() + done, 0xff, length);
        }
        done += length;
    }
}

void PhysicalMemory::read(PhysAddr address, std::span<std::byte> out) const {
    while (!out.empty()) {
        const std::size_t length = std::min<std::size_t>(out.size(), frame_bytes - address.offset_in(frame_bytes));
        read_piece(address, out.first(length));
        out = out.subspan(length);
        if (!out.empty()) {
            address += length;
        }
    }
}

void PhysicalMemory::write64(PhysAddr address, std::uint64_t value) {
    assert(address.is_aligned(8));
    const std::uint64_t pfn = address.value() >> 12;
    if (!journal_) {
        const WriteSlot& slot = write_cache_[pfn % cache_slots];
        if (slot.pfn == pfn && slot.all_ram) [[likely]] {
            std::memcpy(slot.bytes + address.offset_in(frame_bytes), &value, sizeof value);
            return;
        }
    }
    const auto data = std::as_bytes(std::span{&value, 1});
    if (journal_) {
        journal_words(address, data, true);
    }
    store_answered(address, data);
}

void PhysicalMemory::write32(PhysAddr address, std::uint32_t value) {
    assert(address.is_aligned(4));
    write(address, std::as_bytes(std::span{&value, 1}));
}

// Within one frame.
void PhysicalMemory::store_answered(PhysAddr address, std::span<const std::byte> data) {
    const std::uint64_t begin = address.value();
    std::size_t done = 0;
    while (done < data.size()) {
        const std::uint64_t at = begin + done;
        const RegionKind kind = regions_->kind_at(at);
        const std::size_t length =
            static_cast<std::size_t>(std::min<std::uint64_t>(data.size() - done, regions_->same_kind_until(at) - at));
        if (kind == RegionKind::ram) {
            std::memcpy(writable_frame(at >> 12) + (at & 0xfff), data.data() + done, length);
        } else {
            record_stray(PhysAddr{at}, true, kind);
        }
        done += length;
    }
}

void PhysicalMemory::write_piece(PhysAddr address, std::span<const std::byte> data) {
    if (journal_) {
        journal_words(address, data, data.size() == 8 && address.is_aligned(8));
    }
    store_answered(address, data);
}

void PhysicalMemory::write(PhysAddr address, std::span<const std::byte> data) {
    while (!data.empty()) {
        const std::size_t length = std::min<std::size_t>(data.size(), frame_bytes - address.offset_in(frame_bytes));
        write_piece(address, data.first(length));
        data = data.subspan(length);
        if (!data.empty()) {
            address += length;
        }
    }
}

void PhysicalMemory::fill(PhysAddr address, std::uint64_t size, std::byte value) {
    std::array<std::byte, frame_bytes> pattern;
    pattern.fill(value);
    while (size > 0) {
        const std::uint64_t length = std::min<std::uint64_t>(size, frame_bytes - address.offset_in(frame_bytes));
        const auto data = std::span<const std::byte>{pattern}.first(static_cast<std::size_t>(length));
        const std::uint64_t pfn = address.value() >> 12;
        const bool already =
            uniform_frame(*regions_, pfn, RegionKind::ram) &&
            std::memcmp(readable_frame(pfn) + address.offset_in(frame_bytes), data.data(), data.size()) == 0;
        if (!already) {
            write_piece(address, data);
        }
        size -= length;
        if (size > 0) {
            address += length;
        }
    }
}

void PhysicalMemory::load(PhysAddr address, std::span<const std::byte> data) {
    while (!data.empty()) {
        const std::size_t length = std::min<std::size_t>(data.size(), frame_bytes - address.offset_in(frame_bytes));
        std::memcpy(writable_frame(address.value() >> 12) + address.offset_in(frame_bytes), data.data(), length);
        data = data.subspan(length);
        if (!data.empty()) {
            address += length;
        }
    }
}

void PhysicalMemory::journal_words(PhysAddr address, std::span<const std::byte> data, bool explicit_store) {
    // The words that the piece touches, with what they will hold. A piece lies within one frame.
    const std::uint64_t first = address.value() & ~std::uint64_t{7};
    const std::uint64_t end = address.value() + data.size();
    for (std::uint64_t word = first; word < end; word += 8) {
        if (regions_->kind_at(word) != RegionKind::ram) {
            continue;
        }
        const std::uint64_t before = load_word(readable_frame(word >> 12) + (word & 0xfff));
        std::uint64_t after = before;
        const std::uint64_t from = std::max(word, address.value());
        const std::uint64_t to = std::min(word + 8, end);
        std::memcpy(reinterpret_cast<std::byte*>(&after) + (from - word), data.data() + (from - address.value()),
                    static_cast<std::size_t>(to - from));
        if (before != after || (explicit_store && after != 0)) {
            journal_->record(PhysAddr{word}, before, after);
        }
    }
}

void PhysicalMemory::record_stray(PhysAddr address, bool write, RegionKind kind) const {
    ++stray_count_;
    if (strays_.size() < kept_strays) {
        strays_.push_back({address, write, kind});
    }
}

void PhysicalMemory::forget_stray_accesses() noexcept {
    strays_.clear();
    stray_count_ = 0;
}

std::uint64_t PhysicalMemory::resident_frames() const noexcept {
    return root_.node_ == nullptr ? 0 : detail::count_frames(root_.node_, detail::tree_depth);
}

void PhysicalMemory::drop_caches() noexcept {
    read_cache_.fill({});
    hints_.fill({});
    write_cache_.fill({});
    whole_first_ = whole_end_ = 0;
    source_frame_pfn_ = ~std::uint64_t{0};
}

MemorySnapshot PhysicalMemory::snapshot() const {
    MemorySnapshot result;
    result.root_ = root_;
    result.regions_ = regions_;
    // Frames that were ours alone are shared from now on.
    write_cache_.fill({});
    return result;
}

void PhysicalMemory::restore(const MemorySnapshot& snapshot) {
    root_ = snapshot.root_;
    regions_ = snapshot.regions_;
    drop_caches();
}

std::uint64_t MemorySnapshot::read64(PhysAddr address) const {
    assert(address.is_aligned(8));
    if (!regions_ || !answers(regions_->kind_at(address.value()))) {
        return ~std::uint64_t{0};
    }
    const std::uint64_t pfn = address.value() >> 12;
    if (const detail::Frame* frame = detail::find_frame(root_.node_, pfn)) {
        return load_word(frame->bytes.data() + address.offset_in(frame_bytes));
    }
    if (const FrameSource* source = regions_->source_of(pfn)) {
        std::array<std::byte, frame_bytes> bytes;
        source->fill(Pfn{pfn}, bytes);
        return load_word(bytes.data() + address.offset_in(frame_bytes));
    }
    return 0;
}

void MemorySnapshot::read_frame(Pfn frame, FrameBytes out) const {
    const std::uint64_t pfn = frame.value();
    std::memset(out.data(), 0xff, out.size());
    if (!regions_) {
        return;
    }
    const std::byte* bytes = zero_frame.data();
    std::array<std::byte, frame_bytes> made;
    if (const detail::Frame* resident = detail::find_frame(root_.node_, pfn)) {
        bytes = resident->bytes.data();
    } else if (const FrameSource* source = regions_->source_of(pfn)) {
        source->fill(frame, made);
        bytes = made.data();
    }
    for (std::size_t done = 0; done < frame_bytes;) {
        const std::uint64_t at = (pfn << 12) + done;
        const auto length =
            static_cast<std::size_t>(std::min<std::uint64_t>(frame_bytes - done, regions_->same_kind_until(at) - at));
        if (answers(regions_->kind_at(at))) {
            std::memcpy(out.data() + done, bytes + done, length);
        }
        done += length;
    }
}

RegionKind MemorySnapshot::kind_at(PhysAddr address) const {
    return regions_ ? regions_->kind_at(address.value()) : RegionKind::hole;
}

}  // namespace pgsim
