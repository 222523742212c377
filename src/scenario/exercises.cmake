# SPDX-License-Identifier: GPL-2.0-only
target_sources(pgsim
    PUBLIC FILE_SET HEADERS FILES
        ${PROJECT_SOURCE_DIR}/include/pgsim/scenario/exercise.hpp
    PRIVATE
        exercise.cpp
        exercise_address.cpp
        exercise_boot.cpp
        exercise_buddy.cpp
        exercise_early.cpp
        exercise_entry.cpp
        exercise_large_page.cpp
        exercise_parts.cpp
        exercise_process.cpp
        exercise_reclaim.cpp
        exercise_reference.cpp
        exercise_tlb.cpp
        exercise_walk.cpp)
