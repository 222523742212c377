// SPDX-License-Identifier: GPL-2.0-only
// Any bytes as an ELF core of a guest and as a raw image: an Error, or a memory in which a search for pages ends.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "pgsim/base/error.hpp"
#include "pgsim/formats/import.hpp"

namespace {

// A file that exists only in memory, with a path while it is open.
class MemoryFile {
public:
    MemoryFile(const std::uint8_t* data, std::size_t size) : file_{memfd_create("fuzz", 0)} {
        while (size != 0) {
            const ssize_t wrote = write(file_, data, size);
            if (wrote <= 0) {
                break;
            }
            data += wrote;
            size -= static_cast<std::size_t>(wrote);
        }
    }
    MemoryFile(const MemoryFile&) = delete;
    MemoryFile& operator=(const MemoryFile&) = delete;
    ~MemoryFile() { close(file_); }
    [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(file_); }

private:
    int file_;
};

void look(const pgsim::formats::MemoryImage& image, std::optional<std::uint64_t> cr3) {
    const pgsim::AddressSpace space = image.space(cr3);
    static_cast<void>(space.tables());
    std::size_t left = 100;
    space.for_each_page({}, [&](const pgsim::Mapping&) { return --left != 0; });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const MemoryFile file{data, size};
    try {
        look(pgsim::formats::open_elf_core(file.path()), {});
    } catch (const pgsim::Error&) {
    }
    try {
        look(pgsim::formats::open_raw_image(file.path()), 0x1000);
    } catch (const pgsim::Error&) {
    }
    return 0;
}
