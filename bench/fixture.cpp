// SPDX-License-Identifier: GPL-2.0-only
#include "fixture.hpp"

#include <array>

namespace pgsim::bench {

namespace {

constexpr std::size_t address_count = std::size_t{1} << 18;
constexpr VirtAddr first_address{std::uint64_t{1} << 40};

std::unique_ptr<Stream> make(const char* name, const char* pattern) {
    auto made = std::make_unique<Stream>();
    made->name = name;
    AddressStream addresses = AddressStream::parse(pattern, first_address);
    made->replay = std::make_unique<Replay>(ReplayOptions{});
    for (std::uint64_t page = 0; page < addresses.pages(); ++page) {
        const std::uint64_t offset = page * bytes(addresses.page_size());
        made->replay->map(first_address + offset, PhysAddr{(std::uint64_t{1} << 40) + offset}, addresses.page_size());
    }
    for (std::size_t i = 0; i < address_count; ++i) {
        made->addresses.push_back(addresses.next());
    }
    made->controls = made->replay->mmu().controls();
    // The tables lie one behind the other from the root on.
    const std::uint64_t root = made->controls.root.value();
    const std::uint64_t size = made->replay->memory().resident_frames() * frame_bytes;
    made->copy.resize(size);
    made->replay->memory().read(made->controls.root, std::as_writable_bytes(std::span{made->copy}));
    const std::uint64_t reserved =
        ((std::uint64_t{1} << 52) - 1) & ~((std::uint64_t{1} << made->controls.maxphyaddr) - 1);
    made->tables = {made->copy.data() - root, root, reserved};
    return made;
}

}  // namespace

Stream& stream(unsigned number) {
    static std::array<std::unique_ptr<Stream>, stream_count> made;
    if (!made[number]) {
        constexpr std::array<const char*, stream_count> names{"a", "b", "c", "d"};
        constexpr std::array<const char*, stream_count> patterns{"stride:64M", "uniform:1G", "uniform:64G:2M",
                                                                 "zipf:1G"};
        made[number] = make(names[number], patterns[number]);
    }
    return *made[number];
}

}  // namespace pgsim::bench
