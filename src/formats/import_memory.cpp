// SPDX-License-Identifier: GPL-2.0-only
// Memory of a guest in a file: ELF cores and raw images, mapped and looked at frame by frame.
#include <algorithm>
#include <boost/iostreams/device/mapped_file.hpp>
#include <cstring>
#include <filesystem>
#include <memory>

#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/cpu/registers.hpp"
#include "pgsim/formats/import.hpp"
#include "pgsim/memory/physical_memory.hpp"
#include "pgsim/mmu/paging_controls.hpp"

namespace pgsim::formats {

namespace {

using MappedFile = boost::iostreams::mapped_file_source;

// A QEMU dump with paging has a segment for each mapping; more than this nobody has seen.
constexpr std::size_t max_segments = 65535;
constexpr std::size_t max_regions = 4096;

struct Segment {
    std::uint64_t phys = 0;
    std::uint64_t size = 0;
    std::uint64_t offset = 0;  // in the file
};

// Frames as the segments of a mapped file have them. Overlapping segments: the first in the file's order.
class FileFrames : public FrameSource {
public:
    FileFrames(MappedFile file, std::vector<Segment> segments)
        : file_{std::move(file)}, segments_{std::move(segments)} {
        std::stable_sort(segments_.begin(), segments_.end(),
                         [](const Segment& a, const Segment& b) { return a.phys < b.phys; });
        for (const Segment& segment : segments_) {
            longest_ = std::max(longest_, segment.size);
        }
    }

    void fill(Pfn frame, FrameBytes out) const override {
        std::fill(out.begin(), out.end(), std::byte{0});
        const std::uint64_t start = frame.address().value();
        const std::uint64_t end = start + frame_bytes;
        // A segment that reaches into the frame begins at most its own length before it.
        const std::uint64_t earliest = start > longest_ ? start - longest_ : 0;
        auto segment = std::partition_point(segments_.begin(), segments_.end(),
                                            [&](const Segment& s) { return s.phys < earliest; });
        for (; segment != segments_.end() && segment->phys < end; ++segment) {
            const std::uint64_t from = std::max(start, segment->phys);
            const std::uint64_t to = std::min(end, segment->phys + segment->size);
            if (from < to) {
                std::memcpy(out.data() + (from - start), file_.data() + segment->offset + (from - segment->phys),
                            static_cast<std::size_t>(to - from));
            }
        }
    }

private:
    MappedFile file_;
    std::vector<Segment> segments_;
    std::uint64_t longest_ = 0;
};

MappedFile map_file(const std::string& path) {
    std::error_code failure;
    if (!std::filesystem::is_regular_file(path, failure)) {
        throw Error{path, std::filesystem::exists(path, failure) ? "is not a regular file" : "no such file"};
    }
    if (std::filesystem::file_size(path, failure) == 0) {
        throw Error{path, "is empty"};
    }
    try {
        return MappedFile{path};
    } catch (const std::exception&) {
        throw Error{path, "cannot be opened"};
    }
}

MemoryImage image_of(MappedFile file, std::vector<Segment> segments, const std::string& path) {
    // One region for neighbours: maps of many regions are slow to make.
    std::vector<std::pair<std::uint64_t, std::uint64_t>> regions;
    std::vector<Segment> sorted = segments;
    std::sort(sorted.begin(), sorted.end(), [](const Segment& a, const Segment& b) { return a.phys < b.phys; });
    MemoryImage image;
    for (const Segment& segment : sorted) {
        image.bytes += segment.size;
        const std::uint64_t end = segment.phys + segment.size;
        if (!regions.empty() && regions.back().second >= segment.phys) {
            regions.back().second = std::max(regions.back().second, end);
        } else {
            regions.emplace_back(segment.phys, end);
        }
    }
    if (regions.size() > max_regions) {
        throw Error{path, "memory in more than " + std::to_string(max_regions) + " pieces"};
    }
    PhysicalMemory memory;
    for (const auto& [start, end] : regions) {
        memory.map_region({PhysAddr{start}, PhysAddr{end}}, RegionKind::ram);
    }
    memory.set_source({Pfn{0}, Pfn{Pfn::limit}}, std::make_shared<FileFrames>(std::move(file), std::move(segments)));
    image.memory = memory.snapshot();
    return image;
}

// Reads numbers of an ELF file, little-endian, and refuses what lies outside it.
class Bytes {
public:
    Bytes(const MappedFile& file, const std::string& path) : file_{file}, path_{path} {}

    template <class Number>
    [[nodiscard]] Number at(std::uint64_t offset) const {
        need(offset, sizeof(Number));
        Number value{};
        std::memcpy(&value, file_.data() + offset, sizeof value);
        return value;
    }
    [[nodiscard]] std::string_view text(std::uint64_t offset, std::uint64_t size) const {
        need(offset, size);
        return {file_.data() + offset, static_cast<std::size_t>(size)};
    }
    void need(std::uint64_t offset, std::uint64_t size) const {
        if (offset > file_.size() || size > file_.size() - offset) {
            throw Error{path_, "the file ends too early: it is damaged or was cut"};
        }
    }
    [[noreturn]] void fail(std::string_view reason) const { throw Error{path_, reason}; }

private:
    const MappedFile& file_;
    const std::string& path_;
};

// The note that QEMU writes for each CPU. [QEMU target/i386/arch_dump.c struct QEMUCPUState]
constexpr std::uint64_t qemu_state_size = 8 + 18 * 8 + 10 * 24 + 5 * 8;
constexpr std::uint64_t qemu_rip = 8 + 16 * 8;
constexpr std::uint64_t qemu_cr0 = 8 + 18 * 8 + 10 * 24;

void read_notes(const Bytes& bytes, std::uint64_t offset, std::uint64_t size, std::vector<DumpedCpu>& cpus) {
    bytes.need(offset, size);
    const std::uint64_t end = offset + size;
    while (end - offset >= 12) {
        const std::uint64_t name_size = bytes.at<std::uint32_t>(offset);
        const std::uint64_t state_size = bytes.at<std::uint32_t>(offset + 4);
        const std::uint64_t name = offset + 12;
        const std::uint64_t state = name + (name_size + 3) / 4 * 4;
        const std::uint64_t next = state + (state_size + 3) / 4 * 4;
        if (next > end) {
            return;  // the last note's padding may be missing; what is cut says nothing
        }
        if (bytes.text(name, name_size).substr(0, 4) == "QEMU" && state_size >= qemu_state_size && cpus.size() < 4096) {
            DumpedCpu cpu;
            cpu.cr0 = bytes.at<std::uint64_t>(state + qemu_cr0);
            cpu.cr2 = bytes.at<std::uint64_t>(state + qemu_cr0 + 16);
            cpu.cr3 = bytes.at<std::uint64_t>(state + qemu_cr0 + 24);
            cpu.cr4 = bytes.at<std::uint64_t>(state + qemu_cr0 + 32);
            cpu.rip = bytes.at<std::uint64_t>(state + qemu_rip);
            cpus.push_back(cpu);
        }
        offset = next;
    }
}

}  // namespace

MemoryImage open_elf_core(const std::string& path) {
    MappedFile file = map_file(path);
    const Bytes bytes{file, path};
    if (file.size() < 64 || bytes.text(0, 4) !=
                                "\x7f"
                                "ELF") {
        bytes.fail("is not an ELF file");
    }
    if (bytes.at<std::uint8_t>(4) != 2 || bytes.at<std::uint8_t>(5) != 1 || bytes.at<std::uint16_t>(16) != 4 ||
        bytes.at<std::uint16_t>(18) != 62) {
        bytes.fail("is not a 64-bit ELF core of an x86-64 machine");
    }
    const std::uint64_t headers = bytes.at<std::uint64_t>(32);
    const std::uint64_t header_size = bytes.at<std::uint16_t>(54);
    std::uint64_t count = bytes.at<std::uint16_t>(56);
    if (count == 0xffff) {
        // PN_XNUM: the number stands in the first section header.
        const auto section = bytes.at<std::uint64_t>(40);
        bytes.need(section, 64);
        count = bytes.at<std::uint32_t>(section + 44);
    }
    if (header_size < 56 || count > max_segments) {
        bytes.fail("has no usable table of program headers");
    }
    std::vector<Segment> segments;
    std::vector<DumpedCpu> cpus;
    bytes.need(headers, count * header_size);
    for (std::uint64_t i = 0; i < count; ++i) {
        const std::uint64_t at = headers + i * header_size;
        const auto type = bytes.at<std::uint32_t>(at);
        const Segment segment{bytes.at<std::uint64_t>(at + 24), bytes.at<std::uint64_t>(at + 32),
                              bytes.at<std::uint64_t>(at + 8)};
        if (type == 4) {
            read_notes(bytes, segment.offset, segment.size, cpus);
        } else if (type == 1 && segment.size != 0) {
            bytes.need(segment.offset, segment.size);
            if (segment.phys > PhysSpace::last || segment.size > PhysSpace::last - segment.phys) {
                bytes.fail("a segment lies beyond the physical address space");
            }
            segments.push_back(segment);
        }
    }
    if (segments.empty()) {
        bytes.fail("holds no memory");
    }
    MemoryImage image = image_of(std::move(file), std::move(segments), path);
    image.cpus = std::move(cpus);
    return image;
}

MemoryImage open_raw_image(const std::string& path, PhysAddr base) {
    MappedFile file = map_file(path);
    const std::uint64_t size = file.size();
    if (size > PhysSpace::last - base.value()) {
        throw Error{path, "goes beyond the physical address space"};
    }
    return image_of(std::move(file), {Segment{base.value(), size, 0}}, path);
}

AddressSpace MemoryImage::space(std::optional<std::uint64_t> cr3, unsigned levels) const {
    if (!cr3 && cpus.empty()) {
        throw Error{"the image does not say where the tables are: CR3 must be given"};
    }
    if (!cr3 && (cpus.front().cr0 & Cr0::pg) == 0) {
        throw Error{"paging is off on the image's first CPU: CR3 must be given"};
    }
    if (levels == 0) {
        levels = !cpus.empty() && (cpus.front().cr4 & Cr4::la57) != 0 ? 5 : 4;
    }
    const std::uint64_t root = cr3.value_or(cpus.empty() ? 0 : cpus.front().cr3) & 0x000f'ffff'ffff'f000;
    AddressSpace space{memory, RootRef{PhysAddr{root}, levels}};
    if (cpus.empty()) {
        return space;
    }
    PagingControls controls = space.controls();
    const DumpedCpu& cpu = cpus.front();
    controls.cr0_wp = (cpu.cr0 & Cr0::wp) != 0;
    controls.pge = (cpu.cr4 & Cr4::pge) != 0;
    controls.smep = (cpu.cr4 & Cr4::smep) != 0;
    controls.smap = (cpu.cr4 & Cr4::smap) != 0;
    return {memory, controls};
}

}  // namespace pgsim::formats
