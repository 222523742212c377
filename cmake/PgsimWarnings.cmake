# SPDX-License-Identifier: GPL-2.0-only
# Warnings of our own targets; never of those who link the library.
function(pgsim_warnings target)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow)
    if(PGSIM_WERROR)
        target_compile_options(${target} PRIVATE -Werror)
    endif()
endfunction()
