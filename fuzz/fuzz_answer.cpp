// SPDX-License-Identifier: GPL-2.0-only
// Any text as an answer to an exercise: a verdict or an Error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "pgsim/base/error.hpp"
#include "pgsim/scenario/exercise.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace pgsim;
    static const Exercise exercises[] = {make_exercise("split-address", 1), make_exercise("merge-pages", 1),
                                         make_exercise("buddy-merge", 1), make_exercise("e820-cmdline", 1)};
    for (const Exercise& exercise : exercises) {
        try {
            (void)check_answer(exercise, {reinterpret_cast<const char*>(data), size});
        } catch (const Error&) {
        }
    }
    return 0;
}
