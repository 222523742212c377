// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pgsim/base/address.hpp"
#include "pgsim/base/units.hpp"
#include "pgsim/cpu/cpu_state.hpp"
#include "pgsim/mmu/access.hpp"
#include "pgsim/mmu/walk_result.hpp"

namespace pgsim {

class Machine;

/// Exceptions that memory accesses and register writes can raise. The value is the vector number.
/// [SDM-3A "Exceptions and Interrupts Vectors"]
enum class Vector : std::uint8_t {
    df = 8,   ///< double fault
    ss = 12,  ///< stack-segment fault
    gp = 13,  ///< general protection
    pf = 14,  ///< page fault
};

/// "#PF", "#GP", …
[[nodiscard]] std::string_view to_string(Vector vector) noexcept;

/// One exception as it is delivered.
struct ExceptionFrame {
    Vector vector = Vector::pf;
    std::uint32_t error_code = 0;
    VirtAddr virt;                                ///< of the access; for #PF the same as CR2 at delivery
    Access access;                                ///< what was tried
    std::optional<RegisterFault> register_fault;  ///< #GP because of a register write, which this is not the access of
    unsigned depth = 0;                           ///< 0: nothing else is being handled; 1: raised inside a handler; …
};

/// What a handler makes of an exception.
enum class HandlerResult : std::uint8_t {
    retry,        ///< the cause is removed: IRET to the same instruction
    skip,         ///< IRET behind the instruction (an exception-table fix-up); a load then gives 0
    not_handled,  ///< the handler gives up, as a kernel that panics: the machine stops
};

using ExceptionHandler = std::function<HandlerResult(Machine&, const ExceptionFrame&)>;

/// Why and where a processor stopped for good, with all that one needs to understand it.
struct MachineStop {
    enum class Reason : std::uint8_t {
        triple_fault,         ///< a fault while the double fault was delivered: the processor shuts down
        unhandled_exception,  ///< a handler said not_handled
        no_progress,          ///< the same access faulted over and over although its handler said retry
        nested_too_deep,      ///< handlers faulted inside handlers without end (a real stack would have run out)
    };
    Reason reason = Reason::triple_fault;
    std::vector<ExceptionFrame> chain;  ///< the exceptions that led here, first one first
    unsigned cpu_number = 0;
    CpuState cpu;     ///< registers at the stop; CR2 of the last #PF
    WalkResult walk;  ///< of the access that began the chain
    Cycles when;
    std::string origin;  ///< the label scope that was active, innermost last: "stage: function"
};

[[nodiscard]] std::string_view to_string(MachineStop::Reason reason) noexcept;
/// The full account, several lines.
[[nodiscard]] std::string to_string(const MachineStop& stop);

}  // namespace pgsim
