// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/machine/machine.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "pgsim/base/error.hpp"
#include "pgsim/mmu/memory_type.hpp"

namespace pgsim {

namespace {

constexpr std::uint64_t page_bytes = 4096;

constexpr std::uint64_t low_bytes(std::uint64_t value, unsigned size) noexcept {
    return size == 8 ? value : value & ((std::uint64_t{1} << (8 * size)) - 1);
}

std::uint64_t read_phys(const PhysicalMemory& memory, PhysAddr at, unsigned size) {
    if (size == 8 && at.is_aligned(8)) {
        return memory.read64(at);
    }
    std::uint64_t value = 0;
    memory.read(at, std::as_writable_bytes(std::span{&value, 1}).first(size));
    return value;
}

void write_phys(PhysicalMemory& memory, PhysAddr at, unsigned size, std::uint64_t value) {
    if (size == 8 && at.is_aligned(8)) {
        memory.write64(at, value);
        return;
    }
    memory.write(at, std::as_bytes(std::span{&value, 1}).first(size));
}

/// Bytes up to the next 4-KByte boundary, at most `size`.
std::uint64_t in_page(VirtAddr virt, std::uint64_t size) noexcept {
    return std::min(size, page_bytes - virt.offset_in(page_bytes));
}

VirtAddr wrapping_add(VirtAddr virt, std::uint64_t bytes) noexcept {
    return VirtAddr{virt.value() + bytes};
}

}  // namespace

Machine::Machine(const CpuFeatures& features, unsigned cpus)
    : features_{features}, memory_{std::make_unique<PhysicalMemory>()} {
    if (cpus == 0 || cpus > 4096) {
        throw Error{"machine", "a machine has 1 to 4096 processors"};
    }
    cpus_.resize(cpus);
    for (current_ = 0; current_ < cpus; ++current_) {
        state_changed();
    }
    current_ = 0;
}

Machine::~Machine() = default;
Machine::Machine(Machine&&) noexcept = default;
Machine& Machine::operator=(Machine&&) noexcept = default;

void Machine::select_cpu(unsigned number) {
    if (number >= cpus_.size()) {
        throw Error{"CPU " + std::to_string(number), "there is no such processor"};
    }
    current_ = number;
    new_epoch();
}

void Machine::state_changed() {
    new_epoch();
    Cpu& cpu = cpus_[current_];
    cpu.mmu.set_controls(PagingControls::from(cpu.state, features_));
    cpu.mmu.set_pcid(cpu.state.pcid());
}

void Machine::set_cpu_state(const CpuState& state) {
    cpus_[current_].state = state;
    state_changed();
    mmu().flush({TranslationFlush::Scope::all, 0});
}

// Outside 64-bit mode linear addresses have 32 bits: segment arithmetic wraps.
VirtAddr Machine::linear(VirtAddr virt) const noexcept {
    return cpu().long_code() ? virt : VirtAddr{virt.value() & 0xffff'ffff};
}

std::optional<PhysAddr> Machine::resolve(VirtAddr virt, Access access, bool& skipped) {
    if (stop_) [[unlikely]] {
        return std::nullopt;
    }
    const VirtAddr at = linear(virt);
    if (const auto quick = mmu().try_translate(*memory_, at, access); quick.found()) [[likely]] {
        now_ += Cycles{1 + quick.entries_read()};
        return quick.phys;
    }
    return resolve_slow(at, access, skipped);
}

std::optional<PhysAddr> Machine::resolve_slow(VirtAddr virt, Access access, bool& skipped) {
    constexpr unsigned patience = 1000;
    const TimingModel* const timing = mmu().timing();
    now_ += Cycles{timing != nullptr ? 0U : 1U};
    if (WriteJournal* const journal = memory_->journal()) {
        journal->set_time(now_);
    }
    for (unsigned attempt = 0; attempt < patience; ++attempt) {
        const WalkResult walk = mmu().access(*memory_, virt, access);
        now_ += timing != nullptr ? timing->cost().total() : Cycles{walk.steps().size()};
        if (const Translation* const translation = walk.translation()) {
            return translation->phys;
        }
        ExceptionFrame frame;
        frame.virt = virt;
        frame.access = access;
        if (const PageFault* const fault = walk.page_fault()) {
            frame.vector = Vector::pf;
            frame.error_code = fault->error_code;
            frame.virt = fault->virt;
        } else {
            frame.vector = walk.address_fault()->stack_segment ? Vector::ss : Vector::gp;
        }
        const HandlerResult handled = raise(frame, walk);
        if (stop_) {
            return std::nullopt;
        }
        if (handled == HandlerResult::skip) {
            skipped = true;
            return std::nullopt;
        }
        if (attempt + 1 == patience) {
            stop_with(MachineStop::Reason::no_progress, {frame}, walk);
        }
    }
    return std::nullopt;
}

AccessResult Machine::load_at(VirtAddr virt, Access access, unsigned size) {
    const auto first = static_cast<unsigned>(in_page(virt, size));
    bool skipped = false;
    const auto phys = resolve(virt, access, skipped);
    if (!phys) {
        return result();
    }
    if (first == size) {
        return result(read_phys(*memory_, *phys, size));
    }
    const auto second = resolve(wrapping_add(virt, first), access, skipped);
    if (!second) {
        return result();
    }
    return result(read_phys(*memory_, *phys, first) | read_phys(*memory_, *second, size - first) << (8 * first));
}

AccessResult Machine::store_at(VirtAddr virt, Access access, unsigned size, std::uint64_t value) {
    const auto first = static_cast<unsigned>(in_page(virt, size));
    bool skipped = false;
    const auto phys = resolve(virt, access, skipped);
    if (!phys) {
        return result();
    }
    std::optional<PhysAddr> second;
    if (first != size) {
        // Both pages are translated before anything is written.
        second = resolve(wrapping_add(virt, first), access, skipped);
        if (!second) {
            return result();
        }
    }
    if (WriteJournal* const journal = memory_->journal()) {
        journal->set_time(now_);
    }
    std::uint64_t old = 0;
    if (access.kind == AccessKind::rmw) {
        old = read_phys(*memory_, *phys, first);
        old |= second ? read_phys(*memory_, *second, size - first) << (8 * first) : 0;
    }
    write_phys(*memory_, *phys, first, low_bytes(value, first));
    if (second) {
        write_phys(*memory_, *second, size - first, value >> (8 * first));
    }
    return result(old);
}

AccessResult Machine::load(VirtAddr virt, AccessSize size) {
    return load_at(virt, {AccessKind::read, cpu().cpl}, static_cast<unsigned>(size));
}

AccessResult Machine::store(VirtAddr virt, std::uint64_t value, AccessSize size) {
    return store_at(virt, {AccessKind::write, cpu().cpl}, static_cast<unsigned>(size), value);
}

AccessResult Machine::exchange(VirtAddr virt, std::uint64_t value, AccessSize size) {
    return store_at(virt, {AccessKind::rmw, cpu().cpl}, static_cast<unsigned>(size), value);
}

AccessResult Machine::fetch(VirtAddr virt) {
    return load_at(virt, {AccessKind::fetch, cpu().cpl}, 1);
}

AccessResult Machine::access(VirtAddr virt, Access access, AccessSize size, std::uint64_t value) {
    const auto bytes = static_cast<unsigned>(size);
    return access.writes() ? store_at(virt, access, bytes, value) : load_at(virt, access, bytes);
}

template <class Piece>
AccessResult Machine::each_page(VirtAddr virt, std::uint64_t bytes, Access access, Piece piece) {
    for (std::uint64_t done = 0; done < bytes;) {
        const VirtAddr at = wrapping_add(virt, done);
        const std::uint64_t length = in_page(at, bytes - done);
        bool skipped = false;
        const auto phys = resolve(at, access, skipped);
        if (!phys) {
            return result();
        }
        piece(*phys, done, length);
        done += length;
    }
    return result();
}

AccessResult Machine::fill(VirtAddr virt, std::uint64_t bytes, std::uint8_t value) {
    return each_page(virt, bytes, {AccessKind::write, cpu().cpl},
                     [&](PhysAddr at, std::uint64_t, std::uint64_t length) {
                         now_ += Cycles{length / 8};
                         if (WriteJournal* const journal = memory_->journal()) {
                             journal->set_time(now_);
                         }
                         memory_->fill(at, length, std::byte{value});
                     });
}

AccessResult Machine::read_bytes(VirtAddr virt, std::span<std::byte> out) {
    return each_page(
        virt, out.size(), {AccessKind::read, cpu().cpl}, [&](PhysAddr at, std::uint64_t done, std::uint64_t length) {
            memory_->read(at, out.subspan(static_cast<std::size_t>(done), static_cast<std::size_t>(length)));
        });
}

AccessResult Machine::write_bytes(VirtAddr virt, std::span<const std::byte> data) {
    return each_page(
        virt, data.size(), {AccessKind::write, cpu().cpl}, [&](PhysAddr at, std::uint64_t done, std::uint64_t length) {
            if (WriteJournal* const journal = memory_->journal()) {
                journal->set_time(now_);
            }
            memory_->write(at, data.subspan(static_cast<std::size_t>(done), static_cast<std::size_t>(length)));
        });
}

AccessResult Machine::copy(VirtAddr to, VirtAddr from, std::uint64_t bytes) {
    std::array<std::byte, page_bytes> buffer;
    for (std::uint64_t done = 0; done < bytes;) {
        const std::uint64_t length =
            std::min(in_page(wrapping_add(to, done), bytes - done), in_page(wrapping_add(from, done), bytes - done));
        const auto piece = std::span{buffer}.first(static_cast<std::size_t>(length));
        if (const AccessResult read = read_bytes(wrapping_add(from, done), piece); !read.ok()) {
            return read;
        }
        if (const AccessResult written = write_bytes(wrapping_add(to, done), piece); !written.ok()) {
            return written;
        }
        now_ += Cycles{length / 8};
        done += length;
    }
    return result();
}

WalkResult Machine::translate(VirtAddr virt, Access access) const {
    const QuietMemory quiet{*memory_};
    return QuietWalker{quiet, mmu().controls()}.walk(linear(virt), access);
}

std::optional<MemoryType> Machine::memory_type(VirtAddr virt, Access access) const {
    const WalkResult walk = translate(virt, access);
    const Translation* const translation = walk.translation();
    return translation == nullptr ? std::nullopt : memory_type_of(cpu(), features_, *translation);
}

std::optional<std::uint64_t> Machine::peek64(VirtAddr virt) const {
    const WalkResult walk = translate(virt, {AccessKind::read, 0, AccessMode::by_cpl});
    const Translation* const translation = walk.translation();
    if (translation == nullptr || !virt.is_aligned(8)) {
        return std::nullopt;
    }
    return memory_->peek64(translation->phys);
}

MachineSnapshot Machine::snapshot() const {
    MachineSnapshot snapshot;
    snapshot.memory = memory_->snapshot();
    for (const Cpu& cpu : cpus_) {
        snapshot.cpus.push_back(cpu.state);
    }
    snapshot.current_cpu = current_;
    snapshot.now = now_;
    return snapshot;
}

void Machine::restore(const MachineSnapshot& snapshot) {
    if (snapshot.cpus.size() != cpus_.size()) {
        throw Error{"machine snapshot", "it has another number of processors than this machine"};
    }
    new_epoch();
    memory_->restore(snapshot.memory);
    for (current_ = 0; current_ < cpus_.size(); ++current_) {
        set_cpu_state(snapshot.cpus[current_]);
    }
    current_ = snapshot.current_cpu;
    now_ = snapshot.now;
    stop_.reset();
    in_delivery_.clear();
}

Machine::OriginScope Machine::origin(std::string_view function, std::string_view stage, std::string_view rule) {
    origins_.push_back({std::string{function}, std::string{stage}, std::string{rule}});
    if (WriteJournal* const journal = memory_->journal()) {
        journal->set_origin(origins_.back());
    }
    return OriginScope{this};
}

Machine::OriginScope::~OriginScope() {
    if (machine_ == nullptr) {
        return;
    }
    machine_->origins_.pop_back();
    if (WriteJournal* const journal = machine_->memory_->journal()) {
        journal->set_origin(machine_->current_origin());
    }
}

WriteOrigin Machine::current_origin() const {
    return origins_.empty() ? WriteOrigin{} : origins_.back();
}

}  // namespace pgsim
