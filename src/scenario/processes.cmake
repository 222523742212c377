# SPDX-License-Identifier: GPL-2.0-only
target_sources(pgsim
    PUBLIC FILE_SET HEADERS FILES
        ${PROJECT_SOURCE_DIR}/include/pgsim/scenario/booted_kernel.hpp
        ${PROJECT_SOURCE_DIR}/include/pgsim/scenario/buddy_account.hpp
        ${PROJECT_SOURCE_DIR}/include/pgsim/scenario/fault_counts.hpp
        ${PROJECT_SOURCE_DIR}/include/pgsim/scenario/process_script.hpp
        ${PROJECT_SOURCE_DIR}/include/pgsim/scenario/process_view.hpp
        ${PROJECT_SOURCE_DIR}/include/pgsim/scenario/process_world.hpp
    PRIVATE
        fault_counts.cpp
        process_run.cpp
        process_script.cpp
        process_story.cpp
        process_story_json.cpp
        process_view.cpp
        process_world.cpp
        booted_kernel.cpp
        buddy_account.cpp
        buddy_requests.cpp
        buddy_svg.cpp)
