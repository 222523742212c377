// SPDX-License-Identifier: GPL-2.0-only
// The rooms and arrows of docs/architecture.md, checked on the #include lines.
#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/scratch.hpp"

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>

namespace {

namespace fs = std::filesystem;

const std::map<std::string, std::set<std::string>>& allowed() {
    static const std::map<std::string, std::set<std::string>> table = [] {
        std::map<std::string, std::set<std::string>> rooms;
        rooms["base"] = {};
        rooms["memory"] = {"base"};
        rooms["cpu"] = {"base"};
        rooms["mmu"] = {"base", "memory", "cpu"};
        rooms["machine"] = {"base", "memory", "cpu", "mmu"};
        const std::set<std::string> hardware{"base", "memory", "cpu", "mmu", "machine"};
        rooms["firmware"] = hardware;
        rooms["kernel"] = hardware;
        rooms["kernel"].insert("firmware");
        rooms["inspect"] = hardware;
        rooms["formats"] = hardware;
        rooms["formats"].insert("inspect");
        rooms["scenario"] = hardware;
        rooms["scenario"].insert({"firmware", "kernel", "inspect", "formats"});
        return rooms;
    }();
    return table;
}

// `room` of "pgsim/room/file.hpp" or "room/file.hpp"; of "file.hpp" the including file's own room.
std::string room_of_include(const std::string& path, const std::string& own) {
    std::string rest = path.rfind("pgsim/", 0) == 0 ? path.substr(6) : path;
    const auto slash = rest.find('/');
    if (slash == std::string::npos) {
        return own;
    }
    const std::string room = rest.substr(0, slash);
    return allowed().count(room) != 0 ? room : own;
}

std::vector<std::string> violations(const fs::path& root) {
    std::vector<std::string> found;
    static const std::regex include_line{R"re(^\s*#\s*include\s+"([^"]+)")re"};
    for (const auto& [room, may] : allowed()) {
        if (!fs::exists(root / room)) {
            continue;
        }
        for (const auto& file : fs::recursive_directory_iterator{root / room}) {
            if (file.path().extension() != ".hpp" && file.path().extension() != ".cpp") {
                continue;
            }
            std::ifstream text{file.path()};
            std::string line;
            for (int number = 1; std::getline(text, line); ++number) {
                std::smatch match;
                if (!std::regex_search(line, match, include_line)) {
                    continue;
                }
                const std::string other = room_of_include(match[1], room);
                if (other != room && may.count(other) == 0) {
                    std::string list;
                    for (const auto& name : may) {
                        list += ' ' + name;
                    }
                    found.push_back(file.path().string() + ':' + std::to_string(number) + ": " + line + "\n  " + room +
                                    " may include:" + list);
                }
            }
        }
    }
    return found;
}

}  // namespace

TEST_CASE("A room includes only rooms below it", "[structure]") {
    const fs::path source{pgsim::test::source_dir()};
    for (const fs::path& root : {source / "include/pgsim", source / "src"}) {
        for (const std::string& line : violations(root)) {
            FAIL_CHECK(line);
        }
    }
}

TEST_CASE("The arrow check sees a forbidden include", "[structure]") {
    const pgsim::test::ScratchFolder folder;
    const fs::path& root = folder.path();
    fs::create_directories(root / "mmu");
    std::ofstream{root / "mmu/bad.hpp"} << "#include \"pgsim/kernel/brk.hpp\"\n";
    CHECK(violations(root).size() == 1);
}

TEST_CASE("Every source file says its licence in the first line", "[structure]") {
    const fs::path source{pgsim::test::source_dir()};
    for (const char* folder : {"include", "src", "tests", "tools", "examples", "bench", "fuzz"}) {
        if (!fs::exists(source / folder)) {
            continue;
        }
        for (const auto& file : fs::recursive_directory_iterator{source / folder}) {
            if (file.path().extension() == ".hpp" || file.path().extension() == ".cpp") {
                std::ifstream text{file.path()};
                std::string line;
                std::getline(text, line);
                INFO(file.path().string());
                CHECK(line == "// SPDX-License-Identifier: GPL-2.0-only");
            }
        }
    }
}
