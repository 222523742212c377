# SPDX-License-Identifier: GPL-2.0-only
# Builds the explorer page (web/) to one HTML file and embeds it in the library.
#
# PGSIM_EXPLORER = AUTO: build it when npm is found; where that fails, the library still builds and says what is missing.
#                  ON:   a page that cannot be built is an error.
#                  OFF:  never build it.
set(PGSIM_EXPLORER AUTO CACHE STRING "Build the explorer page (needs npm): AUTO, ON or OFF")
set_property(CACHE PGSIM_EXPLORER PROPERTY STRINGS AUTO ON OFF)

function(pgsim_explorer target)
    set(web "${PROJECT_SOURCE_DIR}/web")
    set(work "${PROJECT_BINARY_DIR}/web")
    set(out "${PROJECT_BINARY_DIR}/generated/explorer_template.cpp")
    set(npm "")
    set(missing "")
    if(PGSIM_EXPLORER STREQUAL "OFF")
        set(missing "pgsim was built without the explorer page (PGSIM_EXPLORER=OFF)")
    else()
        find_program(PGSIM_NPM npm)
        find_program(PGSIM_NODE NAMES node nodejs)
        mark_as_advanced(PGSIM_NPM PGSIM_NODE)
        if(PGSIM_NPM AND PGSIM_NODE)
            set(npm "${PGSIM_NPM}")
        elseif(PGSIM_EXPLORER STREQUAL "ON")
            message(FATAL_ERROR "PGSIM_EXPLORER=ON needs Node.js 18 or later and npm")
        else()
            set(missing "npm or Node.js was not found when pgsim was built; install both (Debian: apt-get install nodejs npm) and build again")
        endif()
    endif()

    # The list only says when to build again: what belongs to the page is decided by its own imports.
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${web}/src/*.ts" "${web}/src/*.css")
    list(APPEND sources "${web}/index.html" "${web}/package.json" "${web}/package-lock.json" "${web}/vite.config.ts" "${web}/.npmrc")
    set(script "${PROJECT_SOURCE_DIR}/cmake/ExplorerTemplate.cmake")
    add_custom_command(
        OUTPUT "${out}"
        COMMAND "${CMAKE_COMMAND}" "-DWEB=${web}" "-DWORK=${work}" "-DOUT=${out}" "-DNPM=${npm}" "-DMISSING=${missing}"
                "-DREQUIRED=${PGSIM_EXPLORER}" -P "${script}"
        DEPENDS ${sources} "${script}"
        COMMENT "Building the explorer page"
        VERBATIM)
    target_sources(${target} PRIVATE "${out}")
endfunction()
