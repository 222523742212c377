// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "pgsim/cpu/cpu_features.hpp"
#include "pgsim/cpu/cpu_state.hpp"
#include "pgsim/memory/physical_memory.hpp"
#include "pgsim/mmu/access.hpp"
#include "pgsim/mmu/walk_result.hpp"

namespace pgsim::formats::vectors {

using Json = nlohmann::json;

/// Memory that serves one vector after the other: RAM everywhere, zero but for the vector's entries.
class VectorMemory {
public:
    VectorMemory();
    /// Stores the entries of a "mem" list; `bytes` is 4 or 8.
    void place(const Json& entries, unsigned bytes);
    /// Zeroes what `place` stored.
    void clear();
    [[nodiscard]] PhysicalMemory& memory() noexcept { return memory_; }

private:
    PhysicalMemory memory_;
    std::vector<std::pair<PhysAddr, unsigned>> placed_;
};

/// A number, given as a JSON number or as a hex string.
[[nodiscard]] std::uint64_t number(const Json& value);
/// The same for a member. @throws Error  naming the key when it is absent or no number
[[nodiscard]] std::uint64_t number_at(const Json& object, const char* key);
/// The same; `otherwise` when it is absent.
[[nodiscard]] std::uint64_t number_or(const Json& object, const char* key, std::uint64_t otherwise);
[[nodiscard]] const Json& member(const Json& object, const char* key);
[[nodiscard]] std::string hex_string(std::uint64_t value);
[[nodiscard]] PhysAddr physical(std::uint64_t value);

/// "acc" and "cpl" of a vector or a step.
[[nodiscard]] Access access_of(const Json& vector);
/// A processor with everything that the vectors' processors have, with the vector's "maxphy" and "vendor".
[[nodiscard]] CpuFeatures features_of(const Json& vector);
/// The registers of "st". @param long_code  64-bit code
[[nodiscard]] CpuState state_of(const Json& st, bool long_code);
/// "set": every entry that `walk` changes, with its new value.
void add_changes(const WalkResult& walk, Json& set);

// One runner a kind. Each reads the inputs of a vector only and gives the observation in the form that is written back.
[[nodiscard]] Json run_access(const Json& vector, VectorMemory& tables);
[[nodiscard]] Json run_crossing(const Json& vector, VectorMemory& tables);
[[nodiscard]] Json run_sequence(const Json& vector);
[[nodiscard]] Json run_control(const Json& vector);
[[nodiscard]] Json run_npt(const Json& vector, VectorMemory& tables);
[[nodiscard]] Json run_ept(const Json& vector, VectorMemory& tables);

/// What differs between an observation and the expectation in its vector, as text; empty when nothing does.
/// @throws Error  when the vector holds no expectation
[[nodiscard]] std::string differences(const Json& vector, const Json& observed);

}  // namespace pgsim::formats::vectors
