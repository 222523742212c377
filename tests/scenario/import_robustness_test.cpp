// SPDX-License-Identifier: GPL-2.0-only
#include <nlohmann/json.hpp>
#include <random>

#include "pgsim/base/error.hpp"
#include "pgsim/firmware/memory_map_import.hpp"
#include "pgsim/scenario/boot.hpp"
#include "pgsim/scenario/machine_facts.hpp"
#include "pgsim/scenario/machine_json.hpp"
#include "support/catch.hpp"
#include "support/data.hpp"

using namespace pgsim;
using firmware::E820Entry;
using firmware::E820Table;
using firmware::E820Type;

namespace {

constexpr const char* machine = "machines/qemu-i440fx-16g-k6-1.json";

/// Copies with a few characters replaced, lines dropped, or lines doubled.
std::string damaged(const std::string& text, std::mt19937_64& random) {
    constexpr std::string_view odd = "0123456789abcdefxX-[]{}\",: \n\tK@#$!\xff";
    std::string result = text;
    const auto place = [&] { return static_cast<std::size_t>(random() % (result.size() + 1)); };
    for (std::uint64_t edits = 1 + random() % 6; edits > 0 && !result.empty(); --edits) {
        const std::size_t at = std::min(place(), result.size() - 1);
        switch (random() % 4) {
        case 0: result[at] = odd[random() % odd.size()]; break;
        case 1: result.erase(at, 1 + random() % 40); break;
        case 2: result.insert(at, result.substr(std::min(place(), result.size()), random() % 200)); break;
        default: result.insert(at, 1, odd[random() % odd.size()]); break;
        }
    }
    return result;
}

/// True when the call ends in a result or an Error; anything else ends the test.
template <class Call>
void survives(Call call) {
    try {
        call();
    } catch (const Error& error) {
        CHECK_FALSE(std::string_view{error.what()}.empty());
    }
}

}  // namespace

TEST_CASE("Damaged logs and files give a result or a clear error", "[scenario][import][property]") {
    std::mt19937_64 random{20260704};
    const std::string json = test::read_file(test::data_path(machine));
    std::string log;
    const auto root = nlohmann::json::parse(json);
    for (const auto& line : root["raw"]) {
        log += line.get<std::string>() + '\n';
    }
    for (int i = 0; i < 400; ++i) {
        survives([&] { (void)firmware::parse_dmesg(damaged(log, random)); });
        survives([&] { (void)machine_record_from_json(damaged(json, random)); });
        survives(
            [&] { (void)firmware::parse_memmap_text(damaged("memmap=640K@0,3G@1M memmap=64K#0xc0000000", random)); });
        survives([&] { (void)firmware::parse_proc_iomem(damaged("00001000-0009fbff : System RAM\n", random)); });
    }
}

TEST_CASE("Any map boots, halts with a reason, or is refused", "[scenario][import][property]") {
    std::mt19937_64 random{42};
    const auto address = [&]() -> std::uint64_t {
        // All magnitudes, mostly near the places that matter, with and without page alignment.
        const std::uint64_t value = random() >> (12 + random() % 40);
        return random() % 3 == 0 ? value : value & ~std::uint64_t{0xfff};
    };
    int booted = 0;
    for (int i = 0; i < 60; ++i) {
        E820Table map{{0, 0x9fc00, E820Type::ram}, {0x100000, 0x10000000, E820Type::ram}};
        for (std::uint64_t n = random() % 30; n > 0; --n) {
            constexpr std::array types{E820Type::ram, E820Type::ram,  E820Type::reserved,      E820Type::acpi,
                                       E820Type::nvs, E820Type::pram, E820Type::soft_reserved, E820Type{20}};
            map.push_back({address(), 1 + (address() >> random() % 20), types[random() % types.size()]});
        }
        survives([&] {
            const BootScenario scenario = scenario_from_map(map, "random");
            const Boot boot = run(scenario);
            CHECK((boot.halt() || !boot.checkpoints().empty()));
            booted += boot.halt() ? 0 : 1;
        });
    }
    CHECK(booted > 10);
}
