// SPDX-License-Identifier: GPL-2.0-only
// A main for fuzz targets without libFuzzer: runs the target on each file of the folders and files that are named, on
// copies with a few bytes changed or cut off: always the same ones. --mutations N: so many of each file, instead of 40.
// A target that finds fault aborts.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>
#include <vector>

#include "pgsim/scenario/exercise.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Bytes = std::vector<std::uint8_t>;
constexpr std::uint64_t usual_mutations = 40;  // of each file
constexpr std::string_view likely = "0129afx-,:{}[]\"\n -";

// A copy on the heap of just this size, so that a sanitizer sees a read behind the end.
void run(const Bytes& bytes) {
    const Bytes copy(bytes.begin(), bytes.end());
    LLVMFuzzerTestOneInput(copy.data(), copy.size());
}

Bytes mutated(Bytes bytes, pgsim::SplitMix64& random) {
    for (std::uint64_t i = random.between(1, 4); i != 0 && !bytes.empty(); --i) {
        const auto at = static_cast<std::ptrdiff_t>(random.below(bytes.size()));
        switch (random.below(4)) {
        case 0: bytes[static_cast<std::size_t>(at)] = static_cast<std::uint8_t>(random.next()); break;
        case 1: bytes.erase(bytes.begin() + at); break;
        case 2: bytes.insert(bytes.begin() + at, static_cast<std::uint8_t>(likely[random.below(likely.size())])); break;
        default: bytes.resize(static_cast<std::size_t>(at)); break;
        }
    }
    return bytes;
}

}  // namespace

int main(int argc, char** argv) {
    std::vector<std::filesystem::path> files;
    std::uint64_t mutations = usual_mutations;
    for (int i = 1; i < argc; ++i) {
        if (std::string_view{argv[i]} == "--mutations" && i + 1 < argc) {
            mutations = std::strtoull(argv[++i], nullptr, 10);
        } else if (std::filesystem::is_directory(argv[i])) {
            for (const auto& entry : std::filesystem::directory_iterator{argv[i]}) {
                files.push_back(entry.path());
            }
        } else {
            files.emplace_back(argv[i]);
        }
    }
    std::sort(files.begin(), files.end());
    pgsim::SplitMix64 random{1};
    run({});
    for (const std::filesystem::path& file : files) {
        std::ifstream in{file, std::ios::binary};
        const Bytes bytes{std::istreambuf_iterator<char>{in}, {}};
        if (!in) {
            std::fprintf(stderr, "%s: cannot be read\n", file.c_str());
            return 2;
        }
        run(bytes);
        for (std::uint64_t i = 0; i < mutations; ++i) {
            run(mutated(bytes, random));
        }
    }
    std::printf("%zu files, %llu mutations of each\n", files.size(), static_cast<unsigned long long>(mutations));
    return files.empty() ? 2 : 0;
}
