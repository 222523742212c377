// SPDX-License-Identifier: GPL-2.0-only
// The documentation against the programs. In README.md and docs/**/*.md:
//   ```cpp blocks stand below a line <!-- examples/FILE.cpp: NAME --> and are what that file has between // [NAME] and
//   // [/NAME];
//   ```console blocks hold commands ("$ …") with their output. Those that run pgsim or an example are run; a line "…"
//   stands for any lines, and "…" inside a line for any text. Others (git, apt) are not run and show no output.
#include "support/catch.hpp"
#include "support/data.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using Lines = std::vector<std::string>;

struct Block {
    fs::path file;
    std::size_t line = 0;  // of the first line inside
    std::string language;
    std::string above;  // the line above the fence
    Lines text;
};

Lines lines_of(std::istream& in) {
    Lines lines;
    for (std::string line; std::getline(in, line);) {
        lines.push_back(line);
    }
    return lines;
}

Lines lines_of(const fs::path& file) {
    std::ifstream in{file};
    return lines_of(in);
}

std::vector<Block> blocks_of(const fs::path& file) {
    const Lines lines = lines_of(file);
    std::vector<Block> blocks;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        if (lines[i].rfind("```", 0) != 0) {
            continue;
        }
        Block block{file, i + 2, lines[i].substr(3), i == 0 ? std::string{} : lines[i - 1], {}};
        for (++i; i < lines.size() && lines[i] != "```"; ++i) {
            block.text.push_back(lines[i]);
        }
        blocks.push_back(block);
    }
    return blocks;
}

std::vector<Block> all_blocks(const std::string& language) {
    const fs::path source{pgsim::test::source_dir()};
    std::vector<fs::path> files;
    if (fs::exists(source / "README.md")) {
        files.push_back(source / "README.md");
    }
    for (const auto& entry : fs::recursive_directory_iterator{source / "docs"}) {
        if (entry.path().extension() == ".md") {
            files.push_back(entry.path());
        }
    }
    std::sort(files.begin(), files.end());
    std::vector<Block> found;
    for (const fs::path& file : files) {
        for (const Block& block : blocks_of(file)) {
            if (block.language == language) {
                found.push_back(block);
            }
        }
    }
    return found;
}

// Everything that is not in a fenced block.
std::string prose_of(const fs::path& file) {
    std::string prose;
    bool fenced = false;
    for (const std::string& line : lines_of(file)) {
        if (line.rfind("```", 0) == 0) {
            fenced = !fenced;
        } else if (!fenced) {
            prose += line + '\n';
        }
    }
    return prose;
}

// The lines between "// [name]" and "// [/name]", without the indentation of the first.
Lines snippet(const fs::path& file, const std::string& name) {
    const Lines lines = lines_of(file);
    Lines found;
    bool inside = false;
    std::size_t indent = 0;
    for (const std::string& line : lines) {
        const auto text = line.find_first_not_of(' ');
        const std::string trimmed = text == std::string::npos ? std::string{} : line.substr(text);
        if (trimmed == "// [" + name + "]") {
            inside = true;
            indent = text;
        } else if (trimmed == "// [/" + name + "]") {
            return found;
        } else if (inside) {
            found.push_back(line.substr(std::min(indent, line.size())));
        }
    }
    return {};
}

bool runs(const std::string& command) {
    return command.rfind("pgsim", 0) == 0 || command.rfind("build/release/examples/", 0) == 0;
}

Lines output_of(std::string command) {
    const std::string build = PGSIM_BINARY_DIR;
    if (const auto at = command.find("build/release/"); at != std::string::npos) {
        command.replace(at, std::string{"build/release"}.size(), build);
    }
    const std::string line = "cd '" + pgsim::test::source_dir() + "' && mkdir -p out && PATH='" + build +
                             "/tools/pgsim':\"$PATH\" NO_COLOR=1 sh -c '" + command + "' 2>&1";
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe{popen(line.c_str(), "r"), pclose};
    REQUIRE(pipe);
    std::string text;
    for (int c = std::fgetc(pipe.get()); c != EOF; c = std::fgetc(pipe.get())) {
        text.push_back(static_cast<char>(c));
    }
    std::istringstream in{text};
    return lines_of(in);
}

// "…" inside a line stands for any text.
bool line_matches(const std::string& expected, const std::string& actual) {
    static const std::string any = "…";
    std::size_t e = 0;
    std::size_t a = 0;
    for (bool first = true;; first = false) {
        const auto end = expected.find(any, e);
        const std::string piece = expected.substr(e, end == std::string::npos ? end : end - e);
        if (end == std::string::npos && !first) {
            return actual.size() >= a + piece.size() &&
                   actual.compare(actual.size() - piece.size(), piece.size(), piece) == 0;
        }
        const auto at =
            first ? (actual.compare(0, piece.size(), piece) == 0 ? 0 : std::string::npos) : actual.find(piece, a);
        if (at == std::string::npos || (end == std::string::npos && actual.size() != piece.size())) {
            return false;
        }
        if (end == std::string::npos) {
            return true;
        }
        a = at + piece.size();
        e = end + any.size();
    }
}

// "…" in `expected` stands for any number of lines.
bool matches(const Lines& expected, std::size_t e, const Lines& actual, std::size_t a) {
    for (; e < expected.size(); ++e, ++a) {
        if (expected[e] == "…") {
            for (std::size_t rest = a; rest <= actual.size(); ++rest) {
                if (matches(expected, e + 1, actual, rest)) {
                    return true;
                }
            }
            return false;
        }
        if (a >= actual.size() || !line_matches(expected[e], actual[a])) {
            return false;
        }
    }
    return a == actual.size();
}

std::string joined(const Lines& lines) {
    std::string text;
    for (const std::string& line : lines) {
        text += line + '\n';
    }
    return text;
}

void check_console(const Block& block) {
    std::size_t i = 0;
    while (i < block.text.size()) {
        const std::string line = block.text[i];
        INFO(block.file.string() << ':' << block.line + i << ": " << line);
        REQUIRE(line.rfind("$ ", 0) == 0);
        Lines expected;
        for (++i; i < block.text.size() && block.text[i].rfind("$ ", 0) != 0; ++i) {
            expected.push_back(block.text[i]);
        }
        if (!runs(line.substr(2))) {
            CHECK(expected.empty());
            continue;
        }
        const Lines actual = output_of(line.substr(2));
        INFO("it printed:\n" << joined(actual));
        CHECK(matches(expected, 0, actual, 0));
    }
}

}  // namespace

TEST_CASE("C++ in the documentation is cut from the examples", "[docs]") {
    for (const Block& block : all_blocks("cpp")) {
        INFO(block.file.string() << ':' << block.line << ", below: " << block.above);
        const std::string open = "<!-- ";
        const auto colon = block.above.find(": ");
        const auto close = block.above.find(" -->");
        const bool says_where =
            block.above.rfind(open, 0) == 0 && colon != std::string::npos && close != std::string::npos;
        CHECK(says_where);
        if (says_where) {
            const fs::path file =
                fs::path{pgsim::test::source_dir()} / block.above.substr(open.size(), colon - open.size());
            CHECK(joined(snippet(file, block.above.substr(colon + 2, close - colon - 2))) == joined(block.text));
        }
    }
}

TEST_CASE("What the documentation leaves open, and nothing else, may differ", "[docs]") {
    CHECK(line_matches("at cycle …: 0x0", "at cycle 123: 0x0"));
    CHECK(line_matches("… captures, 0 differences", "114 captures, 0 differences"));
    CHECK_FALSE(line_matches("… captures, 0 differences", "114 captures, 10 differences in 2"));
    CHECK_FALSE(line_matches("at cycle …: 0x0", "at cycle 123: 0x1"));
    CHECK_FALSE(line_matches("plain", "plainer"));
    CHECK(matches({"a", "…", "d"}, 0, {"a", "b", "c", "d"}, 0));
    CHECK_FALSE(matches({"a", "…", "d"}, 0, {"a", "b", "c"}, 0));
}

TEST_CASE("Commands in the documentation print what it shows", "[docs]") {
    for (const Block& block : all_blocks("console")) {
        check_console(block);
    }
}

TEST_CASE("Links between the pages of the documentation lead somewhere", "[docs]") {
    const fs::path source{pgsim::test::source_dir()};
    std::vector<fs::path> files;
    if (fs::exists(source / "README.md")) {
        files.push_back(source / "README.md");
    }
    for (const auto& entry : fs::recursive_directory_iterator{source / "docs"}) {
        if (entry.path().extension() == ".md") {
            files.push_back(entry.path());
        }
    }
    for (const fs::path& file : files) {
        const std::string text = prose_of(file);
        for (std::size_t at = text.find("]("); at != std::string::npos; at = text.find("](", at + 1)) {
            std::string target = text.substr(at + 2, text.find(')', at) - at - 2);
            target = target.substr(0, target.find('#'));
            if (!target.empty() && target.find("://") == std::string::npos) {
                INFO(file.string() << " links to " << target);
                CHECK(fs::exists(file.parent_path() / target));
            }
        }
    }
}
