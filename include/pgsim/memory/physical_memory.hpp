// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "pgsim/base/address.hpp"
#include "pgsim/base/range.hpp"
#include "pgsim/memory/write_journal.hpp"

namespace pgsim {

/// What answers on the bus at a physical address.
enum class RegionKind : std::uint8_t {
    hole,  ///< nothing: reads give all ones, writes vanish
    mmio,  ///< a device that this project does not simulate: as a hole, but named
    ram,
    rom,  ///< reads as loaded, writes vanish
};

[[nodiscard]] std::string_view to_string(RegionKind kind) noexcept;

/// An access that no RAM answered, or a write to ROM.
struct StrayAccess {
    PhysAddr address;
    bool write = false;
    RegionKind kind = RegionKind::hole;
    friend bool operator==(const StrayAccess&, const StrayAccess&) = default;
};

inline constexpr std::size_t frame_bytes = 4096;
using FrameBytes = std::span<std::byte, frame_bytes>;
using ConstFrameBytes = std::span<const std::byte, frame_bytes>;

/// Contents of frames that nobody has written yet: a pure function of the frame number, asked when a frame is first
/// touched. Frames that nobody touches cost nothing, however much RAM there is.
class FrameSource {
public:
    virtual ~FrameSource() = default;
    virtual void fill(Pfn frame, FrameBytes out) const = 0;
};

namespace detail {
struct MemoryNode;
/// Shared, immutable while shared: the root of the tree of frames.
class MemoryRoot {
public:
    MemoryRoot() noexcept = default;
    explicit MemoryRoot(MemoryNode* node) noexcept : node_{node} {}
    MemoryRoot(const MemoryRoot& other) noexcept;
    MemoryRoot(MemoryRoot&& other) noexcept : node_{std::exchange(other.node_, nullptr)} {}
    MemoryRoot& operator=(MemoryRoot other) noexcept {
        std::swap(node_, other.node_);
        return *this;
    }
    ~MemoryRoot();
    MemoryNode* node_ = nullptr;
};
struct RegionMap;
}  // namespace detail

/// All of memory at one moment. Copies are cheap; unchanged frames are shared with the memory and other snapshots.
class MemorySnapshot {
public:
    /// The 8 bytes at an 8-byte aligned address; all ones where nothing answers. Leaves no trace.
    [[nodiscard]] std::uint64_t read64(PhysAddr address) const;
    /// The 4096 bytes of a frame; ones where nothing answers. Leaves no trace.
    void read_frame(Pfn frame, FrameBytes out) const;
    [[nodiscard]] RegionKind kind_at(PhysAddr address) const;

private:
    friend class PhysicalMemory;
    detail::MemoryRoot root_;
    std::shared_ptr<const detail::RegionMap> regions_;
};

/// Sparse physical memory: 4-KByte frames made on first write, in RAM, ROM and hole regions.
///
/// A fresh memory is one hole; `map_region` says what answers where. Accesses to holes and MMIO do what a bus does and
/// are recorded as stray. Snapshots are O(1) to take; afterwards each first write to a frame copies that frame.
/// Knows nothing of paging. Not thread-safe; snapshots may be read by other threads.
class PhysicalMemory {
public:
    PhysicalMemory();
    PhysicalMemory(PhysicalMemory&&) noexcept;
    PhysicalMemory& operator=(PhysicalMemory&&) noexcept;
    PhysicalMemory(const PhysicalMemory&) = delete;
    PhysicalMemory& operator=(const PhysicalMemory&) = delete;
    ~PhysicalMemory();

    /// From now on `kind` answers in `range` (byte granular); a later call wins over an earlier one. Contents stay.
    void map_region(PhysRange range, RegionKind kind);
    [[nodiscard]] RegionKind kind_at(PhysAddr address) const;
    /// The regions that are not holes, ascending, adjacent equal ones joined.
    [[nodiscard]] std::vector<std::pair<PhysRange, RegionKind>> regions() const;

    /// Frames in `range` (whole frames) that nobody has written yet get their first contents from `source`.
    void set_source(PfnRange range, std::shared_ptr<const FrameSource> source);

    /// The 8 bytes at an 8-byte aligned address.
    [[nodiscard]] std::uint64_t read64(PhysAddr address) const {
        if (const std::byte* const frame = frame_at_hand(address.align_down(frame_bytes))) [[likely]] {
            return word_at(frame, address);
        }
        return read64_slow(address);
    }
    [[nodiscard]] std::uint32_t read32(PhysAddr address) const;  ///< 4-byte aligned
    /// As `read64`, but leaves no trace: a read of a hole is not recorded as stray.
    [[nodiscard]] std::uint64_t peek64(PhysAddr address) const {
        if (const std::byte* const frame = frame_at_hand(address.align_down(frame_bytes))) [[likely]] {
            return word_at(frame, address);
        }
        return peek64_slow(address);
    }
    /// The bytes of the frame at `frame`, a multiple of 4096, when they are at hand: whole RAM or ROM, read lately.
    /// Null says nothing: use `read64`. Valid until the next change of this memory.
    [[nodiscard]] const std::byte* frame_at_hand(PhysAddr frame) const noexcept {
        const ReadSlot& slot = read_cache_[frame.value() / frame_bytes % cache_slots];
        if (slot.frame != frame.value()) {
            return nullptr;
        }
        if (slot.bytes == nullptr) {
            __builtin_unreachable();  // a slot with an address has bytes: callers need not test twice
        }
        return slot.bytes;
    }
    /// Where the bytes of a frame lie, remembered under a number that the reader makes of what it looks for (walkers:
    /// of the linear address) before it knows which frame that is. The reader compares `frame` with the frame that it
    /// wants; if they are equal, RAM or ROM answers in all of it and `bytes` are its bytes. Valid until the next change
    /// of this memory.
    struct FrameHint {
        std::uint64_t frame = ~std::uint64_t{0};  ///< its address
        const std::byte* bytes = nullptr;
    };
    static constexpr std::size_t frame_hints = 1280;
    [[nodiscard]] const FrameHint& frame_hint(std::size_t number) const noexcept { return hints_[number]; }
    /// Makes hint `number` that of `frame`, a multiple of 4096, and gives the bytes. Null when the frame has no storage
    /// of its own or does not answer as a whole: use `read64`.
    const std::byte* set_frame_hint(std::size_t number, PhysAddr frame) const;
    /// Any length, any alignment.
    void read(PhysAddr address, std::span<std::byte> out) const;

    /// Stores 8 bytes at an 8-byte aligned address.
    void write64(PhysAddr address, std::uint64_t value);
    void write32(PhysAddr address, std::uint32_t value);  ///< 4-byte aligned
    /// Any length, any alignment.
    void write(PhysAddr address, std::span<const std::byte> data);
    /// `size` bytes of `value` from `address` on. Zeroing memory that holds zeros makes no frame.
    void fill(PhysAddr address, std::uint64_t size, std::byte value);

    /// Stores into ROM or RAM, as a flash programmer or a loader does: no journal, no stray access.
    void load(PhysAddr address, std::span<const std::byte> data);

    [[nodiscard]] MemorySnapshot snapshot() const;
    /// Contents and regions become those of the snapshot.
    void restore(const MemorySnapshot& snapshot);

    /// The first stray accesses (at most 4096 are kept), in order.
    [[nodiscard]] std::span<const StrayAccess> stray_accesses() const noexcept { return strays_; }
    /// All of them, counted.
    [[nodiscard]] std::uint64_t stray_access_count() const noexcept { return stray_count_; }
    void forget_stray_accesses() noexcept;

    /// Frames that have storage of their own.
    [[nodiscard]] std::uint64_t resident_frames() const noexcept;

    /// Starts (or, with nullptr, stops) recording of writes. Off, it costs one test a write.
    void set_journal(std::shared_ptr<WriteJournal> journal) noexcept { journal_ = std::move(journal); }
    [[nodiscard]] WriteJournal* journal() const noexcept { return journal_.get(); }

private:
    static constexpr std::size_t cache_slots = 1024;
    struct ReadSlot {
        std::uint64_t frame = ~std::uint64_t{0};  ///< its address
        const std::byte* bytes = nullptr;
    };
    struct WriteSlot {
        std::uint64_t pfn = ~std::uint64_t{0};
        std::byte* bytes = nullptr;
        bool all_ram = false;  ///< RAM answers in the whole frame
    };

    [[nodiscard]] static std::uint64_t word_at(const std::byte* frame, PhysAddr address) noexcept {
        std::uint64_t value = 0;
        std::memcpy(&value, frame + (address.value() & 0xff8), sizeof value);
        return value;
    }
    [[nodiscard]] std::uint64_t read64_slow(PhysAddr address) const;
    [[nodiscard]] std::uint64_t peek64_slow(PhysAddr address) const;
    [[nodiscard]] bool answers_whole(std::uint64_t pfn) const;
    [[nodiscard]] const std::byte* readable_frame(std::uint64_t pfn) const;
    [[nodiscard]] std::byte* writable_frame(std::uint64_t pfn);
    void read_piece(PhysAddr address, std::span<std::byte> out) const;
    void write_piece(PhysAddr address, std::span<const std::byte> data);
    void store_answered(PhysAddr address, std::span<const std::byte> data);
    void record_stray(PhysAddr address, bool write, RegionKind kind) const;
    void journal_words(PhysAddr address, std::span<const std::byte> data, bool explicit_store);
    void drop_caches() noexcept;

    detail::MemoryRoot root_;
    std::shared_ptr<const detail::RegionMap> regions_;
    std::shared_ptr<WriteJournal> journal_;
    mutable std::vector<StrayAccess> strays_;
    mutable std::uint64_t stray_count_ = 0;
    mutable std::array<ReadSlot, cache_slots> read_cache_{};
    mutable std::array<WriteSlot, cache_slots> write_cache_{};
    mutable std::array<FrameHint, frame_hints> hints_{};
    mutable std::uint64_t whole_first_ = 0;  // frames [whole_first_, whole_end_) answer reads as a whole
    mutable std::uint64_t whole_end_ = 0;
    mutable std::array<std::byte, frame_bytes> source_frame_{};
    mutable std::uint64_t source_frame_pfn_ = ~std::uint64_t{0};
};

}  // namespace pgsim
