// SPDX-License-Identifier: GPL-2.0-only
#include "pgsim/scenario/process_script.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "pgsim/base/error.hpp"

namespace pgsim {

namespace {

std::vector<std::string> words_of(std::string_view line) {
    std::vector<std::string> words;
    line = line.substr(0, line.find('#'));
    std::size_t at = 0;
    while ((at = line.find_first_not_of(" \t\r", at)) != std::string_view::npos) {
        const std::size_t end = std::min(line.find_first_of(" \t\r", at), line.size());
        words.emplace_back(line.substr(at, end - at));
        at = end;
    }
    return words;
}

std::string comment_of(std::string_view line) {
    const std::size_t hash = line.find('#');
    if (hash == std::string_view::npos) {
        return {};
    }
    line.remove_prefix(hash + 1);
    const std::size_t first = line.find_first_not_of(" \t\r");
    if (first == std::string_view::npos) {
        return {};
    }
    return std::string{line.substr(first, line.find_last_not_of(" \t\r") + 1 - first)};
}

std::uint64_t parse_number(std::string_view text) {
    std::string_view digits = text;
    int base = 10;
    if (digits.substr(0, 2) == "0x") {
        digits.remove_prefix(2);
        base = 16;
    }
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    std::string_view rest = digits.substr(static_cast<std::size_t>(end - digits.data()));
    unsigned shift = 0;
    if (rest == "K" || rest == "M" || rest == "G") {
        shift = rest == "K" ? 10 : rest == "M" ? 20 : 30;
        rest = {};
    }
    const bool too_large = shift != 0 && value >> (64 - shift) != 0;
    if (error != std::errc{} || !rest.empty() || digits.empty() || too_large) {
        throw Error{"\"" + std::string{text} + "\" is no number"};
    }
    return value << shift;
}

// The arguments of one line, taken one after the other.
class Arguments {
public:
    explicit Arguments(std::vector<std::string> words) : words_{std::move(words)} {}

    [[nodiscard]] bool more() const { return at_ < words_.size(); }
    std::string word(const char* what) {
        if (!more()) {
            throw Error{std::string{what} + " is missing"};
        }
        return words_[at_++];
    }
    std::uint64_t number(const char* what) { return parse_number(word(what)); }
    std::uint64_t number_or(std::uint64_t otherwise) { return more() ? parse_number(words_[at_++]) : otherwise; }
    // The number of a last word "KEY=NUMBER"; nullopt when there is none.
    std::optional<std::uint64_t> option(std::string_view key) {
        if (!more() || words_.back().rfind(key, 0) != 0) {
            return std::nullopt;
        }
        const std::uint64_t value = parse_number(std::string_view{words_.back()}.substr(key.size()));
        words_.pop_back();
        return value;
    }
    void end() const {
        if (more()) {
            throw Error{"\"" + words_[at_] + "\" is too much"};
        }
    }

private:
    std::vector<std::string> words_;
    std::size_t at_ = 0;
};

void parse_mmap(Arguments& in, ProcessOperation& op) {
    op.addr = in.number("the address");
    op.len = in.number("the length");
    op.prot = in.word("the protection");
    op.flags = in.word("the flags");
    while (in.more()) {
        const std::string option = in.word("an option");
        if (option.rfind("file=", 0) == 0) {
            op.file = parse_number(std::string_view{option}.substr(5));
        } else if (option.rfind("offset=", 0) == 0) {
            op.offset = parse_number(std::string_view{option}.substr(7));
        } else {
            throw Error{"\"" + option + "\": file=N or offset=BYTES is wanted"};
        }
    }
}

void parse_access(Arguments& in, ProcessOperation& op) {
    if (const auto value = in.option("value=")) {
        if (*value > 0xff) {
            throw Error{"value=: more than a byte"};
        }
        op.value = *value;
    }
    op.addr = in.number("the address");
    op.count = in.number_or(1);
    op.stride = in.number_or(0x1000);
}

void parse_file_operation(Arguments& in, ProcessOperation& op) {
    op.file = in.number("the file's number");
    if (op.op == "openfile") {
        op.kind = in.word("tmpfs or ext4");
    } else if (op.op == "filewrite") {
        op.offset = in.number("the offset");
        op.count = in.number("the number of pages");
    } else if (op.op == "ftruncate") {
        op.len = in.number("the length");
    }
}

ProcessOperation parse_operation(std::vector<std::string> words) {
    Arguments in{std::move(words)};
    ProcessOperation op;
    op.proc = in.word("the process");
    op.op = in.word("the operation");
    if (op.op == "mmap") {
        parse_mmap(in, op);
    } else if (op.op == "read" || op.op == "write" || op.op == "rdwr") {
        parse_access(in, op);
    } else if (op.op == "call" || op.op == "brk") {
        op.addr = in.number("the address");
    } else if (op.op == "munmap" || op.op == "mlock" || op.op == "munlock" || op.op == "kwrite" || op.op == "kread" ||
               op.op == "mprotect" || op.op == "madvise" || op.op == "mremap") {
        op.addr = in.number("the address");
        op.len = in.number("the length");
        if (op.op == "mprotect") {
            op.prot = in.word("the protection");
        } else if (op.op == "madvise") {
            op.advice = in.word("the advice");
        } else if (op.op == "mremap") {
            op.new_len = in.number("the new length");
            op.remap_flags = static_cast<unsigned>(in.number_or(0));
            op.new_addr = in.number_or(0);
        }
    } else if (op.op == "fork") {
        op.child = in.word("the child's name");
    } else if (op.op == "thp_off") {
        op.value = in.number("0 or 1");
    } else if (op.op == "openfile" || op.op == "filewrite" || op.op == "ftruncate" || op.op == "fsync" ||
               op.op == "dropcache") {
        parse_file_operation(in, op);
    } else if (op.op != "exit") {
        throw Error{"\"" + op.op + "\" is no operation"};
    }
    in.end();
    return op;
}

}  // namespace

std::vector<ScriptLine> parse_process_script(std::string_view text) {
    std::vector<ScriptLine> lines;
    std::size_t number = 0;
    std::string above;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        ++number;
        std::vector<std::string> words = words_of(line);
        const std::string comment = comment_of(line);
        if (words.empty()) {
            above = comment.empty() ? "" : above + (above.empty() ? "" : "\n") + comment;
            continue;
        }
        ScriptLine& parsed = lines.emplace_back();
        parsed.number = number;
        for (const std::string& word : words) {
            parsed.text += (parsed.text.empty() ? "" : " ") + word;
        }
        parsed.comment = std::exchange(above, {});
        if (!comment.empty()) {
            parsed.comment += (parsed.comment.empty() ? "" : "\n") + comment;
        }
        try {
            parsed.operation = parse_operation(std::move(words));
        } catch (const Error& error) {
            throw error.within("line " + std::to_string(number));
        }
    }
    return lines;
}

}  // namespace pgsim
