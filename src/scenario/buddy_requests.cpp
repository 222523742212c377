// SPDX-License-Identifier: GPL-2.0-only
// Allocations and frees by hand, and what they change.
#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <tuple>
#include <utility>

#include "buddy_views.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/base/units.hpp"

namespace pgsim {

namespace {

using namespace kernel;

std::uint64_t number_of(std::string_view text, std::string_view what) {
    std::string_view digits = text;
    const bool hexadecimal = digits.substr(0, 2) == "0x";
    if (hexadecimal) {
        digits.remove_prefix(2);
    }
    std::uint64_t value = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, hexadecimal ? 16 : 10);
    if (error != std::errc{} || digits.empty() || end != digits.data() + digits.size()) {
        throw Error{what, "\"" + std::string{text} + "\" is no number"};
    }
    return value;
}

std::vector<std::string_view> split(std::string_view text, char by) {
    std::vector<std::string_view> parts;
    for (std::size_t at = 0;;) {
        const std::size_t end = std::min(text.find(by, at), text.size());
        parts.push_back(text.substr(at, end - at));
        if (end == text.size()) {
            return parts;
        }
        at = end + 1;
    }
}

gfp_t parse_gfp(std::string_view text) {
    static constexpr std::array<std::pair<std::string_view, gfp_t>, 25> names{{
        {"kernel", gfp::kernel},
        {"user", gfp::user},
        {"highuser_movable", gfp::highuser_movable},
        {"atomic", gfp::atomic},
        {"nowait", gfp::nowait},
        {"dma", gfp::dma},
        {"dma32", gfp::dma32},
        {"highmem", gfp::highmem},
        {"movable", gfp::movable},
        {"reclaimable", gfp::reclaimable},
        {"high", gfp::high},
        {"io", gfp::io},
        {"fs", gfp::fs},
        {"zero", gfp::zero},
        {"direct_reclaim", gfp::direct_reclaim},
        {"kswapd_reclaim", gfp::kswapd_reclaim},
        {"reclaim", gfp::reclaim},
        {"nowarn", gfp::nowarn},
        {"retry_mayfail", gfp::retry_mayfail},
        {"noretry", gfp::noretry},
        {"memalloc", gfp::memalloc},
        {"nomemalloc", gfp::nomemalloc},
        {"comp", gfp::comp},
        {"thisnode", gfp::thisnode},
        {"transhuge", gfp::transhuge},
    }};
    gfp_t flags = 0;
    for (const std::string_view word : split(text, '|')) {
        const auto known = std::find_if(names.begin(), names.end(), [&](const auto& n) { return n.first == word; });
        if (known != names.end()) {
            flags |= known->second;
            continue;
        }
        if (word.empty() || word.front() < '0' || word.front() > '9') {
            throw Error{"GFP", "\"" + std::string{word} + "\" is no allocation flag"};
        }
        const std::uint64_t value = number_of(word, "GFP");
        if (value >> 27 != 0) {
            throw Error{"GFP", "\"" + std::string{word} + "\" has bits that no flag has"};
        }
        flags |= static_cast<gfp_t>(value);
    }
    return flags;
}

unsigned parse_order(std::string_view text) {
    const std::uint64_t order = number_of(text, "order");
    if (order > max_order) {
        throw Error{"order", std::to_string(order) + " is more than " + std::to_string(max_order)};
    }
    return static_cast<unsigned>(order);
}

class Recorder final : public BuddyObserver {
public:
    explicit Recorder(Buddy& buddy) : buddy_{buddy} { buddy_.set_observer(this); }
    ~Recorder() override { buddy_.set_observer(nullptr); }
    Recorder(const Recorder&) = delete;
    Recorder& operator=(const Recorder&) = delete;
    void on_event(const BuddyEvent& event) override { events.push_back(event); }
    std::vector<BuddyEvent> events;

private:
    Buddy& buddy_;
};

using ListKey = std::tuple<int, ZoneType, unsigned, MigrateType>;

std::vector<FreeListLength> difference(const std::vector<FreeListLength>& before,
                                       const std::vector<FreeListLength>& after) {
    std::map<ListKey, std::int64_t> by;
    for (const FreeListLength& list : before) {
        by[{list.nid, list.zone, list.order, list.type}] -= list.blocks;
    }
    for (const FreeListLength& list : after) {
        by[{list.nid, list.zone, list.order, list.type}] += list.blocks;
    }
    std::vector<FreeListLength> changed;
    for (const auto& [key, blocks] : by) {
        if (blocks != 0) {
            changed.push_back({std::get<0>(key), std::get<1>(key), std::get<2>(key), std::get<3>(key), blocks});
        }
    }
    return changed;
}

// An allocated block: first page referenced, none of its pages free.
void check_free(const Buddy& buddy, std::uint64_t pfn, unsigned order) {
    const std::string where = "frame " + hex(pfn);
    const std::uint64_t pages = std::uint64_t{1} << order;
    const BuddyZone* const zone = buddy.find_zone(pfn);
    if (zone == nullptr || !zone->span.contains(pfn + pages - 1)) {
        throw Error{where, "no zone has these pages"};
    }
    if (pfn % pages != 0) {
        throw Error{where, "a block of order " + std::to_string(order) + " begins at a multiple of its size"};
    }
    const PageAccess& access = buddy.pages();
    if (access.test(pfn, PageFlag::reserved)) {
        throw Error{where, "it is reserved: it never belonged to the allocator"};
    }
    if (access.refcount(pfn) != 1) {
        throw Error{where, "it is not allocated (reference count " + std::to_string(access.refcount(pfn)) + ")"};
    }
    for (std::uint64_t page = 0; page < pages; ++page) {
        if (access.is_buddy(pfn + page) || (page > 0 && access.refcount(pfn + page) > 0)) {
            throw Error{where, "frame " + hex(pfn + page) + " is no part of a block of this order that begins here"};
        }
    }
}

}  // namespace

BuddyRequest parse_alloc_request(std::string_view text) {
    const auto parts = split(text, ',');
    if (parts.size() > 3) {
        throw Error{"allocation " + std::string{text}, "ORDER[,GFP[,NODE]] is wanted"};
    }
    BuddyRequest request;
    request.order = parse_order(parts[0]);
    if (parts.size() > 1) {
        request.gfp = parse_gfp(parts[1]);
    }
    if (parts.size() > 2) {
        request.nid = static_cast<int>(std::min<std::uint64_t>(number_of(parts[2], "node"), 1U << 20));
    }
    return request;
}

BuddyRequest parse_free_request(std::string_view text) {
    const auto parts = split(text, ',');
    BuddyRequest request;
    request.free = true;
    const bool of_result = !parts[0].empty() && parts[0].front() == '@';
    if (parts.size() > 2 || (parts.size() < 2 && !of_result)) {
        throw Error{"free " + std::string{text}, "PFN,ORDER or @N is wanted"};
    }
    if (of_result) {
        const std::uint64_t number = number_of(parts[0].substr(1), "allocation");
        if (number == 0) {
            throw Error{"free " + std::string{text}, "allocations are counted from 1"};
        }
        request.result_of = static_cast<std::size_t>(number - 1);
        request.order = max_order + 1;  // that of the allocation
    } else {
        request.pfn = number_of(parts[0], "page frame number");
    }
    if (parts.size() == 2) {
        request.order = parse_order(parts[1]);
    }
    return request;
}

std::vector<BuddyChange> apply_requests(Buddy& buddy, const std::vector<BuddyRequest>& requests) {
    std::vector<BuddyChange> changes;
    std::vector<std::pair<std::optional<std::uint64_t>, unsigned>> results;
    for (BuddyRequest request : requests) {
        if (request.free && request.result_of) {
            if (*request.result_of >= results.size() || !results[*request.result_of].first) {
                throw Error{"free @" + std::to_string(*request.result_of + 1), "there is no such allocation"};
            }
            request.pfn = results[*request.result_of].first;
            request.order = std::min(request.order, results[*request.result_of].second);
        }
        const bool known = std::any_of(buddy.zones().begin(), buddy.zones().end(),
                                       [&](const BuddyZone& zone) { return zone.span.nid == request.nid; });
        if (request.free) {
            check_free(buddy, *request.pfn, request.order);
        } else if (!known) {
            throw Error{"node " + std::to_string(request.nid), "there is no such node with memory"};
        }
        BuddyChange& change = changes.emplace_back();
        change.request = request;
        const auto before = free_list_lengths(buddy);
        const std::string pieces_before = request.free ? pieces_around(buddy, *request.pfn) : std::string{};
        {
            Recorder recorder{buddy};
            if (request.free) {
                buddy.free_pages(*request.pfn, request.order);
                change.pfn = request.pfn;
            } else {
                change.pfn = buddy.alloc_pages(request.gfp, request.order, request.nid);
                results.emplace_back(change.pfn, request.order);
            }
            change.events = std::move(recorder.events);
        }
        change.changed = difference(before, free_list_lengths(buddy));
        if (change.pfn) {
            change.picture = (request.free ? "before: " + pieces_before + "\nafter:  " : "now:    ") +
                             pieces_around(buddy, *change.pfn);
        }
    }
    return changes;
}

}  // namespace pgsim
