// SPDX-License-Identifier: GPL-2.0-only
// Random operations, compared with a model that knows pages and nothing of page tables.
#include "support/catch.hpp"

#include <array>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>

#include "pgsim/base/units.hpp"
#include "pgsim/kernel/bare_kernel.hpp"
#include "pgsim/kernel/mm_check.hpp"
#include "pgsim/kernel/processes.hpp"

using namespace pgsim;
using namespace pgsim::kernel;

namespace {

constexpr std::uint64_t arena = 0x1000'0000'0000;
constexpr std::uint64_t arena_pages = 1280;  // two and a half 2-MByte areas

// What a user may expect of one page.
struct ModelPage {
    unsigned prot = 0;
    bool shared = false;
    int object = -1;                  ///< of a shared mapping or a file; -1: anonymous and private
    std::uint64_t index = 0;          ///< in the object
    std::optional<std::uint8_t> own;  ///< a private page's content, once written
    bool maybe_zero = false;          ///< after MADV_FREE: the content, or zero
    /// A populating call may have made the private copy of a file's page when it held this.
    std::optional<std::uint8_t> maybe_copy;
};

struct ModelProcess {
    task_struct* task = nullptr;
    std::map<std::uint64_t, ModelPage> pages;  ///< by page number in the arena
};

struct ModelObject {
    std::shared_ptr<address_space> file;  ///< null: shared anonymous memory
    std::map<std::uint64_t, std::uint8_t> content;
    std::uint64_t size = 0;  ///< pages
};

class Game {
public:
    Game(BareKernel& kernel, const MmSetup& setup, unsigned seed)
        : mm_{kernel.machine(),      kernel.memory(),    kernel.state(), kernel.buddy(),
              kernel.init_top_pgt(), kernel.zero_page(), kernel.lists(), setup},
          random_{seed} {
        for (const FileKind kind : {FileKind::tmpfs, FileKind::ext4}) {
            ModelObject object;
            object.file = mm_.new_file(kind, "f");
            object.size = 200;
            object.file->i_size = object.size * page_size;
            objects_.push_back(std::move(object));
        }
        ModelProcess first;
        first.task = &create_process(mm_, "P");
        processes_.push_back(std::move(first));
    }

    ~Game() {
        objects_.clear();
        end_all_processes(mm_);
    }

    Mm& mm() { return mm_; }
    std::uint64_t accesses = 0;

    void step() {
        if (processes_.empty()) {
            return;
        }
        ModelProcess& who = processes_[below(processes_.size())];
        const std::uint64_t roll = below(1000);
        if (roll < 880) {
            access(who);
        } else if (roll < 905) {
            map(who);
        } else if (roll < 920) {
            unmap(who);
        } else if (roll < 940) {
            protect(who);
        } else if (roll < 965) {
            advise(who);
        } else if (roll < 975) {
            move(who);
        } else if (roll < 983) {
            lock(who);
        } else if (roll < 992) {
            fork(who);
        } else {
            end(who);
        }
        bury();
    }

private:
    std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
    static std::uint64_t address_of(std::uint64_t page) { return arena + page * page_size; }

    struct Span {
        std::uint64_t first;
        std::uint64_t count;
    };
    Span span() {
        if (below(4) == 0) {  // whole 2-MByte areas now and then
            return {below(2) * 512, 512};
        }
        const std::uint64_t first = below(arena_pages);
        return {first, 1 + below(std::min<std::uint64_t>(arena_pages - first, below(3) == 0 ? 300 : 24))};
    }

    std::uint8_t content(const ModelPage& page) const {
        if (page.own) {
            return *page.own;
        }
        if (page.object < 0) {
            return 0;
        }
        const auto& all = objects_[static_cast<std::size_t>(page.object)].content;
        const auto found = all.find(page.index);
        return found == all.end() ? std::uint8_t{0} : found->second;
    }

    void access(ModelProcess& who) {
        ++accesses;
        const std::uint64_t number = below(arena_pages);
        const VirtAddr address{address_of(number)};
        const bool write = below(2) == 0;
        const auto value = static_cast<std::uint8_t>(1 + below(255));
        const auto found = who.pages.find(number);
        const UserAccess result =
            write ? user_store(mm_, *who.task, address, value) : user_load(mm_, *who.task, address);
        if (who.task->oom_killed) {
            bury();
            return;
        }
        if (found == who.pages.end()) {
            REQUIRE(result.signal == FaultSignal{sigsegv, segv_maperr, address.value()});
            return;
        }
        ModelPage& page = found->second;
        const bool allowed = write ? (page.prot & prot::write) != 0 : page.prot != 0;
        if (!allowed) {
            REQUIRE(result.signal == FaultSignal{sigsegv, segv_accerr, address.value()});
            return;
        }
        if (page.object >= 0 && !page.own && page.index >= objects_[static_cast<std::size_t>(page.object)].size) {
            REQUIRE(result.signal == FaultSignal{sigbus, bus_adrerr, address.value()});
            return;
        }
        REQUIRE_FALSE(result.signal);
        if (write) {
            if (page.shared) {
                objects_[static_cast<std::size_t>(page.object)].content[page.index] = value;
            } else {
                page.own = value;
            }
            page.maybe_zero = false;
        } else if (page.maybe_zero && result.value == 0) {
            page.own = 0;
            page.maybe_zero = false;
        } else if (!page.own && page.maybe_copy && result.value == *page.maybe_copy) {
            if (result.value != content(page)) {
                page.own = page.maybe_copy;
            }
        } else {
            REQUIRE(result.value == content(page));
        }
        if (below(64) == 0) {  // an access that was allowed never faults again
            const std::uint64_t faults = who.task->min_flt + who.task->maj_flt;
            user_load(mm_, *who.task, address);
            REQUIRE(who.task->min_flt + who.task->maj_flt == faults);
        }
    }

    void bury() {
        std::erase_if(processes_, [&](ModelProcess& process) {
            if (!process.task->oom_killed) {
                return false;
            }
            exit_process(mm_, *process.task);
            return true;
        });
    }

    // Pages of private, writable file mappings may be copied now.
    void note_copies(ModelProcess& who, Span where) {
        for (std::uint64_t i = 0; i < where.count; ++i) {
            const auto found = who.pages.find(where.first + i);
            if (found != who.pages.end() && found->second.object >= 0 && !found->second.shared && !found->second.own &&
                !found->second.maybe_copy) {
                found->second.maybe_copy = content(found->second);
            }
        }
    }

    void map(ModelProcess& who) {
        const Span where = span();
        static constexpr std::array<unsigned, 5> prots{0, 1, 3, 3, 5};
        ModelPage page;
        page.prot = prots[below(5)];
        page.shared = below(4) == 0;
        unsigned flags = map::fixed | (page.shared ? kernel::map::shared : kernel::map::private_);
        std::shared_ptr<address_space> file;
        std::uint64_t pgoff = 0;
        if (below(3) == 0) {
            page.object = static_cast<int>(below(2));
            file = objects_[static_cast<std::size_t>(page.object)].file;
            pgoff = below(120);
        } else {
            flags |= kernel::map::anonymous;
            if (page.shared) {
                page.object = static_cast<int>(objects_.size());
                ModelObject object;
                object.size = ~std::uint64_t{0};
                objects_.push_back(std::move(object));
            }
        }
        if (below(6) == 0) {
            flags |= kernel::map::populate;
        }
        const long result =
            do_mmap(mm_, *who.task, address_of(where.first), where.count * page_size, page.prot, flags, file, pgoff);
        REQUIRE(result == static_cast<long>(address_of(where.first)));
        for (std::uint64_t i = 0; i < where.count; ++i) {
            page.index = pgoff + i;
            who.pages[where.first + i] = page;
        }
        note_copies(who, where);
        if (below(3) == 0) {
            do_madvise(mm_, *who.task, address_of(where.first), where.count * page_size,
                       below(4) == 0 ? Advice::nohugepage : Advice::hugepage);
        }
        bury();
    }

    void unmap(ModelProcess& who) {
        const Span where = span();
        REQUIRE(do_munmap(mm_, *who.task, address_of(where.first), where.count * page_size) == 0);
        for (std::uint64_t i = 0; i < where.count; ++i) {
            who.pages.erase(where.first + i);
        }
    }

    void protect(ModelProcess& who) {
        const Span where = span();
        static constexpr std::array<unsigned, 4> prots{0, 1, 3, 3};
        const unsigned wanted = prots[below(4)];
        const long result = do_mprotect(mm_, *who.task, address_of(where.first), where.count * page_size, wanted);
        bool hole = false;
        for (std::uint64_t i = 0; i < where.count && !hole; ++i) {
            const auto found = who.pages.find(where.first + i);
            if (found == who.pages.end()) {
                hole = true;
            } else {
                found->second.prot = wanted;
            }
        }
        REQUIRE(result == (hole ? -enomem : 0));
        note_copies(who, where);
        bury();
    }

    void advise(ModelProcess& who) {
        const Span where = span();
        const std::uint64_t start = address_of(where.first);
        const std::uint64_t length = where.count * page_size;
        switch (below(5)) {
        case 0:
            if (do_madvise(mm_, *who.task, start, length, Advice::dontneed) != -einval) {
                for (std::uint64_t i = 0; i < where.count; ++i) {
                    const auto found = who.pages.find(where.first + i);
                    if (found != who.pages.end()) {
                        found->second.own.reset();
                        found->second.maybe_zero = false;
                        found->second.maybe_copy.reset();
                    }
                }
            } else {
                forget(who, where);  // a locked area stopped it somewhere
            }
            break;
        case 1:
            do_madvise(mm_, *who.task, start, length, Advice::free);
            for (std::uint64_t i = 0; i < where.count; ++i) {
                const auto found = who.pages.find(where.first + i);
                if (found != who.pages.end() && found->second.object < 0 && found->second.own) {
                    found->second.maybe_zero = true;
                }
            }
            break;
        case 2: do_madvise(mm_, *who.task, start, length, Advice::pageout); break;
        case 3: do_madvise(mm_, *who.task, start, length, Advice::cold); break;
        default: do_madvise(mm_, *who.task, start, length, Advice::populate_read); break;
        }
        bury();
    }

    // Nothing is known of these pages any more: they go.
    void forget(ModelProcess& who, Span where) {
        REQUIRE(do_munmap(mm_, *who.task, address_of(where.first), where.count * page_size) == 0);
        for (std::uint64_t i = 0; i < where.count; ++i) {
            who.pages.erase(where.first + i);
        }
    }

    void move(ModelProcess& who) {
        const Span from = span();
        const std::uint64_t to = below(8) == 0 ? below(2) * 512 : below(arena_pages - from.count + 1);
        const long result =
            do_mremap(mm_, *who.task, address_of(from.first), from.count * page_size, from.count * page_size,
                      mremap_flag::maymove | mremap_flag::fixed, address_of(to));
        if (to + from.count > arena_pages) {
            // beyond the arena: put it away
            if (result > 0) {
                REQUIRE(do_munmap(mm_, *who.task, address_of(to), from.count * page_size) == 0);
            }
            forget_both(who, from, {to, from.count});
            return;
        }
        if (result != static_cast<long>(address_of(to))) {
            if (result != -einval) {
                forget_both(who, from, {to, from.count});
            }
            return;
        }
        std::map<std::uint64_t, ModelPage> moved;
        for (std::uint64_t i = 0; i < from.count; ++i) {
            moved[i] = who.pages.at(from.first + i);
        }
        for (std::uint64_t i = 0; i < from.count; ++i) {
            who.pages.erase(from.first + i);
        }
        for (const auto& [i, page] : moved) {
            who.pages[to + i] = page;
        }
    }

    void forget_both(ModelProcess& who, Span a, Span b) {
        forget(who, a);
        forget(who, b);
    }

    void lock(ModelProcess& who) {
        const Span where = span();
        if (below(3) == 0 && where.count < 64) {
            do_mlock(mm_, *who.task, address_of(where.first), where.count * page_size);
            note_copies(who, where);
        } else {
            do_munlock(mm_, *who.task, arena, arena_pages * page_size);
            for (const auto& [number, page] : who.pages) {
                do_munlock(mm_, *who.task, address_of(number), page_size);
            }
        }
        bury();
    }

    void fork(ModelProcess& who) {
        if (processes_.size() >= 5) {
            return;
        }
        task_struct* const child = fork_process(mm_, *who.task, "C");
        if (child == nullptr) {
            bury();
            return;
        }
        ModelProcess copy = who;
        copy.task = child;
        processes_.push_back(std::move(copy));
        bury();
    }

    void end(ModelProcess& who) {
        if (processes_.size() < 2) {
            return;
        }
        task_struct* const task = who.task;
        exit_process(mm_, *task);
        std::erase_if(processes_, [&](const ModelProcess& process) { return process.task == task; });
    }

    Mm mm_;
    std::mt19937 random_;
    std::vector<ModelProcess> processes_;
    std::vector<ModelObject> objects_;
};

// PGSIM_RANDOM_STEPS=N: so many steps for each seed instead, for a long run.
int steps_wanted(int otherwise) {
    const char* const text = std::getenv("PGSIM_RANDOM_STEPS");
    return text == nullptr ? otherwise : std::max(1, std::atoi(text));
}

void play(const BareKernelSetup& machine, const MmSetup& setup, unsigned seed, int usual_steps) {
    const int steps = steps_wanted(usual_steps);
    BareKernel kernel{machine};
    std::uint64_t before = 0;
    {
        Game game{kernel, setup, seed};
        const auto well = check_invariants(game.mm());
        REQUIRE(well == std::vector<std::string>{});
        for (int i = 0; i < steps; ++i) {
            INFO("seed " << seed << ", step " << i);
            game.step();
            if (i % 500 == 0) {
                REQUIRE(check_invariants(game.mm()) == std::vector<std::string>{});
            }
        }
        REQUIRE(check_invariants(game.mm()) == std::vector<std::string>{});
    }
    // All processes ended: all memory is back.
    for (const BuddyZone& zone : kernel.buddy().zones()) {
        before += zone.managed_pages;
    }
    CHECK(kernel.buddy().free_page_count() == before);
    CHECK(kernel.buddy().bad_pages() == 0);
}

}  // namespace

TEST_CASE("Random operations give what a per-page model says", "[kernel][mm][property]") {
    const bool five_levels = GENERATE(false, true);
    for (unsigned seed = 1; seed <= 3; ++seed) {
        play({.memory_bytes = 256 * MiB, .five_levels = five_levels}, {}, seed, 20000);
    }
}

TEST_CASE("So they do with swap and huge pages for all", "[kernel][mm][property]") {
    MmSetup setup;
    setup.thp = ThpSetting::always;
    setup.swap_slots = 8192;
    for (unsigned seed = 11; seed <= 13; ++seed) {
        play({.memory_bytes = 128 * MiB}, setup, seed, 20000);
    }
}

TEST_CASE("So they do in memory that is too small", "[kernel][mm][property]") {
    MmSetup setup;
    setup.swap_slots = 16384;
    const bool five_levels = GENERATE(false, true);
    for (unsigned seed = 21; seed <= 23; ++seed) {
        play({.memory_bytes = 64 * MiB, .five_levels = five_levels, .free_bytes = 4 * MiB}, setup, seed, 20000);
    }
}
