// SPDX-License-Identifier: GPL-2.0-only
// The pgsim command from outside: what it prints, where, and its exit codes.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "pgsim/formats/capture.hpp"
#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/scratch.hpp"

using namespace pgsim;

namespace {

struct Run {
    int exit_code = -1;
    std::string out;
    std::string err;
};

Run pgsim_with(const std::string& arguments) {
    const std::string errors = (test::scratch_folder() / "stderr").string();
    const std::string command = std::string{"'"} + PGSIM_COMMAND + "' " + arguments + " 2>'" + errors + "'";
    Run run;
    FILE* const pipe = popen(command.c_str(), "r");
    REQUIRE(pipe != nullptr);
    char block[4096];
    for (std::size_t got = 0; (got = fread(block, 1, sizeof block, pipe)) > 0;) {
        run.out.append(block, got);
    }
    run.exit_code = WEXITSTATUS(pclose(pipe));
    run.err = test::read_file(errors);
    return run;
}

// What the command prints when its standard output is a terminal (a pseudo-terminal, whose line ends are CR LF).
std::string pgsim_on_terminal(const std::string& arguments, const std::string& environment = "env -u NO_COLOR") {
    const int master = posix_openpt(O_RDWR | O_NOCTTY);
    REQUIRE(master >= 0);
    REQUIRE(grantpt(master) == 0);
    REQUIRE(unlockpt(master) == 0);
    const std::string terminal = ptsname(master);
    const int keep_open = open(terminal.c_str(), O_RDWR | O_NOCTTY);  // else reading ends before the command begins
    REQUIRE(keep_open >= 0);
    const std::string command = environment + " '" + PGSIM_COMMAND + "' " + arguments + " >'" + terminal +
                                "' 2>/dev/null; echo END >'" + terminal + '\'';
    FILE* const shell = popen(command.c_str(), "r");
    REQUIRE(shell != nullptr);
    std::string text;
    char block[4096];
    while (text.size() < 5 || text.compare(text.size() - 5, 5, "END\r\n") != 0) {
        const ssize_t got = read(master, block, sizeof block);
        REQUIRE(got > 0);
        text.append(block, static_cast<std::size_t>(got));
    }
    pclose(shell);
    close(keep_open);
    close(master);
    return text.substr(0, text.size() - 5);
}

// Without escape sequences and carriage returns.
std::string without_colours(const std::string& text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\x1b') {
            i = text.find('m', i);
        } else if (text[i] != '\r') {
            plain += text[i];
        }
    }
    return plain;
}

std::string capture(const std::string& name) {
    return "'" + test::data_path("captures/" + name + ".json.xz") + "'";
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("Help and version go to standard output with exit code 0", "[cli]") {
    for (const char* arguments : {"--help", "walk --help", "dump --help", "compare --help", "--version"}) {
        INFO(arguments);
        const Run run = pgsim_with(arguments);
        CHECK(run.exit_code == 0);
        CHECK_FALSE(run.out.empty());
        CHECK(run.err.empty());
    }
}

TEST_CASE("Bad input: one line on standard error that says where and why, exit code 2, nothing on standard output",
          "[cli]") {
    struct Case {
        std::string arguments;
        std::string says;
    };
    const std::string good = capture("k6.1-1g-4l");
    for (const Case& bad :
         {Case{"", "subcommand"},
          Case{"frobnicate", "frobnicate"},
          Case{"walk", "VA is required"},
          Case{"walk xyz", "\"xyz\" is not an address"},
          Case{"walk 0x10000000000000000", "is not an address"},
          Case{"walk 0 --access q", "--access"},
          Case{"walk 0 --at nowhere", "nowhere"},
          Case{"walk 0 --capture /no/such/file", "/no/such/file: no such file"},
          Case{"walk 0 --capture " + good + " --at nowhere", "no checkpoint is called \"nowhere\""},
          Case{"walk 0 --capture " + good + " --at buddy.exit --root cr9", "no root is called \"cr9\""},
          Case{"walk 0 --preset atari", "atari"},
          Case{"walk 0 --cpu 8086", "8086"},
          Case{"walk 0 --numa 0x,", "size \"0x\""},
          Case{"dump --format yaml", "there is no format \"yaml\""},
          Case{"dump --range 5", "--range: expected FIRST-LAST"},
          Case{"dump --range 5-4", "lies below the first"},
          Case{"dump --out /no/such/folder/x --preset q35-512m", "/no/such/folder/x: cannot be written"},
          Case{"compare /no/such/file", "no such file"},
          Case{"compare " + good + " --with /dev/null", "not valid JSON"},
          Case{"diff " + good + ":nowhere " + good, "nowhere"}}) {
        INFO(bad.arguments);
        const Run run = pgsim_with(bad.arguments);
        CHECK(run.exit_code == 2);
        CHECK(run.out.empty());
        CHECK(run.err.rfind("pgsim: ", 0) == 0);
        INFO(run.err);
        CHECK(contains(run.err, bad.says));
    }
}

TEST_CASE("A walk through a simulated boot and through a capture give the same steps", "[cli]") {
    const std::string arguments = "walk ffff888000014790 --at setup_arch.entry ";
    const Run booted = pgsim_with(arguments + "--like " + capture("k6.1-1g-4l"));
    const Run captured = pgsim_with(arguments + "--capture " + capture("k6.1-1g-4l"));
    CHECK(booted.exit_code == 0);
    CHECK(booted.out == captured.out);
    CHECK(contains(booted.out, "-> 0x14790 in a 2M page, rw- supervisor"));

    const Run json = pgsim_with(arguments + "--json --user --capture " + capture("k6.1-1g-4l"));
    CHECK(nlohmann::json::parse(json.out)["cause"] == "user-mode access to a supervisor page");
}

TEST_CASE("dump writes a file whole, and the same bytes as to standard output", "[cli]") {
    const std::string file = (test::scratch_folder() / "dump.txt").string();
    const std::string arguments =
        "dump --format ptdump --at init_mem_mapping.exit --capture " + capture("k6.1-1g-4l") + ' ';
    const Run shown = pgsim_with(arguments);
    const Run written = pgsim_with(arguments + "--out '" + file + "'");
    CHECK(written.exit_code == 0);
    CHECK(written.out.empty());
    CHECK(test::read_file(file) == shown.out);
    std::filesystem::remove(file);
}

TEST_CASE("compare: 0 without a difference, 1 with one", "[cli]") {
    const Run same = pgsim_with("compare " + capture("k6.1-1g-4l") + " --until x86_64_start_kernel.entry");
    CHECK(same.exit_code == 0);
    std::size_t tables = 0;
    const formats::Capture boot = formats::read_capture(test::data_path("captures/k6.1-1g-4l.json.xz"));
    for (std::size_t i = 0; i < 4; ++i) {
        const formats::CaptureCheckpoint& checkpoint = boot.checkpoints[i];
        tables += checkpoint.tables.size() + (checkpoint.extra_tables ? checkpoint.extra_tables->size() : 0);
    }
    CHECK(same.out == "k6.1-1g-4l: 4 checkpoints, " + std::to_string(tables * 512) + " entries, 0 differences\n");
    const Run other = pgsim_with("compare " + capture("k6.1-1g-4l") + " --with " + capture("k6.1-777m-4l") +
                                 " --only init_mem_mapping.exit --json");
    CHECK(other.exit_code == 1);
    CHECK(nlohmann::json::parse(other.out)[0]["differences"] > 0);
    CHECK(contains(pgsim_with("compare --list-left-out").out, "log_buf"));
}

TEST_CASE("diff: what changed between two checkpoints, exit code 1", "[cli]") {
    const std::string boot = capture("k6.1-1g-4l");
    const Run same = pgsim_with("diff " + boot + ":buddy.exit " + boot + ":buddy.exit");
    CHECK(same.exit_code == 0);
    const Run run = pgsim_with("diff " + boot + ":init_mem_mapping.entry " + boot + ":init_mem_mapping.exit");
    CHECK(run.exit_code == 1);
    CHECK(contains(run.out, "added 0xffff888003200000-0xffff88803fdfffff 972 MiB: 0x3200000 2M rw- global\n"));
}

TEST_CASE("diff of two machines: the inputs, the first checkpoint that differs, what differs", "[cli]") {
    const Run run = pgsim_with("diff q35-4g q35-4g-2m --at init_mem_mapping.exit");
    CHECK(run.exit_code == 1);
    CHECK(contains(run.out, "CPU features only in the first: pdpe1gb\n"));
    CHECK(contains(run.out,
                   "changed 0xffff888100000000-0xffff88817fffffff 2 GiB: 0x100000000 1G rw- global -> "
                   "0x100000000 2M rw- global\n"));
    CHECK(contains(run.out, "setup_arch.entry"));
    const Run same = pgsim_with("diff q35-512m q35-512m --at setup_arch.entry");
    CHECK(same.exit_code == 0);
}

TEST_CASE("explain says who wrote each entry of a walk", "[cli]") {
    const Run run = pgsim_with("explain 0xffff888000000000 --preset q35-512m --at init_mem_mapping.exit");
    CHECK(run.exit_code == 0);
    CHECK(contains(run.out, "of init_top_pgt (at "));
    CHECK(contains(run.out, "written by "));
    CHECK(contains(run.out, "So 0xffff888000000000 is at 0x0, in a 4K page"));
    const Run json = pgsim_with("explain 0xffff888000000000 --preset q35-512m --at init_mem_mapping.exit --json");
    const auto steps = nlohmann::json::parse(json.out)["steps"];
    REQUIRE(steps.size() == 4);
    for (const auto& step : steps) {
        REQUIRE(step["writes"].size() >= 1);
        CHECK(step["writes"].back()["after"] == step["value"]);
    }
}

TEST_CASE("import reads what dump writes, and what it writes can be walked and compared", "[cli]") {
    const std::string text = (test::scratch_folder() / "tlb.txt").string();
    const std::string imported = (test::scratch_folder() / "imported.json.xz").string();
    const std::string boot = capture("k6.1-1g-4l");
    REQUIRE(pgsim_with("dump --format qemu-tlb --capture " + boot + " --out '" + text + "'").exit_code == 0);
    const Run shown = pgsim_with("import '" + text + "' --format qemu-tlb");
    CHECK(shown.exit_code == 0);
    CHECK(shown.out == test::read_file(text));
    CHECK(contains(shown.err, "pgsim: note: "));
    REQUIRE(pgsim_with("import '" + text + "' --out '" + imported + "'").exit_code == 0);
    CHECK(contains(pgsim_with("walk ffffffff81000000 --capture '" + imported + "'").out, "-> 0x1000000 in a 2M page"));
    CHECK(contains(pgsim_with("walk ffffffff81000000 --file '" + text + "' --style bochs").out,
                   "maps to physical page 0x000001000000"));
    const Run none = pgsim_with("import /etc/passwd");
    CHECK(none.exit_code == 2);
    CHECK(contains(none.err, "a raw memory image needs --cr3"));
}

TEST_CASE("The manual and the completions name every command", "[cli]") {
    const Run manual = pgsim_with("man");
    CHECK(manual.exit_code == 0);
    CHECK(manual.out.rfind(".TH PGSIM 1", 0) == 0);
    for (const char* name : {"boot", "compare", "diff", "dump", "explain", "import", "presets", "walk"}) {
        CHECK(contains(manual.out, std::string{".SS pgsim "} + name + '\n'));
        CHECK(contains(pgsim_with("completion bash").out, std::string{"        "} + name + ") words=\"--help"));
        CHECK(contains(pgsim_with("completion fish").out, std::string{" -a "} + name + " -d "));
    }
    CHECK(pgsim_with("completion tcsh").exit_code == 2);
}

TEST_CASE("exercise: the list, a question, a checked answer, a solution", "[cli]") {
    const Run all = pgsim_with("exercise");
    CHECK(all.exit_code == 0);
    CHECK(contains(all.out, "split-address "));
    const Run asked = pgsim_with("exercise split-address --seed 1");
    CHECK(asked.exit_code == 0);
    CHECK(asked.out == pgsim_with("exercise split-address").out);  // seed 1 is the default
    CHECK(asked.out != pgsim_with("exercise split-address --seed 2").out);
    const auto solved = nlohmann::json::parse(pgsim_with("exercise split-address --seed 1 --solve --json").out);
    const std::string answer = solved["answer"];
    CHECK(contains(pgsim_with("exercise split-address --seed 1 --solve").out, "Answer: " + answer + '\n'));
    CHECK(pgsim_with("exercise split-address --seed 1 --check '" + answer + "'").exit_code == 0);
    const Run wrong = pgsim_with("exercise split-address --seed 1 --check 'pml4=512'");
    CHECK(wrong.exit_code == 1);
    CHECK(contains(wrong.out, "pml4         wrong  Nine bits of the address, 47:39."));
    CHECK(contains(wrong.out, "No answer: offset in the page"));
    CHECK(wrong.err.empty());
    const auto checked =
        nlohmann::json::parse(pgsim_with("exercise split-address --seed 1 --json --check '" + answer + "'").out);
    CHECK(checked["correct"] == true);
    CHECK(nlohmann::json::parse(pgsim_with("exercise --json").out).size() >= 15);
    const auto question = nlohmann::json::parse(pgsim_with("exercise split-address --json").out);
    CHECK_FALSE(question.contains("answer"));
    CHECK_FALSE(question["fields"][0].contains("answer"));
    CHECK(pgsim_with("exercise juggling").exit_code == 2);
    CHECK(pgsim_with("exercise split-address --check pml4=x").exit_code == 2);
    CHECK(pgsim_with("exercise --solve").exit_code == 2);
}

TEST_CASE("Colours: on a terminal, without a change to the words; never with NO_COLOR, in a pipe or in a file",
          "[cli]") {
    const std::string boot = capture("k6.1-1g-4l");
    for (const std::string& arguments :
         {"walk ffffffff81000000 --capture " + boot, "dump --capture " + boot, "dump --format ranges --capture " + boot,
          "import " + boot + " --at init_mem_mapping.exit",
          "diff " + boot + ":init_mem_mapping.entry " + boot + ":init_mem_mapping.exit",
          std::string{"explain ffff888000000000 --preset q35-512m --at init_mem_mapping.exit"},
          std::string{"exercise split-address --check pml4=1"}}) {
        INFO(arguments);
        const std::string plain = pgsim_with(arguments).out;
        CHECK_FALSE(contains(plain, "\x1b"));
        const std::string coloured = pgsim_on_terminal(arguments);
        CHECK(contains(coloured, "\x1b["));
        CHECK(without_colours(coloured) == plain);
        CHECK_FALSE(contains(pgsim_on_terminal(arguments, "env NO_COLOR=1"), "\x1b"));
        CHECK(contains(pgsim_on_terminal(arguments, "env NO_COLOR="), "\x1b["));  // empty counts as not set
    }
    // What other tools are to read is never coloured.
    for (const char* format : {"ptdump", "qemu-tlb", "json", "dot"}) {
        INFO(format);
        CHECK_FALSE(contains(
            pgsim_on_terminal("dump --at setup_arch.entry --format " + std::string{format} + " --capture " + boot),
            "\x1b"));
    }
    const std::string file = (test::scratch_folder() / "tree.txt").string();
    CHECK(pgsim_on_terminal("dump --capture " + boot + " --out '" + file + "'").empty());
    CHECK_FALSE(contains(test::read_file(file), "\x1b"));
}

TEST_CASE("Every command has --json, but those whose output is a page or a script for another program", "[cli]") {
    const std::string help = pgsim_with("--help").out;
    std::istringstream lines{help.substr(help.find("Subcommands:"))};
    std::string line;
    std::getline(lines, line);
    unsigned commands = 0;
    while (std::getline(lines, line) && line.rfind("  ", 0) == 0) {
        const std::string name = line.substr(2, line.find(' ', 2) - 2);
        INFO(name);
        ++commands;
        CHECK(contains(pgsim_with(name + " --help").out, "--json") == (name != "man" && name != "completion"));
    }
    CHECK(commands >= 19);
}

TEST_CASE("history steps a table through its writes, forwards and backwards", "[cli]") {
    const std::string arguments = "history init_top_pgt --preset q35-512m --at init_mem_mapping.exit ";
    const Run all = pgsim_with(arguments);
    CHECK(all.exit_code == 0);
    CHECK(contains(all.out, "   1. ["));
    const auto json = nlohmann::json::parse(pgsim_with(arguments + "--json").out);
    const auto& writes = json["writes"];
    REQUIRE(writes.size() >= 3);
    // What one write left is what the next one to the same entry found; the last ones are what the walk reads.
    std::map<int, std::string> now;
    for (const auto& write : writes) {
        const int index = write["index"];
        if (now.count(index) != 0) {
            CHECK(write["before"] == now[index]);
        }
        now[index] = write["after"];
    }
    const auto walk = nlohmann::json::parse(
        pgsim_with("explain ffff888000000000 --preset q35-512m --at init_mem_mapping.exit --json").out);
    CHECK(now[273] == walk["steps"][0]["value"]);
    const auto begin = nlohmann::json::parse(pgsim_with(arguments + "--json --step 0").out);
    const auto end =
        nlohmann::json::parse(pgsim_with(arguments + "--json --step " + std::to_string(writes.size())).out);
    CHECK(begin["entries"] != end["entries"]);
    CHECK(contains(pgsim_with(arguments + "--step 1").out, "after 1 of them:"));
    CHECK(contains(pgsim_with(arguments + "--step 100000").err, "--step: the table was written"));
    CHECK(contains(pgsim_with("history no_such_table --preset q35-512m").err, "no such table can be reached"));
}

TEST_CASE("--phys: who maps a physical page", "[cli]") {
    const std::string source = " --format ranges --at init_mem_mapping.exit --capture " + capture("k6.1-1g-4l");
    // The kernel's text: in the direct map and in the image mapping.
    const Run text = pgsim_with("dump --phys 0x1000000" + source);
    CHECK(contains(text.out, "0xffff888001000000-"));
    CHECK(contains(text.out, "0xffffffff81000000-"));
    const Run data = pgsim_with("dump --phys 20000000-20000fff" + source);
    CHECK(contains(data.out, "0xffff888020000000-"));
    CHECK_FALSE(contains(data.out, "0xffffffff8"));
    CHECK(contains(pgsim_with("dump --phys 10000000000000" + source).err, "at most 52 bits"));
    CHECK(contains(pgsim_with("dump --phys 5-4" + source).err, "lies below the first"));
}

// DirectMap lines of a 4 GiB q35: RAM is [0, 0x7ffe0000) and [4 GiB, 6 GiB); 4-KByte pages up to 2 MiB and from the
// last 2-MByte boundary, a 1-GByte page each for the upper two. [spec R6: split_mem_range]
TEST_CASE("meminfo counts the direct map by page size", "[cli]") {
    const Run run = pgsim_with("meminfo --preset q35-4g --at init_mem_mapping.exit");
    CHECK(run.exit_code == 0);
    CHECK(contains(run.out, "DirectMap4k:        3968 kB\nDirectMap2M:     2093056 kB\nDirectMap1G:     2097152 kB\n"));
    const auto json = nlohmann::json::parse(pgsim_with("meminfo --preset q35-4g --json").out);
    CHECK(json["total_k"] > 3900000);
    CHECK(json["zones"].size() == 3);
}

TEST_CASE("run --html writes a page and tells in the terminal what it tells without", "[cli]") {
    const std::string script = " '" + std::string{test::source_dir()} + "/examples/processes/copy-on-write.txt'";
    const std::string page = (test::scratch_folder() / "run.html").string();
    for (const std::string options : {"", "--levels 5"}) {
        INFO(options);
        const Run without = pgsim_with("run " + options + script);
        const Run with = pgsim_with("run " + options + script + " --html '" + page + "'");
        if (with.exit_code == 2) {
            CHECK(contains(with.err, "explorer page"));  // built without it
            continue;
        }
        CHECK(with.exit_code == 0);
        CHECK(with.out == without.out);
        CHECK(contains(test::read_file(page), "P fork C"));
    }
    const Run brief = pgsim_with("run --brief" + script + " --html '" + page + "'");
    CHECK_FALSE(contains(brief.out, "exc_page_fault"));
}
