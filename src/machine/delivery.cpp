// SPDX-License-Identifier: GPL-2.0-only
// How exceptions reach their handlers, and what happens when they cannot. [SDM-3A "Interrupt 8—Double Fault Exception"]
#include <algorithm>
#include <array>

#include "pgsim/machine/machine.hpp"

namespace pgsim {

namespace {

constexpr unsigned deepest_nesting = 64;

constexpr bool contributory(Vector vector) noexcept {
    return vector == Vector::gp || vector == Vector::ss;
}

/// Does `second`, raised while `first` is delivered, make a double fault? (Else it is handled in turn.)
constexpr bool doubles(Vector first, Vector second) noexcept {
    if (first == Vector::pf) {
        return second == Vector::pf || contributory(second);
    }
    return contributory(first) && contributory(second);
}
static_assert(doubles(Vector::pf, Vector::gp) && !doubles(Vector::gp, Vector::pf));

}  // namespace

void Machine::set_exception_handler(Vector vector, ExceptionHandler handler) {
    std::erase_if(handlers_, [vector](const auto& known) { return known.first == vector; });
    if (handler) {
        handlers_.emplace_back(vector, std::make_shared<const ExceptionHandler>(std::move(handler)));
    }
}

void Machine::stop_with(MachineStop::Reason reason, std::vector<ExceptionFrame> chain, const WalkResult& walk) {
    auto stop = std::make_unique<MachineStop>();
    stop->reason = reason;
    stop->chain = std::move(chain);
    stop->cpu_number = current_;
    stop->cpu = cpu();
    stop->walk = walk;
    stop->when = now_;
    for (const WriteOrigin& origin : origins_) {
        stop->origin += (stop->origin.empty() ? "" : " / ") + origin.stage + ": " + origin.function;
    }
    stop_ = std::move(stop);
    new_epoch();
}

// SS, RSP, RFLAGS, CS, RIP and the error code; supervisor writes whatever the CPL was.
std::optional<ExceptionFrame> Machine::push_frame(const ExceptionFrame& frame) {
    const unsigned slot = cpu().long_mode() ? 8 : 4;
    for (unsigned i = 1; i <= 6; ++i) {
        const VirtAddr at = linear(VirtAddr{exception_stack_->value() - std::uint64_t{slot} * i});
        const Access access{AccessKind::write, 0, AccessMode::by_cpl, true};
        const WalkResult walk = mmu().access(*memory_, at, access);
        if (const Translation* const translation = walk.translation()) {
            const std::uint64_t value = i == 6 ? frame.error_code : 0;
            memory_->write(translation->phys, std::as_bytes(std::span{&value, 1}).first(slot));
            continue;
        }
        ExceptionFrame nested;
        nested.access = access;
        nested.virt = at;
        nested.depth = frame.depth;
        if (const PageFault* const fault = walk.page_fault()) {
            nested.vector = Vector::pf;
            nested.error_code = fault->error_code;
        } else {
            nested.vector = Vector::ss;
        }
        return nested;
    }
    return std::nullopt;
}

HandlerResult Machine::raise(ExceptionFrame frame, const WalkResult& walk) {
    frame.depth = static_cast<unsigned>(in_delivery_.size());
    std::vector<ExceptionFrame> chain{frame};
    if (frame.depth >= deepest_nesting) {
        std::vector<ExceptionFrame> all = in_delivery_;
        all.push_back(frame);
        stop_with(MachineStop::Reason::nested_too_deep, std::move(all), walk);
        return HandlerResult::not_handled;
    }
    for (;;) {
        ExceptionFrame& current = chain.back();
        if (current.vector == Vector::pf) {
            cpus_[current_].state.cr2 = current.virt.value();
        }
        const auto entry = std::find_if(handlers_.begin(), handlers_.end(),
                                        [&](const auto& known) { return known.first == current.vector; });
        std::optional<ExceptionFrame> nested;
        if (entry == handlers_.end()) {
            // An absent or empty gate: #GP while delivering.
            nested = current;
            nested->vector = Vector::gp;
            nested->error_code = static_cast<std::uint32_t>(current.vector) << 3 | 2;  // IDT index
        } else if (exception_stack_) {
            nested = push_frame(current);
        }
        if (!nested) {
            break;
        }
        if (current.vector == Vector::df) {
            chain.push_back(*nested);
            stop_with(MachineStop::Reason::triple_fault, std::move(chain), walk);
            return HandlerResult::not_handled;
        }
        const bool to_double = doubles(current.vector, nested->vector);
        chain.push_back(*nested);
        if (to_double) {
            ExceptionFrame df;
            df.vector = Vector::df;
            df.virt = nested->virt;
            df.access = nested->access;
            df.depth = frame.depth;
            chain.push_back(df);
        }
    }
    const ExceptionFrame delivered = chain.back();
    const auto found = std::find_if(handlers_.begin(), handlers_.end(),
                                    [&](const auto& known) { return known.first == delivered.vector; });
    const std::shared_ptr<const ExceptionHandler> handler = found->second;  // the handler may replace itself
    ++exception_count_;
    in_delivery_.push_back(delivered);
    // Handlers run at CPL 0 with RFLAGS.AC as it was; IRET brings CPL and AC back.
    const std::uint8_t cpl = cpu().cpl;
    const bool ac = cpu().ac;
    set_cpl(0);
    charge(TimedEvent::page_fault);
    const HandlerResult handled = (*handler)(*this, delivered);
    if (!in_delivery_.empty()) {
        in_delivery_.pop_back();
    }
    if (stop_) {
        return HandlerResult::not_handled;
    }
    if (handled == HandlerResult::not_handled || delivered.vector == Vector::df) {
        // #DF is an abort: nothing can be restarted after it.
        stop_with(MachineStop::Reason::unhandled_exception, std::move(chain), walk);
        return HandlerResult::not_handled;
    }
    charge(TimedEvent::iret);
    set_cpl(cpl);
    set_ac(ac);
    return handled;
}

}  // namespace pgsim
