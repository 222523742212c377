// SPDX-License-Identifier: GPL-2.0-only
#include "scenario/capture_reduction.hpp"

#include <string>
#include <string_view>

namespace pgsim::scenario {

using formats::JsonView;
using kernel::MemblockRequest;

std::uint64_t number_or_hex(const JsonView& value) {
    return value.json().is_string() ? value.hex() : value.number();
}

int node_id(const JsonView& value) {
    const std::int64_t id = value.signed_number();
    if (id < -1 || id > 0xffff) {
        value.fail("not a node id");
    }
    return static_cast<int>(id);
}

PhysAddr physical(const JsonView& value) {
    const std::optional<PhysAddr> address = PhysAddr::try_from(number_or_hex(value));
    if (!address) {
        value.fail("a physical address has at most 52 bits");
    }
    return *address;
}

PhysRange sized_range(const JsonView& base, const JsonView& size) {
    const PhysAddr start = physical(base);
    const std::uint64_t bytes = number_or_hex(size);
    if (bytes > PhysSpace::last - start.value()) {
        size.fail("the range ends beyond 52 bits of physical address");
    }
    return PhysRange::sized(start, bytes);
}

namespace {

/// The caller of a memblock call without its offset: "f+0x12/0x34" -> "f".
std::string caller(const JsonView& call) {
    const auto by = call.find("by");
    const std::string text = by ? by->string() : std::string{};
    return text.substr(0, text.find_first_of("+."));
}

/// Calls `visit(call, op)` for each memblock call that was logged up to a checkpoint and since the one before.
template <class Visit>
void for_each_call(const JsonView& capture, std::string_view checkpoint, Visit visit) {
    const JsonView checkpoints = capture.at("checkpoints");
    for (std::size_t i = 0; i < checkpoints.size(); ++i) {
        const JsonView item = checkpoints.item(i);
        const auto calls = item.find("memblock_calls");
        if (item.at("name").string() != checkpoint || !calls || calls->is_null()) {
            continue;
        }
        for (std::size_t k = 0; k < calls->size(); ++k) {
            const JsonView call = calls->item(k);
            visit(call, call.at("op").string());
        }
    }
}

std::vector<PhysRange> reserved_by(const JsonView& capture, std::string_view checkpoint, std::string_view by) {
    std::vector<PhysRange> ranges;
    for_each_call(capture, checkpoint, [&](const JsonView& call, const std::string& op) {
        if (op == "reserve" && caller(call) == by) {
            ranges.push_back(sized_range(call.at("base"), call.at("size")));
        }
    });
    return ranges;
}

/// brk holds the early bytes, rounded up to a page, then the page-table buffer up to its end. [spec R5.20]
std::optional<std::uint64_t> brk_early_bytes(const JsonView& capture) {
    constexpr std::uint64_t page = 4096;
    const JsonView checkpoints = capture.at("checkpoints");
    for (std::size_t i = 0; i < checkpoints.size(); ++i) {
        const JsonView item = checkpoints.item(i);
        const auto globals = item.find("globals");
        if (item.at("name").string() != "init_mem_mapping.entry" || !globals || globals->is_null()) {
            continue;
        }
        const JsonView layout = capture.at("layout");
        const JsonView symbols = layout.at("symbols");
        const std::uint64_t brk = number_or_hex(symbols.at("__brk_base"));
        const std::uint64_t end = number_or_hex(globals->at("_brk_end"));
        const std::uint64_t buffer =
            number_or_hex(globals->at("pgt_buf_top")) - number_or_hex(globals->at("pgt_buf_end"));
        return end - brk - buffer * page;
    }
    return std::nullopt;
}

/// Pairs each request with the reservation that it led to, as far as later frees have to be told apart by it.
class RequestList {
public:
    void see(const JsonView& call, const std::string& op) {
        const std::string by = caller(call);
        if (op == "memblock" || by == "memblock_double_array") {
            return;
        }
        if (op == "reserve") {
            see_reserve(call, by);
        } else if (op == "phys_free") {
            see_free(call, by);
        } else {
            see_request(call, op, by);
        }
    }

    [[nodiscard]] std::vector<MemblockRequest> take() { return std::move(requests_); }

private:
    void see_reserve(const JsonView& call, const std::string& by) {
        if (by == "memblock_alloc_range_nid" && last_) {
            granted_[*last_] = sized_range(call.at("base"), call.at("size"));
            last_.reset();
        }
    }

    void see_free(const JsonView& call, const std::string& by) {
        const PhysRange range = sized_range(call.at("base"), call.at("size"));
        MemblockRequest request;
        request.op = "phys_free";
        request.size = range.size();
        request.by = by;
        for (std::size_t i = granted_.size(); i-- > 0 && !request.of;) {
            if (granted_[i] && granted_[i]->contains(range.start())) {
                request.of = i;
                request.offset = range.start() - granted_[i]->start();
            }
        }
        if (!request.of) {
            request.base = range.start().value();
        }
        push(std::move(request));
    }

    void see_request(const JsonView& call, const std::string& op, const std::string& by) {
        MemblockRequest request;
        request.op = op;
        request.by = by;
        request.size = number_or_hex(call.at("size"));
        request.align = optional_number(call, "align");
        request.from = optional_number(call, "from");
        request.max_addr = optional_number(call, "max_addr");
        if (const auto nid = call.find("nid")) {
            request.nid = node_id(*nid);
        }
        push(std::move(request));
        last_ = requests_.size() - 1;
    }

    static std::uint64_t optional_number(const JsonView& call, std::string_view key) {
        const auto value = call.find(key);
        return value ? number_or_hex(*value) : 0;
    }

    void push(MemblockRequest request) {
        requests_.push_back(std::move(request));
        granted_.emplace_back();
    }

    std::vector<MemblockRequest> requests_;
    std::vector<std::optional<PhysRange>> granted_;
    std::optional<std::size_t> last_;
};

}  // namespace

ReducedCheckpoints reduce_checkpoints(const JsonView& capture) {
    ReducedCheckpoints result;
    result.brk_early_bytes = brk_early_bytes(capture);
    result.mp_table = reserved_by(capture, "init_mem_mapping.entry", "smp_scan_config");
    result.acpi_reserved = reserved_by(capture, "initmem_init.exit", "acpi_reserve_initial_tables");
    RequestList requests;
    for_each_call(capture, "buddy.entry", [&](const JsonView& call, const std::string& op) { requests.see(call, op); });
    result.memblock_requests = requests.take();
    return result;
}

}  // namespace pgsim::scenario
