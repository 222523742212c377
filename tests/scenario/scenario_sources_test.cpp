// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/scenario/boot_scenario.hpp"
#include "pgsim/scenario/presets.hpp"
#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/scratch.hpp"

using namespace pgsim;
using firmware::E820Table;
using firmware::E820Type;
namespace fs = std::filesystem;

namespace {

/// A folder of files that is gone after the test.
class Folder {
public:
    std::string write(const std::string& name, const std::string& text) const {
        fs::create_directories((folder_.path() / name).parent_path());
        std::ofstream{folder_.path() / name} << text;
        return (folder_.path() / name).string();
    }
    [[nodiscard]] std::string path() const { return folder_.path().string(); }

private:
    test::ScratchFolder folder_;
};

template <class Call>
std::string error_of(Call call) {
    try {
        (void)call();
    } catch (const Error& error) {
        return error.what();
    }
    return {};
}

const E820Table two_gib{{0, 0x9fc00, E820Type::ram}, {0x100000, 0x7fe00000, E820Type::ram}};

}  // namespace

TEST_CASE("A QEMU preset has the map that SeaBIOS gave to a real kernel", "[scenario][presets]") {
    struct Case {
        const char* capture;
        BootScenario scenario;
    };
    const auto same =
        GENERATE(Case{"k6.6-1g-4l", presets::qemu_q35("1G")}, Case{"k6.1-777m-4l", presets::qemu_q35("777M")},
                 Case{"k6.12-512m-4l", presets::qemu_q35("512M")}, Case{"k6.12-4g-4l", presets::qemu_q35("4G")},
                 Case{"k6.6-64g-4l", presets::qemu_q35("64G")}, Case{"k6.1-3g-pc-4l", presets::qemu_pc("3G")},
                 Case{"k6.1-5g-pc-4l", presets::qemu_pc("5G")});
    INFO(same.capture);
    const BootScenario capture = load_scenario(test::data_path("captures/" + std::string{same.capture} + ".json.xz"));
    CHECK(same.scenario.inputs.boot_params.e820 == capture.inputs.boot_params.e820);
    CHECK(same.scenario.inputs.acpi_reserved == capture.inputs.acpi_reserved);
    CHECK(same.scenario.inputs.mp_table == capture.inputs.mp_table);
    CHECK(same.scenario.inputs.boot_params.base_memory_kb == capture.inputs.boot_params.base_memory_kb);
    CHECK(same.scenario.inputs.brk_early_bytes == capture.inputs.brk_early_bytes);
}

TEST_CASE("use_kernel gives a measured build's options, symbols and loader fields", "[scenario][presets]") {
    struct Case {
        const char* capture;
        const char* kernel;
    };
    const auto same = GENERATE(Case{"k6.1-4g-4l-2m", "6.1"}, Case{"k6.6-4g-4l", "6.6"}, Case{"k6.12-4g-4l", "6.12"});
    INFO(same.kernel);
    const kernel::BootInputs capture =
        load_scenario(test::data_path("captures/" + std::string{same.capture} + ".json.xz")).inputs;
    BootScenario scenario = presets::qemu_q35();
    use_kernel(scenario, same.kernel);
    const kernel::BootInputs& preset = scenario.inputs;
    CHECK(preset.config == capture.config);
    CHECK(preset.series == capture.series);
    CHECK(preset.layout.symbols() == capture.layout.symbols());
    CHECK(preset.layout.struct_sizes == capture.layout.struct_sizes);
    CHECK(preset.layout.pglist_data_size == capture.layout.pglist_data_size);
    CHECK(preset.layout.zone_size == capture.layout.zone_size);
    CHECK(preset.boot_params.init_size == capture.boot_params.init_size);
    CHECK(preset.boot_params.address == capture.boot_params.address);
    CHECK(preset.boot_params.load_address == capture.boot_params.load_address);
    CHECK(preset.boot_params.cmd_line_ptr == capture.boot_params.cmd_line_ptr);
    CHECK(preset.boot_params.loadflags == capture.boot_params.loadflags);
    CHECK(preset.boot_params.type_of_loader == capture.boot_params.type_of_loader);
}

TEST_CASE("use_numa splits RAM as QEMU's SRAT does", "[scenario][presets]") {
    const BootScenario capture = load_scenario(test::data_path("captures/k6.6-8g-numa4.json.xz"));
    BootScenario scenario = presets::qemu_q35("8G");
    use_numa(scenario, "512M,1G,2G,4G");
    CHECK(scenario.inputs.numa == capture.inputs.numa);
    use_numa(scenario, "off");
    CHECK(scenario.inputs.numa.memory.empty());
    CHECK_THROWS_AS(use_numa(scenario, "9G,1G"), Error);
    CHECK_THROWS_AS(use_numa(scenario, "0"), Error);
    CHECK_THROWS_AS(use_numa(scenario, "x"), Error);
    CHECK_THROWS_AS(use_numa(scenario, "100000"), Error);
}

TEST_CASE("Each preset can boot, and an unknown one is refused with the names", "[scenario][presets]") {
    for (const PresetInfo& info : preset_list()) {
        INFO(info.name);
        const BootScenario scenario = preset(info.name);
        CHECK(scenario.name == info.name);
        CHECK_NOTHROW(check_scenario(scenario));
    }
    CHECK(preset("q35-16t").inputs.boot_params.e820.back() ==
          firmware::E820Entry{TiB, 16 * TiB - 2 * GiB, E820Type::ram});
    CHECK(preset("pc-2g").inputs.boot_params.e820[3].end() == 2 * GiB - 0x20000);
    CHECK(error_of([] { return preset("cray-1"); }).find("q35-4g") != std::string::npos);
    CHECK_THROWS_AS(presets::qemu_q35("1M"), Error);
    CHECK_THROWS_AS(presets::qemu_q35("4X"), Error);
    CHECK_THROWS_AS(presets::qemu_q35(""), Error);
    CHECK_THROWS_AS(presets::qemu_q35("99999999999999999999G"), Error);
    CHECK_THROWS_AS(presets::qemu_q35("100000000000G"), Error);
}

TEST_CASE("The kind of a file is told by its content", "[scenario][import]") {
    const Folder folder;
    CHECK(load_scenario(folder.write("a",
                                     "[    0.000000] Linux version 6.6.1\n"
                                     "BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable\n"
                                     "BIOS-e820: [mem 0x0000000000100000-0x000000007fefffff] usable\n"))
              .inputs.boot_params.e820 == two_gib);
    CHECK(load_scenario(folder.write("b", "memmap=639K@0 memmap=2046M@1M")).inputs.boot_params.e820 == two_gib);
    CHECK(load_scenario(folder.write("c", "00000000-0009fbff : System RAM\n00100000-7fefffff : System RAM\n"))
              .inputs.boot_params.e820 == two_gib);
    CHECK(load_scenario(folder.write("d", R"({"e820": [{"start": "0x0", "size": "0x9fc00", "type": 1},
                                                       {"start": "0x100000", "size": "0x7fe00000", "type": 1}]})"))
              .inputs.boot_params.e820 == two_gib);
    (void)folder.write("map/0/start", "0x0\n");
    (void)folder.write("map/0/end", "0x9fbff\n");
    (void)folder.write("map/0/type", "System RAM\n");
    (void)folder.write("map/1/start", "0x100000\n");
    (void)folder.write("map/1/end", "0x7fefffff\n");
    (void)folder.write("map/1/type", "System RAM\n");
    CHECK(load_scenario(folder.path() + "/map").inputs.boot_params.e820 == two_gib);

    CHECK(error_of([&] { return load_scenario(folder.write("e", "hello\n")); }).find("not a memory map") !=
          std::string::npos);
    CHECK(error_of([&] { return load_scenario(folder.write("f", "")); }).find("empty") != std::string::npos);
    CHECK(error_of([&] { return load_scenario(folder.write("g", "{")); }).find("JSON") != std::string::npos);
    CHECK_THROWS_AS(load_scenario(folder.path() + "/none"), Error);
    CHECK_THROWS_AS(load_scenario(folder.path()), Error);
    (void)folder.write("map/1/end", "0xfff\n");
    CHECK(error_of([&] { return load_scenario(folder.path() + "/map"); }).find("below the start") != std::string::npos);
}

TEST_CASE("Maps that no kernel can boot from are refused with the reason", "[scenario][import]") {
    CHECK(error_of([] {
              return scenario_from_map({{0, 0x9fc00, E820Type::ram}}, "small");
          }).find("no RAM where the kernel must lie") != std::string::npos);
    CHECK(error_of([] {
              return scenario_from_map({{0x100000, GiB, E820Type::reserved}}, "none");
          }).find("no RAM where the kernel must lie") != std::string::npos);
    CHECK(error_of([] {
              return scenario_from_map({{0x100000, GiB, E820Type::ram}, {std::uint64_t{1} << 53, GiB, E820Type::ram}},
                                       "far");
          }).find("entry 1 at 0x20000000000000: RAM beyond") != std::string::npos);
    CHECK(error_of([] {
              return scenario_from_map({{0x100000, 0, E820Type::ram}}, "empty");
          }).find("empty") != std::string::npos);
    CHECK(error_of([] { return scenario_from_map({}, "nothing"); }).find("no entry") != std::string::npos);
    CHECK(error_of([] {
              return scenario_from_map(E820Table(129, {0x100000, GiB, E820Type::ram}), "many");
          }).find("128") != std::string::npos);

    SECTION("unsorted and overlapping maps are legal") {
        const E820Table map{{0x100000000, GiB, E820Type::ram},
                            {0x100000, GiB, E820Type::ram},
                            {0, 0xa0000, E820Type::ram},
                            {0x30000000, 0x1000, E820Type::reserved}};
        CHECK(scenario_from_map(map, "odd").inputs.boot_params.e820 == map);
    }
    SECTION("RAM that a smaller processor cannot reach") {
        BootScenario scenario = presets::qemu_q35("64G");
        use_cpu(scenario, "max,phys-bits=36");
        CHECK(error_of([&] {
                  check_scenario(scenario);
                  return 0;
              }).find("36 physical address bits") != std::string::npos);
    }
}

TEST_CASE("Every machine gives a scenario with its own map", "[scenario][machines]") {
    std::size_t count = 0;
    for (const auto& entry : fs::directory_iterator{test::data_path("machines")}) {
        if (entry.path().extension() != ".json") {
            continue;
        }
        ++count;
        INFO(entry.path().string());
        const auto record = load_machine_record(entry.path().string());
        REQUIRE(record);
        const BootScenario scenario = load_scenario(entry.path().string());
        const bool parameters_lost = record->e820_user_defined && record->memory_parameters.empty();
        CHECK(scenario.inputs.boot_params.e820 == (parameters_lost ? *record->e820_user_defined : record->e820));
        CHECK(scenario.inputs.numa.memory.size() == (record->srat_memory ? record->srat_memory->size() : 0));
        CHECK(scenario.inputs.cpu.has(Feature::pdpe1gb) == *record->gb_pages_line);
    }
    CHECK(count >= 48);
}

TEST_CASE("This machine is read from /sys and /proc", "[scenario][import]") {
    const Folder root;
    (void)root.write("proc/iomem", "00000000-0009fbff : System RAM\n00100000-7fefffff : System RAM\n");
    (void)root.write("proc/cmdline", "quiet mem=1G\n");
    (void)root.write("proc/sys/kernel/osrelease", "6.12.5-amd64\n");
    (void)root.write("proc/cpuinfo",
                     "processor\t: 0\nvendor_id\t: AuthenticAMD\n"
                     "flags\t\t: fpu pse pae pge lm nx la57\n"
                     "address sizes\t: 48 bits physical, 57 bits virtual\n\n"
                     "processor\t: 1\nflags\t\t: pcid\n");
    const BootScenario scenario = scenario_from_this_machine(root.path());
    CHECK(scenario.inputs.boot_params.e820 == two_gib);
    CHECK(scenario.inputs.series.name == "6.12");
    CHECK(scenario.inputs.boot_params.cmdline == "quiet mem=1G nokaslr");
    CHECK(scenario.inputs.cpu.has(Feature::la57));
    CHECK_FALSE(scenario.inputs.cpu.has(Feature::pcid));
    CHECK(scenario.inputs.cpu.vendor == Vendor::amd);
    CHECK(scenario.inputs.cpu.maxphyaddr() == 48);

    (void)root.write("proc/iomem", "00000000-00000000 : System RAM\n");
    CHECK(error_of([&] { return scenario_from_this_machine(root.path()); }).find("root") != std::string::npos);
}
