// SPDX-License-Identifier: GPL-2.0-only
// Vectors of one access of a guest, through two stages of tables.
#include "mmu_vector_runners.hpp"
#include "pgsim/base/error.hpp"

namespace pgsim::formats::vectors {

Json run_npt(const Json&, VectorMemory&) {
    throw Error{"t", "not yet"};
}

Json run_ept(const Json&, VectorMemory&) {
    throw Error{"t", "not yet"};
}

}  // namespace pgsim::formats::vectors
