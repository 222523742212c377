# SPDX-License-Identifier: GPL-2.0-only
target_sources(pgsim
    PUBLIC FILE_SET HEADERS FILES
        ${PROJECT_SOURCE_DIR}/include/pgsim/kernel/bare_kernel.hpp
        ${PROJECT_SOURCE_DIR}/include/pgsim/kernel/buddy.hpp
        ${PROJECT_SOURCE_DIR}/include/pgsim/kernel/gfp.hpp
        ${PROJECT_SOURCE_DIR}/include/pgsim/kernel/memmap.hpp
        ${PROJECT_SOURCE_DIR}/include/pgsim/kernel/struct_page.hpp
    PRIVATE
        bare_kernel.cpp
        buddy.cpp
        buddy_fallback.cpp
        memmap.cpp
        page_alloc.cpp
        pcp.cpp)
